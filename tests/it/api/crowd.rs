//! With ten thousand sessions of a thousand people, asking who one is reads no whole table.

use rack_gateway::http::Running;
use rack_gateway::identity::{Arrival, Origin, Rules};
use rack_gateway::upstream::Limits;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::with;
use crate::harness::Db;
use crate::harness::gateway::{launch, without_step_up};
use crate::identity::plans::{IDENTITY, crowd, scans};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json as body_of};

async fn start(db: &Db, rack: &CountingRack) -> Running {
    launch(db, rack.addr, without_step_up(), Limits::default()).await
}

/// What was read whole and what by an index, once nobody is connected any more: what a connection has
/// counted is known by then.
async fn counted(db: &Db) -> (i64, i64) {
    crate::harness::until("everybody has left", || async move {
        let mut connection = PgConnection::connect(&db.url().await).await.unwrap();
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND pid <> pg_backend_pid()";
        let others: i64 = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
        if others > 0 {
            return None;
        }
        Some(scans(&mut connection, &IDENTITY).await)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_one_is_is_found_by_index() {
    let db = Db::postgres().await;
    db.execute(&crowd(&db)).await;
    let rack = CountingRack::start().await;
    let store = db.store().await;
    let mut tokens = Vec::new();
    for number in 0..20 {
        let user = store.user_find_by_email(&format!("u{number}@example.com")).await.unwrap().unwrap();
        let arrival = Arrival::cli(&Rules::default(), "laptop".to_owned());
        let origin = Origin { source_ip: "192.0.2.7".parse().unwrap(), user_agent: None };
        let now = time::OffsetDateTime::now_utc();
        tokens.push(arrival.admit(&store, Some(user.id), origin, now).await.unwrap());
    }
    store.close().await;
    let before = counted(&db).await;
    start(&db, &rack).await.stop().await;
    let idle = counted(&db).await;
    let running = start(&db, &rack).await;
    for (number, token) in tokens.iter().enumerate() {
        let answer = with(token.expose(), Send::get("/api/v1/whoami")).to(running.addr).await;
        assert_eq!(body_of(&answer)["email"], json!(format!("u{number}@example.com")));
    }
    running.stop().await;
    let busy = counted(&db).await;
    assert_eq!(busy.0 - idle.0, idle.0 - before.0, "asking reads no more whole tables than starting does");
    assert!(busy.1 - idle.1 >= 20, "{busy:?} {idle:?}");
}
