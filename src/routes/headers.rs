//! What becomes of every request header. One table; what is not in it and is no option of the
//! row is not forwarded.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::contract::{ContractError, label};
use super::row::{Body, Contract};
use super::rows;

/// What is done with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Forwarded as it came, once.
    Forward,
    /// Forwarded when the value is one of these; not forwarded otherwise.
    OneOf(&'static [&'static str]),
    /// Checked against the row's body and forwarded in canonical spelling.
    ContentType,
    /// Not forwarded; refused when the value is not this one.
    Only(&'static str, ContractError),
    /// Not forwarded; refused when there are two.
    Once,
    /// Not forwarded.
    Drop,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Rule {
    /// Lower-case name.
    pub(super) name: &'static str,
    /// What is done.
    pub(super) fate: Fate,
    /// Why, for people.
    pub(super) why: &'static str,
}

const fn rule(name: &'static str, fate: Fate, why: &'static str) -> Rule {
    Rule { name, fate, why }
}

const IDENTITY: &str = "credentials end at the gateway, which has its own for the rack";
const ACTOR: &str = "the gateway names the person to the rack; nobody else may";
const HOP: &str = "belongs to one connection (RFC 9110 section 7.6.1)";
const HANDSHAKE: &str = "the gateway makes its own handshake with the rack";
const PROXY: &str = "tells where a request came from; only the gateway knows";
const CUSTOM: &str = "steers the rack's own proxy, which is refused";
const BROWSER: &str = "of browsers; the rack has no use for it";

/// Every header that needs a decision, those that are merely dropped included so that
/// `docs/routes.md` says why.
pub(super) static RULES: &[Rule] = &[
    rule("accept", Fate::Forward, "the rack answers errors as JSON when asked"),
    rule("accept-encoding", Fate::OneOf(&["gzip", "identity"]), "the CLI sends gzip"),
    rule("content-type", Fate::ContentType, "the rack reads parameters from forms and from multipart bodies"),
    rule("user-agent", Fate::Forward, "the rack logs it"),
    rule("version", Fate::Forward, "the rack's check of the CLI version"),
    rule("content-encoding", Fate::Only("identity", ContractError::ContentEncoding), "the rack does not decode"),
    rule("expect", Fate::Only("100-continue", ContractError::Expect), "answered by the gateway"),
    rule("host", Fate::Once, "the rack gets its own"),
    rule("content-length", Fate::Once, "the gateway frames the body itself"),
    rule("transfer-encoding", Fate::Once, "the gateway frames the body itself"),
    rule("authorization", Fate::Once, IDENTITY),
    rule("session", Fate::Once, IDENTITY),
    rule("rack", Fate::Once, "names the rack to a console; the gateway serves one"),
    rule("challenge", Fate::Drop, "of the step-up handshake"),
    rule("cookie", Fate::Drop, IDENTITY),
    rule("x-csrf-token", Fate::Once, "proves that a page of the gateway made the request"),
    rule("x-rack-gateway-mfa", Fate::Once, "a second factor, for the gateway alone"),
    rule("proxy-authorization", Fate::Drop, IDENTITY),
    rule("convox-actor", Fate::Drop, ACTOR),
    rule("x-convox-actor", Fate::Drop, ACTOR),
    rule("convox-tid", Fate::Drop, ACTOR),
    rule("x-convox-tid", Fate::Drop, ACTOR),
    rule("connection", Fate::Drop, HOP),
    rule("keep-alive", Fate::Drop, HOP),
    rule("proxy-connection", Fate::Drop, HOP),
    rule("te", Fate::Drop, HOP),
    rule("trailer", Fate::Drop, HOP),
    rule("upgrade", Fate::Drop, HOP),
    rule("sec-websocket-key", Fate::Drop, HANDSHAKE),
    rule("sec-websocket-version", Fate::Drop, HANDSHAKE),
    rule("sec-websocket-protocol", Fate::Drop, HANDSHAKE),
    rule("sec-websocket-extensions", Fate::Drop, HANDSHAKE),
    rule("origin", Fate::Drop, "the rack compares it with its own host"),
    rule("forwarded", Fate::Drop, PROXY),
    rule("x-forwarded-for", Fate::Drop, PROXY),
    rule("x-forwarded-host", Fate::Drop, PROXY),
    rule("x-forwarded-port", Fate::Drop, PROXY),
    rule("x-forwarded-prefix", Fate::Drop, PROXY),
    rule("x-forwarded-proto", Fate::Drop, PROXY),
    rule("x-forwarded-uri", Fate::Drop, PROXY),
    rule("x-original-url", Fate::Drop, PROXY),
    rule("x-rewrite-url", Fate::Drop, PROXY),
    rule("x-real-ip", Fate::Drop, PROXY),
    rule("via", Fate::Drop, PROXY),
    rule("traceparent", Fate::Drop, "the gateway writes its own trace"),
    rule("tracestate", Fate::Drop, "the gateway writes its own trace"),
    rule("x-request-id", Fate::Drop, "the gateway gives every request its own"),
    rule("x-host", Fate::Drop, CUSTOM),
    rule("x-port", Fate::Drop, CUSTOM),
    rule("x-http-method-override", Fate::Drop, "a request has one method"),
    rule("x-method-override", Fate::Drop, "a request has one method"),
    rule("range", Fate::Drop, "answers are whole"),
    rule("accept-language", Fate::Drop, BROWSER),
    rule("referer", Fate::Drop, BROWSER),
    rule("sec-fetch-dest", Fate::Drop, BROWSER),
    rule("sec-fetch-mode", Fate::Drop, BROWSER),
    rule("sec-fetch-site", Fate::Drop, BROWSER),
    rule("sec-fetch-user", Fate::Drop, BROWSER),
];

/// Media type of a form.
pub(super) const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// As it stands in a header.
pub(super) const FORM: &[u8] = FORM_TYPE.as_bytes();
const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json";

/// Option headers of any row.
static OPTIONS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| rows().flat_map(|row| row.contract.headers.iter().copied()).collect());

