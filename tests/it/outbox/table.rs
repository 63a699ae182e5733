//! What the database holds notices to, and how long it keeps them.

use rack_gateway::store::{MessageState, Notice, Options, Store, StoreError, Swept};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _};
use time::Duration;

use super::{NOW, notice, only, rows};
use crate::harness::Db;

mod both {
    crate::on_both!(
        a_notice_is_never_changed,
        states_go_one_way,
        what_has_ended_is_deleted_in_time,
        pages_are_by_state_and_newest_first,
        too_much_is_left_out,
        what_is_due_comes_in_order,
    );
}

async fn a_notice_is_never_changed(db: Db) {
    let store = db.store().await;
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let before = only(&store).await;
    let refused = [
        "UPDATE outbox SET data = '{}'",
        "UPDATE outbox SET kind = 'user.unlocked'",
        "UPDATE outbox SET id = 'another'",
        "UPDATE outbox SET created_at = next_at, data = '[]'",
        "UPDATE outbox SET state = 'sent'",
        "UPDATE outbox SET state = 'lost', ended_at = next_at",
        "UPDATE outbox SET attempts = -1",
        "DELETE FROM outbox",
        "INSERT INTO outbox (id, kind, data, created_at, state, attempts, next_at, ended_at)
         SELECT 'x', kind, data, created_at, 'sent', 0, next_at, next_at FROM outbox",
        "INSERT INTO outbox (id, kind, data, created_at, state, attempts, next_at)
         SELECT id, kind, '{}', created_at, state, attempts, next_at FROM outbox",
    ];
    for sql in refused {
        assert!(db.try_execute(sql).await.is_err(), "{sql}");
    }
    match db {
        Db::Sqlite(_) => {
            let replace = "INSERT OR REPLACE INTO outbox (id, kind, data, created_at, state, attempts, next_at)
                           SELECT id, kind, '{}', created_at, state, attempts, next_at FROM outbox";
            assert!(db.try_execute(replace).await.is_err());
        }
        Db::Postgres(_) => assert!(db.try_execute("TRUNCATE outbox").await.is_err()),
    }
    assert_eq!(only(&store).await, before);
}

async fn states_go_one_way(db: Db) {
    let store = db.store().await;
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let first = only(&store).await;
    assert_eq!(store.outbox_retry(&first.id, NOW).await, Err(StoreError::Stale), "it waits");
    assert_eq!(store.outbox_retry("nothing", NOW).await, Err(StoreError::NotFound));
    let again = NOW + Duration::seconds(5);
    assert_eq!(store.outbox_failed(&first, "down", Some(again), NOW).await, Ok(true));
    assert_eq!(store.outbox_failed(&first, "down", Some(again), NOW).await, Ok(false), "somebody else has noted it");
    let second = only(&store).await;
    assert_eq!((second.attempts, second.next_at, second.last_error.as_deref()), (1, again, Some("down")));
    let long = "ä".repeat(600);
    assert_eq!(store.outbox_failed(&second, &long, None, NOW).await, Ok(true));
    let dead = only(&store).await;
    assert_eq!((dead.state, dead.attempts, dead.ended_at), (MessageState::Dead, 2, Some(NOW)));
    assert_eq!(dead.last_error.as_deref(), Some("ä".repeat(500).as_str()));
    assert_eq!(store.outbox_sent(&dead, NOW).await, Ok(false), "nobody waits for it");
    assert!(db.try_execute("UPDATE outbox SET state = 'sent'").await.is_err());
    let retried = store.outbox_retry(&first.id, NOW).await.unwrap();
    assert_eq!((retried.state, retried.attempts, retried.ended_at), (MessageState::Waiting, 0, None));
    assert_eq!(store.outbox_sent(&retried, NOW).await, Ok(true));
    let sent = only(&store).await;
    assert_eq!((sent.state, sent.attempts, sent.last_error), (MessageState::Sent, 1, None));
    assert_eq!(store.outbox_retry(&first.id, NOW).await, Err(StoreError::Stale), "it was sent");
    assert!(db.try_execute("UPDATE outbox SET state = 'waiting', ended_at = NULL").await.is_err());
}

