//! From what a provider says to a person: address, organisation, groups.

use serde_json::{Map, Value};

use super::error::{OidcError, Told};
use crate::config::SignInSettings;

/// Most groups of a person.
const MOST_GROUPS: usize = 200;
/// Longest name of a group, in bytes.
const LONGEST_GROUP: usize = 200;
/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;
/// Longest name of a person, in characters.
const LONGEST_NAME: usize = 200;

/// A person for whom the provider vouches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who vouches.
    pub issuer: String,
    /// Who it is, there: never given to anybody else, unlike an e-mail address.
    pub subject: String,
    /// The verified e-mail address, as the provider writes it.
    pub email: String,
    /// The name, or the e-mail address where there is none.
    pub name: String,
    /// The groups, sorted, each once.
    pub groups: Vec<String>,
}

/// Whether the claims lack something that the user info may hold. Google lists groups nowhere.
pub(super) fn is_incomplete(claims: &Map<String, Value>, settings: &SignInSettings) -> bool {
    let lacks_groups = !settings.google && !claims.contains_key(&settings.groups_claim);
    !claims.contains_key("email") || lacks_groups
}

/// Fills in what the identity token lacks. An address and the word that it is verified belong
/// together: one is never taken from here when the other was there.
pub(super) fn complete(claims: &mut Map<String, Value>, mut info: Map<String, Value>, settings: &SignInSettings) {
    if !claims.contains_key("email") {
        claims.remove("email_verified");
        for claim in ["email", "email_verified"] {
            claims.extend(info.remove(claim).map(|value| (claim.to_owned(), value)));
        }
    }
    for claim in ["name", "hd", "_claim_names", settings.groups_claim.as_str()] {
        if let (false, Some(value)) = (claims.contains_key(claim), info.remove(claim)) {
            claims.insert(claim.to_owned(), value);
        }
    }
}

/// Reads the person, if they may sign in.
pub(super) fn person(
    settings: &SignInSettings,
    subject: String,
    claims: &Map<String, Value>,
) -> Result<Person, OidcError> {
    let email = email(claims)?;
    check_domain(settings, &email, claims.get("hd"))?;
    let groups = groups(claims, &settings.groups_claim)?;
    let name = claims.get("name").and_then(Value::as_str).map(shown).filter(|name| !name.is_empty());
    Ok(Person { issuer: settings.issuer.clone(), subject, name: name.unwrap_or_else(|| email.clone()), email, groups })
}

fn email(claims: &Map<String, Value>) -> Result<String, OidcError> {
    let email = claims.get("email").and_then(Value::as_str).unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let usable = email.len() <= LONGEST_EMAIL
        && !email.contains(odd)
        && email.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if !usable {
        return Err(OidcError::NoEmail);
    }
    // Some providers write the boolean as text in the user info.
    match claims.get("email_verified") {
        Some(Value::Bool(true)) => Ok(email.to_owned()),
        Some(Value::String(text)) if text == "true" => Ok(email.to_owned()),
        None | Some(_) => Err(OidcError::EmailUnverified),
    }
}

fn check_domain(settings: &SignInSettings, email: &str, hosted: Option<&Value>) -> Result<(), OidcError> {
    if settings.allowed_domains.is_empty() {
        return Ok(());
    }
    let allowed = |domain: &str| settings.allowed_domains.iter().any(|one| one.eq_ignore_ascii_case(domain));
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    if !allowed(domain) {
        return Err(OidcError::Domain(Told::new(domain)));
    }
    match hosted {
        None if !settings.google => Ok(()),
        Some(Value::String(hosted)) if allowed(hosted) => Ok(()),
        None | Some(_) => Err(OidcError::Organisation),
    }
}

fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Vec<String>, OidcError> {
    // A list that is too long for a token is kept elsewhere (OpenID Connect Core 1.0 §5.6.2).
    if claims.get("_claim_names").is_some_and(|names| names.get(claim).is_some()) {
        return Err(OidcError::Groups("there are too many for the provider to list"));
    }
    let listed = match claims.get(claim) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many
            .iter()
            .map(Value::as_str)
            .collect::<Option<Vec<_>>>()
            .ok_or(OidcError::Groups("the claim lists something other than names"))?,
        Some(_) => return Err(OidcError::Groups("the claim is no list of names")),
    };
    if listed.len() > MOST_GROUPS {
        return Err(OidcError::Groups("there are more than 200"));
    }
    if listed.iter().any(|group| group.is_empty() || group.len() > LONGEST_GROUP) {
        return Err(OidcError::Groups("a name is empty or longer than 200 bytes"));
    }
    let mut groups: Vec<_> = listed.into_iter().map(str::to_owned).collect();
    groups.sort();
    groups.dedup();
    Ok(groups)
}

fn shown(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(LONGEST_NAME).collect::<String>().trim().to_owned()
}
