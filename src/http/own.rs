//! Rows that the gateway answers itself: runs the endpoint, spells its answer, completes the intent.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

use crate::api::{Content, Endpoints, Problem, Reply, Services};
use crate::audit::{Outcome, OutcomeResult};
use crate::pep::{OwnPermit, Recorded};

use super::{answer, headers};

/// Answers; returns the row's path with it.
pub(super) async fn answer(
    permit: OwnPermit,
    endpoints: &Endpoints,
    services: &Arc<Services>,
) -> (&'static str, HttpResponse) {
    let (granted, intent) = permit.into_parts();
    let (row, trace) = (granted.row(), granted.trace().clone());
    let read = granted.body().len();
    let answered = endpoints.answer(granted, Arc::clone(services)).await;
    let (mut response, read, message) = match answered {
        Ok(reply) => (spell(reply), read, None),
        Err(Problem::Own { status, slug, message }) => {
            (answer::problem(status, slug, &message, &trace.request_id), 0, Some(message))
        }
        Err(Problem::TooMany(seconds)) => {
            let message = format!("too many attempts: try again in {seconds} seconds");
            let mut response = answer::problem(429, "too-many", &message, &trace.request_id);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            (response, 0, Some(message))
        }
        Err(Problem::Stopped(stopped)) => {
            let recorded: Recorded = stopped.record(&services.gate).await;
            let response = answer::problem(recorded.status, recorded.slug, &recorded.message, &recorded.request_id);
            (response, 0, Some(recorded.message))
        }
    };
    answer::name(&mut response, &trace.request_id);
    intent.complete(Outcome {
        result: OutcomeResult::Completed,
        status: Some(response.status().as_u16()),
        bytes_in: u64::try_from(read).unwrap_or(u64::MAX),
        bytes_out: size(&response),
        duration_ms: trace.elapsed_ms(),
        message,
    });
    (row.path, response)
}

/// The answer as HTTP.
pub(super) fn spell(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut builder = HttpResponse::build(status);
    let mut response = match reply.content {
        Content::Empty => builder.finish(),
        Content::Json(text) => builder.insert_header((CONTENT_TYPE, "application/json")).body(text),
        Content::Html(page) => headers::page(builder, page),
        Content::Asset(asset) => headers::asset(builder, asset),
    };
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

fn size(response: &HttpResponse) -> u64 {
    match response.body().size() {
        BodySize::Sized(size) => size,
        BodySize::None | BodySize::Stream => 0,
    }
}
