//! What a sign-in needs while it is under way, counters, and settings.

use std::collections::BTreeSet;

use rack_gateway::store::{LoginChannel, LoginRow, NewCliLogin, RateState, Store, StoreError};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{NOW, alice, at_once};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        a_login_is_taken_once,
        a_login_that_is_over_is_gone,
        one_of_many_takes_a_login,
        a_cli_login_is_decided_once_and_taken_once,
        a_cli_login_that_is_not_approved_in_time,
        many_decide_and_take_at_once,
        tries_are_counted_in_windows,
        tries_at_once_are_all_counted,
        a_ci_token_is_traded_in_once,
        settings_are_changed,
    );
}

fn login(id: &str, hash: u8) -> LoginRow {
    LoginRow {
        id: id.to_owned(),
        state_hash: [hash; 32],
        browser_hash: [7; 32],
        nonce: "nonce".to_owned(),
        sealed_verifier: "sealed".to_owned(),
        channel: LoginChannel::Cli,
        return_to: "/app/cli".to_owned(),
        expires_at: NOW + Duration::minutes(10),
    }
}

pub fn cli_login(id: &str, code: &str) -> NewCliLogin {
    NewCliLogin {
        id: id.to_owned(),
        user_code: code.to_owned(),
        code_challenge: "challenge".to_owned(),
        device_name: "laptop".to_owned(),
        device_os: "plan9".to_owned(),
        client_version: "1".to_owned(),
        source_ip: "192.0.2.1".parse().expect("an address"),
        expires_at: NOW + Duration::minutes(10),
    }
}

async fn a_login_is_taken_once(db: Db) {
    let store = db.store().await;
    store.login_begin(login("l1", 1), NOW).await.expect("begun");
    for twin in [login("l1", 2), login("l2", 1)] {
        assert!(matches!(store.login_begin(twin, NOW).await, Err(StoreError::Conflict(_))));
    }
    assert_eq!(store.login_take(&[9; 32], NOW).await, Ok(None));
    assert_eq!(store.login_take(&[1; 32], NOW).await, Ok(Some(login("l1", 1))));
    assert_eq!(store.login_take(&[1; 32], NOW).await, Ok(None));
    assert!(!format!("{:?}", login("l1", 1)).contains("sealed"), "nothing of it is for logs");
}

async fn a_login_that_is_over_is_gone(db: Db) {
    let store = db.store().await;
    store.login_begin(login("l1", 1), NOW).await.expect("begun");
    assert_eq!(store.login_take(&[1; 32], NOW + Duration::minutes(10)).await, Ok(None));
    assert_eq!(store.login_take(&[1; 32], NOW).await, Ok(None), "the try used it up");
}

/// What each of eight tasks at once gets.
async fn one_of_many_takes_a_login(db: Db) {
    let store = db.store().await;
    store.login_begin(login("l1", 1), NOW).await.expect("begun");
    let taken =
        at_once(&store, 0..8, |store, _| async move { store.login_take(&[1; 32], NOW).await.expect("an answer") });
    assert_eq!(taken.await.iter().flatten().count(), 1);
}

async fn a_cli_login_is_decided_once_and_taken_once(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.cli_login_begin(cli_login("l1", "BCDF-GHJK"), NOW).await.expect("begun");
    for twin in [cli_login("l1", "XXXX-XXXX"), cli_login("l2", "BCDF-GHJK")] {
        assert!(matches!(store.cli_login_begin(twin, NOW).await, Err(StoreError::Conflict(_))));
    }
    let found = store.cli_login_find("l1").await.expect("a search").expect("a login");
    assert_eq!((found.device_name.as_str(), found.approved, found.created_at), ("laptop", None, NOW));
    assert_eq!(store.cli_login_find_by_code("BCDF-GHJK").await, Ok(Some(found)));
    assert_eq!(store.cli_login_find_by_code("bcdf-ghjk").await, Ok(None));
    assert_eq!(store.cli_login_take("l1", NOW).await, Ok(None), "nobody has decided");
    let stranger = store.cli_login_decide("BCDF-GHJK", "u9", true, None, NOW).await;
    assert!(matches!(stranger, Err(StoreError::Conflict(_))), "{stranger:?}");
    let later = NOW + Duration::MINUTE;
    assert_eq!(store.cli_login_decide("BCDF-GHJK", "u1", true, None, later).await, Ok(true));
    assert_eq!(store.cli_login_decide("BCDF-GHJK", "u1", false, None, later).await, Ok(false), "decided already");
    assert_eq!(store.cli_login_decide("XXXX-XXXX", "u1", true, None, later).await, Ok(false));
    let taken = store.cli_login_take("l1", later).await.expect("an answer").expect("approved");
    assert_eq!((taken.user_id.as_deref(), taken.decided_at, taken.taken_at), (Some("u1"), Some(later), Some(later)));
    assert_eq!(store.cli_login_take("l1", later).await, Ok(None));
    assert_eq!(store.cli_login_find("l1").await, Ok(Some(taken)), "what became of it can be seen");
    store.user_delete("u1").await.expect("deleted");
    assert_eq!(store.cli_login_find("l1").await, Ok(None), "it goes with its person");
}

