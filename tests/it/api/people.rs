//! People and their sessions.

use rack_gateway::store::UserRow;
use rack_gateway::upstream::Limits;
use serde_json::json;

use super::{ask, at_the_browser, at_the_cli, from_page, person, plain, somebody, with};
use crate::harness::gateway::{launch, without_step_up};
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json as body_of};

async fn a_person_from_invitation_to_removal(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let new = json!({ "email": "Ada@Example.com", "name": "Ada", "roles": ["ops", "ops"] });
    let answer = with(&admin, Send::json("POST", "/api/v1/users", &new)).to(gateway.addr()).await;
    assert_eq!(answer.status(), 201);
    let made = body_of(&answer);
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}");
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!((&made["email"], &made["roles"]), (&json!("ada@example.com"), &json!(["ops"])));
    assert_eq!(made["created_by"], person(&gateway, "admin").await.id);
    let records = gateway.records_of(answer.header("rack-gateway-request-id").unwrap()).await;
    assert_eq!(records[1]["action"], "user-role:grant");
    assert_eq!(records[1]["resource"], format!("UserRole::{id}/ops"));
    let detail = records[2]["detail"].as_object().unwrap();
    assert_eq!(detail.keys().collect::<Vec<_>>(), ["roles", "user"], "no e-mail in clear");
    assert_eq!(gateway.beside(&records[2], "email").await.as_deref(), Some("ada@example.com"));
    // Never an upsert.
    let again = json!({ "email": "ada@example.com", "roles": ["admin"] });
    ask(&gateway, &admin, Send::json("POST", "/api/v1/users", &again), 409).await;
    assert_eq!(ask(&gateway, &admin, Send::get(&path), 200).await, made);

    let rename = || Send::json("PUT", &path, &json!({ "name": "Ada L." }));
    ask(&gateway, &admin, rename(), 428).await;
    for stale in ["\"v7\"", "v1", "*"] {
        let problem = ask(&gateway, &admin, rename().header("If-Match", stale), 412).await;
        assert_eq!(problem["type"], "/problems/stale", "{stale}");
    }
    let changed = ask(&gateway, &admin, rename().header("If-Match", made["etag"].as_str().unwrap()), 200).await;
    assert_eq!((&changed["name"], &changed["etag"]), (&json!("Ada L."), &json!("\"v2\"")));
    ask(&gateway, &admin, rename().header("If-Match", made["etag"].as_str().unwrap()), 412).await;

    for (method, roles) in [("PUT", json!(["ops", "viewer"])), ("DELETE", json!(["ops"]))] {
        let target = format!("{path}/roles/viewer");
        for _ in 0..2 {
            ask(&gateway, &admin, plain(method, &target), 204).await;
        }
        assert_eq!(ask(&gateway, &admin, Send::get(&path), 200).await["roles"], roles);
    }
    for method in ["PUT", "DELETE"] {
        ask(&gateway, &admin, plain(method, &format!("{path}/roles/emperor")), 422).await;
    }
    let lock = format!("{path}/lock");
    ask(&gateway, &admin, Send::json("POST", &lock, &json!({ "reason": " " })), 422).await;
    let row = gateway.running.gate.store.user_find(&id).await.unwrap().unwrap();
    let session = at_the_cli(&gateway, &row).await;
    let ended = ask(&gateway, &admin, Send::json("POST", &lock, &json!({ "reason": "left" })), 200).await;
    assert_eq!(ended, json!({ "revoked": 1 }));
    ask(&gateway, &session, Send::get("/api/v1/whoami"), 401).await;
    let locked = ask(&gateway, &admin, Send::get(&path), 200).await;
    assert_eq!(locked["locked"]["reason"], "left");
    assert_eq!(locked["locked"]["by"], person(&gateway, "admin").await.id);
    ask(&gateway, &admin, plain("POST", &format!("{path}/unlock")), 204).await;
    assert!(ask(&gateway, &admin, Send::get(&path), 200).await["locked"].is_null());
    ask(&gateway, &admin, plain("DELETE", &path), 204).await;
    for (method, target) in [("GET", path.clone()), ("DELETE", path.clone()), ("PUT", format!("{path}/roles/ops"))] {
        ask(&gateway, &admin, plain(method, &target), 404).await;
    }
    gateway.stop_and_verify().await;
}

