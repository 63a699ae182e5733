//! The public endpoints: a request of somebody unknown, its handler, its answer.

use std::sync::Arc;

use actix_web::web::{self, Bytes, BytesMut, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;

use crate::api::Services;
use crate::api::public::{Doors, Visit, Visited};
use crate::audit::{Outcome, OutcomeResult};
use crate::pep::{Accepted, Refusal, Stopped};
use crate::routes::{Kind, PUBLIC, Public};
use crate::telemetry;

use super::{answer, own};

/// Whose errors have a form of their own.
const TOKEN: &str = "/api/v1/auth/token";
/// Most bytes of a body.
const MAX: usize = 64 << 10;

/// Mounts the public list, except for what needs no form, no record and no handler of `api`.
pub(super) fn mount(config: &mut ServiceConfig) {
    for public in PUBLIC.iter().filter(|public| !matches!(public.path, "/api/v1/health" | "/api/v1/ready")) {
        let route = match public.kind {
            Kind::Post => web::post(),
            _ => web::get(),
        };
        let handler = move |request, payload, services, doors| visit(public, request, payload, services, doors);
        config.route(public.path, route.to(handler));
    }
}

async fn visit(
    public: &'static Public,
    request: HttpRequest,
    mut payload: Payload,
    services: Data<Services>,
    doors: Data<Doors>,
) -> HttpResponse {
    let started = std::time::Instant::now();
    let services = services.into_inner();
    let response = match pass(public, &request, &mut payload, &services, &doors).await {
        Ok((request_id, Visited::Told(reply))) => named(own::spell(reply), &request_id),
        Ok((request_id, Visited::Admitted(reply, intent))) => {
            let response = named(own::spell(reply), &request_id);
            let status = Some(response.status().as_u16());
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            intent.complete(Outcome { status, duration_ms, ..Outcome::of(OutcomeResult::Completed) });
            response
        }
        Err(stopped) => {
            let recorded = stopped.record(&services.gate).await;
            if public.path == TOKEN { answer::oauth(&recorded) } else { answer::refused(&recorded, &request, payload) }
        }
    };
    let status = response.status().as_str().to_owned();
    metrics::counter!(telemetry::REQUESTS, "route" => public.path, "status" => status).increment(1);
    metrics::histogram!(telemetry::REQUEST_SECONDS).record(started.elapsed());
    response
}

async fn pass(
    public: &'static Public,
    request: &HttpRequest,
    payload: &mut Payload,
    services: &Arc<Services>,
    doors: &Doors,
) -> Result<(String, Visited), Box<Stopped>> {
    let accepted = Accepted::new(&services.gate, request.clone())?;
    let request_id = accepted.trace().request_id.clone();
    let body = match body(payload).await {
        Ok(body) => body,
        Err(refusal) => return Err(accepted.stop(refusal)),
    };
    let visit = Visit { accepted, services: Arc::clone(services), body };
    match doors.open(public.path, visit) {
        Some(answer) => answer.await.map(|visited| (request_id, visited)),
        None => {
            let accepted = Accepted::new(&services.gate, request.clone())?;
            Err(accepted.stop(Refusal::UnknownRoute("unserved")))
        }
    }
}

async fn body(payload: &mut Payload) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::BadRequest("body-broken", "the request body could not be read"))?;
        if whole.len().saturating_add(chunk.len()) > MAX {
            return Err(Refusal::BadRequest("body-too-large", "the request body is longer than 65536 bytes"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

fn named(mut response: HttpResponse, request_id: &str) -> HttpResponse {
    answer::name(&mut response, request_id);
    response
}
