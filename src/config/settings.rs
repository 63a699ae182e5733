//! The settings of the server.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use secrecy::SecretString;

use super::site::{Site, is_domain};
use super::{
    AnchorSettings, Catalog, Env, ProviderHttp, SignInSettings, WebhookSettings, WorkloadSettings, YubicoSettings,
};
use crate::vault::{Keyring, KeyringError};

/// Everything that `serve` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where people and CI connect: `RGW_LISTEN`.
    pub listen: SocketAddr,
    /// Where metrics are read; never the public listener: `RGW_METRICS_LISTEN`.
    pub metrics_listen: SocketAddr,
    /// `RGW_DATABASE_URL` or `DATABASE_URL`. A secret: it may carry a password.
    pub database_url: SecretString,
    /// The database role that serves, when it differs from the one that migrates:
    /// `RGW_DATABASE_APP_ROLE` (PostgreSQL).
    pub database_app_role: Option<String>,
    /// The public name, and the proxies in front: `DOMAIN`, `TRUSTED_PROXY_CIDRS`.
    pub site: Site,
    /// The folder of policies, `schema/` beside it: `RGW_POLICY_DIR`. None: the compiled-in defaults.
    pub policy_dir: Option<PathBuf>,
    /// What stored secrets are sealed under: `APP_SECRET_KEY`, and while it is being changed
    /// `APP_SECRET_KEY_PREVIOUS`.
    pub keyring: Keyring,
    /// The rack.
    pub rack: RackSettings,
    /// Sign-in of people; None when no provider is set: then only tokens work.
    pub sign_in: Option<SignInSettings>,
    /// Sign-in of CI runs.
    pub workloads: WorkloadSettings,
    /// The service that checks one-time passwords of YubiKeys; None: there are none.
    pub yubico: Option<YubicoSettings>,
    /// The receiver of notices; None: nothing is sent.
    pub webhook: Option<WebhookSettings>,
    /// Anchors of the audit log; None: they are off.
    pub anchors: Option<AnchorSettings>,
    /// What of the settings that administrators change is pinned: `RGW_SETTING_<NAME>`.
    pub catalog: Catalog,
    /// Addresses of the first administrators, while there is none: `ADMIN_USERS`.
    pub admins: Vec<String>,
}

/// How to reach the one rack.
#[derive(Clone, Debug)]
pub struct RackSettings {
    /// `RACK`: `organization/name` as the CLI shows it.
    pub organization: String,
    /// The part of `RACK` after the slash.
    pub name: String,
    /// `RACK_HOST`: `https://host[:port]`.
    pub url: String,
    /// `RACK_USERNAME`.
    pub username: String,
    /// `RACK_TOKEN`: the rack's password.
    pub token: SecretString,
    /// How the rack's certificate is verified.
    pub trust: Trust,
}

impl RackSettings {
    /// `organization/name`, which is also the id of the `Rack` entity in policy.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.organization, self.name)
    }
}

/// How the rack's certificate is verified.
#[derive(Clone, Debug)]
pub enum Trust {
    /// By the roots of the operating system.
    System,
    /// By the certificates in this PEM: `RACK_CA_FILE`.
    Ca(Vec<u8>),
    /// By its public key alone: `RACK_TLS_PINS`.
    Pinned(Vec<Pin>),
}

