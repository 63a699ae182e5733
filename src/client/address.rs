//! Where a gateway is: `https://host[:port]` and nothing else.

use std::fmt;

use url::{Host, Url};

/// Address of a gateway: an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(Url);

/// Why a text is no address of a gateway. The text is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("write the address of the gateway with its scheme, as in https://gateway.example.com")]
    NotAnAddress,
    #[error("a gateway is reached by https; plain http is for this machine only (http://127.0.0.1:8447)")]
    NotHttps,
    #[error("leave the user and the password out of the gateway's address")]
    UserInfo,
    #[error("the address of a gateway ends behind its host and port: leave the path out")]
    Path,
}

/// Plain HTTP never leaves this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Reads an address to which a secret may be sent: https, or http on this machine.
pub(super) fn safe_url(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_error| AddressError::NotAnAddress)?;
    if !text.contains("://") || url.host().is_none() {
        return Err(AddressError::NotAnAddress);
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(AddressError::NotHttps);
    }
    if url.username() != "" || url.password().is_some() {
        return Err(AddressError::UserInfo);
    }
    Ok(url)
}

impl Address {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let url = safe_url(text.trim())?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Path);
        }
        Ok(Self(url))
    }

    /// The URL of a path, each segment escaped.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// Host and port, for messages.
    pub(super) fn host(&self) -> String {
        authority(&self.0)
    }

    /// What `convox` reads from `RACK_URL`. Only a checked token may go in: nothing is escaped.
    pub(super) fn rack_url(&self, token: &str) -> String {
        format!("{}://convox:{token}@{}", self.0.scheme(), self.host())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// Host and port of a URL, for messages.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_origin() {
        let cases = [
            ("https://gateway.example.com", Ok("https://gateway.example.com")),
            ("https://gateway.example.com/", Ok("https://gateway.example.com")),
            (" HTTPS://Gateway.Example.com:443 ", Ok("https://gateway.example.com")),
            ("https://gateway.example.com:8443", Ok("https://gateway.example.com:8443")),
            ("http://127.0.0.1:8447", Ok("http://127.0.0.1:8447")),
            ("http://127.9.9.9", Ok("http://127.9.9.9")),
            ("http://[::1]:8447", Ok("http://[::1]:8447")),
            ("http://localhost:8447", Ok("http://localhost:8447")),
            ("http://gateway.example.com", Err(AddressError::NotHttps)),
            ("http://localhost.example.com", Err(AddressError::NotHttps)),
            ("http://10.0.0.1", Err(AddressError::NotHttps)),
            ("http://0.0.0.0", Err(AddressError::NotHttps)),
            ("ftp://gateway.example.com", Err(AddressError::NotHttps)),
            ("file:///etc/passwd", Err(AddressError::NotAnAddress)),
            ("gateway.example.com", Err(AddressError::NotAnAddress)),
            ("gateway.example.com:8443", Err(AddressError::NotAnAddress)),
            ("https://", Err(AddressError::NotAnAddress)),
            ("", Err(AddressError::NotAnAddress)),
            ("https://convox:secret@gateway.example.com", Err(AddressError::UserInfo)),
            ("https://secret@gateway.example.com", Err(AddressError::UserInfo)),
            ("https://gateway.example.com/app", Err(AddressError::Path)),
            ("https://gateway.example.com?x=1", Err(AddressError::Path)),
            ("https://gateway.example.com#x", Err(AddressError::Path)),
        ];
        for (text, expected) in cases {
            let parsed = Address::parse(text).map(|address| address.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn paths_and_rack_urls_are_made_of_it() {
        let address = Address::parse("https://gateway.example.com:8443").unwrap();
        let url = address.join(&["api", "v1", "users", "a/b?c", "sessions"]);
        assert_eq!(url.as_str(), "https://gateway.example.com:8443/api/v1/users/a%2Fb%3Fc/sessions");
        assert_eq!(address.rack_url("rgw_x"), "https://convox:rgw_x@gateway.example.com:8443");
    }
}
