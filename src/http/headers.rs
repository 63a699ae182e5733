//! Header fields that harden answers: what a browser may do with them. The one place that sets them,
//! over everything that is answered, so that no handler can forget.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY,
    HeaderMap, HeaderName, HeaderValue, PERMISSIONS_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, HttpResponseBuilder};

use crate::pages::{Asset, Page};
use crate::pep::Gate;

/// What an answer is, when it is not the gateway's own data.
#[derive(Clone)]
enum Nature {
    /// A page whose tags carry this nonce.
    Page(String),
    /// The rack's, which says itself what may be done with it.
    Rack,
}

/// A page as an answer.
pub(super) fn page(mut builder: HttpResponseBuilder, page: Page) -> HttpResponse {
    let (html, nonce) = page.into_parts();
    let mut response = builder.insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html);
    response.extensions_mut().insert(Nature::Page(nonce));
    response
}

/// A file that pages name. Its name changes with its contents.
pub(super) fn asset(mut builder: HttpResponseBuilder, asset: &'static Asset) -> HttpResponse {
    builder.insert_header((CONTENT_TYPE, asset.media));
    builder.insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable")).body(asset.text.as_str())
}

/// Marks an answer as the rack's.
pub(super) fn of_rack(response: &mut HttpResponse) {
    response.extensions_mut().insert(Nature::Rack);
}

/// Sets the fields on every answer. What nobody has marked is the gateway's own.
pub(super) async fn harden(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let https = request.app_data::<Data<Gate>>().is_some_and(|gate| gate.site.origin.starts_with("https:"));
    let mut response = next.call(request).await?;
    let nature = response.response().extensions().get::<Nature>().cloned();
    let headers = response.headers_mut();
    // Only over https: a browser ignores it elsewhere (RFC 6797 §7.2), and localhost is everybody's.
    if https {
        set(headers, STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    match nature {
        Some(Nature::Rack) => {}
        Some(Nature::Page(nonce)) => {
            own(headers);
            if let Ok(policy) = HeaderValue::from_str(&policy(&nonce)) {
                headers.insert(CONTENT_SECURITY_POLICY, policy);
            }
            // A browser without a referrer may send no origin either, and changes need one.
            set(headers, REFERRER_POLICY, "same-origin");
            set(headers, CROSS_ORIGIN_OPENER_POLICY, "same-origin");
            set(headers, PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
        }
        None => own(headers),
    }
    Ok(response)
}

/// What holds for everything of the gateway's own. An answer is about somebody unless it says
/// otherwise, so nobody may keep it.
fn own(headers: &mut HeaderMap) {
    set(headers, CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, X_FRAME_OPTIONS, "DENY");
    set(headers, REFERRER_POLICY, "no-referrer");
    set(headers, CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    if !headers.contains_key(CACHE_CONTROL) {
        set(headers, CACHE_CONTROL, "no-store");
    }
}

/// What a page may load and do (CSP 3): its own tags, and calls of the gateway.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
