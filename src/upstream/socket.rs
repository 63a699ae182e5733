//! One permitted socket: opened at the rack first, then towards the client.

use std::time::Duration;

use actix_http::ws;
use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use awc::BoxedSocket;
use awc::error::WsClientError;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::Rack;
use super::frames::farewell;
use super::headers;
use super::kill::KillSignal;
use super::relay::{Client, Relay, drain};
use super::tally::Tally;
use super::trouble::{Silent, Trouble, error_response};
use crate::audit::OutcomeResult;
use crate::pep::{Permit, Prepared};

/// How long a refused client may take to read why.
const REFUSED_GRACE: Duration = Duration::from_secs(5);

/// Opens the permitted socket at the rack and relays it; the answer is 101, or an error and no
/// tunnel on either side.
///
/// Consumes the permit. Its intent is completed when the socket has ended, exactly once. The relay
/// runs on this worker until one side ends, `kill` is used, or nothing moves for too long.
pub async fn open_socket(
    rack: &Rack,
    permit: Permit,
    req: &HttpRequest,
    payload: Payload,
    kill: KillSignal,
) -> HttpResponse {
    let (prepared, intent, _) = permit.into_parts();
    let tally = Tally::new(move |outcome| intent.complete(outcome));
    relay(rack, prepared, req, payload, kill, tally).await
}

/// Refuses a socket so that the CLI shows why: opens it, says `ERROR: <message>`, gives `exit` as the
/// exit code if the CLI expects one (126), and ends the stream. Nothing reaches the rack.
pub fn deny_socket(req: &HttpRequest, mut payload: Payload, message: &str, exit: Option<u8>) -> HttpResponse {
    let text = format!("ERROR: {message}\n");
    let frames = stream::iter([farewell(false, Some(&text), exit)]);
    let until_read = stream::once(async move {
        timeout(REFUSED_GRACE, drain(&mut payload)).await.ok();
        Bytes::new()
    });
    accept(req, frames.chain(until_read).map(Ok))
}

pub(super) async fn relay(
    rack: &Rack,
    prepared: Prepared,
    req: &HttpRequest,
    payload: Payload,
    kill: KillSignal,
    mut tally: Tally,
) -> HttpResponse {
    if let Err(error) = ws::verify_handshake(req.head()) {
        tally.answered(StatusCode::BAD_REQUEST.as_u16());
        tally.end(OutcomeResult::Completed, Some(format!("not a websocket handshake: {error}")));
        return not_a_handshake();
    }
    match dial(rack, &prepared).await {
        Ok((socket, early)) => {
            tally.answered(StatusCode::SWITCHING_PROTOCOLS.as_u16());
            let (client, body) = Client::new(payload);
            rt::spawn(Relay::new(socket, early, client, kill, rack.limits(), tally).run());
            accept(req, chunks(body))
        }
        Err(trouble) => {
            let told = trouble.told();
            tracing::warn!(status = told.status.as_u16(), detail = %told.detail, "no socket at the rack");
            tally.answered(told.status.as_u16());
            tally.end(told.result, Some(told.detail.clone()));
            told.response()
        }
    }
}

/// The upgraded connection to the rack, and what it sent behind its handshake.
pub(super) async fn dial(rack: &Rack, prepared: &Prepared) -> Result<(BoxedSocket, BytesMut), Trouble> {
    let outgoing = &prepared.outgoing;
    let uri = rack.uri(&outgoing.target)?;
    let headers = headers::request(rack.config(), &outgoing.headers, &prepared.actor, &prepared.request_id)
        .map_err(|error| Trouble::Unwritable(error.to_string()))?;
    let mut request = rack.sockets().ws(uri);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let opened = match timeout(rack.limits().socket_open, request.connect()).await {
        Ok(opened) => opened.map_err(refused)?,
        Err(_elapsed) => return Err(Trouble::Silence(Silent::Answer)),
    };
    let (answer, framed) = opened;
    if has_extras(answer.headers()) {
        return Err(Trouble::Handshake("the rack chose an extension or protocol that nobody offered".to_owned()));
    }
    let parts = framed.into_parts();
    Ok((parts.io, parts.read_buf))
}

fn has_extras(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
}

fn refused(error: WsClientError) -> Trouble {
    match error {
        WsClientError::SendRequest(error) => Trouble::Send(error),
        WsClientError::InvalidResponseStatus(StatusCode::UNAUTHORIZED) => Trouble::Credential,
        WsClientError::InvalidResponseStatus(status) if status.is_client_error() || status.is_server_error() => {
            Trouble::NoSocket(status)
        }
        WsClientError::InvalidResponseStatus(status) if status.is_redirection() => Trouble::Redirect(status),
        WsClientError::InvalidResponseStatus(status) => Trouble::Handshake(format!("status {status}")),
        other => Trouble::Handshake(other.to_string()),
    }
}

pub(super) fn chunks(mut client: mpsc::Receiver<Bytes>) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::poll_fn(move |cx| client.poll_recv(cx)).map(Ok)
}

pub(super) fn accept<S>(req: &HttpRequest, body: S) -> HttpResponse
where
    S: Stream<Item = Result<Bytes, actix_web::Error>> + 'static,
{
    let opened = ws::handshake(req.head()).ok();
    let response = opened.and_then(|mut handshake| handshake.message_body(BodyStream::new(body).boxed()).ok());
    response.map_or_else(not_a_handshake, HttpResponse::from)
}

pub(super) fn not_a_handshake() -> HttpResponse {
    error_response(StatusCode::BAD_REQUEST, "this is not a websocket handshake of version 13")
}
