//! A browser signs in: the way there and back, and everything that must not work.

use serde_json::json;

use super::{Browser, Send, gateway, invite, json as body};
use crate::harness::provider::{Account, Knobs, Provider, parameter};
use crate::harness::signer::Algorithm;
use crate::harness::{Db, parse_record};

mod both {
    crate::on_both!(a_person_signs_in_and_out, nothing_else_lets_anybody_in);
}

async fn a_person_signs_in_and_out(db: Db) {
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    let user = invite(&running, "alice@example.com", &["viewer"]).await;
    let mut browser = Browser::default();
    let url = browser.leave(running.addr, "/app/cli-token").await;
    for (name, value) in [("response_type", "code"), ("code_challenge_method", "S256")] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value));
    }
    let answer = browser.come_back(running.addr, &provider.visit(&url)).await;
    assert_eq!((answer.status(), answer.header("location")), (303, Some("/app/cli-token")));
    assert!(browser.cookies.keys().eq(["__Host-rgw_session"]), "the cookie of the way is gone");

    let me = body(&browser.send(running.addr, Send::get("/api/v1/whoami")).await);
    assert_eq!(me["principal"], json!({ "type": "User", "id": user }));
    assert_eq!((&me["email"], &me["credential"]["kind"]), (&json!("alice@example.com"), &json!("web-session")));
    assert_eq!(me["roles"], json!(["viewer"]));

    // Another session of the same person: the account is bound now.
    let again = Browser::default().sign_in(running.addr, &provider).await;
    assert_eq!(again.status(), 303);

    let stolen = browser.session().unwrap().to_owned();
    let out = || Send { method: "POST", target: "/api/v1/auth/logout", headers: Vec::new(), body: String::new() };
    assert_eq!(browser.send(running.addr, out()).await.status(), 403, "without token and origin");
    let csrf = browser.csrf();
    let send = out().header("Origin", super::ORIGIN).header("X-CSRF-Token", csrf);
    assert_eq!(browser.send(running.addr, send).await.status(), 204);
    assert_eq!(browser.session(), None);
    let answer =
        Send::get("/api/v1/whoami").header("Cookie", format!("__Host-rgw_session={stolen}")).to(running.addr).await;
    assert_eq!(answer.status(), 401, "the session is over everywhere");

    let records: Vec<_> = running.gate.store.records_after(0, 1000).await.unwrap().iter().map(parse_record).collect();
    let of = |action: &str| records.iter().filter(|record| record["action"] == action).collect::<Vec<_>>();
    assert_eq!(of("user:bind").len(), 1);
    let created = of("session:create");
    assert_eq!(created[0]["reasons"], json!(["gateway.sign-in"]));
    assert_eq!(created[0]["kind"], "intent");
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains(&stolen) && !text.contains("code="), "a secret is on the record");
    running.stop().await;
}

