//! Where the gateway is found: its public name, and who may speak for others in front of it.

use ipnet::IpNet;

/// The public face of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Scheme, host and port as a browser names them: `https://gateway.example.com`.
    pub origin: String,
    /// What a `Host` header may be; anything else is refused.
    pub hosts: Vec<String>,
    /// Addresses whose `X-Forwarded-For` is believed: `TRUSTED_PROXY_CIDRS`.
    pub proxies: Vec<IpNet>,
}

impl Site {
    /// The site of a public name.
    #[must_use]
    pub fn https(domain: &str, proxies: Vec<IpNet>) -> Self {
        Self { origin: format!("https://{domain}"), hosts: vec![domain.to_owned()], proxies }
    }

    /// The site of a development set-up on this machine, under both of its names. Passkeys need the
    /// one that is a name (WebAuthn §5.1.2).
    #[must_use]
    pub fn local(port: u16) -> Self {
        let hosts = vec![format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        Self { origin: format!("http://localhost:{port}"), hosts, proxies: Vec::new() }
    }

    /// Host and port, for messages: what `convox login` takes.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.hosts.first().map_or("", String::as_str)
    }

    /// Whether a `Host` header names this gateway (RFC 9110 §7.2); the port may be left out where
    /// it is the scheme's own.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        let host = host.strip_suffix(":443").filter(|_| self.origin.starts_with("https:")).unwrap_or(host);
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Whether `DOMAIN` is a host with an optional port, in lower case.
pub(super) fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253
        && host.split('.').all(label)
        && port.is_none_or(|port| port != "443" && port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_bare_lower_case_name() {
        for good in ["gateway.example.com", "gw.internal:8443", "localhost:8447"] {
            assert!(is_domain(good), "{good}");
        }
        let bad =
            ["", "https://gw", "gw/", "GW.example.com", "gw:443", "gw:", "gw:x", "a..b", "-a", "u@gw", "gw:08443"];
        for bad in bad {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn only_its_own_names_are_hosts() {
        let site = Site::https("gw.example.com", Vec::new());
        assert!(site.is_host("gw.example.com") && site.is_host("GW.example.com:443"));
        for other in ["", "gw.example.com:80", "gw.example.com.", "evil.example", "x.gw.example.com", "localhost"] {
            assert!(!site.is_host(other), "{other}");
        }
        let local = Site::local(8447);
        assert!(local.is_host("127.0.0.1:8447") && local.is_host("localhost:8447") && !local.is_host("localhost"));
    }
}
