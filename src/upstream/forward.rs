//! One permitted request to the rack, and its answer back.

use actix_web::body::BodySize;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use awc::ClientResponse;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Download, Upload};
use super::client::{Answer, Rack, Request};
use super::follow;
use super::headers;
use super::tally::Tally;
use super::trouble::Trouble;
use crate::pep::{Permit, Prepared, PreparedBody};

/// Sends the request that was permitted, and nothing else, to the rack; streams the answer back.
///
/// Consumes the permit. Its intent is completed when the answer's body has ended, has broken off, or
/// was dropped because the client went away, and always exactly once. `payload` is used only if the
/// permit says that the body is streamed, and of `req` only the length of that body.
pub async fn forward(rack: &Rack, permit: Permit, req: &HttpRequest, payload: Payload) -> HttpResponse {
    let (prepared, intent, followers) = permit.into_parts();
    let tally = Tally::new(move |outcome| intent.complete(outcome));
    let streamed = Streamed::new(req, payload);
    if followers.is_empty() {
        return relay(rack, prepared, streamed, tally).await;
    }
    follow::run(rack.clone(), prepared, streamed, tally, followers).await
}

pub(super) async fn relay(rack: &Rack, prepared: Prepared, body: Streamed, tally: Tally) -> HttpResponse {
    match ask(rack, prepared, body, &tally).await {
        Ok(asked) => asked.pass_on(rack, tally),
        Err(trouble) => unanswered(&trouble, tally),
    }
}

/// Tells client and record why there is no answer.
pub(super) fn unanswered(trouble: &Trouble, mut tally: Tally) -> HttpResponse {
    let told = trouble.told();
    tracing::warn!(status = told.status.as_u16(), detail = %told.detail, "no answer from the rack");
    tally.answered(told.status.as_u16());
    tally.end(told.result, Some(told.detail.clone()));
    told.response()
}

/// The client's body, if the permit says that it is streamed.
pub(super) struct Streamed {
    payload: Payload,
    length: Option<u64>,
}

impl Streamed {
    pub(super) fn new(req: &HttpRequest, payload: Payload) -> Self {
        Self { payload, length: headers::body_length(req.headers()) }
    }
}

/// An answer that can be passed on.
pub(super) struct Asked {
    pub(super) answer: ClientResponse,
    is_head: bool,
    place: OwnedSemaphorePermit,
}

pub(super) async fn ask(rack: &Rack, prepared: Prepared, streamed: Streamed, tally: &Tally) -> Result<Asked, Trouble> {
    let Prepared { outgoing, body, actor, request_id, kind: _ } = prepared;
    let method = Method::from_bytes(outgoing.method.as_bytes())
        .map_err(|_error| Trouble::Unwritable("the method is not HTTP's".to_owned()))?;
    let uri = rack.uri(&outgoing.target)?;
    let headers = headers::request(rack.config(), &outgoing.headers, &actor, &request_id)
        .map_err(|error| Trouble::Unwritable(error.to_string()))?;
    let upload = Upload::new(streamed.payload, streamed.length, tally.sent());
    let place = rack.place().await?;
    let request = Request { method: &method, uri: &uri, headers: &headers };
    let limits = rack.limits();
    let answer = tokio::select! {
        answer = send(rack, &request, body, upload, tally) => answer?,
        silent = tally.sent().silence(limits.idle, limits.head) => return Err(Trouble::Silence(silent)),
    };
    let status = answer.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err(Trouble::Credential);
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(Trouble::Redirect(status));
    }
    Ok(Asked { answer, is_head: method == Method::HEAD, place })
}

async fn send(rack: &Rack, request: &Request<'_>, body: PreparedBody, upload: Upload, tally: &Tally) -> Answer {
    match body {
        PreparedBody::Stream => rack.exchange(request, upload).await,
        PreparedBody::Bytes(bytes) => {
            tally.sent().more(bytes.len());
            tally.sent().whole();
            rack.exchange(request, bytes).await
        }
        PreparedBody::Empty => {
            tally.sent().whole();
            match *request.method {
                // Go waits for no body with these; with the others it wants to see that it is empty.
                Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS => rack.exchange_again(request).await,
                _ => rack.exchange(request, Bytes::new()).await,
            }
        }
    }
}

impl Asked {
    fn pass_on(self, rack: &Rack, mut tally: Tally) -> HttpResponse {
        let status = self.answer.status();
        tally.answered(status.as_u16());
        let mut response = HttpResponse::new(status);
        headers::answer(self.answer.headers(), response.headers_mut());
        let length = headers::body_length(self.answer.headers());
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let body = match (bodiless, self.is_head) {
            (true, _) => Download::bodiless(BodySize::None, tally, self.place),
            (false, true) => Download::bodiless(length.map_or(BodySize::None, BodySize::Sized), tally, self.place),
            (false, false) => {
                let sized = length.map_or(BodySize::Stream, BodySize::Sized);
                Download::new(self.answer, sized, tally, rack.limits().idle, self.place)
            }
        };
        response.set_body(body).map_into_boxed_body()
    }
}