/// What the provider says, and how the callback answers.
async fn nothing_else_lets_anybody_in(db: Db) {
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    invite(&running, "alice@example.com", &["viewer"]).await;
    invite(&running, "norole@example.com", &[]).await;
    let locked = invite(&running, "locked@example.com", &["admin"]).await;
    running.gate.store.user_lock(&locked, "left", "test", running.gate.clock.now()).await.unwrap();
    let right = Knobs::default();
    let claims = |claims: serde_json::Value| Knobs { claims, ..right.clone() };
    let account = |name: &str| Knobs { account: Account::new(name), ..right.clone() };
    let now = running.gate.clock.now().unix_timestamp();
    let cases = [
        ("nonce", claims(json!({ "nonce": "another" })), 403),
        ("issuer", claims(json!({ "iss": "https://evil.example" })), 403),
        ("audience", claims(json!({ "aud": "another" })), 403),
        ("expired", claims(json!({ "exp": now - 3600, "iat": now - 7200 })), 403),
        ("unverified", claims(json!({ "email_verified": false })), 403),
        ("domain", claims(json!({ "email": "alice@evil.example" })), 403),
        ("algorithm", Knobs { algorithm: Algorithm::Hs256, ..right.clone() }, 403),
        ("unknown person", account("mallory"), 403),
        ("no role", account("norole"), 403),
        ("locked", account("locked"), 403),
    ];
    for (name, knobs, status) in cases {
        provider.set(|turned| *turned = knobs);
        let mut browser = Browser::default();
        let answer = browser.sign_in(running.addr, &provider).await;
        assert_eq!(answer.status(), status, "{name}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(browser.session(), None, "{name}");
        let id = answer.header("rack-gateway-request-id").unwrap();
        let records = running.gate.store.records_by_request(id, 10).await.unwrap();
        assert!(records.iter().map(parse_record).any(|record| record["kind"] == "denial"), "{name}: not on the record");
    }
    provider.set(|knobs| *knobs = right.clone());

    // The way itself.
    let mut browser = Browser::default();
    let url = browser.leave(running.addr, "/app").await;
    let back = provider.visit(&url);
    let mut other = Browser::default();
    other.leave(running.addr, "/app").await;
    assert_eq!(other.come_back(running.addr, &back).await.status(), 403, "another browser");
    assert_eq!(browser.come_back(running.addr, &back).await.status(), 400, "a state is good once, whoever had it");

    let url = browser.leave(running.addr, "/app").await;
    let back = provider.visit(&url);
    assert_eq!(browser.come_back(running.addr, &back).await.status(), 303);
    assert_eq!(browser.come_back(running.addr, &back).await.status(), 400, "a replay");

    let mut forged = back.clone();
    forged.query_pairs_mut().clear().append_pair("state", "made-up").append_pair("code", "made-up");
    assert_eq!(browser.come_back(running.addr, &forged).await.status(), 400, "a state that nobody began");

    let url = browser.leave(running.addr, "/app").await;
    let mut crossed = provider.visit(&url);
    crossed.set_path("/api/v1/auth/cli/callback");
    assert_eq!(browser.come_back(running.addr, &crossed).await.status(), 400, "the callback of the other channel");

    let url = browser.leave(running.addr, "/app").await;
    let (replayed, state) = (provider.visit(&url), parameter(&url, "state").unwrap());
    let used = parameter(&back, "code").unwrap();
    let mut replayed_code = replayed.clone();
    replayed_code
        .query_pairs_mut()
        .clear()
        .append_pair("state", &state)
        .append_pair("code", &used)
        .append_pair("iss", provider.issuer());
    assert_eq!(browser.come_back(running.addr, &replayed_code).await.status(), 403, "a code that was used");

    let url = browser.leave(running.addr, "/app").await;
    let mut refused = provider.visit(&url);
    let state = parameter(&url, "state").unwrap();
    refused
        .query_pairs_mut()
        .clear()
        .append_pair("state", &state)
        .append_pair("error", "access_denied")
        .append_pair("error_description", "<script>alert(1)</script>");
    let answer = browser.come_back(running.addr, &refused).await;
    assert_eq!(answer.status(), 403);
    assert!(!String::from_utf8_lossy(&answer.body).contains("<script>"), "what the provider says is escaped");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_locked_on_the_way_does_not_come_in() {
    let db = Db::sqlite().await;
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    let user = invite(&running, "alice@example.com", &["viewer"]).await;
    let mut browser = Browser::default();
    let url = browser.leave(running.addr, "/app").await;
    running.gate.store.user_lock(&user, "left", "test", running.gate.clock.now()).await.unwrap();
    assert_eq!(browser.come_back(running.addr, &provider.visit(&url)).await.status(), 403);
    assert_eq!(browser.session(), None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_end_on_another_replica_and_on_no_other_page() {
    let db = Db::postgres().await;
    let provider = Provider::start();
    let (here, there) = (gateway(&db, &provider).await, gateway(&db, &provider).await);
    invite(&here, "alice@example.com", &["viewer"]).await;
    let mut browser = Browser::default();
    let url = browser.leave(here.addr, "https://evil.example/app").await;
    let answer = browser.come_back(there.addr, &provider.visit(&url)).await;
    assert_eq!((answer.status(), answer.header("location")), (303, Some("/app")));
    for addr in [here.addr, there.addr] {
        assert_eq!(browser.send(addr, Send::get("/api/v1/whoami")).await.status(), 200);
    }
    here.stop().await;
    there.stop().await;
}
