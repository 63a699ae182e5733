//! Every recorded exchange of the real CLI, through the gateway, to a rack that answers as recorded:
//! the rack gets what the CLI sent, the CLI gets what the rack answered, byte for byte.

pub mod fixture;
pub mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rack_gateway::routes::{Found, Keys, Kind, Target, find};

use fixture::{Exchange, Side, bytes, exchanges};
use peer::{Message, RecordedRack, Wire, request_bytes};

use crate::harness::{Db, Gateway, basic};

/// What the gateway does with a recorded request of somebody who may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The rack answers.
    Forwarded,
    /// The gateway answers: the console protocol.
    Own,
    /// The gateway refuses, with this status.
    Refused(u16),
}

/// Paths that the rack must not see. Everything else in the recording is forwarded.
fn expected(exchange: &Exchange) -> Expected {
    let path = exchange.request.target.split('?').next().unwrap();
    match (exchange.request.method.as_str(), path) {
        ("GET", "/auth" | "/racks" | "/machines" | "/racks/acme/prod" | "/racks/acme/staging") => Expected::Own,
        ("PUT", "/racks/acme/staging") => Expected::Refused(403),
        (_, "/racks/acme/prod/runtimes" | "/racks/acme/prod/workflows" | "/organizations/acme/runtimes") => {
            Expected::Refused(403)
        }
        (_, "/system/jwt/token" | "/system/jwt/rotate" | "/machines/m-0001/apps") => Expected::Refused(403),
        (_, "/apps/../system") => Expected::Refused(400),
        (_, "/nosuch") => Expected::Refused(404),
        // Ids of challenges are of another form here.
        (_, "/session/u2f") => Expected::Refused(400),
        _ => Expected::Forwarded,
    }
}