async fn a_cli_login_that_is_not_approved_in_time(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let end = NOW + Duration::minutes(10);
    for (id, code) in [("l1", "AAAA"), ("l2", "BBBB"), ("l3", "CCCC")] {
        store.cli_login_begin(cli_login(id, code), NOW).await.expect("begun");
    }
    assert_eq!(store.cli_login_decide("AAAA", "u1", true, None, end).await, Ok(false), "too late");
    assert_eq!(store.cli_login_decide("BBBB", "u1", false, None, NOW).await, Ok(true));
    assert_eq!(store.cli_login_take("l2", NOW).await, Ok(None), "denied");
    let denied = store.cli_login_find("l2").await.expect("a search").expect("a login");
    assert_eq!((denied.approved, denied.taken_at), (Some(false), None));
    assert_eq!(store.cli_login_decide("CCCC", "u1", true, None, NOW).await, Ok(true));
    assert_eq!(store.cli_login_take("l3", end).await, Ok(None), "too late");
}

async fn many_decide_and_take_at_once(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.cli_login_begin(cli_login("l1", "AAAA"), NOW).await.expect("begun");
    let decide = |store: Store, _| async move { store.cli_login_decide("AAAA", "u1", true, None, NOW).await };
    let counted = at_once(&store, 0..8, decide).await;
    assert_eq!(counted.iter().filter(|counts| **counts == Ok(true)).count(), 1, "{counted:?}");
    let take = |store: Store, _| async move { store.cli_login_take("l1", NOW).await.expect("an answer") };
    assert_eq!(at_once(&store, 0..8, take).await.iter().flatten().count(), 1);
}

async fn tries_are_counted_in_windows(db: Db) {
    let store = db.store().await;
    let window = std::time::Duration::from_secs(60);
    let at = |s: i64| NOW + Duration::seconds(s);
    let state = |count, end| Ok(RateState { count, resets_at: at(end) });
    for (key, s, expected) in [
        ("a", 0, state(1, 60)),
        ("a", 1, state(2, 60)),
        ("b", 30, state(1, 90)),
        ("a", 59, state(3, 60)),
        ("a", 60, state(1, 120)),
        ("a", 200, state(1, 260)),
        ("b", 89, state(2, 90)),
    ] {
        assert_eq!(store.rate_hit(key, window, at(s)).await, expected, "{key} at {s}");
    }
}

async fn tries_at_once_are_all_counted(db: Db) {
    let store = db.store().await;
    let hit = |store: Store, _| async move {
        store.rate_hit("a", std::time::Duration::from_secs(60), NOW).await.expect("counted").count
    };
    let counts: BTreeSet<u64> = at_once(&store, 0..8, hit).await.into_iter().collect();
    assert_eq!(counts, (1..=8).collect());
}

async fn a_ci_token_is_traded_in_once(db: Db) {
    let store = db.store().await;
    let seen = |issuer: &'static str, id: &'static str| {
        let store = store.clone();
        async move { store.workload_token_seen(issuer, id, NOW).await }
    };
    assert_eq!(seen("i1", "t1").await, Ok(true));
    assert_eq!(seen("i1", "t1").await, Ok(false));
    assert_eq!(seen("i2", "t1").await, Ok(true), "another issuer's");
    let see = |store: Store, _| async move { store.workload_token_seen("i1", "t2", NOW).await == Ok(true) };
    assert_eq!(at_once(&store, 0..8, see).await.into_iter().filter(|first| *first).count(), 1);
}

async fn settings_are_changed(db: Db) {
    let store = db.store().await;
    let put = |value, version, at: OffsetDateTime| {
        let store = store.clone();
        async move { store.setting_put("limits", &value, "root", version, at).await.map(|row| row.version) }
    };
    assert_eq!(store.setting_list().await, Ok(vec![]));
    assert_eq!(put(json!(1), Some(1), NOW).await, Err(StoreError::Stale), "there is none");
    assert_eq!(put(json!({ "a": [1] }), Some(0), NOW).await, Ok(1));
    assert_eq!(put(json!(2), Some(0), NOW).await, Err(StoreError::Stale), "there is one");
    let later = NOW + Duration::HOUR;
    assert_eq!(put(json!(3), None, later).await, Ok(2));
    assert_eq!(put(json!("x"), Some(2), later).await, Ok(3));
    assert_eq!(put(json!(4), Some(2), later).await, Err(StoreError::Stale));
    store.setting_put("a", &json!(null), "eve", None, NOW).await.expect("another one");
    let rows = store.setting_list().await.expect("a list");
    let shown: Vec<_> = rows.iter().map(|row| (row.name.as_str(), &row.value, row.version, row.updated_at)).collect();
    assert_eq!(shown, [("a", &json!(null), 1, NOW), ("limits", &json!("x"), 3, later)]);
    assert_eq!(rows[0].updated_by, "eve");
    assert_eq!(store.setting_delete("limits", None).await, Ok(()));
    assert_eq!(store.setting_delete("limits", None).await, Err(StoreError::NotFound));
}
