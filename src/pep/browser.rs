//! A browser sends its cookie with whatever any page makes it ask. So a request that a cookie
//! speaks for must also show that a page of this gateway made it.

use actix_web::http::header;
use subtle::ConstantTimeEq as _;

use crate::identity::Presented;
use crate::routes::Kind;

use super::Accepted;
use super::refusal::Refusal;

/// Header with the token that only pages of this gateway can read.
const CSRF: &str = "x-csrf-token";

/// Three tests, each enough against most attacks: where the request comes from as the browser says
/// (Fetch Metadata, `Origin`), and the token of the session.
pub(super) fn check(accepted: &Accepted, presented: &Presented, origin: &str) -> Result<(), Refusal> {
    let Some(expected) = presented.csrf_token() else { return Ok(()) };
    let headers = accepted.request.headers();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let changes = !matches!(accepted.kind, Kind::Get | Kind::Head);
    let navigates = !changes && text("sec-fetch-mode") == Some("navigate");
    match text("sec-fetch-site") {
        None | Some("same-origin") => {}
        Some("none") if !changes => {}
        Some(_) if navigates => {}
        Some(_) => return Err(Refusal::CrossSite("cross-site", "the request was made by a page of another site")),
    }
    match text(header::ORIGIN.as_str()) {
        Some(from) if from != origin => {
            return Err(Refusal::CrossSite("cross-origin", "the request was made by a page of another site"));
        }
        None if changes => {
            return Err(Refusal::CrossSite("origin-missing", "the request does not say where it is from"));
        }
        Some(_) | None => {}
    }
    // A page cannot put a header on a socket; its origin, checked above, is what the browser vouches for.
    if !changes || accepted.kind == Kind::Socket {
        return Ok(());
    }
    let given = text(CSRF).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::CrossSite("csrf", "the request lacks the token of this session: reload the page and try again"))
}
