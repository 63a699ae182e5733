//! Query strings, forms and durations as Go's standard library reads and writes them
//! (`net/url`, `net/http` `ParseForm` and `ParseMultipartForm`, `time.ParseDuration`).

use std::collections::BTreeMap;
use std::time::Duration;

/// Key and value pairs in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// `url.ParseQuery`: a pair with `;` or with a broken escape is skipped.
pub(super) fn query(raw: &[u8]) -> Pairs {
    raw.split(|&b| b == b'&').filter(|pair| !pair.is_empty() && !pair.contains(&b';')).filter_map(pair).collect()
}

fn pair(raw: &[u8]) -> Option<(String, String)> {
    let mut halves = raw.splitn(2, |&b| b == b'=');
    let key = decode(halves.next().unwrap_or_default(), true)?;
    let value = decode(halves.next().unwrap_or_default(), true)?;
    Some((key, value))
}

/// Undoes percent-encoding; none if an escape is broken. `plus` makes `+` a space.
pub(super) fn decode(raw: &[u8], plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => out.push(hex(bytes.next()?)? << 4 | hex(bytes.next()?)?),
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// The value fields of a `multipart/form-data` body; files are skipped.
pub(super) fn multipart(content_type: &str, body: &[u8]) -> Pairs {
    let Some(boundary) = parameter(content_type, "boundary") else { return Vec::new() };
    let text = String::from_utf8_lossy(body);
    text.split(&format!("--{boundary}")).filter_map(part).collect()
}

fn part(raw: &str) -> Option<(String, String)> {
    let (head, value) = raw.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    if parameter(disposition, "filename").is_some() {
        return None;
    }
    Some((parameter(disposition, "name")?, value.strip_suffix("\r\n").unwrap_or(value).to_owned()))
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

/// A map that is itself a query string, as the SDK encodes `map[string]string`.
pub(super) fn map(value: &str) -> BTreeMap<String, String> {
    query(value.as_bytes()).into_iter().collect()
}

/// `time.ParseDuration`, non-negative: `1h0m0s`, `1.5s`, `300ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
