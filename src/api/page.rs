//! The pages: what each of them shows is read here, and rendered by `pages`.

use std::time::Duration;

use url::form_urlencoded;

use super::action::{PageAccount, PageCliLogin, PageCliToken};
use super::endpoint::Answer;
use super::factor_page::{notice, notices};
use super::public::{Outcome, Visit, Visited};
use super::return_to::return_to;
use super::{Call, Content, Reply};
use crate::identity::{Channel, Oidc};
use crate::pages::{self, Asset, Login, SecondFactors, Step, Waiting};
use crate::pep::Refusal;
use crate::store::{CliLoginRow, CredentialFilter, CredentialKind, CredentialRow};

/// Most sessions that are shown.
const SESSIONS: u64 = 100;
/// How many days a CLI token may be chosen to last.
const DAYS: [u64; 4] = [1, 7, 30, 90];

/// `GET /app/login`: the page with the button.
pub(super) async fn login(visit: Visit) -> Outcome {
    let Visit { accepted, services, .. } = visit;
    let query = accepted.request().uri().query().unwrap_or_default();
    let mut wanted = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "return_to");
    let target = wanted.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
    let link = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", return_to(&target)).finish();
    let site = &services.gate.site;
    let redirects = [Channel::Web, Channel::Cli].map(|channel| format!("{}{}", site.origin, channel.callback()));
    let link = format!("/api/v1/auth/web/login?{link}");
    let page = Login {
        provider: services.oidc.as_deref().map(provider),
        link: &link,
        redirects: &redirects,
        domain: site.domain(),
    };
    match page.render() {
        Ok(page) => Ok(Visited::Told(Reply::html(page))),
        Err(error) => {
            tracing::error!(%error, "no page");
            Ok(Visited::Told(Reply::done().status(503)))
        }
    }
}

/// What people know the identity provider by.
fn provider(oidc: &Oidc) -> &str {
    if oidc.is_google() {
        return "Google";
    }
    let issuer = oidc.issuer();
    let address = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    address.split('/').next().unwrap_or(address)
}

/// `GET /app/assets/{file}`.
pub(super) async fn asset(visit: Visit) -> Outcome {
    match Asset::at(visit.accepted.request().path()) {
        Some(asset) => Ok(Visited::Told(Reply { status: 200, content: Content::Asset(asset), headers: Vec::new() })),
        None => Err(visit.accepted.stop(Refusal::UnknownRoute("asset-unknown"))),
    }
}

/// `GET /app`: who am I, and where am I signed in?
pub(super) async fn account(call: Call<PageAccount>) -> Answer {
    let identity = call.identity()?;
    let filter = CredentialFilter {
        user: Some(identity.id.clone()),
        kinds: vec![CredentialKind::Web, CredentialKind::Cli],
        live_at: Some(call.now()),
        limit: SESSIONS,
        ..CredentialFilter::default()
    };
    let rows = call.store().credential_list(filter).await?;
    let mut live: Vec<_> = rows.iter().filter(|row| row.is_live(call.now())).collect();
    live.sort_by_key(|row| row.id != identity.credential.id);
    let addresses: Vec<_> = live.iter().map(|row| row.source_ip.map(|ip| ip.to_string()).unwrap_or_default()).collect();
    let sessions = live.iter().zip(&addresses).map(|(row, ip)| session(row, ip, &identity.credential.id)).collect();
    let roles = call.gate().active.load().roles_held(&identity.roles, &identity.groups);
    let csrf = call.granted().csrf_token();
    let told = notices(&call).await?;
    let (backup_codes, _) = call.store().backup_codes_left(&identity.id).await?;
    let factors = call.store().factor_list(&identity.id).await?.len();
    let page = pages::Account {
        id: &identity.id,
        name: if identity.name.is_empty() { &identity.label } else { &identity.name },
        email: &identity.email,
        roles: &roles,
        groups: &identity.groups,
        rack: &call.gate().rack,
        origin: &call.gate().site.origin,
        csrf: csrf.as_deref(),
        sessions,
        notices: told.iter().map(notice).collect(),
        second: SecondFactors { factors, backup_codes },
    };
    Ok(Reply::html(page.render()?))
}

