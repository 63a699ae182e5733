//! Waiting for a decision.

use std::time::Duration;

use serde_json::{Value, json};

use super::{COMMIT, Scene, path, wanted};
use crate::api::{plain, with};
use crate::harness::Db;
use crate::replay::peer::{Message, Wire};
use crate::sign_in::Send;

mod both {
    crate::on_both!(whoever_waits_is_told_when_it_is_decided);
}

/// Begins to wait; the head of the answer is there when this returns.
async fn begin(scene: &Scene, token: &str, made: &Value, timeout: u32) -> (Wire, Message) {
    let mut wire = Wire::connect(scene.addr()).await;
    let head = format!(
        "GET {}/wait?timeout={timeout} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: Bearer {token}\r\n\r\n",
        path(made)
    );
    wire.send(head.as_bytes()).await;
    let head = wire.head().await.expect("a head at once");
    assert_eq!(head.status(), 200);
    assert_eq!(head.header("content-type"), Some("application/json"));
    (wire, head)
}

/// The rest of the answer: none when the connection breaks off.
async fn rest(wire: &mut Wire) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.extend(wire.exactly(1).await?);
        }
        let size = usize::from_str_radix(String::from_utf8(size).unwrap().trim(), 16).unwrap();
        body.extend(wire.exactly(size).await?);
        wire.exactly(2).await?;
        if size == 0 {
            return Some(body);
        }
    }
}

async fn whoever_waits_is_told_when_it_is_decided(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, admin) = (scene.gateway.token("cicd").to_owned(), scene.gateway.token("admin").to_owned());
    for (n, (deed, body, state)) in [
        ("approve", json!({}), "approved"),
        ("reject", json!({ "reason": "No" }), "rejected"),
        ("revoke", json!({ "reason": "No" }), "revoked"),
    ]
    .into_iter()
    .enumerate()
    {
        let made = scene.request(&ci, &wanted(&format!("{n:040x}")), 201).await;
        let (mut wire, head) = begin(&scene, &ci, &made, 600).await;
        scene.deed(&admin, &made, deed, &body, 200).await;
        let told: Value = serde_json::from_slice(&rest(&mut wire).await.unwrap()).unwrap();
        assert_eq!((&told["id"], &told["state"]), (&made["id"], &json!(state)));
        let records = scene.gateway.records_until(head.header("rack-gateway-request-id").unwrap(), 2).await;
        assert_eq!(records[1]["result"], "completed", "{records:?}");
        // Whoever comes later does not wait.
        let again = scene.ask(&ci, Send::get(&format!("{}/wait", path(&made))), 200).await;
        assert_eq!(again["state"], state);
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_has_an_end() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    let told = scene.ask(&ci, Send::get(&format!("{}/wait?timeout=1", path(&made))), 200).await;
    assert_eq!(told["state"], "pending");
    for timeout in ["0", "1201", "-1", "x", "1.5", ""] {
        scene.ask(&ci, Send::get(&format!("{}/wait?timeout={timeout}", path(&made))), 422).await;
    }
    let (_, other) = scene.token_of(&scene.admin().await, "another").await;
    scene.ask(&other, Send::get(&format!("{}/wait?timeout=1", path(&made))), 403).await;
    // Its time is over while somebody waits.
    let (mut wire, _) = begin(&scene, &ci, &made, 600).await;
    scene.pass(time::Duration::hours(23));
    scene.pass(time::Duration::minutes(61));
    // The token has ended by then, so nothing is said.
    assert_eq!(rest(&mut wire).await, None);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_shut_out_is_told_nothing() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let admin = scene.gateway.token("admin").to_owned();
    let (id, ci) = scene.token_of(&scene.admin().await, "runner").await;
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    let (mut wire, _) = begin(&scene, &ci, &made, 600).await;
    scene.ask(&admin, plain("DELETE", &format!("/api/v1/api-tokens/{id}")), 204).await;
    scene.approve(&admin, &made, 200).await;
    assert_eq!(rest(&mut wire).await, None);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_its_outcome() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    let (wire, head) = begin(&scene, &ci, &made, 600).await;
    drop(wire);
    let records = scene.gateway.records_until(head.header("rack-gateway-request-id").unwrap(), 2).await;
    assert_eq!(records[1]["result"], "client_gone", "{records:?}");
    // And somebody who keeps waiting is kept awake.
    let (mut wire, _) = begin(&scene, &ci, &made, 600).await;
    let awake = tokio::time::timeout(Duration::from_secs(15), wire.exactly(4)).await.expect("something");
    assert_eq!(awake.as_deref(), Some(&b"1\r\n\n"[..]));
    drop(wire);
    let answer = with(&ci, Send::get("/api/v1/whoami")).to(scene.addr()).await;
    assert_eq!(answer.status(), 200);
    scene.gateway.running.stop().await;
    scene.rack.stop().await;
}
