//! People in the database.

use rack_gateway::store::{Binding, Lock, NewUser, StoreError, UserChange};
use time::Duration;

use super::{NOW, alice, machine, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        people_are_added_and_found,
        people_are_changed,
        a_person_is_bound_once,
        signing_in_takes_over_what_the_provider_says,
        locking_revokes,
        deleting_takes_the_credentials_along,
        roles_are_given_and_taken_one_by_one,
        roles_that_many_change_at_once,
        lists_have_pages,
    );
}

async fn people_are_added_and_found(db: Db) {
    let store = db.store().await;
    let binding = Binding { issuer: "https://idp".to_owned(), subject: "s1".to_owned() };
    let new = NewUser {
        groups: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
        binding: Some(binding.clone()),
        created_by: Some("root".to_owned()),
        ..alice()
    };
    let made = store.user_create(new, NOW).await.expect("a user");
    assert_eq!((made.email.as_str(), made.version, made.is_locked()), ("alice@example.com", 1, false));
    assert_eq!((made.groups.join(","), made.created_by.as_deref()), ("a,b".to_owned(), Some("root")));
    assert_eq!((made.binding.as_ref(), made.last_login_at), (Some(&binding), None));
    let found = Ok(Some(made));
    assert_eq!(store.user_find_by_email("ALICE@example.COM").await, found);
    assert_eq!(store.user_find("u1").await, found);
    assert_eq!(store.user_find_by_subject("https://idp", "s1").await, found);
    assert_eq!(store.user_find("u2").await, Ok(None));
    assert_eq!(store.user_find_by_subject("https://other", "s1").await, Ok(None), "a subject is its issuer's");
    for (twin, why) in [
        (user("u2", "alice@example.com"), "the address is taken"),
        (user("u1", "bob@example.com"), "the id is taken"),
        (NewUser { binding: Some(binding), ..user("u2", "bob@example.com") }, "the subject is taken"),
    ] {
        assert!(matches!(store.user_create(twin, NOW).await, Err(StoreError::Conflict(_))), "{why}");
    }
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("unbound");
    store.user_create(user("u3", "eve@example.com"), NOW).await.expect("unbound as well");
}

async fn people_are_changed(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let roles = UserChange { roles: Some(vec![]), ..UserChange::default() };
    let changed = store.user_update("u1", roles, None).await.expect("a change");
    assert_eq!((changed.version, changed.roles.len(), changed.name.as_str()), (2, 0, "U1"));
    let name =
        || UserChange { name: Some("Al".to_owned()), groups: Some(vec!["g".to_owned()]), ..UserChange::default() };
    assert_eq!(store.user_update("u1", name(), Some(1)).await, Err(StoreError::Stale));
    let changed = store.user_update("u1", name(), Some(2)).await.expect("the version is right");
    assert_eq!((changed.version, changed.name.as_str(), changed.groups.len()), (3, "Al", 1));
    assert_eq!(store.user_find("u1").await, Ok(Some(changed)));
    for version in [None, Some(1)] {
        assert_eq!(store.user_update("u9", name(), version).await, Err(StoreError::NotFound));
    }
}

async fn a_person_is_bound_once(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    let bound = store.user_bind("u1", "https://idp", "s1").await.expect("bound");
    let binding = Binding { issuer: "https://idp".to_owned(), subject: "s1".to_owned() };
    assert_eq!((bound.binding, bound.version), (Some(binding), 2));
    for (who, subject, why) in
        [("u1", "s2", "bound already"), ("u1", "s1", "bound already"), ("u2", "s1", "somebody else is")]
    {
        let again = store.user_bind(who, "https://idp", subject).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{why}: {again:?}");
    }
    store.user_bind("u2", "https://other", "s1").await.expect("another provider, another person");
    assert_eq!(store.user_bind("u9", "https://idp", "s9").await, Err(StoreError::NotFound));
}

async fn signing_in_takes_over_what_the_provider_says(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let groups = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let first = store.user_signed_in("u1", "Alice", groups(&["b", "a"]), NOW).await.expect("signed in");
    assert_eq!((first.name.as_str(), first.version, first.last_login_at), ("Alice", 2, Some(NOW)));
    let later = NOW + Duration::HOUR;
    let epoch = store.identity_epoch().await;
    let same = store.user_signed_in("u1", "Alice", groups(&["a", "b", "a"]), later).await.expect("signed in");
    assert_eq!((same.version, same.last_login_at), (2, Some(later)), "only the time is new");
    assert_eq!(store.identity_epoch().await, epoch);
    let left = store.user_signed_in("u1", "Alice", groups(&["a"]), later).await.expect("signed in");
    assert_eq!((left.version, left.groups.join(",")), (3, "a".to_owned()));
    assert_ne!(store.identity_epoch().await, epoch);
    assert_eq!(store.user_signed_in("u9", "x", vec![], NOW).await, Err(StoreError::NotFound));
}

