//! What the stock CLI sends passes unchanged.

use rack_gateway::routes::{Found, Kind, Target, find};
use serde_json::Value;

const EXCHANGES: &str = include_str!("../../fixtures/cli/exchanges.jsonl");

/// Targets of the recording that are refused, and why: the console that was recorded numbered its
/// challenges otherwise; the rest is refused on purpose.
const REFUSED: &[(&str, &str)] = &[
    ("/apps/../system?", "target-dot-segment"),
    ("/nosuch?", "unknown-route"),
    ("/session/u2f?", "bad-parameter"),
    ("/machines/m-0001/apps?", "refused-route"),
    ("/organizations/acme/runtimes?", "refused-route"),
    ("/racks/acme/prod/runtimes?", "refused-route"),
    ("/racks/acme/prod/workflows?", "refused-route"),
    ("/racks/acme/staging?", "refused-route"),
    ("/system/jwt/token?", "refused-route"),
    ("/system/jwt/rotate?", "refused-route"),
];

fn pairs(request: &Value) -> Vec<(String, Vec<u8>)> {
    let pair = |pair: &Value| {
        let text = |index: usize| pair[index].as_str().expect("a string").to_owned();
        (text(0).to_lowercase(), text(1).into_bytes())
    };
    request["headers"].as_array().expect("headers").iter().map(pair).collect()
}

#[test]
fn what_the_cli_sends_is_forwarded_as_it_is() {
    let mut passed = 0;
    let mut forms = 0;
    for line in EXCHANGES.lines() {
        let exchange: Value = serde_json::from_str(line).expect("JSON");
        let request = &exchange["request"];
        let (method, raw) = (request["method"].as_str().expect("method"), request["target"].as_str().expect("target"));
        let headers = pairs(request);
        let socket = headers.iter().any(|(name, _)| name == "upgrade");
        let kind = Kind::of(method, socket).expect("a known method");
        let refused = REFUSED.iter().find(|(target, _)| *target == raw).map(|(_, slug)| *slug);
        let target = match Target::parse(raw) {
            Ok(target) => target,
            Err(error) => {
                assert_eq!(Some(error.slug()), refused, "{raw}");
                continue;
            }
        };
        let matched = match find(kind, target) {
            Found::Row(matched) => matched,
            other => {
                assert_eq!(other.slug(), refused, "{method} {raw}");
                continue;
            }
        };
        let borrowed: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let outgoing = matched.request(&borrowed).unwrap_or_else(|error| panic!("{kind} {raw}: {error}"));
        assert_eq!(outgoing.target.replace("cpu%3F", "cpu?"), raw);
        for (name, value) in &borrowed {
            let identity = ["host", "authorization", "session", "rack", "origin", "connection", "upgrade", "challenge"];
            let gone = identity.contains(name) || name.starts_with("sec-websocket-") || name.ends_with("-actor");
            let framing = ["content-length", "transfer-encoding"].contains(name);
            let kept = outgoing.headers.iter().any(|(known, kept)| known == name && kept == value);
            assert_eq!(kept, !(gone || framing), "{kind} {raw}: {name}");
        }
        if let (Some(body), rack_gateway::routes::Body::Form { .. }) = (request["body"].as_str(), outgoing.body) {
            let form = outgoing.form(body.as_bytes()).unwrap_or_else(|error| panic!("{kind} {raw}: {error}"));
            assert_eq!(form.encode(), body);
            forms += usize::from(!body.is_empty());
        }
        passed += 1;
    }
    assert!(passed > 380 && forms > 35, "{passed} requests, {forms} forms");
}
