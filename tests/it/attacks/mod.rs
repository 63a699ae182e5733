//! Every hostile request of `tests/fixtures/hostile-targets.json`, as an administrator would send it,
//! over the wire: refused, recorded, nothing at the rack; or without what is hostile in it.

use crate::harness::{Db, Gateway};
use crate::replay::peer::{Message, Wire};
use crate::routes::hostile::{Case, cases};
use crate::rows::CountingRack;

fn bytes(case: &Case, authorization: &str) -> Vec<u8> {
    let mut out = format!(
        "{} {} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {authorization}\r\n",
        case.method, case.target
    );
    if let Some(value) = &case.upgrade {
        out += &format!("Connection: Upgrade\r\nUpgrade: {value}\r\nSec-WebSocket-Version: 13\r\n");
        out += "Sec-WebSocket-Key: j1p6Oko7l6ZS+XPD7QBSSg==\r\n";
    }
    if let Some(value) = &case.content_type {
        out += &format!("Content-Type: {value}\r\n");
    }
    for (name, value) in &case.headers {
        out += &format!("{name}: {value}\r\n");
    }
    let body = case.body.as_deref().unwrap_or_default();
    if !body.is_empty() {
        out += &format!("Content-Length: {}\r\n", body.len());
    }
    format!("{out}\r\n{body}").into_bytes()
}

/// What the HTTP parser refuses before there is a request: no principal, no route, nothing to record.
const NO_REQUEST: &[&str] = &["two lengths", "length twice", "chunked twice"];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_over_the_wire() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.wire != Some(false)).collect();
    assert!(cases.len() >= 200, "the corpus shrank: {}", cases.len());
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        let authorization = gateway.basic("admin");
        for case in &cases {
            rack.take();
            let mut wire = Wire::connect(gateway.addr()).await;
            wire.send(&bytes(case, &authorization)).await;
            let bodyless = case.method == "HEAD";
            let mut answer = wire.message(bodyless).await.unwrap_or_else(|| panic!("{}: no answer", case.name));
            if answer.status() == 100 {
                answer = wire.message(bodyless).await.unwrap_or_else(|| panic!("{}: no final answer", case.name));
            }
            check(case, &answer, &gateway, &rack).await;
        }
        gateway.stop_and_verify().await;
    }
}

async fn check(case: &Case, answer: &Message, gateway: &Gateway, rack: &CountingRack) {
    if case.expect_status == 200 {
        let good = if case.upgrade.is_some() { 101 } else { 200 };
        assert_eq!(answer.status(), good, "{}: {answer:?}", case.name);
        let forwarded = rack.last().unwrap_or_else(|| panic!("{}: not forwarded", case.name));
        let text =
            format!("{}\n{:?}\n{}", forwarded.start, forwarded.headers, String::from_utf8_lossy(&forwarded.body));
        for hostile in &case.absent {
            assert!(!text.contains(hostile.as_str()), "{}: the rack saw {hostile}: {text}", case.name);
        }
        return;
    }
    assert_eq!(answer.status(), case.expect_status, "{}: {answer:?}", case.name);
    assert_eq!(rack.take(), 0, "{}: the rack saw it", case.name);
    let Some(id) = answer.header("rack-gateway-request-id") else {
        assert!(NO_REQUEST.contains(&case.name.as_str()), "{}: {answer:?}", case.name);
        return;
    };
    let records = gateway.records_of(id).await;
    assert_eq!(records.len(), 1, "{}: {records:?}", case.name);
    assert_eq!(records[0]["kind"], "denial", "{}", case.name);
    assert_eq!(records[0]["detail"]["refusal"], case.expect, "{}", case.name);
    assert_eq!(records[0]["status"], case.expect_status, "{}", case.name);
}