/// Headers that never reach the rack (design: identity, hop-by-hop, the CLI's own console state).
const STRIPPED: &[&str] = &[
    "authorization",
    "session",
    "rack",
    "cookie",
    "origin",
    "challenge",
    "x-convox-actor",
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
];
/// Headers that the gateway writes itself, on each hop anew.
const GATEWAYS: &[&str] = &[
    "authorization",
    "convox-actor",
    "convox-tid",
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "date",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gets_through_byte_for_byte() {
    for db in Db::each().await {
        let (rack, addr) = RecordedRack::start().await;
        let gateway = Gateway::start(&db, addr).await;
        let mut counts = BTreeMap::new();
        for exchange in exchanges() {
            rack.expect(&exchange);
            let outcome = drive(&gateway, &exchange, Some(&gateway.basic("admin"))).await;
            let expected = expected(&exchange);
            *counts.entry(format!("{expected:?}")).or_insert(0) += 1;
            match expected {
                Expected::Forwarded => same_at_both_ends(&exchange, &rack, &outcome).await,
                Expected::Own => not_forwarded(&exchange, &rack, &outcome, &[200, 404]),
                Expected::Refused(status) => not_forwarded(&exchange, &rack, &outcome, &[status]),
            }
        }
        let forwarded = counts["Forwarded"];
        assert!(forwarded > 300, "the recording is smaller than it was: {counts:?}");
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_exactly_the_reads() {
    let db = Db::sqlite().await;
    let (rack, addr) = RecordedRack::start().await;
    let gateway = Gateway::start(&db, addr).await;
    let mut passed = BTreeSet::new();
    for exchange in exchanges().into_iter().filter(|exchange| expected(exchange) == Expected::Forwarded) {
        rack.expect(&exchange);
        let outcome = drive(&gateway, &exchange, Some(&gateway.basic("viewer"))).await;
        if rack.received().is_empty() {
            assert!(outcome.is_denial(), "{}: {:?}", exchange.id, outcome.answer.start);
        } else {
            passed.insert(format!("{} {}", exchange.request.method, shape(&exchange)));
        }
    }
    let expected: BTreeSet<String> =
        include_str!("../../fixtures/cli/viewer-reads.txt").lines().map(str::to_owned).collect();
    assert_eq!(passed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_nothing() {
    let db = Db::sqlite().await;
    let (rack, addr) = RecordedRack::start().await;
    let gateway = Gateway::start(&db, addr).await;
    let unknown = basic("rgw_not-a-token");
    for (index, exchange) in exchanges().into_iter().enumerate() {
        rack.expect(&exchange);
        let credential = (index % 2 == 0).then_some(unknown.as_str());
        let outcome = drive(&gateway, &exchange, credential).await;
        let status = outcome.answer.status();
        assert!(
            status == 401 || (status == 400 && exchange.request.target.contains("..")),
            "{}: {status}",
            exchange.id
        );
        assert!(rack.received().is_empty(), "{}: the rack saw something", exchange.id);
    }
}

/// Names replaced, so that a list of routes can be read.
fn shape(exchange: &Exchange) -> String {
    let path = exchange.request.target.split('?').next().unwrap();
    let known = |part: &str| {
        let words = [
            "apps",
            "processes",
            "services",
            "logs",
            "builds",
            "system",
            "instances",
            "releases",
            "resources",
            "metrics",
            "budget",
            "cost",
            "balancers",
        ];
        words.contains(&part)
    };
    let suffix = if exchange.frames.is_some() { " (socket)" } else { "" };
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.is_empty() || known(part) { part } else { "*" }).collect();
    parts.join("/") + suffix
}

struct Outcome {
    answer: Message,
    socket: Option<Result<(), String>>,
}

impl Outcome {
    /// A shell is denied inside the terminal, everything else with 403.
    fn is_denial(&self) -> bool {
        self.answer.status() == 403 || (self.answer.status() == 101 && self.socket.as_ref().is_some_and(Result::is_err))
    }
}

async fn drive(gateway: &Gateway, exchange: &Exchange, authorization: Option<&str>) -> Outcome {
    let mut wire = Wire::connect(gateway.addr()).await;
    wire.send(&request_bytes(exchange, gateway.addr(), authorization)).await;
    let bodyless = exchange.request.method == "HEAD" || exchange.frames.is_some();
    let answer = wire.message(bodyless).await.unwrap_or_else(|| panic!("{}: no answer", exchange.id));
    let socket = match &exchange.frames {
        Some(frames) if answer.status() == 101 => Some(wire.play(Side::Client, frames).await),
        Some(_) | None => None,
    };
    Outcome { answer, socket }
}

fn not_forwarded(exchange: &Exchange, rack: &RecordedRack, outcome: &Outcome, statuses: &[u16]) {
    assert!(rack.received().is_empty(), "{}: the rack saw it", exchange.id);
    let status = outcome.answer.status();
    assert!(statuses.contains(&status), "{} {:?}: {status}", exchange.id, exchange.argv);
    if status >= 400 {
        let body: serde_json::Value = serde_json::from_slice(&outcome.answer.body).unwrap();
        let text = body["error"].as_str().unwrap_or_default();
        assert!(!text.is_empty() && !text.contains('%'), "{}: {body}", exchange.id);
    }
}

async fn same_at_both_ends(exchange: &Exchange, rack: &RecordedRack, outcome: &Outcome) {
    let received = rack.received();
    assert_eq!(received.len(), 1, "{} {:?}: {:?}", exchange.id, exchange.argv, outcome.answer);
    let (at_rack, sent) = (&received[0], &exchange.request);
    let mut start = at_rack.start.split(' ');
    assert_eq!(start.next(), Some(sent.method.as_str()), "{}", exchange.id);
    assert_eq!(canonical(start.next().unwrap()), canonical(&sent.target), "{}", exchange.id);
    let mut expected: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &sent.headers {
        // The client writes UTF-8, the peer reads bytes: compare bytes.
        let value = value.bytes().map(char::from).collect();
        expected.insert(name.to_ascii_lowercase(), value);
    }
    expected.retain(|name, _| !STRIPPED.contains(&name.as_str()));
    // What is read on the way must not come compressed.
    if is_read(exchange) {
        expected.remove("accept-encoding");
    }
    let mut got = at_rack.map();
    assert_eq!(got.get("convox-actor").map(String::as_str), Some("admin@example.com"), "{}", exchange.id);
    assert_eq!(got.get("authorization"), Some(&basic("the rack's password")), "{}", exchange.id);
    got.retain(|name, _| !GATEWAYS.contains(&name.as_str()));
    assert_eq!(got, expected, "{} {:?}", exchange.id, exchange.argv);
    assert_eq!(at_rack.body, bytes(sent.body.as_ref()), "{}", exchange.id);

    if exchange.response.status == 401 {
        // The rack refuses the gateway's own credential: nothing that the caller could put right.
        assert_eq!(outcome.answer.status(), 502, "{} {:?}", exchange.id, exchange.argv);
        return;
    }
    assert_eq!(outcome.answer.status(), exchange.response.status, "{} {:?}", exchange.id, exchange.argv);
    if exchange.frames.is_some() {
        assert_eq!(outcome.socket, Some(Ok(())), "{} {:?}: as the client saw it", exchange.id, exchange.argv);
        let finished = async {
            while rack.socket_result().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), finished).await.expect("the rack still waits for frames");
        assert_eq!(rack.socket_result(), Some(Ok(())), "{} {:?}: as the rack saw it", exchange.id, exchange.argv);
        return;
    }
    assert_eq!(outcome.answer.body, bytes(exchange.response.body.as_ref()), "{}", exchange.id);
    let got = outcome.answer.map();
    for (name, value) in &exchange.response.headers {
        if !["connection", "server"].contains(&name.to_ascii_lowercase().as_str()) {
            assert_eq!(got.get(&name.to_ascii_lowercase()), Some(value), "{}: {name}", exchange.id);
        }
    }
}

/// Whether the gateway looks into the answer.
fn is_read(exchange: &Exchange) -> bool {
    let kind = Kind::of(&exchange.request.method, exchange.frames.is_some());
    let target = Target::parse(&exchange.request.target).ok();
    match kind.zip(target).map(|(kind, target)| find(kind, target)) {
        Some(Found::Row(matched)) => {
            let contract = matched.row().contract;
            contract.redact.is_some() || contract.keys == Some(Keys::Parameters)
        }
        _ => false,
    }
}

/// A target with its query decoded: `api get` leaves a literal `?` at the end of a value, which the
/// gateway writes as `?`'s escape.
fn canonical(target: &str) -> String {
    target.replace("%3F", "?").trim_end_matches('?').to_owned()
}