/// SHA-256 of a certificate's `SubjectPublicKeyInfo` (RFC 7469 §2.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Every problem of the settings, so that one start shows them all.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The port that people know.
const PORT: u16 = 8447;
const METRICS_PORT: u16 = 9447;

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// Every missing or unusable setting, with what to do about it.
    pub fn from_env(env: &dyn Env) -> Result<Self, ConfigErrors> {
        let mut reader = Reader { env, problems: Vec::new() };
        let listen = reader.address("RGW_LISTEN", SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        let metrics_listen =
            reader.address("RGW_METRICS_LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS_PORT)));
        let database_url = reader.database_url();
        let keyring = reader.keyring();
        let rack = reader.rack();
        let site = reader.site();
        let http = ProviderHttp::read(env, &mut reader.problems);
        let sign_in = SignInSettings::read(env, &http, &mut reader.problems);
        let workloads = WorkloadSettings::read(env, &http, sign_in.as_ref(), &mut reader.problems);
        let yubico = YubicoSettings::read(env, &http, &mut reader.problems);
        let webhook = WebhookSettings::read(env, &http, &mut reader.problems);
        let anchors = AnchorSettings::read(env, &mut reader.problems);
        let catalog = Catalog::read(env, &mut reader.problems);
        let admins = reader.admins();
        let config = rack.zip(keyring).map(|(rack, keyring)| Self {
            listen,
            metrics_listen,
            database_url,
            database_app_role: reader.env.get("RGW_DATABASE_APP_ROLE"),
            site,
            policy_dir: reader.env.get("RGW_POLICY_DIR").map(PathBuf::from),
            keyring,
            rack,
            sign_in,
            workloads,
            yubico,
            webhook,
            anchors,
            catalog,
            admins,
        });
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigErrors(reader.problems)),
        }
    }

    /// The database alone, for commands that need nothing else.
    ///
    /// # Errors
    /// When the setting cannot be used.
    pub fn database_url(env: &dyn Env) -> Result<SecretString, ConfigErrors> {
        let mut reader = Reader { env, problems: Vec::new() };
        let url = reader.database_url();
        if reader.problems.is_empty() { Ok(url) } else { Err(ConfigErrors(reader.problems)) }
    }

    /// The keys of stored secrets alone, for commands that need nothing else.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn keyring(env: &dyn Env) -> Result<Keyring, ConfigErrors> {
        let mut reader = Reader { env, problems: Vec::new() };
        let keyring = reader.keyring();
        keyring.ok_or(ConfigErrors(reader.problems))
    }
}

/// Most characters of an e-mail address (RFC 5321 §4.5.3.1.3).
const EMAIL: usize = 254;

/// Whether this can be an e-mail address: one `@` with something on both sides, no spaces.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "@,;<>\"".contains(c))
    };
    text.len() <= EMAIL && text.split_once('@').is_some_and(|(local, domain)| is_plain(local) && is_plain(domain))
}

