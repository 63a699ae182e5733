//! Two at once.

use futures_util::future::join_all;
use serde_json::json;

use super::{COMMIT, Scene, path, text, wanted};
use crate::harness::Db;
use crate::sign_in::{Send, json as parsed};

mod both {
    crate::on_both!(many_ask_for_the_same, approvers_meet, saying_yes_and_no_at_once, extending_at_once);
}

async fn many_ask_for_the_same(db: Db) {
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let target = "/api/v1/apps/myapp/deploy-approvals";
    let asking = (0..8).map(|_| scene.send(&ci, Send::json("POST", target, &wanted(COMMIT))));
    let answers = join_all(asking).await;
    let ids: Vec<_> = answers.iter().map(|answer| text(&parsed(answer)["id"])).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    assert_eq!(scene.store().approvals_list(super::lists::all()).await.unwrap().len(), 1);
    assert_eq!(scene.notices(&parsed(&answers[0])).await, ["deploy-approval.requested"]);
    scene.stop().await;
}

async fn approvers_meet(db: Db) {
    let (scene, _policies) = Scene::with_quorum(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let admins = [scene.admin().await, scene.admin().await, scene.admin().await, scene.admin().await];
    for n in 0..5 {
        let made = scene.request(&ci, &wanted(&format!("{n:040x}")), 201).await;
        let target = format!("{}/approve", path(&made));
        let approving = admins.iter().map(|admin| scene.send(&admin.token, Send::json("POST", &target, &json!({}))));
        let answers = join_all(approving).await;
        for answer in &answers {
            assert!([200, 409].contains(&answer.status()), "{}", String::from_utf8_lossy(&answer.body));
        }
        let row = scene.row(&made).await;
        assert_eq!(row.state.as_str(), "approved");
        assert!(row.votes.len() >= 2, "{row:?}");
        assert_eq!(scene.notices(&made).await, ["deploy-approval.requested", "deploy-approval.approved"]);
    }
    scene.stop().await;
}

async fn saying_yes_and_no_at_once(db: Db) {
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let [one, two] = [scene.admin().await, scene.admin().await];
    for n in 0..5 {
        let made = scene.request(&ci, &wanted(&format!("{n:040x}")), 201).await;
        let (yes, no) = (format!("{}/approve", path(&made)), format!("{}/reject", path(&made)));
        let reason = json!({ "reason": "No" });
        let (approved, rejected) = tokio::join!(
            scene.send(&one.token, Send::json("POST", &yes, &json!({}))),
            scene.send(&two.token, Send::json("POST", &no, &reason)),
        );
        // A rejection holds before and after the approval.
        assert_eq!(rejected.status(), 200, "{}", String::from_utf8_lossy(&rejected.body));
        assert!([200, 409].contains(&approved.status()), "{}", String::from_utf8_lossy(&approved.body));
        let row = scene.row(&made).await;
        assert_eq!(row.state.as_str(), "rejected");
        let granted = scene.notices(&made).await.contains(&"deploy-approval.approved".to_owned());
        assert_eq!(row.approved_at.is_some(), granted);
    }
    scene.stop().await;
}

async fn extending_at_once(db: Db) {
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let admin = scene.admin().await;
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    scene.approve(&admin.token, &made, 200).await;
    let target = format!("{}/extend", path(&made));
    for _ in 0..2 {
        let extending = (0..6).map(|_| scene.send(&admin.token, crate::api::plain("POST", &target)));
        for answer in join_all(extending).await {
            assert!([200, 403, 409].contains(&answer.status()), "{}", String::from_utf8_lossy(&answer.body));
        }
    }
    let row = scene.row(&made).await;
    assert!((2..=3).contains(&row.extensions), "{}", row.extensions);
    assert_eq!((row.expires_at - row.approved_at.unwrap()).whole_minutes(), 15 + 15 * i64::from(row.extensions));
    scene.stop().await;
}
