//! An approval is given with a factor for this very request.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{APP, COMMIT, stored};
use crate::api::from_page;
use crate::harness::Db;
use crate::sign_in::{Send, json as parsed};
use crate::step_up::{Person, Stage};

mod both {
    crate::on_both!(an_approval_needs_a_factor_for_this_very_request);
}

async fn an_approval_needs_a_factor_for_this_very_request(db: Db) {
    let stage = Stage::new(&db).await;
    let gate = &stage.gateway.running.gate;
    let mut targets = Vec::new();
    for n in 0..2 {
        let commit = if n == 0 { COMMIT.to_owned() } else { "f".repeat(40) };
        let new = stored(&Uuid::now_v7().to_string(), APP, &commit, gate.clock.now());
        let (row, _) = gate.store.approval_request(new, gate.clock.now()).await.unwrap();
        targets.push((row.id.clone(), format!("/api/v1/apps/{APP}/deploy-approvals/{}/approve", row.id)));
    }
    let mut admin = Person::enrolled(&stage, "admin").await;
    let send = |target: &'static str, body: &Value| Send::json("POST", target, body);
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let (one, two) = (leak(&targets[0].1), leak(&targets[1].1));
    let body = json!({ "notes": "Fine" });

    // The factor that was enrolled just now opens the window, and is none for this request.
    let asked = from_page(&admin.browser, stage.addr(), send(one, &body)).await;
    assert_eq!(asked.status(), 401, "{}", String::from_utf8_lossy(&asked.body));
    let challenge = parsed(&asked)["challenge"]["id"].as_str().unwrap().to_owned();
    let answered = admin.answer(stage.addr(), &challenge).await;
    assert!(answered.status() < 300, "{}", String::from_utf8_lossy(&answered.body));
    // It opens no other request, and not this one with another text.
    for (target, body) in [(two, &body), (one, &json!({ "notes": "Other" }))] {
        let asked = from_page(&admin.browser, stage.addr(), send(target, body)).await;
        assert_eq!(asked.status(), 401, "{}", String::from_utf8_lossy(&asked.body));
    }
    let state = async |id: &str| gate.store.approval_find(id).await.unwrap().unwrap().state.as_str();
    assert_eq!(state(&targets[0].0).await, "pending");
    let approved = from_page(&admin.browser, stage.addr(), send(one, &body)).await;
    assert_eq!(approved.status(), 200, "{}", String::from_utf8_lossy(&approved.body));
    assert_eq!(parsed(&approved)["state"], "approved");
    // Once.
    let again = from_page(&admin.browser, stage.addr(), send(one, &body)).await;
    assert_eq!(again.status(), 401, "{}", String::from_utf8_lossy(&again.body));
    assert_eq!(state(&targets[1].0).await, "pending");
    assert_eq!(stage.rack.take(), 0);
    stage.gateway.stop_and_verify().await;
}