async fn locking_revokes(db: Db) {
    let store = db.store().await;
    for (id, email) in [("u1", "a@example.com"), ("u2", "b@example.com")] {
        store.user_create(user(id, email), NOW).await.expect("a user");
    }
    for (id, who, hash) in [("c1", "u1", 1), ("c2", "u1", 2), ("c3", "u2", 3)] {
        store.credential_create(session(id, who, hash), NOW).await.expect("a session");
    }
    store.credential_create(machine("c4", 4), NOW).await.expect("a token");
    store.credential_revoke("c2", "lost", NOW).await.expect("revoked");
    let later = NOW + Duration::HOUR;
    assert_eq!(store.user_lock("u1", "left the company", "root", later).await, Ok(1));
    let lock = Lock { at: later, reason: "left the company".to_owned(), by: "root".to_owned() };
    let locked = store.user_find("u1").await.expect("a search").expect("a user");
    assert_eq!((locked.lock.as_ref(), locked.version), (Some(&lock), 2));
    for (id, reason) in [("c1", Some("locked")), ("c2", Some("lost")), ("c3", None), ("c4", None)] {
        let row = store.credential_get(id).await.expect("a search").expect("a credential");
        assert_eq!((row.revoked_at.is_some(), row.revoked_reason.as_deref()), (reason.is_some(), reason), "{id}");
    }
    store.credential_create(session("c5", "u1", 5), later).await.expect("a session");
    assert_eq!(store.user_lock("u1", "again", "eve", later + Duration::HOUR).await, Ok(1), "what is new goes too");
    assert_eq!(store.user_find("u1").await.expect("a search").expect("a user").lock, Some(lock), "the first stays");
    assert_eq!(store.user_unlock("u1", "root", NOW).await, Ok(true));
    assert_eq!(store.user_unlock("u1", "root", NOW).await, Ok(false));
    let back = store.user_find("u1").await.expect("a search").expect("a user");
    assert_eq!((back.lock, back.version), (None, 3));
    let row = store.credential_get("c1").await.expect("a search").expect("a credential");
    assert_eq!(row.revoked_at, Some(later), "revoked is for good");
    assert_eq!(store.user_lock("u9", "x", "y", NOW).await, Err(StoreError::NotFound));
    assert_eq!(store.user_unlock("u9", "root", NOW).await, Err(StoreError::NotFound));
}

async fn deleting_takes_the_credentials_along(db: Db) {
    let store = db.store().await;
    for (id, email) in [("u1", "a@example.com"), ("u2", "b@example.com")] {
        store.user_create(user(id, email), NOW).await.expect("a user");
    }
    store.credential_create(session("c1", "u1", 1), NOW).await.expect("a session");
    store.credential_create(session("c2", "u2", 2), NOW).await.expect("a session");
    store.user_delete("u1").await.expect("deleted");
    assert_eq!(store.user_find("u1").await, Ok(None));
    assert_eq!(store.credential_find(&[1; 32]).await, Ok(None));
    assert!(store.credential_find(&[2; 32]).await.expect("a search").is_some());
    assert_eq!(store.user_delete("u1").await, Err(StoreError::NotFound));
}

async fn roles_are_given_and_taken_one_by_one(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    assert_eq!(store.user_role_grant("u1", "admin").await, Ok(true));
    assert_eq!(store.user_role_grant("u1", "admin").await, Ok(false));
    assert_eq!(store.user_role_revoke("u1", "viewer").await, Ok(true));
    assert_eq!(store.user_role_revoke("u1", "viewer").await, Ok(false));
    let row = store.user_find("u1").await.expect("a search").expect("a user");
    assert_eq!((row.roles.join(","), row.version), ("ops,admin".to_owned(), 3));
    for (role, count) in [("ops", 2), ("viewer", 1), ("admin", 1), ("adm", 0), ("op_", 0), ("", 0)] {
        assert_eq!(store.users_with_role(role).await, Ok(count), "{role}");
    }
    store.user_lock("u1", "left", "root", NOW).await.expect("locked");
    assert_eq!(store.users_with_role("admin").await, Ok(0), "whoever is locked cannot use it");
    assert_eq!(store.user_role_grant("u9", "x").await, Err(StoreError::NotFound));
    assert_eq!(store.user_role_revoke("u9", "x").await, Err(StoreError::NotFound));
}

async fn roles_that_many_change_at_once(db: Db) {
    let store = db.store().await;
    store.user_create(NewUser { roles: vec![], ..alice() }, NOW).await.expect("a user");
    let grants = (0..16).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.user_role_grant("u1", &format!("role{}", n % 8)).await })
    });
    let mut new = 0;
    for grant in grants.collect::<Vec<_>>() {
        new += u32::from(grant.await.expect("no panic").expect("granted"));
    }
    let row = store.user_find("u1").await.expect("a search").expect("a user");
    assert_eq!((new, row.roles.len(), row.version), (8, 8, 9), "{:?}", row.roles);
}

async fn lists_have_pages(db: Db) {
    let store = db.store().await;
    for n in 0..5 {
        let email = format!("{}@example.com", ["d", "b", "e", "a", "c"][n]);
        store.user_create(user(&format!("u{n}"), &email), NOW).await.expect("a user");
    }
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.user_list(after.as_deref(), 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.email.to_uppercase());
        seen.extend(page.iter().map(|row| row.email.clone()));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"].map(|name| format!("{name}@example.com")));
}
