//! Credentials in URLs (RFC 3986): what is shown of a URL to those who may not read them.

use std::borrow::Cow;

use super::rules::{is_secret_name, is_token};
use super::stand_in::MASK;

/// Whether somewhere in a text stands a URL with credentials in it: a password before the host, or in the query.
#[must_use]
pub fn has_credentials(text: &str) -> bool {
    let mut left = text;
    while let Some((_, rest)) = left.split_once("://") {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let (url, _) = rest.split_at(end);
        if has_secret(url) {
            return true;
        }
        left = rest;
    }
    false
}

/// What ends a URL within a text.
pub(super) fn is_end(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>' | '`')
}

/// The part after `://`.
fn has_secret(url: &str) -> bool {
    let (authority, rest) = split(url);
    if let Some((user, _)) = authority.rsplit_once('@') {
        return !user.is_empty();
    }
    // `u:p/w@host`: a password that was not escaped.
    if rest.split(['?', '#']).next().is_some_and(|path| path.contains('@')) && authority.contains(':') {
        return true;
    }
    let (path, query, fragment) = parts(rest);
    path.split('/').chain(fragment.split('/')).any(is_token) || pairs(query).any(|(key, value)| is_secret(key, value))
}

/// A URL with its credentials masked. Scheme, host, port, path and harmless options stay, so that programs still
/// find the way. What should be a URL and cannot be read as one is masked as a whole.
#[must_use]
pub fn mask_url(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        return Cow::Borrowed(text);
    }
    let masked = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => masked(rest).map(|rest| format!("{scheme}://{rest}")),
        Some(_) => None,
        // As in the repository of a build: `user:password@registry/app`.
        None => masked(text),
    };
    match masked {
        Some(masked) if masked == text => Cow::Borrowed(text),
        Some(masked) => Cow::Owned(masked),
        None => Cow::Borrowed(MASK),
    }
}

fn masked(rest: &str) -> Option<String> {
    let (authority, after) = split(rest);
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let (path, query, fragment) = parts(after);
    if user.is_none() && after.contains('@') {
        return None;
    }
    if !is_place(place) || path.chars().any(|c| c == '@' || c.is_whitespace()) || path.split('/').any(is_token) {
        return None;
    }
    let mut out = match user {
        None => String::new(),
        Some(user) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}@"),
            // A name alone may be a token.
            None => format!("{MASK}@"),
        },
    };
    out.push_str(place);
    out.push_str(path);
    if after.contains('?') && !query.is_empty() {
        out.push('?');
        out.push_str(&options(query));
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(MASK);
    }
    Some(out)
}

fn options(query: &str) -> String {
    let shown = pairs(query).map(|(key, value)| match value {
        Some(value) if !is_secret(key, Some(value)) => format!("{key}={value}"),
        Some(_) => format!("{key}={MASK}"),
        None => MASK.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

fn is_secret(key: &str, value: Option<&str>) -> bool {
    let plain = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
    let value = value.unwrap_or_default();
    let read = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
    !value.is_empty() && (is_secret_name(&plain) || is_token(&read) || has_credentials(&read))
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split(['&', ';']).filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (pair, None),
    })
}

/// Authority, and all that follows it.
fn split(url: &str) -> (&str, &str) {
    url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()))
}

/// Path, query, fragment.
fn parts(rest: &str) -> (&str, &str, &str) {
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    (path, query, fragment)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Hosts with ports, several with commas between them: what is neither may be a password with a slash in it.
fn is_place(place: &str) -> bool {
    place.split(',').all(|one| {
        let (host, port) = match one.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
            None => one.split_once(':').unwrap_or((one, "")),
        };
        port.bytes().all(|b| b.is_ascii_digit())
            && port.len() <= 5
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_and_the_way_stays() {
        let cases = [
            ("postgres://app:pw@db.internal:5432/shop", "postgres://app:********@db.internal:5432/shop"),
            ("redis://:pw@cache:6379/0", "redis://:********@cache:6379/0"),
            ("https://ghtoken@example.org/x", "https://********@example.org/x"),
            ("mysql://u:p@ss@h/db", "mysql://u:********@h/db"),
            ("postgres://u:p@a:1,b:2/db", "postgres://u:********@a:1,b:2/db"),
            ("postgres://u:p@[::1]:5432/db", "postgres://u:********@[::1]:5432/db"),
            ("amqp://h/v?password=x&heartbeat=10", "amqp://h/v?password=********&heartbeat=10"),
            ("https://h/?X-Amz-Signature=abc&sslmode=require", "https://h/?X-Amz-Signature=********&sslmode=require"),
            ("https://h/?%70assword=x", "https://h/?%70assword=********"),
            ("https://h/?opaque", "https://h/?********"),
            ("https://h/#access", "https://h/#********"),
            ("user:pw@registry.example.org/app", "user:********@registry.example.org/app"),
            ("memcached://cache:11211", "memcached://cache:11211"),
            ("012345678.dkr.ecr.us-east-1.amazonaws.com/app:web", "012345678.dkr.ecr.us-east-1.amazonaws.com/app:web"),
            ("", ""),
        ];
        for (url, shown) in cases {
            assert_eq!(mask_url(url), shown, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        let odd = [
            "postgres://u:p/w@h/db",
            "postgres://u:p?w@h/db",
            "postgres://u:p#w@h/db",
            "postgres://u:12?w@h/db",
            "not a url",
            "1x://h/",
            "https://h:port/",
            "https://h/ghp_0123456789abcdefghij/x",
            "pass word://x",
        ];
        for url in odd {
            assert_eq!(mask_url(url), MASK, "{url}");
        }
    }

    #[test]
    fn a_text_with_such_a_url_is_noticed() {
        let yes = [
            "postgres://u:p@h/db",
            "see https://u:p@h and more",
            "a://h b://:p@h",
            "https://h/?token=x",
            "https://token@h",
            "x=postgres://u:p/w@h/db",
        ];
        for text in yes {
            assert!(has_credentials(text), "{text}");
        }
        for text in ["", "a@b", "https://h/x@y", "https://h/?token=", "u:p@h", "https://h:1/a?b=c", "://", "://@"] {
            assert!(!has_credentials(text), "{text}");
        }
    }
}
