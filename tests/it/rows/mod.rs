//! Every row of the table × every kind of caller: status, text, records, and what the rack saw.

mod sample;

use std::collections::BTreeMap;

use rack_gateway::routes::{CONSOLE, Kind, RACK, Row, Serves};

use crate::harness::{Db, Gateway, basic, issuer};
use crate::replay::peer::Wire;
pub use sample::{CountingRack, errand, path, request, upgraded};

/// Which groups each role holds: `predecessor` roles over all routes, written here by hand so that the
/// policies are checked against something that is not Cedar.
pub fn may(role: &str, row: &Row) -> bool {
    let viewer: &[&str] = &["read", "build-read", "log-read", "console", "before-factor"];
    let ops: &[&str] = &["operate", "shell", "release-read"];
    let deployer: &[&str] = &["deploy", "env-read", "source-read"];
    let has = |groups: &[&str]| row.groups.iter().any(|group| groups.contains(group));
    match role {
        "viewer" => has(viewer),
        "ops" => has(viewer) || has(ops),
        "deployer" => has(viewer) || has(ops) || has(deployer),
        "admin" => true,
        "security" | "auditor" => has(&["read", "console", "before-factor"]),
        // A machine.
        "cicd" => has(&["read", "console"]),
        other => panic!("no such role: {other}"),
    }
}

const ROLES: &[&str] = &["viewer", "ops", "deployer", "admin", "cicd", "security", "auditor"];

#[tokio::test(flavor = "multi_thread")]
async fn every_row_for_every_role() {
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        for row in RACK.iter().chain(CONSOLE) {
            for role in ROLES {
                let context = format!("{} {} as {role}", row.kind, row.path);
                let allowed = may(role, row);
                let id = check(&gateway, &rack, row, Some(&gateway.basic(role)), |status| match allowed {
                    true if row.kind == Kind::Socket => status == 101,
                    // Nobody was asked for a second factor here, so there is nothing of theirs to show one for.
                    true if row.groups.contains(&"before-factor") => status == 404,
                    true => status == 200,
                    // A denied shell is told inside the terminal.
                    false => status == 403 || (status == 101 && row.kind == Kind::Socket),
                })
                .await;
                let forwarded = u32::from(allowed && row.serves == Serves::Rack);
                assert_eq!(rack.take(), forwarded, "{context}: what the rack saw");
                assert_records(&gateway, &id, row, allowed, &context).await;
            }
        }
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_for_strangers() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let expired = {
        let issuer = issuer(&gateway.running);
        let past = issuer.now - time::Duration::seconds(1);
        issuer.cli_token("admin@example.com", "old", None, past).await.unwrap().expose().to_owned()
    };
    let unknown = rack_gateway::identity::Token::generate().unwrap().expose().to_owned();
    let strangers: &[(&str, Option<String>, &str)] = &[
        ("no credential", None, "no credential was sent"),
        ("malformed", Some("Basic ***".to_owned()), "cannot be read"),
        ("the rack's own password", Some(basic("the rack's password")), "not known"),
        ("unknown", Some(basic(&unknown)), "not known"),
        ("expired", Some(basic(&expired)), "cli token is expired; run convox login gateway.example.com"),
    ];
    for row in RACK.iter().chain(CONSOLE) {
        for (who, authorization, text) in strangers {
            let context = format!("{} {} by {who}", row.kind, row.path);
            let mut wire = Wire::connect(gateway.addr()).await;
            wire.send(&request(row, gateway.addr(), authorization.as_deref())).await;
            let answer = wire.message(row.kind == Kind::Head).await.expect(&context);
            assert_eq!(answer.status(), 401, "{context}");
            if row.kind != Kind::Head {
                let body: serde_json::Value = serde_json::from_slice(&answer.body).expect(&context);
                assert!(body["error"].as_str().unwrap().contains(text), "{context}: {body}");
            }
            assert_eq!(rack.take(), 0, "{context}");
            let id = answer.header("rack-gateway-request-id").expect(&context).to_owned();
            let records = gateway.records_of(&id).await;
            assert_eq!(records.len(), 1, "{context}: {records:?}");
            assert_eq!(records[0]["kind"], "denial", "{context}");
            assert!(records[0].get("action").is_none(), "{context}: a stranger is not told apart by route");
        }
    }
    gateway.stop_and_verify().await;
}

/// Sends a sample of the row; returns the id of the request.
async fn check(
    gateway: &Gateway,
    rack: &CountingRack,
    row: &Row,
    authorization: Option<&str>,
    good: impl Fn(u16) -> bool,
) -> String {
    rack.take();
    let mut wire = Wire::connect(gateway.addr()).await;
    wire.send(&request(row, gateway.addr(), authorization)).await;
    let answer = wire.message(row.kind == Kind::Head || row.kind == Kind::Socket).await.expect(row.path);
    assert!(good(answer.status()), "{} {} with {authorization:?}: {answer:?}", row.kind, row.path);
    answer.header("rack-gateway-request-id").unwrap_or_else(|| panic!("{}: {answer:?}", row.path)).to_owned()
}

/// An allowed request leaves an intent and an outcome, any other one denial.
async fn assert_records(gateway: &Gateway, id: &str, row: &Row, allowed: bool, context: &str) {
    let expected: &[&str] = if allowed { &["intent", "outcome"] } else { &["denial"] };
    let records = gateway.records_until(id, expected.len()).await;
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, expected, "{context}");
    let first = &records[0];
    assert_eq!(first["action"], row.action, "{context}");
    // A machine is told that an approval would help, where it would.
    let is_lifted = !allowed && row.contract.step.is_some() && first["decision"] == "challenge";
    if is_lifted {
        assert_eq!(first["challenges"], serde_json::json!(["approval"]), "{context}");
    } else {
        assert_eq!(first["decision"], if allowed { "allow" } else { "deny" }, "{context}");
    }
    assert_eq!(first["resource"].as_str().unwrap().split("::").next(), Some(row.resource.entity_type()), "{context}");
    if allowed {
        assert!(!first["reasons"].as_array().unwrap().is_empty(), "{context}: an allow names its policy");
    }
}

#[test]
fn the_roles_differ() {
    let counts: BTreeMap<&str, usize> =
        ROLES.iter().map(|role| (*role, RACK.iter().filter(|row| may(role, row)).count())).collect();
    assert!(counts["viewer"] < counts["ops"] && counts["ops"] < counts["deployer"], "{counts:?}");
    assert!(counts["deployer"] < counts["admin"] && counts["cicd"] < counts["viewer"], "{counts:?}");
}