pub(super) fn session<'a>(row: &'a CredentialRow, source_ip: &'a str, current: &str) -> pages::Session<'a> {
    let is_web = row.kind == CredentialKind::Web;
    pages::Session {
        id: &row.id,
        is_web,
        name: &row.name,
        user_agent: row.user_agent.as_deref().unwrap_or_default(),
        source_ip,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        is_current: row.id == current,
    }
}

/// `GET /app/cli?code=`: does your terminal show this code?
pub(super) async fn cli_login(call: Call<PageCliLogin>) -> Answer {
    let identity = call.identity()?;
    let query = call.granted().query();
    let typed = query.get("code").unwrap_or_default();
    let login = match code(typed) {
        Some(code) => call.store().cli_login_find_by_code(&code).await?,
        None => None,
    };
    let address = login.as_ref().map(|login| login.source_ip.to_string()).unwrap_or_default();
    let step = match &login {
        None if typed.is_empty() => Step::Type(None),
        None => Step::Type(Some("No command line waits with this code. Look at the code in your terminal again.")),
        Some(login) => match over(login, call.now()) {
            Some(why) => Step::Type(Some(why)),
            None => Step::Ask(waiting(login, &address)),
        },
    };
    let csrf = call.granted().csrf_token();
    let here = call.granted().trace().source_ip.to_string();
    let page = pages::CliLogin {
        step,
        email: &identity.email,
        source_ip: &here,
        domain: call.gate().site.domain(),
        csrf: csrf.as_deref(),
    };
    Ok(Reply::html(page.render()?))
}

fn waiting<'a>(login: &'a CliLoginRow, source_ip: &'a str) -> Waiting<'a> {
    Waiting {
        code: &login.user_code,
        device: &login.device_name,
        os: &login.device_os,
        client: &login.client_version,
        source_ip,
        asked_at: login.created_at,
        expires_at: login.expires_at,
    }
}

/// Why nothing can be decided on it any more.
fn over(login: &CliLoginRow, now: time::OffsetDateTime) -> Option<&'static str> {
    match login.approved {
        Some(true) => Some("This code was confirmed already, and works only once. Begin again in your terminal."),
        Some(false) => Some("This code was refused. Begin again in your terminal."),
        None if login.expires_at <= now => Some("This code is too old. Begin again in your terminal."),
        None => None,
    }
}

/// `BCDF-GHJK`, from what somebody typed in its place.
fn code(typed: &str) -> Option<String> {
    let letters: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let letters = letters.to_ascii_uppercase();
    let (first, second) = letters.split_at_checked(4)?;
    let is_code = letters.len() == 8 && letters.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then(|| format!("{first}-{second}"))
}

/// `GET /app/cli-token`: a token for a machine where signing in is not possible.
pub(super) async fn cli_token(call: Call<PageCliToken>) -> Answer {
    let days = days(call.services().rules().await?.cli_max);
    let csrf = call.granted().csrf_token();
    let page = pages::CliToken { id: &call.identity()?.id, days: &days, csrf: csrf.as_deref() };
    Ok(Reply::html(page.render()?))
}

/// The choices, none longer than may be.
fn days(most: Duration) -> Vec<u64> {
    let most = (most.as_secs() / (24 * 60 * 60)).max(1);
    let shorter = DAYS.into_iter().filter(|days| *days < most);
    shorter.chain((most <= 90).then_some(most)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for typed in ["BCDF-GHJK", "bcdf-ghjk", " bcdfghjk ", "BCDF GHJK", "b c d f g h j k"] {
            assert_eq!(code(typed).as_deref(), Some("BCDF-GHJK"), "{typed}");
        }
        for wrong in ["", "BCDF", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJ1", "' OR 1=1", "ÄCDFGHJK", "<script>"] {
            assert_eq!(code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_choice_is_longer_than_the_rules() {
        let day = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        for (most, choices) in [(30, vec![1, 7, 30]), (14, vec![1, 7, 14]), (1, vec![1]), (0, vec![1])] {
            assert_eq!(days(day(most)), choices, "{most}");
        }
        assert_eq!(days(day(365)), [1, 7, 30, 90]);
    }
}
