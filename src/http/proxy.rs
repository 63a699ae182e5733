//! The whole path of a request, stage by stage.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::api::{Endpoints, Services};
use crate::pep::{Accepted, Gate, Passed, Stopped};
use crate::routes::Kind;
use crate::telemetry;
use crate::upstream::{self, Rack};

use super::answer::{name, refused};
use super::sockets::{self, Stopping};
use super::waiting::{self, Places, Room};
use super::{headers, own};

/// What an answer may need.
struct Parts<'a> {
    gate: &'a Gate,
    rack: &'a Rack,
    endpoints: &'a Endpoints,
    services: &'a Arc<Services>,
    stopping: &'a Stopping,
    places: &'a Places,
}

impl<'a> Parts<'a> {
    const fn room(&self) -> Room<'a> {
        Room { gate: self.gate, rack: self.rack, stopping: self.stopping, places: self.places }
    }
}

/// Answers every request that is not one of the gateway's own endpoints.
pub(super) async fn proxy(
    request: HttpRequest,
    mut payload: Payload,
    gate: Data<Gate>,
    rack: Data<Rack>,
    endpoints: Data<Endpoints>,
    services: Data<Services>,
    watched: (Data<Stopping>, Data<Places>),
) -> HttpResponse {
    let started = std::time::Instant::now();
    let services = services.into_inner();
    let (stopping, places) = (&watched.0, &watched.1);
    let parts = Parts { gate: &gate, rack: &rack, endpoints: &endpoints, services: &services, stopping, places };
    let (route, response) = match pass(&request, &mut payload, &gate, &rack).await {
        Ok(passed) => forward(passed, &request, payload, &parts).await,
        Err(stopped) => {
            let recorded = stopped.record(&gate).await;
            let route = recorded.row.map_or("none", |row| row.path);
            let response = match waiting::awaited(&recorded) {
                Some(posed) => waiting::open(&request, payload, &recorded, posed, parts.room()),
                None => refused(&recorded, &request, payload),
            };
            (route, response)
        }
    };
    let status = response.status().as_str().to_owned();
    metrics::counter!(telemetry::REQUESTS, "route" => route, "status" => status).increment(1);
    metrics::histogram!(telemetry::REQUEST_SECONDS).record(started.elapsed());
    response
}

pub(super) async fn pass(
    request: &HttpRequest,
    payload: &mut Payload,
    gate: &Gate,
    rack: &Rack,
) -> Result<Passed, Box<Stopped>> {
    let classified = Accepted::new(gate, request.clone())?.identify(gate).await?.classify(gate)?;
    classified.gather(gate, payload, Rc::new(rack.clone())).await?.decide(gate).await
}

async fn forward(
    passed: Passed,
    request: &HttpRequest,
    payload: Payload,
    parts: &Parts<'_>,
) -> (&'static str, HttpResponse) {
    let Parts { gate, rack, endpoints, services, stopping, .. } = parts;
    match passed {
        Passed::Own(permit) => own::answer(*permit, endpoints, services).await,
        Passed::Rack(permit, recheck) => {
            let route = permit.row().path;
            let request_id = permit.request_id().to_owned();
            let mut response = match permit.row().kind {
                Kind::Socket => {
                    let signal = sockets::watch_over(gate, recheck, permit.row(), (*stopping).clone());
                    upstream::open_socket(rack, *permit, request, payload, signal).await
                }
                Kind::Get | Kind::Head | Kind::Post | Kind::Put | Kind::Delete | Kind::Options => {
                    upstream::forward(rack, *permit, request, payload).await
                }
            };
            name(&mut response, &request_id);
            headers::of_rack(&mut response);
            tracing::debug!(request.id = request_id, route, status = response.status().as_u16(), "request forwarded");
            (route, response)
        }
    }
}
