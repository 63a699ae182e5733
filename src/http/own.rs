//! Rows that the gateway answers itself: runs the endpoint, spells its answer, completes the intent.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::web::Bytes;

use crate::api::{Content, Endpoints, Problem, Reply, Services};
use crate::audit::{Intent, Outcome, OutcomeResult};
use crate::pep::{OwnPermit, Recorded, Trace};

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
    let ending = Ending { intent, trace, status: response.status(), read };
    if response.body().size() == BodySize::Stream {
        let response = response.map_body(|_, body| BoxBody::new(Delivery { body, ending: Some(ending), sent: 0 }));
        return (row.path, response);
    }
    ending.complete(OutcomeResult::Completed, size(&response), message);
    (row.path, response)
}

/// What the outcome needs, until it is known.
struct Ending {
    intent: Intent,
    trace: Trace,
    status: StatusCode,
    read: usize,
}

impl Ending {
    fn complete(self, result: OutcomeResult, bytes_out: u64, message: Option<String>) {
        self.intent.complete(Outcome {
            result,
            status: Some(self.status.as_u16()),
            bytes_in: u64::try_from(self.read).unwrap_or(u64::MAX),
            bytes_out,
            duration_ms: self.trace.elapsed_ms(),
            message,
        });
    }
}

/// A body that is made while it is sent: its outcome is known at its end.
struct Delivery {
    body: BoxBody,
    ending: Option<Ending>,
    sent: u64,
}

impl Delivery {
    fn end(&mut self, result: OutcomeResult, message: Option<String>) {
        if let Some(ending) = self.ending.take() {
            ending.complete(result, self.sent, message);
        }
    }
}

impl MessageBody for Delivery {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let next = std::task::ready!(Pin::new(&mut this.body).poll_next(cx));
        match &next {
            Some(Ok(chunk)) => this.sent = this.sent.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX)),
            Some(Err(error)) => this.end(OutcomeResult::Abandoned, Some(error.to_string())),
            None => this.end(OutcomeResult::Completed, None),
        }
        Poll::Ready(next)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.end(OutcomeResult::ClientGone, None);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// The answer as HTTP.
pub(super) fn spell(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut builder = HttpResponse::build(status);
    let mut response = match reply.content {
        Content::Empty => builder.finish(),
        Content::Json(text) => builder.insert_header((CONTENT_TYPE, "application/json")).body(text),
        Content::Text(text) => builder.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(text),
        Content::Html(page) => headers::page(builder, page),
        Content::Asset(asset) => headers::asset(builder, asset),
        Content::Download(file) => builder.insert_header((CONTENT_TYPE, file.media)).streaming(file.chunks),
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
