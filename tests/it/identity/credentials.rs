//! Credentials in the database.

use rack_gateway::store::{CredentialChange, CredentialFilter, CredentialKind, NewCredential, StoreError};
use time::Duration;

use super::{DAY, NOW, alice, machine, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        credentials_are_added_and_found,
        impossible_credentials,
        credentials_are_revoked,
        a_secret_is_rotated,
        credentials_are_changed,
        last_use_only_moves_forward,
        lists_have_pages,
    );
}

async fn credentials_are_added_and_found(db: Db) {
    let store = db.store().await;
    let person = store.user_create(alice(), NOW).await.expect("a user");
    let new = NewCredential {
        kind: CredentialKind::Web,
        idle: Some(std::time::Duration::from_secs(1800)),
        source_ip: Some("2001:db8::1".parse().expect("an address")),
        user_agent: Some("ü".repeat(600)),
        network: Some("10.0.0.0/8".parse().expect("a network")),
        apps: vec!["myapp".to_owned()],
        created_by: Some("u1".to_owned()),
        roles: vec![],
        ..session("c1", "u1", 1)
    };
    // Fractions of a second are not kept.
    store.credential_create(new, NOW + Duration::milliseconds(900)).await.expect("a session");
    let found = store.credential_find(&[1; 32]).await.expect("a search").expect("a session");
    assert_eq!((found.id.as_str(), found.kind, found.user.as_ref()), ("c1", CredentialKind::Web, Some(&person)));
    assert_eq!((found.created_at, found.last_used_at, found.expires_at), (NOW, NOW, NOW + DAY));
    assert_eq!((found.idle.map(|idle| idle.as_secs()), found.version, found.is_previous), (Some(1800), 1, false));
    assert_eq!(found.user_agent.as_deref().map(|agent| agent.chars().count()), Some(512));
    let texts = (found.network.map(|n| n.to_string()), found.source_ip.map(|ip| ip.to_string()));
    assert_eq!(texts, (Some("10.0.0.0/8".to_owned()), Some("2001:db8::1".to_owned())));
    assert_eq!((found.apps.join(","), found.created_by.as_deref()), ("myapp".to_owned(), Some("u1")));
    assert_eq!(store.credential_get("c1").await, Ok(Some(found)));
    store.credential_create(machine("c2", 2), NOW).await.expect("a token");
    let found = store.credential_find(&[2; 32]).await.expect("a search").expect("a token");
    assert_eq!((found.kind, found.user, found.roles), (CredentialKind::Api, None, vec!["cicd".to_owned()]));
    let claims = NewCredential { kind: CredentialKind::Workload, workload: Some("{}".to_owned()), ..machine("c3", 3) };
    store.credential_create(claims, NOW).await.expect("a run");
    let found = store.credential_get("c3").await.expect("a search").expect("a run");
    assert_eq!((found.kind.as_str(), found.workload.as_deref()), ("workload-token", Some("{}")));
    assert_eq!(store.credential_find(&[9; 32]).await, Ok(None));
    assert_eq!(store.credential_get("c9").await, Ok(None));
}

async fn impossible_credentials(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.credential_create(machine("c1", 1), NOW).await.expect("a token");
    for (wrong, why) in [
        (machine("c2", 1), "the same secret"),
        (machine("c1", 2), "the same id"),
        (session("c2", "nobody", 2), "no such person"),
    ] {
        assert!(matches!(store.credential_create(wrong, NOW).await, Err(StoreError::Conflict(_))), "{why}");
    }
    for (wrong, why) in [
        (NewCredential { user_id: None, ..session("c2", "u1", 2) }, "a session acts as somebody"),
        (NewCredential { user_id: Some("u1".to_owned()), ..machine("c2", 2) }, "a machine is nobody else"),
        (NewCredential { kind: CredentialKind::Workload, ..machine("c2", 2) }, "a run has claims"),
        (NewCredential { workload: Some("{}".to_owned()), ..machine("c2", 2) }, "only a run has claims"),
        (NewCredential { idle: Some(std::time::Duration::ZERO), ..machine("c2", 2) }, "never good"),
    ] {
        store.credential_create(wrong, NOW).await.expect_err(why);
    }
}

async fn credentials_are_revoked(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    for n in 1..=4 {
        store.credential_create(session(&format!("c{n}"), "u1", n), NOW).await.expect("a session");
    }
    store.credential_create(session("c5", "u2", 5), NOW).await.expect("a session");
    let later = NOW + Duration::HOUR;
    assert_eq!(store.credential_revoke("c1", "lost", later).await, Ok(true));
    assert_eq!(store.credential_revoke("c1", "found", later + Duration::HOUR).await, Ok(false));
    let row = store.credential_get("c1").await.expect("a search").expect("a session");
    assert_eq!((row.revoked_at, row.revoked_reason.as_deref()), (Some(later), Some("lost")), "the first time stays");
    assert_eq!(store.credential_revoke("c9", "lost", later).await, Err(StoreError::NotFound));
    assert_eq!(store.credentials_revoke_of_user("u1", Some("c2"), "all", later).await, Ok(2));
    let live = |id: &'static str| {
        let store = store.clone();
        async move { store.credential_get(id).await.expect("a search").expect("a session").is_live(later) }
    };
    let standing = [live("c1").await, live("c2").await, live("c3").await, live("c4").await, live("c5").await];
    assert_eq!(standing, [false, true, false, false, true]);
    assert_eq!(store.credentials_revoke_of_user("u1", None, "all", later).await, Ok(1));
    assert_eq!(store.credentials_revoke_of_user("u1", None, "all", later).await, Ok(0));
    let nobody = store.credentials_revoke_of_user("u9", None, "all", later).await;
    assert_eq!(nobody, Err(StoreError::NotFound));
}

