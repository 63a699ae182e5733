//! Refusals for people at a browser: a page in place of JSON, and the way to sign in.

use actix_web::http::header::{ACCEPT, COOKIE, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use url::form_urlencoded;

use crate::api::return_to::{CLI_CHALLENGE, HOME};
use crate::identity::Presented;
use crate::pages::{Page, PageError, Refused, SignInError};
use crate::pep::{Gate, Recorded, Wanted};

use super::headers;

/// Where a browser is sent to while it signs in: what fails there is told to a person as well.
const SIGN_IN: [&str; 3] = ["/api/v1/auth/web/login", "/api/v1/auth/web/callback", "/api/v1/auth/cli/callback"];

/// The page that says why; none for programs, which get JSON.
pub(super) fn refused(recorded: &Recorded, request: &HttpRequest) -> Option<HttpResponse> {
    let is_sign_in = SIGN_IN.contains(&request.path());
    let is_page = matches!(request.path(), HOME | CLI_CHALLENGE) || request.path().starts_with("/app/");
    if recorded.socket || !(is_sign_in || is_page) || !shows_pages(request) {
        return None;
    }
    match &recorded.wanted {
        Some(Wanted::Answer(posed)) => return Some(see_other(&posed.url)),
        Some(Wanted::Enrol) => return Some(see_other(&and_back("/app/factors", request))),
        None if recorded.status == 401 && is_page => return Some(see_other(&and_back("/app/login", request))),
        None => {}
    }
    let gate = request.app_data::<Data<Gate>>()?;
    let page = page(recorded, request, gate.site.domain(), is_sign_in);
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    match page {
        Ok(page) => Some(headers::page(HttpResponse::build(status), page)),
        Err(error) => {
            tracing::error!(%error, "no page");
            None
        }
    }
}

/// Whether somebody goes to this address with a browser, as opposed to a script or a program.
fn shows_pages(request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    let accepts = text(ACCEPT.as_str()).is_some_and(|accepted| accepted.contains("text/html"));
    request.method() == Method::GET && navigates && accepts
}

/// Whether it comes from a page of a browser (Fetch Metadata). To `Basic`, a browser would ask its person
/// for a password, and the page would wait for it.
pub(super) fn asks(request: &HttpRequest) -> bool {
    request.headers().contains_key("sec-fetch-mode")
}

/// This page, and from there back to here.
fn and_back(page: &str, request: &HttpRequest) -> String {
    let here = request.uri().path_and_query().map_or_else(|| request.path(), |whole| whole.as_str());
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", here).finish();
    format!("{page}?{query}")
}

fn see_other(target: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, target)).finish()
}

fn page(recorded: &Recorded, request: &HttpRequest, domain: &str, is_sign_in: bool) -> Result<Page, PageError> {
    let Recorded { status, message, request_id, check, .. } = recorded;
    if is_sign_in {
        let title = if *status == 429 { "Too many attempts" } else { "You are not signed in" };
        return SignInError { status: *status, title, what: message, check, request_id, domain }.render();
    }
    let (title, why) = match *status {
        403 => ("You may not see this page", message.as_str()),
        404 => ("There is no such page", "The address may be mistyped, or from an older version."),
        429 => ("Too many attempts", message.as_str()),
        503 => ("This does not work at the moment", message.as_str()),
        _ => ("This request cannot be answered", message.as_str()),
    };
    let csrf = recorded.identified.then(|| csrf_token(request)).flatten();
    Refused { status: *status, title, why, request_id, domain, csrf: csrf.as_deref() }.render()
}

/// What lets a signed-in reader sign out from the page.
fn csrf_token(request: &HttpRequest) -> Option<String> {
    Presented::from_cookies(request.headers().get_all(COOKIE).map(|value| value.as_bytes())).ok()?.csrf_token()
}
