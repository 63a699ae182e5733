//! From the first byte of a request to the handler of its route.

use std::convert::Infallible;
use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::{HttpMessage as _, Request, Response};

use super::auth;
use super::call::{Call, Incoming};
use super::form;
use super::received::Entry;
use super::reply::{Answer, Failure, Reply};
use super::sockets;
use super::state::RackState;
use super::table::{self, Found, Route, Run};
use super::trips::Trip;
use super::wire::Arrivals;

/// Answers one request.
pub(super) async fn serve(rack: RackState, mut request: Request) -> Result<Response<BoxBody>, Infallible> {
    let Some(entry) = request.conn_data::<Arrivals>().and_then(Arrivals::take) else {
        return Ok(Reply::bare(400).into_response());
    };
    let target = entry.target();
    let method = request.method().as_str().to_owned();
    let upgrade = request.headers().get_all("upgrade").any(|value| value == "websocket");
    let (path, query) = split(&target);
    let Some(path) = form::decode(path, false) else {
        return Ok(close(&entry, Failure::new(400, "400 Bad Request")));
    };
    let (route, params) = match table::find(&method, &path, upgrade) {
        Found::Route(route, params) => (route, params),
        Found::WrongMethod => return Ok(finish(&entry, Reply::bare(405))),
        Found::Nothing if path == "/check" && method == "GET" => return Ok(finish(&entry, Reply::ok())),
        Found::Nothing => return Ok(finish(&entry, Reply::bare(404))),
    };
    let trip = rack.trips().take(&method, &path);
    if trip == Some(Trip::Fail) {
        return Ok(finish(&entry, Reply::failure(&Failure::new(500, "the rack stumbled"), "")));
    }
    let call = Call::new(rack, params, query, request.headers().clone());
    if let Run::Socket(run) = route.run {
        return Ok(sockets::open(call, &mut request, entry, run));
    }
    let accept = call.header("accept");
    let id = call.rack.data().ids.request();
    let incoming = Incoming::new(request.take_payload(), Arc::clone(&entry));
    let reply = plain(call, route, &method, incoming).await.unwrap_or_else(|failure| {
        let reply = Reply::failure(&failure, &accept);
        let denied = failure.status == 401 && failure.message == "invalid authentication";
        if denied { reply.with("Www-Authenticate", "Basic realm=\"convox\"") } else { reply }
    });
    let reply = if trip == Some(Trip::Lose) { reply.lost() } else { reply };
    let reply = reply.with("Request-Id", id).with("X-Content-Type-Options", "nosniff").with("X-Frame-Options", "DENY");
    Ok(finish(&entry, reply))
}

async fn plain(mut call: Call, route: Route, method: &str, mut incoming: Incoming) -> Answer {
    call.role = auth::authenticate(&call)?;
    auth::authorize(call.role, method)?;
    if call.has_form() {
        let body = incoming.whole().await?;
        call.take_form(method, &body);
    }
    match route.run {
        Run::Plain(run) => {
            call.body = incoming.whole().await?;
            run(&call)
        }
        Run::Upload(run) => run(call, incoming).await,
        Run::Socket(_) => Err(Failure::new(500, "a socket is not a plain request")),
    }
}

/// Path and query, undecoded. An absolute-form target loses its authority, as in Go.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = target.splitn(2, |&b| b == b'?');
    let mut path = halves.next().unwrap_or_default();
    let query = halves.next().unwrap_or_default();
    if let Some(rest) = [b"http://".as_slice(), b"https://"].iter().find_map(|scheme| path.strip_prefix(*scheme)) {
        let slash = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        path = rest.get(slash..).unwrap_or_default();
    }
    (path, query)
}

fn finish(entry: &Entry, reply: Reply) -> Response<BoxBody> {
    entry.answered(reply.status());
    reply.into_response()
}

fn close(entry: &Entry, failure: Failure) -> Response<BoxBody> {
    finish(entry, Reply::failure(&failure, "").with("Connection", "close"))
}
