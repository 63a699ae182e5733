//! What the CLI asks a console for, and what it must read.

use serde_json::{Value, json};

use super::client::{Ask, error, id, json, text};
use super::intent_and_outcome;
use crate::harness::{Db, Gateway, basic, issuer};
use crate::rows::CountingRack;

/// One for each database, which lives as long as it is held.
async fn each() -> Vec<(Db, CountingRack, Gateway)> {
    let mut all = Vec::new();
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        all.push((db, rack, gateway));
    }
    all
}

fn rack() -> Value {
    json!({
        "Name": "dev",
        "Organization": { "Name": "acme" },
        "Provider": "unknown",
        "Status": "running",
        "Deletable": false,
        "Parameters": null,
        "State": null,
        "Version": "unknown",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_sees_one_rack() {
    for (_db, rack_behind, gateway) in each().await {
        let user = gateway.running.gate.store.user_find_by_email("viewer@example.com").await.unwrap().unwrap();
        let cases = [
            ("/auth?", "console:login", 200, json!({ "id": user.id })),
            ("/racks?", "console-rack:list", 200, json!([rack()])),
            ("/racks/acme/dev?", "console-rack:read", 200, rack()),
            ("/machines?", "console-machine:list", 200, json!([])),
            ("/racks/acme/other?", "console-rack:read", 404, Value::Null),
            ("/racks/other/dev?", "console-rack:read", 404, Value::Null),
        ];
        for (target, action, status, expected) in cases {
            let answer = Ask::get(target, &gateway.basic("viewer")).send(gateway.addr()).await;
            assert_eq!(answer.status(), status, "{target}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
            if status == 200 {
                assert_eq!(json(&answer), expected, "{target}");
                assert!(text(&answer).ends_with('\n'), "{target}");
            } else {
                assert_eq!(error(&answer), "no such rack on this gateway", "{target}");
            }
            let records = gateway.records_until(id(&answer), 2).await;
            let (intent, outcome) = intent_and_outcome(&records);
            assert_eq!((&intent["action"], &intent["decision"]), (&json!(action), &json!("allow")), "{target}");
            assert_eq!(intent["resource"], "Rack::acme/dev", "{target}");
            assert_eq!(intent["actor"], json!({ "id": user.id, "type": "User" }), "{target}");
            assert_eq!((&outcome["result"], &outcome["status"]), (&json!("completed"), &json!(status)), "{target}");
            assert_eq!(outcome["bytes_out"], answer.body.len(), "{target}");
        }
        assert_eq!(rack_behind.take(), 0, "the console is the gateway's own");
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_good_no_more_say_so_in_the_only_words_that_show() {
    for (_db, rack, gateway) in each().await {
        let store = gateway.running.gate.store.clone();
        let issuer = issuer(&gateway.running);
        let past = issuer.now - time::Duration::seconds(1);
        let expired = issuer.cli_token("admin@example.com", "old", None, past).await.unwrap();
        let revoked =
            issuer.cli_token("admin@example.com", "lost", None, issuer.now + time::Duration::days(1)).await.unwrap();
        let row = store.credential_find(&revoked.hash().0).await.unwrap().unwrap();
        let before = basic(revoked.expose());
        assert_eq!(Ask::get("/auth?", &before).send(gateway.addr()).await.status(), 200);
        issuer.revoke(&row.id).await.unwrap();
        let unknown = rack_gateway::identity::Token::generate().unwrap();
        for (what, token, refusal, shown) in [
            ("expired", expired, "credential-expired", "cli token is expired; run convox login gateway.example.com"),
            ("revoked", revoked, "credential-revoked", "cli token is expired; run convox login gateway.example.com"),
            ("unknown", unknown, "credential-unknown", "the credential is not known; run convox login"),
        ] {
            for target in ["/auth?", "/racks?", "/racks/acme/dev?", "/machines?"] {
                let answer = Ask::get(target, &basic(token.expose())).send(gateway.addr()).await;
                assert_eq!(answer.status(), 401, "{what} {target}");
                // `Session` would make the CLI open a browser.
                assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"rack-gateway\""), "{what}");
                assert!(error(&answer).contains(shown), "{what} {target}: {}", error(&answer));
                // A caller that was met before is remembered up to the first record after the change.
                let is_first = what == "revoked" && target == "/auth?";
                let records = gateway.records_until(id(&answer), if is_first { 3 } else { 1 }).await;
                let (denials, others): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["kind"] == "denial");
                assert_eq!((denials.len(), others.len()), (1, if is_first { 2 } else { 0 }), "{what} {target}");
                assert_eq!(denials[0]["detail"]["refusal"], refusal, "{what} {target}");
                if is_first {
                    let others: Vec<Value> = others.into_iter().cloned().collect();
                    let (_, outcome) = intent_and_outcome(&others);
                    assert_eq!(outcome["result"], "abandoned", "nothing was done: {outcome}");
                }
            }
        }
        assert_eq!(rack.take(), 0);
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_console_end_at_the_gateway() {
    for (_db, rack, gateway) in each().await {
        for target in ["/racks?", "/racks/acme/dev?", "/machines?", "/apps?", "/system?"] {
            let authorization = gateway.basic("viewer");
            let ask = Ask::get(target, &authorization).header("Rack", "acme/dev").header("Session", "");
            assert_eq!(ask.send(gateway.addr()).await.status(), 200, "{target}");
        }
        assert_eq!(rack.take(), 2, "two of them are the rack's");
        let forwarded = rack.last().unwrap();
        for name in ["rack", "session"] {
            assert_eq!(forwarded.header(name), None, "{forwarded:?}");
        }
        // The gateway's own credential, not the caller's.
        assert_eq!(forwarded.header("authorization"), Some(basic(crate::harness::RACK_PASSWORD).as_str()));
        assert_eq!(forwarded.header("convox-actor"), Some("viewer@example.com"));
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rack_is_neither_made_nor_changed_here() {
    for (_db, rack, gateway) in each().await {
        for (method, target) in [
            ("POST", "/racks"),
            ("POST", "/racks/dev/install"),
            ("DELETE", "/racks/dev"),
            ("PUT", "/racks/acme/dev"),
            ("POST", "/racks/acme/dev/sync"),
            ("GET", "/racks/acme/dev/workflows"),
            ("GET", "/organizations/acme/runtimes"),
            ("GET", "/machines/m1/apps"),
        ] {
            let authorization = gateway.basic("admin");
            let answer = Ask::new(method, target, &authorization).send(gateway.addr()).await;
            assert_eq!(answer.status(), 403, "{method} {target}: {answer:?}");
            assert!(error(&answer).starts_with("refused: "), "{method} {target}: {answer:?}");
            let records = gateway.records_of(id(&answer)).await;
            assert_eq!(records.len(), 1, "{method} {target}");
            assert_eq!(records[0]["detail"]["refusal"], "refused-route", "{method} {target}");
            assert_eq!(records[0]["path"], target, "{method} {target}");
        }
        assert_eq!(rack.take(), 0);
        gateway.stop_and_verify().await;
    }
}
