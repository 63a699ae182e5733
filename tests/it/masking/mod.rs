//! What of the rack's answers is masked, for whom, and that a record says what was not.

mod planted;
mod rack;
mod releases;

use rack_gateway::routes::{Kind, RACK, Redactor, Row};
use serde_json::Value;

use self::rack::{PLANTED, SpeakingRack, answer, is_list, written};
use crate::harness::{Db, Gateway};
use crate::replay::peer::{Message, Wire};
use crate::rows::{may, request};

const ROLES: &[&str] = &["viewer", "ops", "deployer", "admin", "cicd", "security", "auditor"];

fn redacted() -> impl Iterator<Item = (&'static Row, Redactor)> {
    RACK.iter().filter_map(|row| Some((row, row.contract.redact?)))
}

/// Sends a sample of the row as somebody.
pub async fn ask(gateway: &Gateway, row: &Row, role: &str) -> Message {
    let mut wire = Wire::connect(gateway.addr()).await;
    wire.send(&request(row, gateway.addr(), Some(&gateway.basic(role)))).await;
    wire.message(row.kind == Kind::Head).await.expect(row.path)
}

pub fn row(action: &str) -> &'static Row {
    RACK.iter().find(|row| row.action == action).expect(action)
}

/// The records that say what was shown, of one request.
pub async fn shown(gateway: &Gateway, answer: &Message) -> Vec<Value> {
    let id = answer.header("rack-gateway-request-id").expect("an id");
    gateway.records_of(id).await.into_iter().filter(|record| record["kind"] == "admin").collect()
}

