//! A request whose answer is read whole before the client gets it, because something follows from it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::rt;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::{Duration, timeout};

use super::client::Rack;
use super::forward::{Streamed, ask, unanswered};
use super::headers;
use super::tally::Tally;
use super::trouble::{Trouble, error_response};
use crate::audit::OutcomeResult;
use crate::pep::{Answered, Followers, Prepared, PreparedBody, Unfollowed};

/// Asks the rack and lets the followers have the answer, in a task of its own: a client that goes away
/// must not keep what was done from being noted.
pub(super) async fn run(
    rack: Rack,
    mut prepared: Prepared,
    streamed: Streamed,
    tally: Tally,
    followers: Followers,
) -> HttpResponse {
    // What is compressed cannot be read.
    prepared.outgoing.headers.retain(|(name, _)| name != "accept-encoding" && name != "range");
    if matches!(prepared.body, PreparedBody::Stream) {
        tally.sent().digest();
    }
    let task = rt::spawn(exchange(rack, prepared, streamed, tally, followers));
    let gone =
        || error_response(StatusCode::BAD_GATEWAY, "the request could not be finished; look whether it was done");
    task.await.unwrap_or_else(|_| gone())
}

async fn exchange(
    rack: Rack,
    prepared: Prepared,
    streamed: Streamed,
    tally: Tally,
    followers: Followers,
) -> HttpResponse {
    let max = followers.iter().map(|follower| follower.max()).min().unwrap_or_default();
    let asked = match ask(&rack, prepared, streamed, &tally).await {
        Ok(asked) => asked,
        Err(trouble) => {
            abandon(followers).await;
            return unanswered(&trouble, tally);
        }
    };
    let (mut answer, idle) = (asked.answer, rack.limits().idle);
    let mut response = HttpResponse::new(answer.status());
    headers::answer(answer.headers(), response.headers_mut());
    let body = match whole(&mut answer, max, idle).await {
        Ok(body) => body,
        Err(trouble) => {
            abandon(followers).await;
            return unanswered(&trouble, tally);
        }
    };
    let (sent, sent_bytes) = (tally.sent().digested(), tally.sent().bytes());
    let answered = Answered { status: response.status().as_u16(), body, sent, sent_bytes };
    told(response, follow(answered, followers).await, tally)
}

fn told(response: HttpResponse, followed: Result<Answered, Unfollowed>, mut tally: Tally) -> HttpResponse {
    match followed {
        Ok(answered) => {
            tally.answered(response.status().as_u16());
            tally.received(answered.body.len());
            tally.end(OutcomeResult::Completed, None);
            response.set_body(answered.body).map_into_boxed_body()
        }
        Err(Unfollowed { status, message }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            tally.answered(status.as_u16());
            tally.end(OutcomeResult::Completed, Some(message.clone()));
            error_response(status, &message)
        }
    }
}

async fn follow(mut answered: Answered, followers: Followers) -> Result<Answered, Unfollowed> {
    let mut left = followers.into_iter();
    while let Some(follower) = left.next() {
        answered = match follower.answered(answered).await {
            Ok(answered) => answered,
            Err(error) => {
                abandon(left.collect()).await;
                return Err(error);
            }
        };
    }
    Ok(answered)
}

async fn abandon(followers: Followers) {
    for follower in followers {
        follower.unanswered().await;
    }
}

async fn whole(answer: &mut awc::ClientResponse, max: usize, idle: Duration) -> Result<Bytes, Trouble> {
    let mut whole = BytesMut::new();
    loop {
        match timeout(idle, answer.next()).await {
            Ok(Some(Ok(chunk))) if whole.len().saturating_add(chunk.len()) > max => return Err(Trouble::TooLong(max)),
            Ok(Some(Ok(chunk))) => whole.extend_from_slice(&chunk),
            Ok(Some(Err(_))) => return Err(Trouble::Unframed),
            Ok(None) => return Ok(whole.freeze()),
            Err(_) => return Err(Trouble::Silence(super::trouble::Silent::Answer)),
        }
    }
}
