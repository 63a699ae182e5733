//! The identity epoch rises with whatever can change who a caller is, and with nothing else.

use rack_gateway::store::{CredentialChange, NewCredential, Store, UserChange};
use serde_json::json;
use time::Duration;
use time::macros::datetime;

use super::challenges::question;
use super::factors::{device, enrolment, preferring};
use super::{NOW, alice, machine, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        it_rises_with_people,
        it_rises_with_credentials,
        it_rises_with_what_was_shown,
        it_rises_with_settings,
        dead_credentials_go_quietly
    );
}

struct Watch {
    store: Store,
    last: u64,
}

impl Watch {
    async fn new(db: &Db) -> Self {
        let store = db.store().await;
        let last = store.identity_epoch().await.expect("an epoch");
        Self { store, last }
    }

    async fn rose(&mut self, what: &str) {
        let now = self.store.identity_epoch().await.expect("an epoch");
        assert!(now > self.last, "{what}: {now}");
        self.last = now;
    }

    async fn stayed(&self, what: &str) {
        assert_eq!(self.store.identity_epoch().await, Ok(self.last), "{what}");
    }
}

async fn it_rises_with_people(db: Db) {
    let mut watch = Watch::new(&db).await;
    let store = watch.store.clone();
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    watch.stayed("nothing is known of somebody new").await;
    let roles = UserChange { roles: Some(vec![]), ..UserChange::default() };
    store.user_update("u1", roles.clone(), None).await.expect("changed");
    watch.rose("roles").await;
    store.user_update("u1", roles.clone(), Some(1)).await.expect_err("stale");
    store.user_update("u9", roles, None).await.expect_err("nobody");
    watch.stayed("no change").await;
    store.user_bind("u1", "i", "s").await.expect("bound");
    watch.rose("a subject").await;
    store.user_signed_in("u1", "U1", vec![], NOW).await.expect("signed in");
    watch.stayed("a sign-in").await;
    store.user_signed_in("u1", "U1", vec!["g".to_owned()], NOW).await.expect("signed in");
    watch.rose("groups").await;
    store.user_role_grant("u1", "ops").await.expect("granted");
    watch.rose("a role").await;
    store.user_role_grant("u1", "ops").await.expect("granted");
    watch.stayed("a role that they had").await;
    store.user_role_revoke("u1", "ops").await.expect("revoked");
    watch.rose("a role less").await;
    store.user_lock("u1", "left", "root", NOW).await.expect("locked");
    watch.rose("a lock").await;
    store.user_lock("u1", "left", "root", NOW).await.expect("locked");
    watch.stayed("the same lock").await;
    store.user_unlock("u1", "root", NOW).await.expect("unlocked");
    watch.rose("no lock").await;
    store.user_delete("u1").await.expect("deleted");
    watch.rose("a person less").await;
    for (sql, what) in [
        ("UPDATE users SET issuer = 'a', subject = 'b'", "a subject"),
        ("UPDATE users SET email = 'x@example.com'", "an address"),
        ("DELETE FROM users", "a person less"),
    ] {
        db.execute(sql).await;
        watch.rose(what).await;
    }
}

async fn it_rises_with_credentials(db: Db) {
    let mut watch = Watch::new(&db).await;
    let store = watch.store.clone();
    store.user_create(alice(), NOW).await.expect("a user");
    store.credential_create(machine("c1", 1), NOW).await.expect("a token");
    for n in 2..=5 {
        store.credential_create(session(&format!("c{n}"), "u1", n), NOW).await.expect("a session");
    }
    watch.stayed("nothing is known of what is new").await;
    store.credential_touch("c1", NOW + Duration::HOUR).await.expect("touched");
    watch.stayed("use").await;
    store
        .credential_update("c1", CredentialChange { name: Some("x".to_owned()), ..Default::default() }, 1)
        .await
        .unwrap();
    watch.rose("a name").await;
    store.credential_update("c1", CredentialChange::default(), 1).await.expect_err("stale");
    watch.stayed("no change").await;
    store.credential_rotate("c1", &[9; 32], NOW, 2).await.expect("rotated");
    watch.rose("a secret").await;
    store.credential_revoke("c2", "lost", NOW).await.expect("revoked");
    watch.rose("a revocation").await;
    store.credential_revoke("c2", "lost", NOW).await.expect("revoked");
    watch.stayed("a revocation again").await;
    store.credentials_revoke_of_user("u1", Some("c3"), "all", NOW).await.expect("revoked");
    watch.rose("revocations").await;
    store.credentials_revoke_of_user("u1", Some("c3"), "all", NOW).await.expect("revoked");
    watch.stayed("revocations again").await;
    for column in ["expires_at", "previous_until"] {
        db.execute(&format!("UPDATE credentials SET {column} = '2030-01-01T00:00:00Z' WHERE id = 'c1'")).await;
        watch.rose(column).await;
    }
    for (column, value) in [
        ("idle_seconds", "9"),
        ("network", "'::/0'"),
        ("apps", "'[\"a\"]'"),
        ("roles", "'[]'"),
        ("kind", "'workload', workload = '{}'"),
        ("workload", "'[]'"),
    ] {
        db.execute(&format!("UPDATE credentials SET {column} = {value} WHERE id = 'c1'")).await;
        watch.rose(column).await;
    }
    db.execute("UPDATE credentials SET last_used_at = '2030-01-01T00:00:00Z'").await;
    watch.stayed("use").await;
}

