//! Which headers cross the gateway, in both directions. Nothing is copied because it was there.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::config::RackConfig;

/// The person or machine on whose behalf a request is made; the rack writes it to its own log.
const ACTOR: HeaderName = HeaderName::from_static("convox-actor");
/// The request's id, in the rack's log and ours.
const TRACE: HeaderName = HeaderName::from_static("convox-tid");

/// What a contract must never send, even if a row of the table were to say so: the gateway's own
/// words, framing, and the handshake. Sorted.
const OURS: [&str; 22] = [
    "authorization",
    "connection",
    "content-length",
    "convox-actor",
    "convox-tid",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "rack",
    "session",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-convox-actor",
    "x-convox-tid",
    "x-forwarded-for",
    "x-forwarded-host",
];

/// What an answer may carry to the client. Lengths and framing are set from the body; credentials,
/// cookies, places to go and the server's name are not here. Sorted.
const ANSWER: [&str; 26] = [
    "accept-ranges",
    "age",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "docker-content-digest",
    "docker-distribution-api-version",
    "etag",
    "expires",
    "last-modified",
    "link",
    "pragma",
    "request-id",
    "retry-after",
    "sunset",
    "vary",
    "warning",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
    "x-xss-protection",
];

/// A value that HTTP cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("the header `{0}` cannot be sent to the rack")]
pub(super) struct BadHeader(String);

/// The headers of a request to the rack: those that the contract let through, then the gateway's
/// own, which replace any of the same name.
pub(super) fn request(
    config: &RackConfig,
    contract: &[(String, Vec<u8>)],
    actor: &str,
    request_id: &str,
) -> Result<HeaderMap, BadHeader> {
    let mut headers = HeaderMap::with_capacity(contract.len().saturating_add(4));
    for (name, value) in contract {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_error| BadHeader(name.clone()))?;
        if is_ours(name.as_str()) {
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(|_error| BadHeader(name.to_string()))?;
        headers.append(name, value);
    }
    headers.insert(header::HOST, config.authority.clone());
    headers.insert(header::AUTHORIZATION, config.authorization.clone());
    for (name, text) in [(ACTOR, actor), (TRACE, request_id)] {
        let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_error| BadHeader(name.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn is_ours(name: &str) -> bool {
    OURS.binary_search(&name).is_ok() || name.starts_with("sec-websocket-")
}

/// The length of a body in bytes, if its headers say it and it is not chunked. The HTTP parser has
/// refused what is not one plain number.
pub(super) fn body_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Copies the allowed headers of an answer; what `Connection` names belongs to one hop only.
pub(super) fn answer(from: &HeaderMap, to: &mut HeaderMap) {
    let hop: Vec<String> = from
        .get_all(header::CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for (name, value) in from {
        let known = ANSWER.binary_search(&name.as_str()).is_ok();
        if known && !hop.iter().any(|listed| listed == name.as_str()) {
            to.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(OURS.is_sorted(), "{OURS:?}");
        assert!(ANSWER.is_sorted(), "{ANSWER:?}");
    }

    #[test]
    fn a_chunked_body_has_no_length() {
        let mut headers = HeaderMap::new();
        assert_eq!(body_length(&headers), None);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("18446744073709551615"));
        assert_eq!(body_length(&headers), Some(u64::MAX));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        assert_eq!(body_length(&headers), None);
    }
}
