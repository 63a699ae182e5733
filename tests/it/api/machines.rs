//! API tokens: limits, rotation, and that their secrets are nowhere.

use serde_json::{Value, json};

use super::{ask, person, plain, run, with};
use crate::harness::{Db, Gateway, parse_record};
use crate::rows::CountingRack;
use crate::sign_in::Send;

const TOKENS: &str = "/api/v1/api-tokens";

async fn create(gateway: &Gateway, body: &Value, status: u16) -> Value {
    ask(gateway, gateway.token("admin"), Send::json("POST", TOKENS, body), status).await
}

fn path(made: &Value) -> String {
    format!("{TOKENS}/{}", made["token"]["id"].as_str().unwrap())
}

async fn a_token_from_making_to_revocation(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let wanted = json!({ "name": "deploys", "roles": ["deployer"], "expires_in_days": 30 });
    let made = create(&gateway, &wanted, 201).await;
    let (secret, path) = (made["secret"].as_str().unwrap().to_owned(), path(&made));
    // A principal of its own, never its owner.
    let who = ask(&gateway, &secret, Send::get("/api/v1/whoami"), 200).await;
    assert_eq!(who["principal"], json!({ "type": "ApiToken", "id": made["token"]["id"] }));
    assert_eq!((&who["email"], &who["roles"]), (&json!(""), &json!(["deployer"])));
    assert_eq!(made["token"]["created_by"], person(&gateway, "admin").await.id);
    for target in ["/api/v1/users", TOKENS, "/api/v1/settings"] {
        ask(&gateway, &secret, Send::get(target), 403).await;
    }
    create(&gateway, &wanted, 409).await;
    let read = ask(&gateway, &admin, Send::get(&path), 200).await;
    assert_eq!(read["state"], "live");

    let update = |body: Value| Send::json("PUT", &path, &body).header("If-Match", "\"v1\"");
    ask(&gateway, &admin, update(json!({ "network": "here" })), 422).await;
    ask(&gateway, &admin, update(json!({ "apps": ["a/b"] })), 422).await;
    ask(&gateway, &admin, update(json!({ "roles": ["admin"] })), 400).await;
    let limits = json!({ "network": "203.0.113.9/24", "apps": ["shop"] });
    let changed = ask(&gateway, &admin, update(limits), 200).await;
    assert_eq!((&changed["network"], &changed["name"]), (&json!("203.0.113.0/24"), &json!("deploys")));
    // Nobody believes a header that says where it comes from.
    let forged = with(&secret, Send::get("/api/v1/whoami")).header("X-Forwarded-For", "203.0.113.5");
    assert_eq!(forged.to(gateway.addr()).await.status(), 403);
    ask(&gateway, &admin, update(json!({ "network": null })), 412).await;
    let open = Send::json("PUT", &path, &json!({ "network": null, "apps": [] })).header("If-Match", "\"v2\"");
    assert!(ask(&gateway, &admin, open, 200).await["network"].is_null());
    ask(&gateway, &secret, Send::get("/api/v1/whoami"), 200).await;

    for (method, roles) in [("PUT", json!(["deployer", "viewer"])), ("DELETE", json!(["deployer"]))] {
        let target = format!("{path}/roles/viewer");
        for _ in 0..2 {
            ask(&gateway, &admin, plain(method, &target), 204).await;
        }
        assert_eq!(ask(&gateway, &admin, Send::get(&path), 200).await["roles"], roles);
    }
    ask(&gateway, &admin, plain("PUT", &format!("{path}/roles/emperor")), 422).await;
    ask(&gateway, &admin, plain("DELETE", &path), 204).await;
    ask(&gateway, &secret, Send::get("/api/v1/whoami"), 401).await;
    assert_eq!(ask(&gateway, &admin, Send::get(&path), 200).await["state"], "revoked");
    // The name is free again.
    create(&gateway, &wanted, 201).await;
    gateway.stop_and_verify().await;
}