/// The same shape: strings may differ, nothing else may.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| alike(one, other)))
        }
        (one, other) => one == other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_redacted_row_for_every_role() {
    assert!(redacted().count() >= 28, "{}", redacted().count());
    for db in Db::each().await {
        let rack = SpeakingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        for (row, redactor) in redacted() {
            let said = answer(redactor, is_list(row));
            rack.say(200, written(&said));
            let secrets: Vec<&str> =
                PLANTED.iter().copied().filter(|secret| said.to_string().contains(secret)).collect();
            assert!(!secrets.is_empty(), "{}", row.action);
            for role in ROLES.iter().filter(|role| may(role, row)) {
                let context = format!("{} as {role}", row.action);
                let message = ask(&gateway, row, role).await;
                assert_eq!(message.status(), 200, "{context}");
                let text = String::from_utf8(message.body.clone()).expect(&context);
                let seen: Vec<&str> = secrets.iter().copied().filter(|secret| text.contains(secret)).collect();
                let shown = shown(&gateway, &message).await;
                if *role == "admin" {
                    assert_eq!(text, written(&said), "{context}: byte for byte");
                    assert!(!shown.is_empty(), "{context}: a record says what was shown");
                    for record in shown {
                        let action = record["action"].as_str().unwrap();
                        assert!(action.ends_with(":read") && action != row.action, "{context}: {record}");
                        assert!(!record["detail"]["names"].as_str().unwrap().is_empty(), "{context}: {record}");
                        assert!(
                            !PLANTED.iter().any(|secret| record.to_string().contains(secret)),
                            "{context}: {record}"
                        );
                    }
                    continue;
                }
                assert_eq!(seen, Vec::<&str>::new(), "{context}: {text}");
                assert_eq!(shown, Vec::<Value>::new(), "{context}: nothing secret was shown");
                let masked: Value = serde_json::from_str(&text).expect(&context);
                assert!(alike(&masked, &said), "{context}: {text}");
                assert!(text.contains("********") && text == written(&masked), "{context}: {text}");
            }
        }
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_stays_to_the_byte() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let cases = [
        ("rack:read", "{\n  \"name\": \"dev\",\n  \"parameters\": {\n    \"b\": \"true\",\n    \"a\": \"x\"\n  }\n}\n"),
        ("app:list", "[]\n"),
        ("app:read", "{\"name\":\"myapp\",\"parameters\":{}}"),
        ("process:list", "[\n  {\n    \"id\": \"web-1\",\n    \"command\": \"bin/web \\u0026 wait\"\n  }\n]\n"),
        ("resource:read", "{\n  \"name\": \"cache\",\n  \"url\": \"memcached://cache:11211\"\n}\n"),
        ("build:list", "ok\n"),
    ];
    for (action, said) in cases {
        rack.say(200, said);
        let message = ask(&gateway, row(action), "viewer").await;
        assert_eq!(String::from_utf8(message.body.clone()).unwrap(), said, "{action}");
        assert_eq!(shown(&gateway, &message).await, Vec::<Value>::new(), "{action}");
    }
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_a_resource_stays() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    rack.say(200, written(&answer(Redactor::Resource, false)));
    let message = ask(&gateway, row("resource:read"), "viewer").await;
    let masked: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(masked["url"], "postgres://app:********@db.example.test:5432/app?sslpassword=********");
    let url = url::Url::parse(masked["url"].as_str().unwrap()).unwrap();
    assert_eq!((url.host_str(), url.port()), (Some("db.example.test"), Some(5432)));
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_passed_on() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let secret = PLANTED[0];
    let long = format!("[\"{}{secret}\"]", "x".repeat(9 << 20));
    let odd = [
        format!("{secret}\n"),
        format!("{{\"url\": \"{secret}\""),
        format!("{{\"url\": \"a\", \"url\": \"postgres://u:{secret}@h\"}}"),
        format!("{{}}{secret}"),
        long,
    ];
    for said in odd {
        for action in ["resource:read", "release:read", "rack:read"] {
            for role in ["ops", "admin"] {
                rack.say(200, said.clone());
                let message = ask(&gateway, row(action), role).await;
                assert_eq!(message.status(), 502, "{action} as {role}");
                assert!(!String::from_utf8_lossy(&message.body).contains(secret), "{action} as {role}");
            }
        }
    }
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_repeat_secrets() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let said = "cannot reach postgres://u:planted-url-5tR4@db: API_TOKEN=planted-env-3kX9 for release R1\n";
    for (action, role) in [("release:read", "ops"), ("resource:list", "viewer"), ("rack:read", "admin")] {
        rack.say(500, said);
        let message = ask(&gateway, row(action), role).await;
        assert_eq!(message.status(), 500, "{action}");
        let text = String::from_utf8(message.body).unwrap();
        assert_eq!(text, "cannot reach postgres://u:********@db: API_TOKEN=******** for release R1\n", "{action}");
    }
    rack.say(404, "release not found: R1\n");
    let message = ask(&gateway, row("release:read"), "ops").await;
    assert_eq!((message.status(), &*message.body), (404, &b"release not found: R1\n"[..]), "the rack's own words");
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_shown_once_is_not_lost_behind_a_mask() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let policies = crate::harness::policies::Policies::copy();
    let forbid = "@id(\"test.no-keys\")\n@why(\"nobody reads the rack's credentials\")\n\
                  forbid (principal, action == Action::\"rack-credential:read\", resource);\n";
    policies.write("policies/test.cedar", forbid);
    // The cases of the repository say otherwise.
    policies.write("policies/tests/roles.json", "[]");
    let gateway =
        Gateway::start_with(&db, rack.addr, Some(policies.dir()), rack_gateway::upstream::Limits::default()).await;
    rack.say(200, written(&answer(Redactor::InstanceKey, false)));
    let message = ask(&gateway, row("instance:keyroll"), "admin").await;
    assert_eq!(message.status(), 403, "refused before there is a new key");
    assert_eq!(*rack.seen.lock().unwrap(), Vec::<String>::new());
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_not_stored_in_place_of_a_secret() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let cases = [
        ("PUT /apps/myapp/configs/app.conf", "value=YT0qKioqKioqKgo%3D"),
        ("POST /registries", "server=r&username=u&password=********"),
        ("PUT /resources/database", "parameters=Password%3D********%40R1"),
        ("PUT /letsencrypt/config", "{\"solvers\":[{\"token\":\"********\"}]}"),
    ];
    for (start, body) in cases {
        let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let mut wire = Wire::connect(gateway.addr()).await;
        let head = format!(
            "{start} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            gateway.basic("admin"),
            body.len()
        );
        wire.send(head.as_bytes()).await;
        let message = wire.message(false).await.unwrap();
        assert_eq!(message.status(), 400, "{start}: {message:?}");
        assert!(String::from_utf8_lossy(&message.body).contains("mask"), "{start}");
    }
    assert_eq!(*rack.seen.lock().unwrap(), Vec::<String>::new());
    gateway.stop_and_verify().await;
}