async fn it_rises_with_what_was_shown(db: Db) {
    let mut watch = Watch::new(&db).await;
    let store = watch.store.clone();
    store.user_create(alice(), NOW).await.expect("a user");
    store.device_add(device("d1", "u1", 1), NOW).await.expect("added");
    let new = NewCredential { device_id: Some("d1".to_owned()), ..session("c1", "u1", 1) };
    store.credential_create(new, NOW).await.expect("a session");
    store.factor_begin(enrolment("f1", "u1"), NOW).await.expect("begun");
    store.factor_rename("f1", "u1", "x").await.expect("an answer");
    watch.stayed("nothing counts yet").await;
    assert_eq!(store.factor_confirm("f1", "u1", None, None, None, NOW).await, Ok(true));
    watch.rose("enrolled").await;
    store.factor_begin(enrolment("f2", "u1"), NOW).await.expect("begun");
    assert_eq!(store.factor_confirm("f2", "u1", None, None, None, NOW).await, Ok(true));
    assert!(store.factor_step("f1", 5, NOW).await.expect("an answer"));
    assert!(store.factor_used("f1", None, 2, NOW).await.expect("an answer"));
    assert!(store.factor_delete("f2", "u1").await.expect("an answer"));
    store.backup_codes_replace("u1", vec![[1; 32]], NOW).await.expect("made");
    store.device_touch("d1", NOW).await.expect("touched");
    store.notice_add("u1", "test", "hello", NOW).await.expect("told");
    watch.stayed("enrolled as before").await;
    store.challenge_pose(question("u1", "c1", 1), NOW).await.expect("posed");
    assert!(store.challenge_try("q1", 5, NOW).await.expect("an answer"));
    let end = NOW + Duration::MINUTE;
    assert!(store.challenge_answer("q1", "totp", false, None, end, NOW).await.expect("an answer"));
    assert!(store.challenge_spend("q1", NOW).await.expect("an answer"));
    watch.stayed("an answer to one question").await;
    assert!(store.credential_verified("c1", NOW, "totp", false).await.expect("an answer"));
    watch.rose("a factor was shown").await;
    assert!(!store.credential_verified("c1", NOW - Duration::HOUR, "totp", false).await.expect("an answer"));
    watch.stayed("an earlier one").await;
    store.user_update("u1", preferring(Some("totp")), None).await.expect("preferred");
    watch.rose("a preference").await;
    assert!(store.device_delete("d1", "u1").await.expect("an answer"));
    watch.rose("the device is not trusted").await;
    store.device_add(device("d2", "u1", 2), NOW).await.expect("added");
    assert!(store.device_delete("d2", "u1").await.expect("an answer"));
    watch.stayed("no session began there").await;
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(1));
    watch.rose("a reset").await;
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(0));
    watch.stayed("nothing to reset").await;
    store.device_add(device("d3", "u1", 3), NOW).await.expect("added");
    for (table, column, value) in [
        ("users", "enrolled_at", "'2030-01-01T00:00:00Z'"),
        ("users", "preferred_method", "'yubico'"),
        ("credentials", "factor_at", "'2030-01-01T00:00:00Z', factor_method = 'totp'"),
        ("credentials", "factor_method", "'webauthn'"),
        ("credentials", "factor_strong", "TRUE"),
        ("credentials", "device_id", "'d3'"),
        ("credentials", "device_id", "NULL"),
    ] {
        db.execute(&format!("UPDATE {table} SET {column} = {value}")).await;
        watch.rose(column).await;
    }
}

async fn it_rises_with_settings(db: Db) {
    let mut watch = Watch::new(&db).await;
    let store = watch.store.clone();
    store.setting_put("a", &json!(1), "root", None, NOW).await.expect("set");
    watch.rose("a new setting").await;
    store.setting_put("a", &json!(2), "root", None, NOW).await.expect("set");
    watch.rose("a setting").await;
    store.setting_put("a", &json!(2), "root", Some(9), NOW).await.expect_err("stale");
    watch.stayed("no change").await;
    store.setting_delete("a", None).await.expect("deleted");
    watch.rose("a setting less").await;
}

async fn dead_credentials_go_quietly(db: Db) {
    let mut watch = Watch::new(&db).await;
    let store = watch.store.clone();
    let end = |year: i32| datetime!(2000-01-01 00:00:00 UTC).replace_year(year).expect("a year");
    for (id, hash, year) in [("old", 1, 2020), ("revoked", 2, 2999), ("live", 3, 2999)] {
        let new = NewCredential { expires_at: end(year), ..machine(id, hash) };
        store.credential_create(new, end(2019)).await.expect("a token");
    }
    store.credential_revoke("revoked", "lost", end(2019)).await.expect("revoked");
    watch.rose("a revocation").await;
    let swept = store.sweep(NOW).await.expect("swept");
    assert_eq!(swept.credentials, 2);
    watch.stayed("they were dead").await;
    assert!(store.credential_get("live").await.expect("a search").is_some());
    db.execute("DELETE FROM credentials").await;
    watch.rose("it was alive").await;
    db.execute("DELETE FROM credentials").await;
    watch.stayed("there was none").await;
}
