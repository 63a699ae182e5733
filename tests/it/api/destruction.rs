//! The setting without which no app is deleted.

use rack_gateway::config::Catalog;
use rack_gateway::http::Launch;
use serde_json::{Value, json};

use super::{ask, plain, with};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json as body};

const SETTING: &str = "/api/v1/settings/allow_destructive_actions";

async fn start(db: &Db, rack: &CountingRack, catalog: Catalog) -> Gateway {
    Gateway::of(launch_with(db, rack.addr, |launch| Launch { catalog, ..launch }).await).await
}

/// What policy says to an admin who would delete an app.
async fn told(gateway: &Gateway) -> Value {
    let whoami = ask(gateway, gateway.token("admin"), Send::get("/api/v1/whoami"), 200).await;
    let actions = whoami["actions"].as_array().unwrap();
    actions.iter().find(|one| one["action"] == "app:delete").unwrap()["decision"].clone()
}

async fn delete(gateway: &Gateway, role: &str) -> (u16, String) {
    let answer = with(gateway.token(role), plain("DELETE", "/apps/shop")).to(gateway.addr()).await;
    let text = if answer.status() < 400 { String::new() } else { body(&answer)["error"].as_str().unwrap().to_owned() };
    (answer.status(), text)
}

async fn apps_are_deleted_only_while_the_setting_is_on(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = start(&db, &rack, Catalog::unpinned()).await;
    let admin = gateway.token("admin").to_owned();
    let (status, text) = delete(&gateway, "admin").await;
    assert_eq!(status, 403);
    assert!(text.contains("allow_destructive_actions") && text.contains("an administrator"), "{text}");
    assert_eq!((rack.take(), told(&gateway).await), (0, json!("deny")));
    let set = |value: bool, version: u64| {
        Send::json("PUT", SETTING, &json!({ "value": value })).header("If-Match", format!("\"v{version}\""))
    };
    ask(&gateway, &admin, set(true, 0), 200).await;
    assert_eq!(told(&gateway).await, "allow");
    assert_eq!(delete(&gateway, "admin").await.0, 200);
    assert_eq!(delete(&gateway, "deployer").await.0, 403, "the setting gives nobody anything");
    assert_eq!(rack.take(), 1);
    // With the next request it is off again.
    ask(&gateway, &admin, set(false, 1), 200).await;
    assert_eq!(delete(&gateway, "admin").await.0, 403);
    // Whoever writes past the API opens nothing: only what the API would take counts.
    for value in ["\"true\"", "1", "[true]", "true or so", "null"] {
        db.execute(&format!("UPDATE settings SET value = '{value}' WHERE name = 'allow_destructive_actions'")).await;
        assert_eq!(delete(&gateway, "admin").await.0, 403, "{value}");
    }
    assert_eq!(rack.take(), 0);
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_destruction_does_not_wait_for_it() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = start(&db, &rack, Catalog::unpinned()).await;
    let answer = with(gateway.token("admin"), plain("DELETE", "/apps/shop/objects/tmp/1.tgz")).to(gateway.addr()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(rack.take(), 1);
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_pins_it_off() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = start(&db, &rack, Catalog::unpinned().pin("allow_destructive_actions", json!(false))).await;
    let turn_on = Send::json("PUT", SETTING, &json!({ "value": true })).header("If-Match", "\"v0\"");
    ask(&gateway, gateway.token("admin"), turn_on, 409).await;
    assert_eq!(delete(&gateway, "admin").await.0, 403);
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(apps_are_deleted_only_while_the_setting_is_on);
}