/// Checks the request's headers and returns those for the rack, in their order.
pub(super) fn check(contract: &Contract, headers: &[(&str, &[u8])]) -> Result<Vec<(String, Vec<u8>)>, ContractError> {
    let body = declared_body(headers)?;
    if body && contract.body == Body::None {
        return Err(ContractError::BodyNotAllowed);
    }
    let mut seen: Vec<String> = Vec::with_capacity(headers.len());
    let mut kept = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let fate = fate(contract, &name)?;
        if fate != Fate::Drop {
            if seen.contains(&name) {
                return Err(ContractError::DuplicateHeader { name: label(&name) });
            }
            seen.push(name.clone());
        }
        if let Some(value) = kept_value(contract, fate, &name, value, body)? {
            kept.push((name, value));
        }
    }
    let expected = match contract.body {
        Body::Form { .. } => Some(FORM_TYPE),
        // A page elsewhere cannot send this type without asking first (Fetch, CORS-safelisted headers).
        Body::Json { .. } => Some(JSON),
        Body::None | Body::Inspect { .. } | Body::Stream => None,
    };
    if let Some(expected) = expected.filter(|_| body && !seen.iter().any(|name| name == "content-type")) {
        return Err(ContractError::ContentType { expected });
    }
    Ok(kept)
}

/// Whether the framing says that there is a body.
fn declared_body(headers: &[(&str, &[u8])]) -> Result<bool, ContractError> {
    let is = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    let length = headers.iter().find(|(name, _)| is(name, "content-length"));
    let chunked = headers.iter().any(|(name, _)| is(name, "transfer-encoding"));
    if length.is_some() && chunked {
        return Err(ContractError::TwoLengths);
    }
    Ok(chunked || length.is_some_and(|(_, value)| value.iter().any(|digit| *digit != b'0')))
}

fn fate(contract: &Contract, name: &str) -> Result<Fate, ContractError> {
    if contract.headers.contains(&name) {
        return Ok(Fate::Forward);
    }
    if OPTIONS.contains(name) {
        return Err(ContractError::ForeignHeader { name: label(name) });
    }
    Ok(RULES.iter().find(|rule| rule.name == name).map_or(Fate::Drop, |rule| rule.fate.clone()))
}

fn kept_value(
    contract: &Contract,
    fate: Fate,
    name: &str,
    value: &[u8],
    body: bool,
) -> Result<Option<Vec<u8>>, ContractError> {
    match fate {
        Fate::Forward => {
            if value.iter().any(|byte| is_control(*byte)) {
                return Err(ContractError::HeaderValue { name: label(name) });
            }
            Ok(Some(value.to_vec()))
        }
        Fate::OneOf(values) => {
            Ok(values.iter().find(|known| known.as_bytes() == value).map(|known| known.as_bytes().to_vec()))
        }
        Fate::ContentType => content_type(contract.body, value, body).map(|kept| Some(kept.as_bytes().to_vec())),
        Fate::Only(known, error) => {
            if value.eq_ignore_ascii_case(known.as_bytes()) {
                Ok(None)
            } else {
                Err(error)
            }
        }
        Fate::Once | Fate::Drop => Ok(None),
    }
}

/// What Go's server refuses in a field value; bytes beyond ASCII are fine.
const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// The CLI declares `application/octet-stream` on everything that is not a form, empty bodies
/// and JSON included.
fn content_type(kind: Body, value: &[u8], body: bool) -> Result<&'static str, ContractError> {
    let (accepted, expected): (&[&'static str], _) = match (kind, body) {
        (Body::Form { .. }, true) => (&[FORM_TYPE], FORM_TYPE),
        (Body::Form { .. }, false) => (&[FORM_TYPE, OCTETS], FORM_TYPE),
        (Body::Inspect { .. }, _) => (&[OCTETS, JSON], JSON),
        (Body::Json { .. }, _) => (&[JSON], JSON),
        (Body::Stream | Body::None, _) => (&[OCTETS], OCTETS),
    };
    let refused = || ContractError::ContentType { expected };
    let value = str::from_utf8(value).map_err(|_| refused())?;
    let (media, parameters) = match value.split_once(';') {
        Some((media, parameters)) => (media, Some(parameters)),
        None => (value, None),
    };
    let media = media.trim().to_ascii_lowercase();
    if media.starts_with("multipart/") {
        return Err(ContractError::Multipart { expected });
    }
    if !parameters.is_none_or(is_utf8_charset) {
        return Err(refused());
    }
    accepted.iter().copied().find(|known| *known == media).ok_or_else(refused)
}

fn is_utf8_charset(parameters: &str) -> bool {
    let value = parameters.trim().to_ascii_lowercase();
    matches!(value.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
}