async fn a_rotated_secret_works_for_as_long_as_is_said(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let made = create(&gateway, &json!({ "name": "runner", "roles": ["cicd"], "expires_in_days": 1 }), 201).await;
    let target = format!("{}/rotate", path(&made));
    let rotate = |minutes: Value, version: u64| {
        let body = json!({ "overlap_minutes": minutes });
        Send::json("POST", &target, &body).header("If-Match", format!("\"v{version}\""))
    };
    for (minutes, status) in [(json!(168 * 60 + 1), 422), (json!(-1), 400), (json!("1"), 400)] {
        ask(&gateway, &admin, rotate(minutes, 1), status).await;
    }
    let second = ask(&gateway, &admin, rotate(json!(60), 1), 200).await;
    let whoami = || Send::get("/api/v1/whoami");
    let [one, two] = [&made, &second].map(|made| made["secret"].as_str().unwrap().to_owned());
    for secret in [&one, &two] {
        ask(&gateway, secret, whoami(), 200).await;
    }
    assert!(!second["token"]["previous_until"].is_null());
    ask(&gateway, &admin, rotate(json!(0), 1), 412).await;
    let third = ask(&gateway, &admin, rotate(json!(0), 2), 200).await;
    for (secret, status) in [(&one, 401), (&two, 401)] {
        ask(&gateway, secret, whoami(), status).await;
    }
    ask(&gateway, third["secret"].as_str().unwrap(), whoami(), 200).await;
    ask(&gateway, &admin, plain("DELETE", &path(&made)), 204).await;
    ask(&gateway, &admin, rotate(json!(0), 4), 409).await;
    gateway.stop_and_verify().await;
}

async fn secrets_are_nowhere(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let made = create(&gateway, &json!({ "name": "runner", "roles": ["cicd"], "expires_in_days": 1 }), 201).await;
    let rotate = format!("{}/rotate", path(&made));
    let second = Send::json("POST", &rotate, &json!({})).header("If-Match", "\"v1\"");
    let second = ask(&gateway, &admin, second, 200).await;
    let secrets = [&made, &second].map(|made| made["secret"].as_str().unwrap().to_owned());
    let mut said = String::new();
    for target in [TOKENS.to_owned(), path(&made)] {
        said += &ask(&gateway, &admin, Send::get(&target), 200).await.to_string();
    }
    for record in gateway.records().await {
        said += &parse_record(&record).to_string();
    }
    let hashes =
        secrets.each_ref().map(|secret| hex::encode(rack_gateway::identity::Token::parse(secret).unwrap().hash().0));
    for hidden in secrets.iter().chain(&hashes) {
        assert!(!said.contains(hidden.as_str()));
    }
    assert!(said.contains("overlap_minutes"), "the records are there");
    gateway.stop_and_verify().await;
    if let Some(file) = db.file() {
        let bytes = std::fs::read(file).unwrap();
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

async fn what_cannot_be_is_said(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let good = json!({ "name": "ci", "roles": ["cicd"], "expires_in_days": 1 });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, status) in [
        (with("name", json!("")), 422),
        (with("roles", json!([])), 422),
        (with("roles", json!(["emperor"])), 422),
        (with("expires_in_days", json!(0)), 422),
        (with("expires_in_days", json!(366)), 422),
        (with("network", json!("10.0.0.0/33")), 422),
        (with("apps", json!([""])), 422),
        (with("owner", json!("me")), 400),
        (json!({ "name": "ci", "roles": ["cicd"] }), 400),
    ] {
        create(&gateway, &body, status).await;
    }
    let admin = gateway.token("admin").to_owned();
    // A session is no API token, whatever its id.
    let who = ask(&gateway, &admin, Send::get("/api/v1/whoami"), 200).await;
    let session = format!("{TOKENS}/{}", who["credential"]["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        ask(&gateway, &admin, plain(method, &session), 404).await;
    }
    ask(&gateway, &admin, Send::get("/api/v1/whoami"), 200).await;
    gateway.stop_and_verify().await;
}

async fn a_ci_run_knows_who_it_is(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let who = ask(&gateway, &run(&gateway).await, Send::get("/api/v1/whoami"), 200).await;
    assert_eq!(who["principal"]["type"], "Workload");
    assert_eq!((&who["credential"]["kind"], &who["roles"]), (&json!("workload-token"), &json!([])));
    let may = |action: &str| {
        let actions = who["actions"].as_array().unwrap();
        actions.iter().find(|one| one["action"] == action).unwrap()["decision"].clone()
    };
    assert_eq!((may("account:read"), may("user:list")), (json!("allow"), json!("deny")));
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        a_token_from_making_to_revocation,
        a_rotated_secret_works_for_as_long_as_is_said,
        secrets_are_nowhere,
        what_cannot_be_is_said,
        a_ci_run_knows_who_it_is,
    );
}