struct Reader<'a> {
    env: &'a dyn Env,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn required(&mut self, name: &str, what: &str) -> Option<String> {
        let value = self.env.get(name);
        if value.is_none() {
            self.problems.push(format!("{name} is not set: {what}"));
        }
        value
    }

    fn address(&mut self, name: &str, default: SocketAddr) -> SocketAddr {
        let Some(text) = self.env.get(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name} is not an address: write it as 0.0.0.0:{PORT}"));
            default
        })
    }

    fn database_url(&mut self) -> SecretString {
        let url = self.env.get("RGW_DATABASE_URL").or_else(|| self.env.get("DATABASE_URL"));
        let url = url.unwrap_or_else(|| "sqlite://rack-gateway.sqlite".to_owned());
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            self.problems.push("RGW_DATABASE_URL (or DATABASE_URL) must begin with sqlite: or postgres://".to_owned());
        }
        SecretString::from(url)
    }

    fn site(&mut self) -> Site {
        let what = "the host name by which browsers and CLIs reach the gateway, such as gateway.example.com";
        let domain = self.required("DOMAIN", what).unwrap_or_default();
        if !domain.is_empty() && !is_domain(&domain) {
            self.problems.push("DOMAIN must be a lower-case host name, without scheme or path".to_owned());
        }
        let mut proxies = Vec::new();
        let listed = self.env.get("TRUSTED_PROXY_CIDRS").unwrap_or_default();
        for part in listed.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.parse::<IpNet>() {
                Ok(net) if net.prefix_len() > 0 => proxies.push(net.trunc()),
                Ok(_) => self.problems.push("TRUSTED_PROXY_CIDRS names everybody: list the proxies".to_owned()),
                Err(_) => self.problems.push(format!("TRUSTED_PROXY_CIDRS holds `{part}`: write 10.0.0.0/8")),
            }
        }
        Site::https(&domain, proxies)
    }

    fn admins(&mut self) -> Vec<String> {
        let listed = self.env.get("ADMIN_USERS").unwrap_or_default();
        let listed = listed.split(',').map(str::trim).filter(|part| !part.is_empty());
        let (good, bad): (Vec<_>, Vec<_>) = listed.map(str::to_lowercase).partition(|email| is_email(email));
        self.problems.extend(bad.iter().map(|part| format!("ADMIN_USERS holds `{part}`, which is no e-mail address")));
        good
    }

    fn keyring(&mut self) -> Option<Keyring> {
        let current = self.required("APP_SECRET_KEY", "make one with `openssl rand -base64 32`, and keep a copy")?;
        let previous = self.env.get("APP_SECRET_KEY_PREVIOUS").map(SecretString::from);
        let keyring = Keyring::new(&SecretString::from(current), previous.as_ref());
        keyring.map_err(|problem: KeyringError| self.problems.push(problem.to_string())).ok()
    }

    fn rack(&mut self) -> Option<RackSettings> {
        let name = self.required("RACK", "the rack's name as the CLI shows it, such as acme/prod");
        let host = self.required("RACK_HOST", "where the rack answers, such as https://api.rack.internal:5443");
        let token = self.required("RACK_TOKEN", "the rack's password");
        let trust = self.trust();
        let url = host.and_then(|host| self.rack_url(&host));
        let (organization, name) = self.rack_name(&name?)?;
        Some(RackSettings {
            organization,
            name,
            url: url?,
            username: self.env.get("RACK_USERNAME").unwrap_or_else(|| "convox".to_owned()),
            token: SecretString::from(token?),
            trust,
        })
    }

    fn rack_url(&mut self, host: &str) -> Option<String> {
        let url = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let authority = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let usable = authority.is_some_and(|authority| {
            let authority = authority.trim_end_matches('/');
            !authority.is_empty() && !authority.contains(['/', '@', '?', '#', ' '])
        });
        if usable {
            return Some(url.trim_end_matches('/').to_owned());
        }
        self.problems.push("RACK_HOST must be https://host[:port] without user, path or query".to_owned());
        None
    }

    fn rack_name(&mut self, text: &str) -> Option<(String, String)> {
        let (organization, name) = text.split_once('/').unwrap_or(("rack", text));
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if word(organization) && word(name) {
            return Some((organization.to_owned(), name.to_owned()));
        }
        self.problems.push("RACK must be NAME or ORGANIZATION/NAME of letters, digits, dots and dashes".to_owned());
        None
    }

    fn trust(&mut self) -> Trust {
        let ca = self.env.get("RACK_CA_FILE");
        let pins = self.env.get("RACK_TLS_PINS");
        match (ca, pins) {
            (None, None) => Trust::System,
            (Some(path), None) => self.ca(Path::new(&path)),
            (None, Some(pins)) => self.pins(&pins),
            (Some(_), Some(_)) => {
                self.problems.push("RACK_CA_FILE and RACK_TLS_PINS exclude each other: set one".to_owned());
                Trust::System
            }
        }
    }

    fn ca(&mut self, path: &Path) -> Trust {
        match std::fs::read(path) {
            Ok(pem) => Trust::Ca(pem),
            Err(error) => {
                self.problems.push(format!("RACK_CA_FILE {} cannot be read: {error}", path.display()));
                Trust::System
            }
        }
    }

    fn pins(&mut self, text: &str) -> Trust {
        let mut pins = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match hex::decode(part).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
                Some(pin) => pins.push(Pin(pin)),
                None => self.problems.push(format!(
                    "RACK_TLS_PINS holds `{part}`: each pin is 64 hex digits, the SHA-256 of the key (SPKI)"
                )),
            }
        }
        if pins.is_empty() {
            self.problems.push("RACK_TLS_PINS holds no pin".to_owned());
        }
        Trust::Pinned(pins)
    }
}
