//! Listener and routes.

use std::future::{Ready, ready};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, guard};

use super::provider::Provider;
use super::{authorize, ci, metadata, pages, token};

/// Longest body, in bytes.
const LONGEST: usize = 64 * 1024;

/// Serves on the running actix system.
pub(super) fn serve(listener: TcpListener, provider: Arc<Provider>) -> io::Result<Server> {
    let addr = listener.local_addr()?.to_string();
    let provider = Data::from(provider);
    let app = move || {
        let addr = addr.clone();
        // A page of the web whose name leads to the loopback address sends another host (DNS rebinding).
        let is_meant = guard::fn_guard(move |context| {
            context.head().headers().get(header::HOST).is_some_and(|host| host.as_bytes() == addr.as_bytes())
        });
        App::new()
            .app_data(provider.clone())
            .app_data(PayloadConfig::new(LONGEST))
            .wrap(headers())
            .service(web::scope("").guard(is_meant).configure(routes))
    };
    Ok(HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
}

type At = Data<Provider>;

fn routes(config: &mut web::ServiceConfig) {
    let style = || ready(HttpResponse::Ok().content_type("text/css; charset=utf-8").body(pages::STYLE));
    config
        .route("/", web::get().to(|at: At| ready(pages::home(&at.issuer, &at.ci_issuer()))))
        .route("/style.css", web::get().to(style))
        .route("/.well-known/openid-configuration", web::get().to(|at: At| json(metadata::of_people(&at.issuer))))
        .route("/jwks", web::get().to(|at: At| json(at.key.jwks())))
        .route("/ci/.well-known/openid-configuration", web::get().to(|at: At| json(metadata::of_ci(&at.ci_issuer()))))
        .route("/ci/jwks", web::get().to(|at: At| json(at.ci_key.jwks())))
        .route("/ci-token", web::post().to(|at: At, body: Bytes| ready(ci::ci_token(&at, &body))))
        .route("/authorize", web::get().to(asked_by_query))
        .route("/authorize", web::post().to(|at: At, body: Bytes| ready(authorize::authorize(&at, &body))))
        .route("/choose", web::post().to(|at: At, body: Bytes| ready(authorize::choose(&at, &body))))
        .route("/token", web::post().to(redeemed))
        .route("/userinfo", web::get().to(asked_about))
        .route("/userinfo", web::post().to(asked_about));
}

fn asked_by_query(at: At, request: HttpRequest) -> Ready<HttpResponse> {
    ready(authorize::authorize(&at, request.query_string().as_bytes()))
}

fn redeemed(at: At, request: HttpRequest, body: Bytes) -> Ready<HttpResponse> {
    ready(token::token(&at, authorization(&request), &body))
}

fn asked_about(at: At, request: HttpRequest) -> Ready<HttpResponse> {
    ready(token::userinfo(&at, authorization(&request)))
}

fn authorization(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default())
}

fn json(value: serde_json::Value) -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().json(value))
}
