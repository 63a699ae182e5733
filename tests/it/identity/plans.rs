//! With many people and sessions, no question that a request asks reads a whole table.

use rack_gateway::store::{CredentialFilter, CredentialKind, Store};
use sqlx::{Connection as _, PgConnection, Row as _};
use time::OffsetDateTime;

use super::NOW;
use super::challenges::question;
use super::factors::enrolment;
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

/// Of a crowd, each with a factor, a backup code, a device, a challenge and a notice.
fn furniture(db: &Db) -> String {
    let hash = match db {
        Db::Sqlite(_) => "randomblob(32)",
        Db::Postgres(_) => "sha256(convert_to(id, 'UTF8'))",
    };
    let (past, end) = ("'2026-01-01T00:00:00Z'", "'2027-01-01T00:00:00Z'");
    format!(
        "INSERT INTO factors (id, user_id, kind, name, credential_id, created_at, created_with, confirmed_at, version) \
         SELECT 'f' || id, id, 'totp', 'x', 'k' || id, {past}, 'c', {past}, 1 FROM users; \
         INSERT INTO backup_codes (code_hash, user_id, created_at) SELECT {hash}, id, {past} FROM users; \
         INSERT INTO trusted_devices (id, user_id, token_hash, browser, source_ip, created_at, expires_at) \
         SELECT 'd' || id, id, {hash}, 'x', '::1', {past}, {end} FROM users; \
         INSERT INTO challenges (id, code, user_id, credential_id, action, resource, reasons, needs, strong, way, \
         intent_digest, source_ip, created_at, expires_at, attempts, answered_strong) SELECT 'q' || id, id, user_id, \
         id, 'x', 'x', '[]', 'mfa', FALSE, 'web', {hash}, '::1', {past}, {end}, 0, FALSE FROM credentials \
         WHERE id < 'c3'; \
         INSERT INTO notices (id, user_id, kind, text, created_at) SELECT 'n' || id, id, 'x', 'x', \
         '2026-11-01T00:00:00Z' FROM users; ANALYZE;"
    )
}

/// What has to do with factors.
async fn prove(store: &Store, now: OffsetDateTime) {
    store.factor_begin(enrolment("new", "u5"), now).await.expect("begun");
    store.factor_confirm("new", "u5", None, None, None, now).await.expect("confirmed");
    store.factor_step("new", 1, now).await.expect("an answer");
    assert_eq!(store.factor_list("u5").await.expect("a list").len(), 2);
    store.factor_by_credential("ku5").await.expect("a search").expect("a factor");
    store.factor_delete("new", "u5").await.expect("deleted");
    store.backup_codes_replace("u5", vec![[1; 32], [2; 32]], now).await.expect("made");
    store.backup_code_use("u5", &[1; 32], now).await.expect("an answer");
    store.backup_codes_left("u5").await.expect("counted");
    store.device_find(&[1; 32]).await.expect("a search");
    assert_eq!(store.device_list("u5", now).await.expect("a list").len(), 1);
    store.device_delete("du5", "u5").await.expect("deleted");
    let row = store.challenge_pose(question("u10", "c10", 1), now).await.expect("posed");
    store.challenge_find_by_code(&row.code).await.expect("a search").expect("a challenge");
    store.challenge_try("q1", 5, now).await.expect("an answer");
    store.challenge_linked("c10", &["process:exec"], now).await.expect("a search");
    store.challenge_answer("q1", "totp", false, None, row.expires_at, now).await.expect("an answer");
    store.challenge_for("c10", &row.intent_digest, now).await.expect("a search").expect("a challenge");
    store.challenge_spend("q1", now).await.expect("an answer");
    store.credential_verified("c10", now, "totp", false).await.expect("an answer");
    store.notice_list("u5", 5).await.expect("a list");
    store.notices_seen("u5", now).await.expect("seen");
    store.factors_reset("u7", "root", NOW).await.expect("reset");
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

/// Who is who.
pub const IDENTITY: [&str; 2] = ["users", "credentials"];
/// That, and what has to do with factors.
const ALL: [&str; 7] = ["users", "credentials", "factors", "backup_codes", "trusted_devices", "challenges", "notices"];

/// How often these tables were read whole, and how often by an index.
pub async fn scans(connection: &mut PgConnection, tables: &[&str]) -> (i64, i64) {
    let sql = "SELECT sum(seq_scan)::int8, sum(coalesce(idx_scan, 0))::int8 FROM pg_stat_user_tables \
         WHERE relname = ANY($1)";
    let row = sqlx::query(sql).bind(tables).fetch_one(connection).await.expect("statistics");
    (row.get(0), row.get(1))
}

/// The same once nobody else is connected: a session hands in its numbers before it is gone.
async fn all_scans(db: &Db) -> (i64, i64) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let url = db.url().await;
    crate::harness::until("nobody else is connected", || async {
        let mut connection = PgConnection::connect(&url).await.expect("connect");
        let others: i64 = sqlx::query_scalar(others).fetch_one(&mut connection).await.expect("a count");
        let now = scans(&mut connection, &ALL).await;
        connection.close().await.expect("closed");
        (others == 0).then_some(now)
    })
    .await
}

#[tokio::test]
async fn postgres_reads_no_whole_table() {
    let db = Db::postgres().await;
    db.execute(&crowd(&db)).await;
    db.execute(&furniture(&db)).await;
    let before = all_scans(&db).await;
    let store = db.store().await;
    prove(&store, NOW).await;
    work(&store, NOW).await;
    store.close().await;
    let after = all_scans(&db).await;
    assert!(after.1 >= before.1 + 40, "it was counted: {before:?} {after:?}");
    assert_eq!(after.0, before.0, "a table was read whole");
}

#[tokio::test]
async fn sqlite_reads_no_whole_table() {
    let db = Db::sqlite().await;
    db.execute(&crowd(&db)).await;
    db.execute(&furniture(&db)).await;
    let store = db.store().await;
    prove(&store, NOW).await;
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
        "UPDATE credentials SET device_id = NULL WHERE device_id = 'd1'",
        "DELETE FROM factors WHERE (id) IN (SELECT id FROM factors WHERE expires_at <= '2026' LIMIT 500)",
        "DELETE FROM challenges WHERE (id) IN (SELECT id FROM challenges WHERE expires_at <= '2026' LIMIT 500)",
        "DELETE FROM notices WHERE (id) IN (SELECT id FROM notices WHERE created_at <= '2026' LIMIT 500)",
        "SELECT * FROM trusted_devices WHERE expires_at <= '2026'",
        "SELECT * FROM trusted_devices WHERE user_id = 'u5' AND expires_at > '2026' ORDER BY id DESC",
        "SELECT * FROM factors WHERE user_id = 'u5' AND confirmed_at IS NOT NULL ORDER BY id ASC",
        "SELECT COUNT(*) - COUNT(used_at), COUNT(*) FROM backup_codes WHERE user_id = 'u5'",
        "DELETE FROM challenges WHERE user_id = 'u5'",
        "SELECT * FROM challenges WHERE credential_id = 'c5' AND intent_digest = x'00' AND answered_at IS NULL",
        "SELECT * FROM notices WHERE user_id = 'u5' ORDER BY created_at DESC, id DESC LIMIT 10",
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
