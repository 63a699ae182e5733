//! Who vouches for people: the identity provider's address, our registration there, and whom we let in.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::Env;

/// The issuer that `GOOGLE_CLIENT_ID` stands for.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// How providers are reached. Only the authorities are a setting; tests shorten the times.
#[derive(Clone, Debug)]
pub struct ProviderHttp {
    /// PEM of authorities to trust beside those of the system: `OIDC_CA_FILE`.
    pub ca: Option<Vec<u8>>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer.
    pub timeout: Duration,
}

impl Default for ProviderHttp {
    fn default() -> Self {
        Self { ca: None, connect_timeout: Duration::from_secs(5), timeout: Duration::from_secs(10) }
    }
}

/// Sign-in of people with OpenID Connect.
#[derive(Clone, Debug)]
pub struct SignInSettings {
    /// The provider's issuer identifier, exactly as it writes it: `OIDC_ISSUER`.
    pub issuer: String,
    /// `OIDC_CLIENT_ID` or `GOOGLE_CLIENT_ID`.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET` or `GOOGLE_CLIENT_SECRET`.
    pub client_secret: SecretString,
    /// What is asked for: `OIDC_SCOPES`; `openid` is among them.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups: `OIDC_GROUPS_CLAIM`.
    pub groups_claim: String,
    /// Domains of e-mail addresses that may sign in, in lower case: `OIDC_ALLOWED_DOMAINS` or
    /// `GOOGLE_ALLOWED_DOMAIN`. Empty: any.
    pub allowed_domains: Vec<String>,
    /// Whether the provider is Google. Then an allowed domain must also be in `hd`, because anybody
    /// can make a Google account with an address of an organisation that they have left.
    pub google: bool,
    /// How the provider is reached.
    pub http: ProviderHttp,
}

impl SignInSettings {
    /// Reads the settings; adds what is wrong to `problems`. None when sign-in is off.
    pub(super) fn read(env: &dyn Env, http: &ProviderHttp, problems: &mut Vec<String>) -> Option<Self> {
        let google = GOOGLE.iter().any(|name| env.get(name).is_some());
        let generic = GENERIC.iter().any(|name| env.get(name).is_some());
        if google && generic {
            problems.push("the settings OIDC_… and GOOGLE_… exclude each other: keep those of one provider".to_owned());
            return None;
        }
        if !google && !generic {
            return None;
        }
        let mut reader = Reader { env, problems };
        if google { reader.google(http) } else { reader.generic(http) }
    }
}

impl ProviderHttp {
    /// Reads the file of authorities.
    pub(super) fn read(env: &dyn Env, problems: &mut Vec<String>) -> Self {
        let ca = env.get("OIDC_CA_FILE").and_then(|path| match std::fs::read(Path::new(&path)) {
            Ok(pem) => Some(pem),
            Err(error) => {
                problems.push(format!("OIDC_CA_FILE {path} cannot be read: {error}"));
                None
            }
        });
        Self { ca, ..Self::default() }
    }
}

const GOOGLE: &[&str] = &["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GOOGLE_ALLOWED_DOMAIN"];
const GENERIC: &[&str] = &[
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
    "OIDC_SCOPES",
    "OIDC_GROUPS_CLAIM",
    "OIDC_ALLOWED_DOMAINS",
];

struct Reader<'a> {
    env: &'a dyn Env,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn google(&mut self, http: &ProviderHttp) -> Option<SignInSettings> {
        let client_id = self.required("GOOGLE_CLIENT_ID", "the client id that Google gave out");
        let client_secret = self.required("GOOGLE_CLIENT_SECRET", "the secret that goes with it");
        let allowed_domains = self.domains("GOOGLE_ALLOWED_DOMAIN", true)?;
        Some(SignInSettings {
            issuer: GOOGLE_ISSUER.to_owned(),
            client_id: client_id?,
            client_secret: SecretString::from(client_secret?),
            scopes: words(SCOPES),
            groups_claim: GROUPS_CLAIM.to_owned(),
            allowed_domains,
            google: true,
            http: http.clone(),
        })
    }

    fn generic(&mut self, http: &ProviderHttp) -> Option<SignInSettings> {
        let issuer = self.required("OIDC_ISSUER", "the provider's issuer, such as https://login.example.com");
        let client_id = self.required("OIDC_CLIENT_ID", "the client id that the provider gave out");
        let client_secret = self.required("OIDC_CLIENT_SECRET", "the secret that goes with it");
        let scopes = self.scopes();
        let google = issuer.as_deref() == Some(GOOGLE_ISSUER);
        let allowed_domains = self.domains("OIDC_ALLOWED_DOMAINS", google)?;
        let issuer = issuer?;
        if let Err(problem) = provider_url(&issuer) {
            self.problems.push(format!("OIDC_ISSUER {problem}"));
            return None;
        }
        Some(SignInSettings {
            issuer,
            client_id: client_id?,
            client_secret: SecretString::from(client_secret?),
            scopes,
            groups_claim: self.env.get("OIDC_GROUPS_CLAIM").unwrap_or_else(|| GROUPS_CLAIM.to_owned()),
            allowed_domains,
            google,
            http: http.clone(),
        })
    }

    fn required(&mut self, name: &str, what: &str) -> Option<String> {
        let value = self.env.get(name);
        if value.is_none() {
            self.problems.push(format!("{name} is not set: {what}"));
        }
        value
    }

    fn scopes(&mut self) -> Vec<String> {
        let scopes = words(&self.env.get("OIDC_SCOPES").unwrap_or_else(|| SCOPES.to_owned()));
        if !scopes.iter().any(|scope| scope == "openid") {
            self.problems.push("OIDC_SCOPES lacks `openid`, without which nobody is identified".to_owned());
        }
        scopes
    }

    /// A list of domains in lower case. `*` alone means any and is an empty list; some providers
    /// serve everybody, so that there it must be said.
    fn domains(&mut self, name: &str, must_be_said: bool) -> Option<Vec<String>> {
        let Some(text) = self.env.get(name) else {
            if must_be_said {
                self.problems.push(format!(
                    "{name} is not set: anybody has an account there; name your domain, or `*` to let all of them in"
                ));
                return None;
            }
            return Some(Vec::new());
        };
        if text.trim() == "*" {
            return Some(Vec::new());
        }
        let domains: Vec<_> = text.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
        match domains.iter().find(|domain| !is_domain(domain)) {
            Some(odd) => {
                self.problems.push(format!("{name} holds `{odd}`: write domains as example.com, with commas between"));
                None
            }
            None => Some(domains),
        }
    }
}

const SCOPES: &str = "openid profile email";
const GROUPS_CLAIM: &str = "groups";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.split('.').all(label)
}

/// Reads an address of a provider: https, or http to this machine; no user, query or fragment.
///
/// # Errors
/// With what to write instead.
pub fn provider_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an address: write it as https://login.example.com")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("must begin with https:// (http:// is for this machine alone)");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must have no user, query or fragment");
    }
    Ok(url)
}

/// Whether the address is of this machine, by its name or number.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
