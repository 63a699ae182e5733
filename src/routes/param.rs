//! What the value of a path parameter may look like.
//!
//! Sets are narrow: a value names one thing only, so that a policy about that thing cannot be
//! escaped by another spelling. Hosts and apps are lower-case because DNS and Kubernetes do not
//! tell the cases apart and policies do.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Syntax of a path parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Name of an app: a Kubernetes namespace is made of it.
    App,
    /// Id that the rack made: builds, releases.
    Id,
    /// Name of anything else.
    Name,
    /// Id of a certificate.
    Certificate,
    /// DNS name or IP address.
    Host,
    /// TCP port.
    Port,
    /// Key of an object: a path.
    Key,
    /// Docker registry: host, port and path.
    Server,
    /// Id that the gateway made: a UUID in lower case.
    Uuid,
    /// A word of the gateway or of its policies: roles, settings.
    Word,
    /// A code that the gateway gave out to be typed or followed.
    Code,
    /// Number of a record.
    Number,
}

/// The syntax of every parameter of the tables.
pub(super) const SYNTAX: &[(&str, Syntax)] = &[
    ("app", Syntax::App),
    ("build", Syntax::Id),
    ("release", Syntax::Id),
    ("service", Syntax::Name),
    ("process", Syntax::Name),
    ("config", Syntax::Name),
    ("resource", Syntax::Name),
    ("instance", Syntax::Name),
    ("organization", Syntax::Name),
    ("rack", Syntax::Name),
    ("certificate", Syntax::Certificate),
    ("host", Syntax::Host),
    ("port", Syntax::Port),
    ("key", Syntax::Key),
    ("server", Syntax::Server),
    ("user", Syntax::Uuid),
    ("token", Syntax::Uuid),
    ("session", Syntax::Uuid),
    ("role", Syntax::Word),
    ("setting", Syntax::Word),
    ("notice", Syntax::Uuid),
    ("challenge", Syntax::Uuid),
    ("factor", Syntax::Uuid),
    ("device", Syntax::Uuid),
    ("approval", Syntax::Uuid),
    ("code", Syntax::Code),
    ("seq", Syntax::Number),
];

impl Syntax {
    /// The syntax of the parameter with this name, if it is known.
    pub(super) fn of(name: &str) -> Option<Self> {
        SYNTAX.iter().find(|(known, _)| *known == name).map(|(_, syntax)| *syntax)
    }