async fn what_has_ended_is_deleted_in_time(db: Db) {
    let store = db.store().await;
    for number in 0..5 {
        store.outbox_put(&notice(number, NOW)).await.unwrap();
    }
    let all = rows(&store).await;
    let (month, quarter) = (NOW - Duration::days(30), NOW - Duration::days(90));
    store.outbox_sent(&all[0], month).await.unwrap();
    store.outbox_sent(&all[1], month + Duration::SECOND).await.unwrap();
    store.outbox_failed(&all[2], "down", None, quarter).await.unwrap();
    store.outbox_failed(&all[3], "down", None, quarter + Duration::SECOND).await.unwrap();
    assert_eq!(store.sweep(NOW).await, Ok(Swept { outbox: 2, ..Swept::default() }));
    let left: Vec<_> = rows(&store).await.into_iter().map(|row| row.id).collect();
    assert_eq!(left, [&all[1], &all[3], &all[4]].map(|row| row.id.clone()));
    let later = NOW + Duration::days(365);
    assert_eq!(store.sweep(later).await.unwrap().outbox, 2);
    assert_eq!(only(&store).await.state, MessageState::Waiting, "what waits is kept");
}

async fn pages_are_by_state_and_newest_first(db: Db) {
    let store = db.store().await;
    for number in 0..4 {
        store.outbox_put(&notice(number, NOW)).await.unwrap();
    }
    let all = rows(&store).await;
    assert!(all.is_sorted_by(|one, other| one.id > other.id));
    store.outbox_sent(&all[1], NOW).await.unwrap();
    store.outbox_failed(&all[2], "down", None, NOW - Duration::days(8)).await.unwrap();
    let ids = async |state, before: Option<&str>| -> Vec<_> {
        store.outbox_page(state, before, 2).await.unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(None, None).await, [all[0].id.clone(), all[1].id.clone()]);
    assert_eq!(ids(None, Some(&all[1].id)).await, [all[2].id.clone(), all[3].id.clone()]);
    assert_eq!(ids(Some(MessageState::Waiting), None).await, [all[0].id.clone(), all[3].id.clone()]);
    assert_eq!(ids(Some(MessageState::Dead), None).await, [all[2].id.clone()]);
    assert!(ids(Some(MessageState::Skipped), None).await.is_empty());
    let counts = store.outbox_counts(NOW - Duration::days(9)).await.unwrap();
    assert_eq!((counts.waiting, counts.dead, counts.oldest), (2, 1, Some(NOW)));
    assert_eq!(store.outbox_counts(NOW - Duration::days(7)).await.unwrap().dead, 0, "that is no news");
}

async fn too_much_is_left_out(db: Db) {
    let store = db.store().await;
    let data = json!({ "much": "x".repeat(65_536) });
    store.outbox_put(&Notice { kind: "rack.parameters-changed", data, at: NOW }).await.unwrap();
    assert_eq!(only(&store).await.data, json!({ "left_out": "the particulars are too long" }));
}

async fn what_is_due_comes_in_order(db: Db) {
    let store: Store = db.store_with(Options::default()).await;
    for (number, late) in [(1, 0), (2, 20), (3, 10)] {
        store.outbox_put(&notice(number, NOW + Duration::seconds(late))).await.unwrap();
    }
    let due = async |after: i64, limit| -> Vec<_> {
        let rows = store.outbox_due(NOW + Duration::seconds(after), limit).await.unwrap();
        rows.into_iter().map(|row| row.data["user"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(due(15, 9).await, ["1", "3"]);
    assert_eq!(due(20, 9).await, ["1", "3", "2"]);
    assert_eq!(due(20, 1).await, ["1"]);
    assert!(due(-1, 9).await.is_empty());
}

#[tokio::test]
async fn the_serving_role_sends_and_rewrites_nothing() {
    let db = Db::postgres().await;
    let role = format!("serving_{}", uuid::Uuid::now_v7().simple());
    db.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    db.store().await.migrate(Some(&role)).await.expect("granted");
    let url = db.url().await.replace("postgres@", &format!("{role}@"));
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let row = only(&store).await;
    assert_eq!(store.outbox_failed(&row, "down", None, NOW).await, Ok(true));
    let row = store.outbox_retry(&row.id, NOW).await.unwrap();
    assert_eq!(store.outbox_sent(&row, NOW).await, Ok(true));
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for column in ["id", "kind", "data", "created_at"] {
        let sql = format!("UPDATE outbox SET {column} = {column}");
        let refused = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("permission denied"), "{column}: {refused}");
    }
    assert_eq!(store.sweep(NOW + Duration::days(31)).await.unwrap().outbox, 1);
}
