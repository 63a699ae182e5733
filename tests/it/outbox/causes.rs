//! A notice is there if and only if its cause is.

use rack_gateway::store::StoreError;
use serde_json::{Value, json};

use super::{NOW, rows};
use crate::harness::Db;
use crate::identity::alice;
use crate::identity::factors::enrolment;

mod both {
    crate::on_both!(causes_are_told_once, a_cause_that_is_rolled_back_is_not_told, without_a_notice_there_is_no_cause);
}

async fn told(db: &Db) -> Vec<(String, Value)> {
    let store = db.store().await;
    let mut all: Vec<_> = rows(&store).await.into_iter().map(|row| (row.kind, row.data)).collect();
    all.reverse();
    all
}

async fn causes_are_told_once(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.unwrap();
    assert_eq!(store.user_unlock("u1", "root", NOW).await, Ok(false), "nothing happened");
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(0), "nothing happened");
    assert_eq!(store.user_lock("u9", "left", "root", NOW).await, Err(StoreError::NotFound));
    assert_eq!(told(&db).await, []);
    store.factor_begin(enrolment("f1", "u1"), NOW).await.unwrap();
    store.user_lock("u1", "left for good", "gateway", NOW).await.unwrap();
    store.user_lock("u1", "again", "root", NOW).await.unwrap();
    store.user_unlock("u1", "root", NOW).await.unwrap();
    store.factors_reset("u1", "root", NOW).await.unwrap();
    let expected = [("user.locked", "gateway"), ("user.unlocked", "root"), ("factor.reset", "root")];
    let expected = expected.map(|(kind, by)| (kind.to_owned(), json!({ "user": "u1", "by": by })));
    assert_eq!(told(&db).await, expected);
}

/// Lets every transaction that adds a notice fail when it is committed.
fn doom(db: &Db) -> &'static str {
    match db {
        Db::Sqlite(_) => {
            "CREATE TABLE doom (id text REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER doomed AFTER INSERT ON outbox BEGIN INSERT INTO doom (id) VALUES ('nobody'); END;"
        }
        Db::Postgres(_) => {
            "CREATE TABLE doom (id text COLLATE \"C\" REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE FUNCTION doomed() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO doom (id) VALUES ('nobody'); RETURN NEW; END $$;
             CREATE TRIGGER doomed AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION doomed();"
        }
    }
}

async fn a_cause_that_is_rolled_back_is_not_told(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.unwrap();
    db.execute(doom(&db)).await;
    let found = store.user_lock("u1", "left", "root", NOW).await;
    assert!(matches!(found, Err(StoreError::Conflict(_))), "{found:?}");
    assert!(!store.user_find("u1").await.unwrap().unwrap().is_locked());
    assert_eq!(told(&db).await, []);
}

async fn without_a_notice_there_is_no_cause(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.unwrap();
    db.execute("ALTER TABLE outbox RENAME TO elsewhere").await;
    assert!(store.user_lock("u1", "left", "root", NOW).await.is_err());
    assert!(!store.user_find("u1").await.unwrap().unwrap().is_locked());
    db.execute("ALTER TABLE elsewhere RENAME TO outbox").await;
    assert_eq!(told(&db).await, []);
}
