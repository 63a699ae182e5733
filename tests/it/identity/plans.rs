//! With many people and sessions, no question that a request asks reads a whole table.

use rack_gateway::store::{CredentialFilter, CredentialKind, Store};
use sqlx::{Connection as _, PgConnection, Row as _};
use time::OffsetDateTime;

use super::NOW;
use crate::harness::db::Db;

/// 1 000 people with ten sessions each.
pub fn crowd(db: &Db) -> String {
    let (people, sessions, hash) = match db {
        Db::Sqlite(_) => ("n WHERE i < 1000", "m WHERE i < 10000", "randomblob(32)"),
        Db::Postgres(_) => ("n WHERE i < 1000", "m WHERE i < 10000", "sha256(convert_to('s' || i, 'UTF8'))"),
    };
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM {people}) \
         INSERT INTO users (id, email, name, roles, groups, issuer, subject, version, created_at) \
         SELECT 'u' || i, 'u' || i || '@example.com', 'x', '[\"viewer\"]', '[]', 'idp', 's' || i, 1, \
         '2026-01-01T00:00:00Z' FROM n; \
         WITH RECURSIVE m(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM {sessions}) \
         INSERT INTO credentials (id, kind, name, user_id, roles, secret_hash, created_at, expires_at, last_used_at, \
         apps, version) SELECT 'c' || i, 'web', 'x', 'u' || (i % 1000), '[]', {hash}, '2026-01-01T00:00:00Z', \
         '2027-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '[]', 1 FROM m; ANALYZE;"
    )
}

/// All that requests ask and do.
async fn work(store: &Store, now: OffsetDateTime) {
    let of_one = CredentialFilter { user: Some("u5".to_owned()), live_at: Some(now), ..CredentialFilter::default() };
    let kinds = vec![CredentialKind::Web];
    let second = CredentialFilter { after: Some("c5".to_owned()), limit: 50, kinds, ..CredentialFilter::default() };
    for filter in [of_one, second] {
        assert!(!store.credential_list(filter).await.expect("a list").is_empty());
    }
    store.credential_find(&[1; 32]).await.expect("a search");
    store.credential_get("c7").await.expect("a search").expect("a session");
    store.credential_touch("c7", now).await.expect("touched");
    store.credential_rotate("c7", &[1; 32], now, 1).await.expect("rotated");
    store.credential_revoke("c7", "lost", now).await.expect("revoked");
    store.credentials_revoke_of_user("u8", None, "all", now).await.expect("revoked");
    store.user_find_by_email("u5@example.com").await.expect("a search").expect("a user");
    store.user_find_by_subject("idp", "s5").await.expect("a search").expect("a user");
    assert_eq!(store.user_list(Some("u3@example.com"), 50).await.expect("a list").len(), 50);
    store.user_role_grant("u5", "ops").await.expect("granted");
    store.user_signed_in("u5", "x", vec![], now).await.expect("signed in");
    store.user_lock("u5", "left", "root", now).await.expect("locked");
    store.user_delete("u6").await.expect("deleted");
    store.sweep(now).await.expect("swept");
}

/// How often these tables were read whole, and how often by an index.
pub async fn scans(connection: &mut PgConnection) -> (i64, i64) {
    let sql = "SELECT sum(seq_scan)::int8, sum(coalesce(idx_scan, 0))::int8 FROM pg_stat_user_tables \
         WHERE relname IN ('users', 'credentials')";
    let row = sqlx::query(sql).fetch_one(connection).await.expect("statistics");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn postgres_reads_no_whole_table() {
    let db = Db::postgres().await;
    db.execute(&crowd(&db)).await;
    let mut connection = PgConnection::connect(&db.url().await).await.expect("connect");
    let before = scans(&mut connection).await;
    let store = db.store().await;
    work(&store, NOW).await;
    store.close().await;
    // A session hands in its numbers when it ends.
    let after = crate::harness::until("the statistics", || {
        let url = db.url();
        async move {
            let mut connection = PgConnection::connect(&url.await).await.expect("connect");
            let now = scans(&mut connection).await;
            (now.1 >= before.1 + 15).then_some(now)
        }
    });
    assert_eq!(after.await.0, before.0, "a table was read whole");
}

#[tokio::test]
async fn sqlite_reads_no_whole_table() {
    let db = Db::sqlite().await;
    db.execute(&crowd(&db)).await;
    let store = db.store().await;
    work(&store, NOW).await;
    store.close().await;
    let mut connection = sqlx::SqliteConnection::connect(&db.url().await).await.expect("connect");
    for sql in [
        "SELECT * FROM credentials c LEFT JOIN users u ON c.user_id = u.id WHERE c.secret_hash = x'00' OR \
         c.previous_hash = x'00' LIMIT 1",
        "SELECT * FROM credentials c LEFT JOIN users u ON c.user_id = u.id WHERE c.user_id = 'u5' AND c.id < 'c5' \
         AND c.revoked_at IS NULL AND c.expires_at > '2026' ORDER BY c.id DESC LIMIT 50",
        "UPDATE credentials SET revoked_at = '2026' WHERE revoked_at IS NULL AND user_id = 'u5'",
        "DELETE FROM credentials WHERE (id) IN (SELECT id FROM credentials WHERE expires_at <= '2026' LIMIT 500)",
        "DELETE FROM credentials WHERE (id) IN (SELECT id FROM credentials WHERE revoked_at <= '2026' LIMIT 500)",
        "SELECT * FROM users WHERE issuer = 'idp' AND subject = 's5' LIMIT 1",
        "SELECT * FROM users WHERE email > 'u3' ORDER BY email LIMIT 50",
    ] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut connection);
        let rows = rows.await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let is_whole = |step: &String| step.starts_with("SCAN") || step.contains("TEMP B-TREE");
        assert!(!plan.is_empty() && !plan.iter().any(is_whole), "{sql}: {plan:?}");
    }
}