async fn what_cannot_be_is_said(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let before = gateway.running.gate.store.user_list(None, 1000).await.unwrap();
    let long = "x".repeat(300);
    for (body, status) in [
        (json!({ "email": "nobody" }), 422),
        (json!({ "email": "a@b@c" }), 422),
        (json!({ "email": "a b@example.com" }), 422),
        (json!({ "email": format!("{long}@example.com") }), 422),
        (json!({ "email": "a@example.com", "name": "" }), 422),
        (json!({ "email": "a@example.com", "name": "a\nb" }), 422),
        (json!({ "email": "a@example.com", "roles": ["emperor"] }), 422),
        (json!({ "email": "a@example.com", "roles": "admin" }), 400),
        (json!({ "email": "a@example.com", "locked": true }), 400),
        (json!({ "name": "a" }), 400),
        (json!([]), 400),
    ] {
        let problem = ask(&gateway, &admin, Send::json("POST", "/api/v1/users", &body), status).await;
        assert!(problem["error"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    for query in ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=***"] {
        ask(&gateway, &admin, Send::get(&format!("/api/v1/users?{query}")), 422).await;
    }
    assert_eq!(gateway.running.gate.store.user_list(None, 1000).await.unwrap(), before);
    gateway.stop_and_verify().await;
}

async fn lists_go_on_where_they_ended(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let user = somebody(&gateway, "viewer").await;
    for _ in 0..5 {
        at_the_cli(&gateway, &user).await;
    }
    for (list, key) in [("/api/v1/users".to_owned(), "email"), (format!("/api/v1/users/{}/sessions", user.id), "id")] {
        let whole = ask(&gateway, &admin, Send::get(&list), 200).await;
        assert!(whole["next"].is_null());
        let keys = |page: &serde_json::Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
        };
        let expected = keys(&whole);
        for limit in 1..=expected.len() + 1 {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = ask(&gateway, &admin, Send::get(&format!("{list}?limit={limit}{cursor}")), 200).await;
                assert!(page["items"].as_array().unwrap().len() <= limit);
                seen.extend(keys(&page));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{list} by {limit}");
        }
    }
    gateway.stop_and_verify().await;
}

async fn sessions_are_seen_and_ended(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let user = somebody(&gateway, "viewer").await;
    let own = format!("/api/v1/users/{}/sessions", user.id);
    let [one, two, three] =
        [at_the_cli(&gateway, &user).await, at_the_cli(&gateway, &user).await, at_the_cli(&gateway, &user).await];
    let page = at_the_browser(&gateway, &user).await;
    let items = ask(&gateway, &one, Send::get(&own), 200).await["items"].clone();
    let items = items.as_array().unwrap().clone();
    assert_eq!(items.len(), 4);
    assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
    assert_eq!(items[0]["kind"], "web-session");
    assert_eq!((&items[0]["source_ip"], &items[0]["user_agent"]), (&json!("192.0.2.7"), &json!("test")));
    assert_eq!(items[1]["kind"], "cli-session");
    let id_of = |session: serde_json::Value| session["credential"]["id"].as_str().unwrap().to_owned();
    let of_two = id_of(ask(&gateway, &two, Send::get("/api/v1/whoami"), 200).await);
    // Only under its own person's name, and no other kind of credential.
    let other = person(&gateway, "ops").await;
    let admin = gateway.token("admin").to_owned();
    ask(&gateway, &admin, plain("DELETE", &format!("/api/v1/users/{}/sessions/{of_two}", other.id)), 404).await;
    let cicd = id_of(ask(&gateway, gateway.token("cicd"), Send::get("/api/v1/whoami"), 200).await);
    ask(&gateway, &admin, plain("DELETE", &format!("{own}/{cicd}")), 404).await;
    ask(&gateway, &two, Send::get("/api/v1/whoami"), 200).await;
    ask(&gateway, &one, plain("DELETE", &format!("{own}/{of_two}")), 204).await;
    ask(&gateway, &two, Send::get("/api/v1/whoami"), 401).await;
    // The one that asks stays; an administrator leaves none.
    assert_eq!(ask(&gateway, &one, plain("DELETE", &own), 200).await, json!({ "revoked": 2 }));
    ask(&gateway, &three, Send::get("/api/v1/whoami"), 401).await;
    assert_eq!(from_page(&page, gateway.addr(), Send::get("/api/v1/whoami")).await.status(), 401);
    ask(&gateway, &one, Send::get("/api/v1/whoami"), 200).await;
    assert_eq!(ask(&gateway, &admin, plain("DELETE", &own), 200).await, json!({ "revoked": 1 }));
    ask(&gateway, &one, Send::get("/api/v1/whoami"), 401).await;
    gateway.stop_and_verify().await;
}

async fn a_token_for_ones_own_cli(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let user = person(&gateway, "viewer").await;
    let browser = at_the_browser(&gateway, &user).await;
    let target = format!("/api/v1/users/{}/cli-tokens", user.id);
    for (days, status) in [(json!(0), 422), (json!(31), 422), (json!("x"), 400)] {
        let body = json!({ "name": "laptop", "expires_in_days": days });
        let answer = from_page(&browser, gateway.addr(), Send::json("POST", &target, &body)).await;
        assert_eq!(answer.status(), status, "{days}");
    }
    let body = json!({ "name": "laptop", "expires_in_days": 2 });
    let answer = from_page(&browser, gateway.addr(), Send::json("POST", &target, &body)).await;
    assert_eq!(answer.status(), 201, "{answer:?}");
    let made = body_of(&answer);
    let token = made["token"].as_str().unwrap();
    assert_eq!(made["how"][0], format!("convox login gateway.example.com -t {token}"));
    assert_eq!(made["how"][1], format!("export RACK_URL=https://convox:{token}@gateway.example.com"));
    let who = ask(&gateway, token, Send::get("/api/v1/whoami"), 200).await;
    assert_eq!((&who["principal"]["id"], &who["credential"]["id"]), (&json!(user.id), &made["id"]));
    assert_eq!((&who["credential"]["kind"], &who["roles"]), (&json!("cli-session"), &json!(["viewer"])));
    // A token gives out no tokens.
    ask(&gateway, token, Send::json("POST", &target, &body), 403).await;
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        a_person_from_invitation_to_removal,
        what_cannot_be_is_said,
        lists_go_on_where_they_ended,
        sessions_are_seen_and_ended,
        a_token_for_ones_own_cli,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_by_one_replica_holds_on_the_other() {
    let db = Db::postgres().await;
    let rack = CountingRack::start().await;
    let here = Gateway::start(&db, rack.addr).await;
    let policy = without_step_up();
    let there = launch(&db, rack.addr, policy, Limits::default()).await;
    let admin = here.token("admin").to_owned();
    let addr = there.addr;
    let status = |token: String| async move { with(&token, Send::get("/api/v1/users")).to(addr).await.status() };
    let of = |user: &UserRow, rest: &str| format!("/api/v1/users/{}{rest}", user.id);
    let users =
        [somebody(&here, "security").await, somebody(&here, "security").await, somebody(&here, "security").await];
    let mut tokens = Vec::new();
    for user in &users {
        tokens.push(at_the_cli(&here, user).await);
        assert_eq!(status(tokens.last().unwrap().clone()).await, 200);
    }
    ask(&here, &admin, plain("DELETE", &of(&users[0], "/roles/security")), 204).await;
    assert_eq!(status(tokens[0].clone()).await, 403, "demoted");
    ask(&here, &admin, Send::json("POST", &of(&users[1], "/lock"), &json!({ "reason": "left" })), 200).await;
    assert_eq!(status(tokens[1].clone()).await, 401, "locked");
    ask(&here, &admin, plain("DELETE", &of(&users[2], "")), 204).await;
    assert_eq!(status(tokens[2].clone()).await, 401, "deleted");
    there.stop().await;
    here.stop_and_verify().await;
}
