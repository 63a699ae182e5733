//! How a caller is asked for a second factor: each client in the way that it understands.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::pep::{Posed, Recorded, Wanted, Way};

use super::answer::{self, Problem};

#[derive(Serialize)]
struct Challenged<'a> {
    #[serde(flatten)]
    problem: Problem<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<Challenge<'a>>,
}

#[derive(Serialize)]
struct Challenge<'a> {
    id: &'a str,
    needs: &'static str,
    strong: bool,
    url: &'a str,
    expires_at: String,
}

/// The answer to a request that lacks a second factor.
pub(super) fn answer(recorded: &Recorded, wanted: &Wanted) -> HttpResponse {
    let posed = match wanted {
        Wanted::Answer(posed) => Some(posed),
        Wanted::Enrol => None,
    };
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::FORBIDDEN);
    let Recorded { slug, message, request_id, .. } = recorded;
    let challenged = Challenged {
        problem: Problem::new(status, slug, message, request_id),
        challenge: posed.map(|posed| Challenge {
            id: &posed.id,
            needs: posed.needs.as_str(),
            strong: posed.strong,
            url: &posed.url,
            expires_at: posed.expires_at.format(&Rfc3339).unwrap_or_default(),
        }),
    };
    let mut response = answer::json(status, &challenged);
    if let Some(value) = posed.filter(|_| status == StatusCode::UNAUTHORIZED).and_then(authenticate) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    answer::name(&mut response, &recorded.request_id);
    response
}

/// What the client must do: for the CLI its own handshake, which matches this line to the letter
/// (pkg/console/auth.go of convox); for others RFC 9470 §3.
fn authenticate(posed: &Posed) -> Option<HeaderValue> {
    let value = match posed.way {
        Way::Console => format!("Session path=\"/session/{}\" token=\"true\"", posed.id),
        Way::Web | Way::Link | Way::Socket => {
            let acr = posed.needs.as_str();
            let error = "error=\"insufficient_user_authentication\"";
            let why = "error_description=\"a second factor is needed\"";
            format!("Bearer {error}, {why}, acr_values=\"{acr}\"")
        }
    };
    HeaderValue::from_str(&value).ok()
}