async fn a_secret_is_rotated(db: Db) {
    let store = db.store().await;
    store.credential_create(machine("c1", 1), NOW).await.expect("a token");
    store.credential_create(machine("c2", 9), NOW).await.expect("a token");
    let until = NOW + Duration::HOUR;
    let row = store.credential_rotate("c1", &[2; 32], until, 1).await.expect("rotated");
    assert_eq!((row.version, row.previous_until, row.is_previous), (2, Some(until), false));
    for (hash, is_previous) in [([2; 32], false), ([1; 32], true)] {
        let found = store.credential_find(&hash).await.expect("a search").expect("a token");
        assert_eq!((found.id.as_str(), found.is_previous), ("c1", is_previous));
    }
    assert_eq!(store.credential_rotate("c1", &[3; 32], until, 1).await, Err(StoreError::Stale));
    store.credential_rotate("c1", &[3; 32], until, 2).await.expect("rotated again");
    assert_eq!(store.credential_find(&[1; 32]).await, Ok(None), "the one before the last is gone");
    let taken = store.credential_rotate("c1", &[9; 32], until, 3).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    assert_eq!(store.credential_rotate("c9", &[4; 32], until, 1).await, Err(StoreError::NotFound));
    store.credential_revoke("c1", "lost", NOW).await.expect("revoked");
    assert_eq!(store.credential_rotate("c1", &[4; 32], until, 4).await, Err(StoreError::Stale), "revoked for good");
}

async fn credentials_are_changed(db: Db) {
    let store = db.store().await;
    store.credential_create(machine("c1", 1), NOW).await.expect("a token");
    let network = Some("192.0.2.0/24".parse().expect("a network"));
    let change = CredentialChange {
        name: Some("new".to_owned()),
        roles: Some(vec!["viewer".to_owned()]),
        network: Some(network),
        apps: Some(vec!["a".to_owned()]),
    };
    let row = store.credential_update("c1", change.clone(), 1).await.expect("changed");
    assert_eq!((row.name.as_str(), row.roles.join(","), row.version), ("new", "viewer".to_owned(), 2));
    assert_eq!((row.network, row.apps.len()), (network, 1));
    assert_eq!(store.credential_update("c1", change.clone(), 1).await, Err(StoreError::Stale));
    let open = CredentialChange { network: Some(None), ..CredentialChange::default() };
    let row = store.credential_update("c1", open, 2).await.expect("changed");
    assert_eq!((row.network, row.name.as_str()), (None, "new"), "the rest stays");
    assert_eq!(store.credential_update("c9", change, 1).await, Err(StoreError::NotFound));
}

async fn last_use_only_moves_forward(db: Db) {
    let store = db.store().await;
    store.credential_create(machine("c1", 1), NOW).await.expect("a token");
    let epoch = store.identity_epoch().await;
    for (at, expected) in [(30, 30), (10, 30), (31, 31)] {
        store.credential_touch("c1", NOW + Duration::seconds(at)).await.expect("a touch");
        let row = store.credential_get("c1").await.expect("a search").expect("a token");
        assert_eq!((row.last_used_at, row.version), (NOW + Duration::seconds(expected), 1));
    }
    store.credential_touch("c9", NOW).await.expect("nothing to do");
    assert_eq!(store.identity_epoch().await, epoch, "use is not a change");
}

async fn lists_have_pages(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    for n in 1..=6 {
        let web = NewCredential { kind: CredentialKind::Web, ..session(&format!("c{n}"), "u1", n) };
        let new = match n {
            1 | 4 => web,
            5 => machine("c5", n),
            6 => session("c6", "u2", n),
            _ => session(&format!("c{n}"), "u1", n),
        };
        store.credential_create(new, NOW).await.expect("a credential");
    }
    store.credential_revoke("c3", "lost", NOW).await.expect("revoked");
    let all = CredentialFilter::default;
    let of_alice = || CredentialFilter { user: Some("u1".to_owned()), ..all() };
    let kinds = vec![CredentialKind::Web, CredentialKind::Api];
    for (filter, expected) in [
        (all(), "c6 c5 c4 c3 c2 c1"),
        (of_alice(), "c4 c3 c2 c1"),
        (CredentialFilter { kinds, ..all() }, "c5 c4 c1"),
        (CredentialFilter { live_at: Some(NOW), ..of_alice() }, "c4 c2 c1"),
        (CredentialFilter { live_at: Some(NOW + DAY), ..all() }, ""),
        (CredentialFilter { limit: 2, ..of_alice() }, "c4 c3"),
        (CredentialFilter { limit: 2, after: Some("c3".to_owned()), ..of_alice() }, "c2 c1"),
        (CredentialFilter { after: Some("c1".to_owned()), ..all() }, ""),
    ] {
        let rows = store.credential_list(filter.clone()).await.expect("a list");
        let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.join(" "), expected, "{filter:?}");
    }
}
