//! Lists of requests: filters, pages, and what is left out.

use std::collections::BTreeSet;

use rack_gateway::store::{ApprovalFilter, ApprovalState, Party};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use super::{APP, COMMIT, Scene, stored, text, wanted};
use crate::harness::Db;
use crate::sign_in::Send;

mod both {
    crate::on_both!(a_list_shows_what_may_be_read, a_thousand_requests_have_pages);
}

pub fn all() -> ApprovalFilter {
    ApprovalFilter { limit: 10_000, ..ApprovalFilter::default() }
}

async fn ids(scene: &Scene, token: &str, query: &str) -> Vec<Value> {
    let page = scene.ask(token, Send::get(&format!("/api/v1/deploy-approvals{query}")), 200).await;
    page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
}

async fn a_list_shows_what_may_be_read(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, admin) = (scene.gateway.token("cicd").to_owned(), scene.gateway.token("admin").to_owned());
    let (_, other) = scene.token_of(&scene.admin().await, "another").await;
    let one = scene.request(&ci, &wanted(COMMIT), 201).await["id"].clone();
    let two = scene.request(&other, &wanted(COMMIT), 201).await;
    scene.approve(&admin, &two, 200).await;
    let two = two["id"].clone();
    assert_eq!(ids(&scene, &ci, "").await, std::slice::from_ref(&one));
    assert_eq!(ids(&scene, &other, "").await, std::slice::from_ref(&two));
    for token in [&admin, scene.gateway.token("security"), scene.gateway.token("auditor")] {
        assert_eq!(ids(&scene, token, "").await, [two.clone(), one.clone()], "the newest first");
    }
    for token in ["viewer", "ops", "deployer"] {
        assert!(ids(&scene, scene.gateway.token(token), "").await.is_empty(), "{token}");
    }
    let upper = COMMIT.to_uppercase();
    for (query, found) in [
        ("?state=pending".to_owned(), vec![&one]),
        ("?state=approved".to_owned(), vec![&two]),
        ("?state=expired".to_owned(), vec![]),
        (format!("?commit={upper}"), vec![&two, &one]),
        (format!("?app={APP}&state=approved&commit={COMMIT}"), vec![&two]),
        ("?app=another".to_owned(), vec![]),
        ("?app=my%25".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&scene, &admin, &query).await.iter().collect::<Vec<_>>(), found, "{query}");
    }
    for query in ["?state=consumed", "?commit=01234567", "?commit=%25", "?limit=0", "?limit=201", "?cursor=%25"] {
        scene.ask(&admin, Send::get(&format!("/api/v1/deploy-approvals{query}")), 422).await;
    }
    // What is over counts as expired, swept or not.
    scene.pass(Duration::minutes(16));
    assert_eq!(ids(&scene, &admin, "?state=expired").await, [two]);
    assert!(ids(&scene, &admin, "?state=approved").await.is_empty());
    scene.stop().await;
}

async fn a_thousand_requests_have_pages(db: Db) {
    let scene = Scene::new(&db).await;
    let store = scene.store();
    let mine = Party::new("ApiToken", "t2");
    for n in 0..1_000_u32 {
        let mut new = stored(&Uuid::now_v7().to_string(), APP, &format!("{n:040x}"), scene.now());
        if n % 10 == 0 {
            new.deployer = mine.clone();
        }
        let (_, is_new) = store.approval_request(new, scene.now()).await.unwrap();
        assert!(is_new);
    }
    assert_eq!(store.approvals_live(APP, &mine, scene.now()).await.unwrap().len(), 100);
    let admin = scene.gateway.token("admin").to_owned();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let target = format!("/api/v1/deploy-approvals?limit=200{cursor}");
        let page = scene.ask(&admin, Send::get(&target), 200).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 200);
        seen.extend(items.iter().map(|item| text(&item["id"])));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(seen.is_sorted_by(|a, b| a > b), "the newest first");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1_000);
    // Whoever may read none of them gets empty pages, and an end.
    let page = scene.ask(scene.gateway.token("cicd"), Send::get("/api/v1/deploy-approvals?limit=200"), 200).await;
    assert_eq!((&page["items"], page["next"].is_string()), (&json!([]), true));
    let pending = ApprovalFilter { state: Some(ApprovalState::Pending), now: Some(scene.now()), ..all() };
    assert_eq!(store.approvals_list(pending).await.unwrap().len(), 1_000);
    scene.stop().await;
}
