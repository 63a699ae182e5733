//! First stage: is this one well-formed HTTP/1.1 request with one meaning?

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderMap};
use ipnet::IpNet;
use uuid::Uuid;

use crate::routes::{ContractError, Kind, Target};

use super::refusal::{Refusal, Stopped};
use super::{Gate, Trace};

/// A request whose form is beyond doubt.
#[derive(Debug)]
pub struct Accepted {
    pub(super) trace: Trace,
    pub(super) kind: Kind,
    pub(super) target: Target,
    pub(super) request: HttpRequest,
}

impl Accepted {
    /// Checks the request's form. Nothing is repaired.
    ///
    /// # Errors
    /// When the target, the method, the upgrade or the framing has no single meaning.
    pub fn new(gate: &Gate, request: HttpRequest) -> Result<Self, Box<Stopped>> {
        let trace = begin(gate, &request);
        match check(&request).and_then(|found| host(gate, &request).map(|()| found)) {
            Ok((kind, target)) => {
                let mut accepted =
                    Self { trace: Trace { socket: kind == Kind::Socket, ..trace }, kind, target, request };
                match source_ip(&accepted.request, accepted.trace.source_ip, &gate.site.proxies) {
                    Ok(source_ip) => {
                        accepted.trace.source_ip = source_ip;
                        Ok(accepted)
                    }
                    Err(refusal) => Err(Stopped::new(accepted.trace, refusal)),
                }
            }
            Err(refusal) => Err(Stopped::new(trace, refusal)),
        }
    }

    /// What is known of the request so far.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The request as it came.
    #[must_use]
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Ends here: a request that proves nobody, or proves it wrongly.
    pub fn stop(self, refusal: Refusal) -> Box<Stopped> {
        Stopped::new(self.trace, refusal)
    }
}

/// The one `Host`, or the authority of HTTP/2, must be the gateway's own name: links in answers,
/// cookies and redirects are made of it.
fn host(gate: &Gate, request: &HttpRequest) -> Result<(), Refusal> {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    match named {
        Some(host) if gate.site.is_host(host) => Ok(()),
        Some(_) | None => Err(Refusal::WrongHost),
    }
}

/// Most hops that are looked through.
const HOPS: usize = 32;

/// Who connects: the peer, or the nearest address that no trusted proxy vouches to be a proxy too
/// (`X-Forwarded-For`, read from the right).
fn source_ip(request: &HttpRequest, peer: IpAddr, proxies: &[IpNet]) -> Result<IpAddr, Refusal> {
    let trusted = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
    if !trusted(&peer) {
        return Ok(peer);
    }
    let unclear = || Refusal::BadRequest("forwarded-for", "the proxy's X-Forwarded-For cannot be read");
    let mut hops = Vec::new();
    for value in request.headers().get_all("x-forwarded-for") {
        hops.extend(value.to_str().map_err(|_| unclear())?.split(',').map(str::trim));
    }
    if hops.len() > HOPS {
        return Err(unclear());
    }
    let mut nearest = peer;
    for hop in hops.into_iter().rev() {
        nearest = hop.parse::<IpAddr>().map_err(|_| unclear())?.to_canonical();
        if !trusted(&nearest) {
            break;
        }
    }
    Ok(nearest)
}

/// Headers that say who calls: a second one could say somebody else.
const ONCE: [&str; 3] = ["authorization", "session", "rack"];

fn begin(gate: &Gate, request: &HttpRequest) -> Trace {
    let at = gate.clock.now();
    let source_ip = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    Trace {
        request_id: Uuid::now_v7().to_string(),
        source_ip,
        at,
        is_clock_sound: gate.latest.holds(at),
        started: Instant::now(),
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        socket: request.headers().contains_key(header::UPGRADE),
        identity: None,
        row: None,
        resource: None,
        facts: BTreeMap::new(),
    }
}

fn check(request: &HttpRequest) -> Result<(Kind, Target), Refusal> {
    let headers = request.headers();
    let uri = request.uri();
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Refusal::BadRequest("target-absolute", "the request target must be a path"));
    }
    if request.version() == Version::HTTP_11 && count(headers, &header::HOST) != 1 || count(headers, &header::HOST) > 1
    {
        return Err(Refusal::BadRequest("host-count", "exactly one Host header is needed"));
    }
    if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::BadRequest("both-lengths", "Content-Length and Transfer-Encoding exclude each other"));
    }
    if let Some(name) = ONCE.iter().find(|name| headers.get_all(**name).count() > 1) {
        return Err(Refusal::BadContract(ContractError::DuplicateHeader { name: (*name).to_owned() }));
    }
    let raw = uri.path_and_query().map_or_else(|| uri.path(), |whole| whole.as_str());
    let target = Target::parse(raw).map_err(Refusal::BadTarget)?;
    Ok((kind(request)?, target))
}

fn kind(request: &HttpRequest) -> Result<Kind, Refusal> {
    let headers = request.headers();
    let upgrade = count(headers, &header::UPGRADE) > 0 || connection_names_upgrade(headers);
    let kind = Kind::of(request.method().as_str(), upgrade).ok_or(Refusal::UnknownRoute("unknown-route"))?;
    let body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    if kind == Kind::Socket && body {
        return Err(Refusal::BadContract(ContractError::BodyNotAllowed));
    }
    if upgrade && !(kind == Kind::Socket && is_websocket(request)) {
        return Err(Refusal::BadRequest("upgrade", "only GET with `Upgrade: websocket` may upgrade"));
    }
    Ok(kind)
}

/// Exactly one `Upgrade: websocket`, named by `Connection` (RFC 6455 §4.1).
fn is_websocket(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let named = headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    named && count(headers, &header::UPGRADE) == 1 && connection_names_upgrade(headers)
}

fn connection_names_upgrade(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    })
}

fn count(headers: &HeaderMap, name: &header::HeaderName) -> usize {
    headers.get_all(name).count()
}
