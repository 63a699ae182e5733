//! Who becomes a person of the gateway, and who stays the same one.

use serde_json::json;

use super::{Browser, Send, gateway, invite, json as body};
use crate::harness::Db;
use crate::harness::provider::{Account, Knobs, Provider};

mod both {
    crate::on_both!(an_address_that_changes_hands_is_not_the_person);
}

async fn an_address_that_changes_hands_is_not_the_person(db: Db) {
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    let user = invite(&running, "alice@example.com", &["admin"]).await;
    assert_eq!(Browser::default().sign_in(running.addr, &provider).await.status(), 303);
    // The provider gave the address to somebody else.
    provider.set(|knobs| knobs.claims = json!({ "sub": "somebody-else" }));
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(running.addr, &provider).await.status(), 403);
    assert_eq!(browser.session(), None);
    // The person has another address now: still the same person.
    provider.set(|knobs| *knobs = Knobs { claims: json!({ "email": "alice.b@example.com" }), ..Knobs::default() });
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(running.addr, &provider).await.status(), 303);
    let me = body(&browser.send(running.addr, Send::get("/api/v1/whoami")).await);
    assert_eq!(me["principal"]["id"], json!(user));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_made_without_an_invitation() {
    let db = Db::sqlite().await;
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    provider.choose(Account::new("bob"));
    assert_eq!(Browser::default().sign_in(running.addr, &provider).await.status(), 403);
    assert!(running.gate.store.user_find_by_email("bob@example.com").await.unwrap().is_none());
    running.stop().await;
}
