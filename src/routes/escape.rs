//! Percent-encoding as Go's `net/url` does it: the CLI writes with it and the rack reads with it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// `url.QueryEscape` leaves the unreserved characters of RFC 3986 alone, and nothing else.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `url.PathEscape` with `/` kept: a path of several segments is escaped at once.
const PATH: &AsciiSet =
    &QUERY.remove(b'$').remove(b'&').remove(b'+').remove(b',').remove(b':').remove(b'=').remove(b'@').remove(b'/');

/// Why bytes are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// A percent sign without two hexadecimal digits.
    Escape,
    /// The decoded bytes are not UTF-8.
    Utf8,
}

/// Appends `value` as `url.QueryEscape` writes it: a space becomes `+`.
pub(super) fn push_query(out: &mut String, value: &str) {
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        out.extend(utf8_percent_encode(word, QUERY));
    }
}

/// Appends `value` as part of a path; `/` stays.
pub(super) fn push_path(out: &mut String, value: &str) {
    out.extend(utf8_percent_encode(value, PATH));
}

/// Decodes a key or a value of a query or form: `+` is a space.
pub(super) fn decode_query(raw: &str) -> Result<String, DecodeError> {
    decode(raw, |byte| if byte == b'+' { b' ' } else { byte }, |_| Ok(()))
}

/// Decodes `raw` once. `plain` maps bytes that are not escaped; `check` sees every byte that was
/// escaped and may refuse it.
pub(super) fn decode<F>(raw: &str, plain: impl Fn(u8) -> u8, check: impl Fn(u8) -> Result<(), F>) -> Result<String, F>
where
    F: From<DecodeError>,
{
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(plain(byte));
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(hex), rest.next().and_then(hex)) else {
            return Err(DecodeError::Escape.into());
        };
        let decoded = high << 4 | low;
        check(decoded)?;
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| DecodeError::Utf8.into())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_escapes_as_go_does() {
        let cases = [
            ("", ""),
            ("a b", "a+b"),
            (" ", "+"),
            ("  x ", "++x+"),
            ("a+b", "a%2Bb"),
            ("p@ss word&x", "p%40ss+word%26x"),
            ("A=1\nB=2", "A%3D1%0AB%3D2"),
            ("-_.~", "-_.~"),
            ("!'()*,;:$/?#[]%", "%21%27%28%29%2A%2C%3B%3A%24%2F%3F%23%5B%5D%25"),
            ("é\u{1F600}", "%C3%A9%F0%9F%98%80"),
        ];
        for (plain, escaped) in cases {
            let mut out = String::new();
            push_query(&mut out, plain);
            assert_eq!(out, escaped, "{plain:?}");
            assert_eq!(decode_query(escaped).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn bad_escapes_are_not_text() {
        for raw in ["%", "%2", "%zz", "%2g", "a%", "%%41", "%+1", "%-1"] {
            assert_eq!(decode_query(raw), Err(DecodeError::Escape), "{raw}");
        }
        for raw in ["%ff", "%c0%af", "%e0%80%af", "%ed%a0%80", "%f8%88%80%80%80", "%80", "%f4%90%80%80"] {
            assert_eq!(decode_query(raw), Err(DecodeError::Utf8), "{raw}");
        }
    }
}
