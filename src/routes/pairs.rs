//! Keys and values of queries and forms, read by the rules of Go's `url.ParseQuery` and refused
//! where another reader could take them differently.

use super::contract::{ContractError, Place, label};
use super::escape::{DecodeError, decode_query, push_query};

/// Reads `raw`; only the keys in `allowed` may occur, each once.
///
/// The rack takes the first of two values with the same key; others take the last or both, so
/// two are refused.
pub(super) fn parse(place: Place, allowed: &[&str], raw: &str) -> Result<Vec<(String, String)>, ContractError> {
    parse_where(place, |key| allowed.contains(&key), raw)
}

/// The same with any keys.
pub(super) fn parse_any(place: Place, raw: &str) -> Result<Vec<(String, String)>, ContractError> {
    parse_where(place, |_| true, raw)
}

fn parse_where(
    place: Place,
    is_allowed: impl Fn(&str) -> bool,
    raw: &str,
) -> Result<Vec<(String, String)>, ContractError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if raw.is_empty() {
        return Ok(pairs);
    }
    for piece in raw.split('&') {
        if piece.contains(';') {
            return Err(ContractError::Semicolon { place });
        }
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        let key = text(place, key)?;
        if key.is_empty() {
            return Err(ContractError::EmptyKey { place });
        }
        if !is_allowed(&key) {
            return Err(ContractError::UnknownKey { place, name: label(&key) });
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(ContractError::DuplicateKey { place, name: label(&key) });
        }
        let value = text(place, value)?;
        if value.chars().any(|c| is_refused(place, c)) {
            return Err(ContractError::Control { place, name: label(&key) });
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// Writes pairs as `url.Values` does, in their order.
pub(super) fn encode(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        push_query(&mut out, key);
        out.push('=');
        push_query(&mut out, value);
    }
    out
}

fn text(place: Place, raw: &str) -> Result<String, ContractError> {
    decode_query(raw).map_err(|error| match error {
        DecodeError::Escape => ContractError::Escape { place },
        DecodeError::Utf8 => ContractError::Utf8 { place },
    })
}

/// Environments, keys and descriptions have lines; query values have not.
fn is_refused(place: Place, c: char) -> bool {
    match place {
        Place::Query => c.is_control(),
        Place::Form => c == '\0',
    }
}
