//! Where the rack is, how it is trusted, and how long anything may take.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::header::HeaderValue;
use actix_web::http::uri::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};

use super::tls::{self, Trust};

/// Why a rack's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RackConfigError {
    /// The base URL is not `http(s)://host[:port]`.
    #[error("the rack's url `{url}` {why}; write it as https://host or https://host:port")]
    Url {
        /// The URL, without what stands before an `@`.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The user name cannot be sent with HTTP Basic.
    #[error("the rack's user name must be printable, not empty and without a colon")]
    Username,
    /// The token cannot be sent with HTTP Basic.
    #[error("the rack's token must be printable and not empty")]
    Token,
    /// Trust settings without TLS would protect nothing.
    #[error("a certificate authority or a pin is set for the rack, but its url is http; use https")]
    TrustWithoutTls,
    /// The trust settings do not make a verifier.
    #[error("the rack's certificate cannot be verified with these settings")]
    Tls(#[from] tls::TlsError),
    /// A limit that would stop all traffic.
    #[error("the rack's limit `{0}` must be greater than zero")]
    Limit(&'static str),
}

/// How long anything may take, and how much may happen at once. Times without a limit do not exist,
/// except for a stream that moves: only silence ends it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the end of a request to the head of its answer. Long: a promotion blocks for minutes.
    pub head: Duration,
    /// Silence in the middle of a request's or an answer's body.
    pub idle: Duration,
    /// How long an unused connection is kept; below the rack's own limit, or it closes them first.
    pub keep_alive: Duration,
    /// Requests at once for each worker; a socket does not count.
    pub exchanges: usize,
    /// To wait for one of these places.
    pub queue: Duration,
    /// Until a socket is open, connecting included. The CLI gives up after 45 s.
    pub socket_open: Duration,
    /// Silence on a socket in both directions. The CLI pings every 5 s.
    pub socket_idle: Duration,
    /// For the other side to close a socket after its end, before it is cut.
    pub socket_grace: Duration,
    /// How often a socket that waits for its permit shows that it is alive; below what routers on the
    /// way take for an idle connection.
    pub socket_sign: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_mins(30),
            idle: Duration::from_mins(15),
            keep_alive: Duration::from_secs(20),
            exchanges: 512,
            queue: Duration::from_secs(30),
            socket_open: Duration::from_secs(30),
            socket_idle: Duration::from_mins(2),
            socket_grace: Duration::from_secs(5),
            socket_sign: Duration::from_secs(10),
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), RackConfigError> {
        let times = [
            ("connect", self.connect),
            ("head", self.head),
            ("idle", self.idle),
            ("queue", self.queue),
            ("socket_open", self.socket_open),
            ("socket_idle", self.socket_idle),
            ("socket_grace", self.socket_grace),
            ("socket_sign", self.socket_sign),
        ];
        match times.iter().find(|(_, time)| time.is_zero()) {
            Some((name, _)) => Err(RackConfigError::Limit(name)),
            None if self.exchanges == 0 => Err(RackConfigError::Limit("exchanges")),
            None => Ok(()),
        }
    }
}

/// One rack: address, credential, trust, limits. Checked once at the start; cheap to clone and
/// shared by all workers.
#[derive(Clone)]
pub struct RackConfig {
    pub(super) host: String,
    pub(super) port: u16,
    /// `Host` header: lower case, without the scheme's own port.
    pub(super) authority: HeaderValue,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) authorization: HeaderValue,
    pub(super) limits: Limits,
}

impl RackConfig {
    /// Checks everything that can be checked without the rack. `url` is `http(s)://host[:port]`,
    /// `username` is `convox` for a rack's own password.
    ///
    /// # Errors
    ///
    /// A [`RackConfigError`] that says which setting is wrong and what it should be.
    pub fn new(
        url: &str,
        username: &str,
        token: &SecretString,
        trust: &Trust,
        limits: Limits,
    ) -> Result<Self, RackConfigError> {
        limits.check()?;
        let base = Base::parse(url)?;
        let tls = match (base.tls, trust.is_default()) {
            (true, _) => Some(Arc::new(tls::client_config(trust)?)),
            (false, true) => None,
            (false, false) => return Err(RackConfigError::TrustWithoutTls),
        };
        let authorization = basic(username, token)?;
        let Base { host, port, authority, tls: _ } = base;
        Ok(Self { host, port, authority, tls, authorization, limits })
    }

    /// Whether the rack is reached over TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The host without brackets: what is resolved, and the name that the certificate must have.
    pub(super) fn hostname(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Debug for RackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RackConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls.is_some())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// `Authorization: Basic` for the rack, marked as sensitive so that no log prints it.
fn basic(username: &str, token: &SecretString) -> Result<HeaderValue, RackConfigError> {
    let printable = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !printable(username) || username.contains(':') {
        return Err(RackConfigError::Username);
    }
    if !printable(token.expose_secret()) {
        return Err(RackConfigError::Token);
    }
    let pair = SecretString::from(format!("{username}:{}", token.expose_secret()));
    let value = SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret())));
    let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_error| RackConfigError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

struct Base {
    host: String,
    port: u16,
    authority: HeaderValue,
    tls: bool,
}

impl Base {
    fn parse(url: &str) -> Result<Self, RackConfigError> {
        // What stands before an `@` may be a password: an error must not repeat it.
        let shown = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        let refuse = |why| RackConfigError::Url { url: shown.to_owned(), why };
        let uri = Uri::from_str(url).map_err(|_error| refuse("cannot be parsed"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(refuse("must begin with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("must not hold a user name or password"));
        }
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        if !matches!(path, "" | "/") || url.contains('#') {
            return Err(refuse("must not have a path, a query or a fragment"));
        }
        Self::from_authority(authority, tls).ok_or_else(|| refuse("does not name a host and port"))
    }

    fn from_authority(authority: &Authority, tls: bool) -> Option<Self> {
        let host = authority.host().to_ascii_lowercase();
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => matches!(address.parse(), Ok(IpAddr::V6(_))),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
        };
        let own_port = if tls { 443 } else { 80 };
        let written = authority.as_str().get(host.len()..)?;
        let port = match written.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0)?,
            None if written.is_empty() => own_port,
            None => return None,
        };
        let authority = if port == own_port { host.clone() } else { format!("{host}:{port}") };
        let authority = HeaderValue::from_str(&authority).ok()?;
        is_host.then_some(Self { host, port, authority, tls })
    }
}
