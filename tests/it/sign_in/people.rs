//! Who becomes a person of the gateway, and who stays the same one.

use rack_gateway::http::{Launch, PolicySource};
use serde_json::json;

use super::{Browser, Send, gateway, invite, json as body};
use crate::harness::Db;
use crate::harness::gateway::launch_with;
use crate::harness::policies::Policies;
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

/// The settings of the gateway decide who comes uninvited, `roles.json` what a group gives.
#[tokio::test(flavor = "multi_thread")]
async fn people_come_uninvited_where_the_settings_say_so() {
    for db in Db::each().await {
        let provider = Provider::start();
        let policies = Policies::copy();
        let roles = std::fs::read_to_string(policies.file("policies/roles.json")).unwrap();
        let given = roles.replace("\"name\": \"ops\",", "\"name\": \"ops\", \"groups\": [\"on-call\"],");
        assert_ne!(roles, given);
        policies.write("policies/roles.json", &given);
        let policy = PolicySource { dir: Some(policies.dir()), rack: "acme/dev".to_owned() };
        let settings = provider.settings();
        let running =
            launch_with(&db, super::nowhere(), |launch| Launch { sign_in: Some(settings), policy, ..launch }).await;
        let set = async |name: &str, value: serde_json::Value| {
            let now = running.gate.clock.now();
            running.gate.store.setting_put(name, &value, "test", None, now).await.unwrap();
        };
        let member = |name: &str, groups: serde_json::Value| {
            provider.set(|knobs| {
                *knobs = Knobs { account: Account::new(name), claims: json!({ "groups": groups }), ..Knobs::default() };
            });
        };
        let come = async || {
            let mut browser = Browser::default();
            let status = browser.sign_in(running.addr, &provider).await.status();
            if status != 303 {
                return (status, serde_json::Value::Null);
            }
            (status, body(&browser.send(running.addr, Send::get("/api/v1/whoami")).await)["roles"].clone())
        };
        set("user_creation", json!("groups")).await;
        member("greta", json!(["on-call"]));
        assert_eq!(come().await, (303, json!(["ops"])));
        member("greta", json!([]));
        assert_eq!(come().await.0, 403, "the group gave the role, and it is gone");
        member("hugo", json!(["elsewhere"]));
        assert_eq!(come().await.0, 403, "a group that gives nothing");
        assert!(running.gate.store.user_find_by_email("hugo@example.com").await.unwrap().is_none());

        set("user_creation", json!("domain")).await;
        assert_eq!(come().await.0, 403, "a person without any role does not come in");
        set("default_roles", json!(["viewer"])).await;
        member("ines", json!([]));
        assert_eq!(come().await, (303, json!(["viewer"])));
        running.stop().await;
    }
}