    /// For people: what is accepted.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::App => "lower-case letters, digits and dashes, at most 63",
            Self::Id => "letters, digits and dashes, at most 128",
            Self::Name => "letters, digits, dots, dashes and underscores, at most 253",
            Self::Certificate => "letters, digits, dots, colons, dashes and underscores, at most 253",
            Self::Host => "a lower-case DNS name or a canonical IP address",
            Self::Port => "a number from 1 to 65535",
            Self::Key => "a path of letters, digits, dots, dashes and underscores, at most 1024",
            Self::Server => "a registry host with port and path, at most 512",
            Self::Uuid => "an id as the gateway gives it: a UUID in lower case",
            Self::Word => "lower-case letters, digits, dashes and underscores, at most 64",
            Self::Code => "upper-case letters and dashes, at most 32",
            Self::Number => "a number from 1 to 9007199254740991",
        }
    }

    /// Whether `value` (decoded) is of this syntax.
    pub(super) fn accepts(self, value: &str) -> bool {
        match self {
            Self::App => word(value, 63, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            Self::Id => word(value, 128, |b| b.is_ascii_alphanumeric() || b == b'-'),
            Self::Name => word(value, 253, is_name),
            Self::Certificate => word(value, 253, |b| is_name(b) || b == b':'),
            Self::Host => is_host(value),
            Self::Port => is_port(value),
            Self::Key => is_key(value),
            Self::Server => is_server(value),
            Self::Uuid => is_uuid(value),
            Self::Word => word(value, 64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')),
            Self::Code => word(value, 32, |b| b.is_ascii_uppercase() || b == b'-'),
            Self::Number => is_number(value),
        }
    }
}

fn word(value: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    value.len() <= max
        && value.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && value.bytes().all(allowed)
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Canonical spellings only: `2130706433`, `0x7f.1` and `::ffff:7f00:1` are other names of
/// addresses that a policy may name.
fn is_host(value: &str) -> bool {
    if value.contains(':') {
        return value.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_ipv4_mapped().is_none() && ip.to_string() == value);
    }
    let labels = value.split('.');
    let numeric = labels.clone().next_back().is_some_and(|last| {
        last.bytes().all(|b| b.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(is_hex))
    });
    if numeric {
        return value.parse::<Ipv4Addr>().is_ok();
    }
    value.len() <= 253 && labels.into_iter().all(is_label)
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn is_label(label: &str) -> bool {
    label.len() <= 63
        && !label.ends_with('-')
        && word(label, 63, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn is_port(value: &str) -> bool {
    value.parse::<u16>().is_ok_and(|port| port > 0 && port.to_string() == value)
}

/// From 1 to the largest integer that a record can hold, 2⁵³ − 1, spelled as records spell it.
fn is_number(value: &str) -> bool {
    value.parse::<u64>().is_ok_and(|number| (1..1 << 53).contains(&number) && number.to_string() == value)
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        })
}

fn is_key(value: &str) -> bool {
    value.len() <= 1024 && value.split('/').all(|segment| word(segment, 255, is_name))
}

fn is_server(value: &str) -> bool {
    if value.len() > 512 {
        return false;
    }
    let trimmed = value.strip_suffix('/').unwrap_or(value);
    let mut segments = trimmed.split('/');
    let authority = segments.next().unwrap_or_default();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    word(host, 253, is_name) && port.is_none_or(is_port) && segments.all(|segment| word(segment, 255, is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_the_cli_sends_are_accepted() {
        let cases = [
            (Syntax::App, "myapp"),
            (Syntax::App, "2048"),
            (Syntax::Id, "BTWTPUOVZVQ"),
            (Syntax::Name, "web-aehai-2"),
            (Syntax::Name, "ip-10-0-0-2.ec2.internal"),
            (Syntax::Name, "cli-env-mask"),
            (Syntax::Certificate, "cert-zxmoprrs"),
            (Syntax::Host, "resource-database.rack2-myapp.svc.cluster.local"),
            (Syntax::Host, "localhost"),
            (Syntax::Host, "my_db.internal"),
            (Syntax::Host, "10.0.0.1"),
            (Syntax::Host, "2001:db8::1"),
            (Syntax::Port, "1"),
            (Syntax::Port, "65535"),
            (Syntax::Key, "tmp/1b2399aa66f0580582a1dfd50db318.tgz"),
            (Syntax::Server, "index.docker.io/v1/"),
            (Syntax::Server, "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
            (Syntax::Server, "localhost:5000"),
            (Syntax::Uuid, "0192f0c1-2b3c-7def-8123-456789abcdef"),
            (Syntax::Word, "session_timeout_minutes"),
            (Syntax::Number, "1"),
            (Syntax::Number, "9007199254740991"),
        ];
        for (syntax, value) in cases {
            assert!(syntax.accepts(value), "{syntax:?} {value}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let long = "a".repeat(254);
        let cases = [
            (Syntax::App, ""),
            (Syntax::App, "MyApp"),
            (Syntax::App, "-app"),
            (Syntax::App, "my_app"),
            (Syntax::App, "my.app"),
            (Syntax::App, "my app"),
            (Syntax::App, "аpp"),
            (Syntax::Id, "B1.tgz"),
            (Syntax::Id, "B/1"),
            (Syntax::Name, ".hidden"),
            (Syntax::Name, "a:b"),
            (Syntax::Name, "a\u{200b}b"),
            (Syntax::Name, &long),
            (Syntax::Certificate, "a/b"),
            (Syntax::Host, "DB.internal"),
            (Syntax::Host, "db.internal."),
            (Syntax::Host, "db..internal"),
            (Syntax::Host, "2130706433"),
            (Syntax::Host, "0x7f000001"),
            (Syntax::Host, "0x7f.1"),
            (Syntax::Host, "127.1"),
            (Syntax::Host, "127.0.0.01"),
            (Syntax::Host, "0:0:0:0:0:0:0:1"),
            (Syntax::Host, "2001:DB8::1"),
            (Syntax::Host, "::ffff:127.0.0.1"),
            (Syntax::Host, "[::1]"),
            (Syntax::Host, "fe80::1%eth0"),
            (Syntax::Host, "db@internal"),
            (Syntax::Port, "0"),
            (Syntax::Port, "65536"),
            (Syntax::Port, "080"),
            (Syntax::Port, "+80"),
            (Syntax::Port, "http"),
            (Syntax::Key, "tmp/.git/config"),
            (Syntax::Key, "tmp/x/"),
            (Syntax::Key, "/tmp"),
            (Syntax::Server, "/"),
            (Syntax::Server, "host:0/x"),
            (Syntax::Server, "host//x"),
            (Syntax::Server, "user@host"),
            (Syntax::Server, "host/v1//"),
            (Syntax::Uuid, "0192F0C1-2B3C-7DEF-8123-456789ABCDEF"),
            (Syntax::Uuid, "0192f0c12b3c7def8123456789abcdef"),
            (Syntax::Uuid, "0192f0c1-2b3c-7def-8123-456789abcde"),
            (Syntax::Word, "Admin"),
            (Syntax::Word, "admin role"),
            (Syntax::Number, "0"),
            (Syntax::Number, "01"),
            (Syntax::Number, "+1"),
            (Syntax::Number, "9007199254740992"),
            (Syntax::Number, "99999999999999999999"),
        ];
        for (syntax, value) in cases {
            assert!(!syntax.accepts(value), "{syntax:?} {value}");
        }
    }
}
