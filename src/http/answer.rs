//! Answers that the gateway itself gives: errors in the form that the CLI prints.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use crate::pep::Recorded;
use crate::routes::Facts;
use crate::upstream;

use super::{browser, step_up};

/// Carries the id of the request, which is also in its records.
const REQUEST_ID: HeaderName = HeaderName::from_static("rack-gateway-request-id");

/// An error: `error` is what the `convox` CLI prints; the rest is RFC 9457.
#[derive(Serialize)]
pub(super) struct Problem<'a> {
    error: &'a str,
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    instance: &'a str,
}

impl<'a> Problem<'a> {
    pub(super) fn new(status: StatusCode, slug: &str, message: &'a str, request_id: &'a str) -> Self {
        Self {
            error: message,
            kind: format!("/problems/{slug}"),
            title: status.canonical_reason().unwrap_or("refused"),
            status: status.as_u16(),
            instance: request_id,
        }
    }
}

/// The answer to a request that stopped.
pub(super) fn refused(recorded: &Recorded, request: &HttpRequest, payload: Payload) -> HttpResponse {
    if let Some(exit) = says_in_socket(recorded) {
        let mut response = upstream::deny_socket(request, payload, &recorded.message, exit);
        name(&mut response, &recorded.request_id);
        return response;
    }
    if let Some(mut response) = browser::refused(recorded, request) {
        retry_later(&mut response, recorded);
        name(&mut response, &recorded.request_id);
        return response;
    }
    if let Some(wanted) = &recorded.wanted {
        return step_up::answer(recorded, wanted);
    }
    let mut response = problem(recorded.status, recorded.slug, &recorded.message, &recorded.request_id);
    retry_later(&mut response, recorded);
    if recorded.status == 401 {
        let scheme = if browser::asks(request) { "Bearer" } else { "Basic" };
        if let Ok(value) = HeaderValue::from_str(&format!("{scheme} realm=\"rack-gateway\"")) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// Whether the refusal is said inside the socket, since the CLI would lose the text of a plain answer;
/// and the exit code with it, where the CLI expects one. A log that ends is opened again and again.
pub(super) fn says_in_socket(recorded: &Recorded) -> Option<Option<u8>> {
    let row = recorded.row.filter(|_| recorded.socket && recorded.identified)?;
    let is_log = row.groups.contains(&"log-read");
    match (row.contract.facts, &recorded.wanted) {
        (Facts::Exec, wanted) if recorded.status == 403 || wanted.is_some() => Some(Some(126)),
        (Facts::None, Some(_)) if !is_log => Some(None),
        (Facts::Exec | Facts::None, _) => None,
    }
}

/// An error answer.
pub(super) fn problem(status: u16, slug: &str, message: &str, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = json(status, &Problem::new(status, slug, message, request_id));
    name(&mut response, request_id);
    response
}

/// An error of the token endpoint (RFC 6749 §5.2), which RFC 8693 §2.2.2 keeps to.
pub(super) fn oauth(recorded: &Recorded) -> HttpResponse {
    let error = match (recorded.slug, recorded.status) {
        ("unsupported-grant-type", _) => "unsupported_grant_type",
        ("invalid-request", _) => "invalid_request",
        ("denied" | "challenge", _) => "access_denied",
        (_, 429 | 503) => "temporarily_unavailable",
        ("invalid-grant", _) => "invalid_grant",
        _ => "invalid_request",
    };
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = json(status, &json!({ "error": error, "error_description": recorded.message }));
    retry_later(&mut response, recorded);
    name(&mut response, &recorded.request_id);
    response
}

fn retry_later(response: &mut HttpResponse, recorded: &Recorded) {
    if let Some(seconds) = recorded.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Puts the id of the request on the answer.
pub(super) fn name(response: &mut HttpResponse, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}

/// JSON as a rack renders it: two spaces, a newline at the end.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut text = serde_json::to_string_pretty(body).unwrap_or_else(|_| "{}".to_owned());
    text.push('\n');
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/json")).body(text)
}
