//! Notices of a gateway that serves: nobody waits for a receiver, and no crash loses one.

use rack_gateway::http::Launch;
use rack_gateway::store::MessageState;
use serde_json::{Value, json};

use super::{Receiver, SECRET, only};
use crate::api::{ask, person, plain, somebody};
use crate::harness::binary::{Serving, create_token};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway, until};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json as parsed};

mod both {
    crate::on_both!(nobody_waits_for_a_receiver, what_was_given_up_is_sent_by_hand, no_crash_loses_a_notice);
}

async fn gateway(db: &Db, rack: &CountingRack, receiver: &Receiver) -> Gateway {
    let settings = receiver.settings();
    Gateway::of(launch_with(db, rack.addr, |launch| Launch { webhook: Some(settings), ..launch }).await).await
}

async fn lock(gateway: &Gateway, user: &str) {
    let target = format!("/api/v1/users/{user}/lock");
    let body = json!({ "reason": "left for good" });
    ask(gateway, gateway.token("admin"), Send::json("POST", &target, &body), 200).await;
}

async fn listed(gateway: &Gateway, query: &str) -> Vec<Value> {
    let page = ask(gateway, gateway.token("auditor"), Send::get(&format!("/api/v1/outbox{query}")), 200).await;
    page["items"].as_array().unwrap().clone()
}

async fn ready(gateway: &Gateway) -> Value {
    let answer = Send::get("/api/v1/ready").to(gateway.addr()).await;
    assert_eq!(answer.status(), 200, "notices make no gateway unready");
    parsed(&answer)["outbox"].clone()
}

async fn nobody_waits_for_a_receiver(db: Db) {
    let (rack, receiver) = (CountingRack::start().await, Receiver::bind().await);
    let gateway = gateway(&db, &rack, &receiver).await;
    let (one, other) = (somebody(&gateway, "viewer").await, somebody(&gateway, "viewer").await);
    lock(&gateway, &one.id).await;
    // The receiver has it, and holds the connection open.
    let mut held = receiver.next().await;
    let by = person(&gateway, "admin").await.id;
    assert_eq!(held.body()["data"], json!({ "user": one.id, "by": by }));
    let sent = String::from_utf8_lossy(&held.message.body).into_owned();
    assert!(!sent.contains('@') && !sent.contains("left for good"), "{sent}");
    for _ in 0..20 {
        ask(&gateway, gateway.token("viewer"), Send::get("/api/v1/whoami"), 200).await;
    }
    lock(&gateway, &other.id).await;
    ask(&gateway, gateway.token("admin"), plain("POST", &format!("/api/v1/users/{}/unlock", other.id)), 204).await;
    let waiting = listed(&gateway, "?state=waiting").await;
    let kinds: Vec<_> = waiting.iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user.unlocked", "user.locked", "user.locked"]);
    assert_eq!(waiting[2]["id"], held.id());
    assert_eq!(ready(&gateway).await["state"], "on");
    held.answer("200 OK").await;
    receiver.take().await;
    receiver.take().await;
    until("all are sent", async || (listed(&gateway, "?state=sent").await.len() == 3).then_some(())).await;
    gateway.stop_and_verify().await;
}

async fn what_was_given_up_is_sent_by_hand(db: Db) {
    let (rack, receiver) = (CountingRack::start().await, Receiver::bind().await);
    let gateway = gateway(&db, &rack, &receiver).await;
    let admin = gateway.token("admin");
    lock(&gateway, &somebody(&gateway, "viewer").await.id).await;
    let mut delivery = receiver.next().await;
    let id = delivery.id().to_owned();
    let target = format!("/api/v1/outbox/{id}/retry");
    let problem = ask(&gateway, admin, plain("POST", &target), 409).await;
    assert_eq!(problem["type"], "/problems/notice-not-ended");
    delivery.answer("410 Gone").await;
    let said = until("it is given up", async || Some(ready(&gateway).await).filter(|said| said["dead"] == 1)).await;
    assert_eq!((&said["ok"], &said["waiting"]), (&json!(false), &json!(0)), "{said}");
    let dead = listed(&gateway, "?state=dead&limit=1").await.remove(0);
    assert_eq!((&dead["id"], &dead["attempts"], &dead["next_at"]), (&json!(id), &json!(1), &Value::Null));
    assert!(dead["last_error"].as_str().unwrap().contains("410"), "{dead}");
    for bad in ["?state=lost", "?limit=0", "?limit=201", "?cursor=!"] {
        ask(&gateway, admin, Send::get(&format!("/api/v1/outbox{bad}")), 422).await;
    }
    ask(&gateway, admin, plain("POST", "/api/v1/outbox/0192f0c1-2b3c-7def-8123-456789abcdef/retry"), 404).await;
    for role in ["viewer", "deployer", "auditor", "security", "cicd"] {
        ask(&gateway, gateway.token(role), plain("POST", &target), 403).await;
    }
    let retried = ask(&gateway, admin, plain("POST", &target), 200).await;
    assert_eq!((&retried["state"], &retried["attempts"]), (&json!("waiting"), &json!(0)));
    assert_eq!(receiver.take().await.id(), id);
    until("it is sent", async || (listed(&gateway, "?state=sent").await.len() == 1).then_some(())).await;
    ask(&gateway, admin, plain("POST", &target), 409).await;
    let records = gateway.records_about("notice:retry").await;
    let changes: Vec<_> = records.iter().filter(|record| record["kind"] == "admin").collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["detail"], json!({ "notice": id, "type": "user.locked" }));
    gateway.stop_and_verify().await;
}

async fn no_crash_loses_a_notice(db: Db) {
    let (rack, receiver, store) = (CountingRack::start().await, Receiver::bind().await, db.store().await);
    let url = db.url().await;
    let admin = create_token(&url, &["--user", "admin@example.com", "--role", "admin", "--name", "test"]).await;
    create_token(&url, &["--user", "eve@example.com", "--role", "viewer", "--name", "test"]).await;
    let eve = store.user_find_by_email("eve@example.com").await.unwrap().unwrap().id;
    let (hook, secret) = (receiver.url(), format!("whsec_{SECRET}"));
    let more = [("WEBHOOK_URL", hook.as_str()), ("WEBHOOK_SECRET", secret.as_str())];
    let serving = Serving::start(&url, rack.addr, &more).await.unwrap();
    let target = format!("/api/v1/users/{eve}/lock");
    let lock = Send::json("POST", &target, &json!({ "reason": "left" }));
    let answer = lock.header("Authorization", format!("Bearer {admin}")).to(serving.addr).await;
    assert_eq!(answer.status(), 200);
    let first = receiver.next().await;
    serving.kill().await;
    assert_eq!(only(&store).await.state, MessageState::Waiting, "nobody knows whether it arrived");
    let serving = Serving::start(&url, rack.addr, &more).await.unwrap();
    let second = receiver.take().await;
    assert_eq!((second.id(), second.body()), (first.id(), first.body()));
    until("it is noted", async || (only(&store).await.state == MessageState::Sent).then_some(())).await;
    let metrics = until("it is measured", async || {
        let answer = Send::get("/metrics").to(serving.metrics).await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.contains("rack_gateway_outbox_waiting 0").then_some(text)
    })
    .await;
    assert!(metrics.contains("rack_gateway_outbox_attempts_total{result=\"sent\"} 1"), "{metrics}");
    assert!(receiver.is_untouched().await, "exactly what was caused");
    store.close().await;
    serving.process.signal("TERM").await;
    let (status, _, said) = serving.process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("notices are sent") && !said.contains("key=1") && !said.contains(SECRET), "{said}");
}
