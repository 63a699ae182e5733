//! The guards of the tables, and the schema itself.

use rack_gateway::audit::{Event, EventKind, Keeper};
use rack_gateway::store::{AnchorRow, EpochRow, Options, RecordFilter, Store, StoreError};

use super::append::{all, assert_whole, writer};
use crate::harness::db::Db;
use crate::harness::postgres;
use crate::identity::{NOW, alice, session};

mod both {
    crate::on_both!(records_are_only_added, what_lies_beside_the_records, the_schema, concurrent_migrations);
}

async fn records_are_only_added(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    writer.append(Event::new(EventKind::System, "", "gateway:start")).await.expect("a record");
    let replace = "INSERT OR REPLACE INTO audit_records SELECT * FROM audit_records";
    let upsert = "INSERT INTO audit_records SELECT * FROM audit_records WHERE seq = 1 \
         ON CONFLICT (seq) DO UPDATE SET actor = 'x'";
    let head = "INSERT OR REPLACE INTO audit_head SELECT * FROM audit_head";
    let sqlite = ["DELETE FROM audit_records WHERE 1", replace, head];
    let postgres = ["TRUNCATE audit_records", "TRUNCATE audit_head", upsert];
    let own = if store.is_exclusive() { sqlite } else { postgres };
    let common = [
        "UPDATE audit_records SET actor = 'x'",
        "DELETE FROM audit_records WHERE seq = 1",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 1",
        "UPDATE audit_head SET origin = 'other', seq = 9",
        "INSERT INTO audit_head SELECT 2, origin, seq, chain FROM audit_head",
    ];
    for sql in common.iter().chain(&own) {
        db.try_execute(sql).await.expect_err(sql);
    }
    let records = all(&store).await;
    assert_whole(&records);
    assert_eq!(records.len(), 2);
}

/// A row of each table beside the records, whatever it may say.
const BESIDE: &str = "INSERT INTO audit_nodes VALUES (1, 0, HASH); \
     INSERT INTO audit_anchors VALUES (1, 1, 0, HASH, HASH, HASH, HASH, 'x', 'x', TRUE); \
     INSERT INTO audit_epochs VALUES (2, 2, 1); INSERT INTO audit_private VALUES (1, 'src_ip', SALT, 'x')";

async fn what_lies_beside_the_records(db: Db) {
    let bytes = |count: usize| match &db {
        Db::Sqlite(_) => format!("x'{}'", "ab".repeat(count)),
        Db::Postgres(_) => format!("decode('{}', 'hex')", "ab".repeat(count)),
    };
    db.execute(&BESIDE.replace("HASH", &bytes(32)).replace("SALT", &bytes(16))).await;
    let tables =
        [("audit_nodes", "hash"), ("audit_anchors", "root"), ("audit_epochs", "seq"), ("audit_private", "value")];
    for (table, column) in tables {
        let mut refused = vec![format!("UPDATE {table} SET {column} = {column}")];
        if table != "audit_private" {
            refused.push(format!("DELETE FROM {table}"));
        }
        match &db {
            Db::Postgres(_) => refused.push(format!("TRUNCATE {table}")),
            // The same node may be added again.
            Db::Sqlite(_) if table == "audit_nodes" => {
                refused.push(format!(
                    "INSERT OR REPLACE INTO audit_nodes SELECT level, idx, {} FROM audit_nodes",
                    bytes(31)
                ));
                refused.push(
                    "INSERT OR REPLACE INTO audit_nodes SELECT level, idx, zeroblob(32) FROM audit_nodes".to_owned(),
                );
            }
            Db::Sqlite(_) => refused.push(format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}")),
        }
        for sql in refused {
            db.try_execute(&sql).await.expect_err(&sql);
        }
    }
    db.execute("DELETE FROM audit_private WHERE value = 'x'").await;
}

async fn the_schema(db: Db) {
    let store = db.store().await;
    let status = store.migration_status().await.expect("a status");
    assert!(status.is_current() && !status.applied.is_empty(), "{status:?}");
    assert_eq!(store.migrate(None).await, Ok(status), "running again changes nothing");
    store.ping().await.expect("a sign of life");
    store.close().await;
    assert!(store.ping().await.expect_err("closed").is_unavailable());
}

async fn concurrent_migrations(db: Db) {
    // SQLite in memory starts empty; PostgreSQL gets a database without the template.
    let url = match &db {
        Db::Sqlite(dir) => format!("sqlite://{}/fresh.sqlite", dir.path().display()),
        Db::Postgres(name) => {
            let fresh = format!("{name}_fresh");
            postgres::shared().await.execute("postgres", &format!("CREATE DATABASE {fresh}")).await;
            postgres::shared().await.url(&fresh)
        }
    };
    let connect = || async { Store::connect(&url, Options::default()).await.expect("connect") };
    let (one, two) = (connect().await, connect().await);
    let pending = one.migration_status().await.expect("a status");
    assert!(pending.applied.is_empty() && !pending.is_current());
    assert!(matches!(one.head().await, Err(StoreError::Corrupt(why)) if why.contains("migrate")), "says what to do");
    let (first, second) = tokio::join!(one.migrate(None), two.migrate(None));
    assert!(first.expect("migrated").is_current() && second.expect("migrated").is_current());
}

#[tokio::test]
async fn a_serving_role_can_serve_and_no_more() {
    let name = postgres::database().await;
    let cluster = postgres::shared().await;
    let role = format!("{name}_app");
    cluster.execute(&name, &format!("CREATE ROLE {role} LOGIN")).await;
    let owner = Store::connect(&cluster.url(&name), Options::default()).await.expect("connect");
    owner.migrate(Some(&role)).await.expect("granted");
    let url = cluster.url(&name).replace("postgres@", &format!("{role}@"));
    let store = Store::connect(&url, Options::default()).await.expect("connect");
    assert!(store.migration_status().await.expect("a status").is_current());
    let writer = writer(&store, "one").await;
    let held = writer.intent(super::append::intent("r1")).await.expect("an intent");
    drop(held);
    assert!(writer.shutdown(std::time::Duration::from_secs(5)).await, "the run can be ended");
    store.user_create(alice(), NOW).await.expect("a user");
    store.credential_create(session("c1", "u1", 1), NOW).await.expect("a session");
    store.sweep(NOW).await.expect("a sweep");
    store.user_delete("u1").await.expect("deleted");
    serves_the_log(&store).await;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("connect");
    for sql in [
        "ALTER TABLE audit_records DISABLE TRIGGER USER",
        "UPDATE audit_records SET actor = 'x'",
        "DELETE FROM audit_records",
        "TRUNCATE audit_records",
        "TRUNCATE users CASCADE",
        "UPDATE identity_epoch SET epoch = 1",
        "UPDATE audit_head SET origin = 'x'",
        "UPDATE audit_private SET value = 'x'",
        "TRUNCATE audit_private",
        "DELETE FROM audit_nodes",
        "UPDATE audit_anchors SET size = 0",
        "DELETE FROM audit_epochs",
        "DELETE FROM audit_words",
        "DELETE FROM audit_indexed",
        "CREATE TABLE mine (id int)",
    ] {
        sqlx::raw_sql(sql).execute(&mut connection).await.expect_err(sql);
    }
}

/// All that a gateway does with what lies beside the records.
async fn serves_the_log(store: &Store) {
    let keeper = Keeper::new(store.clone());
    let (_, head) = store.head().await.expect("the head").expect("a head");
    keeper.catch_up(head.seq).await.expect("a tree");
    keeper.index(head.seq).await.expect("an index");
    store.nodes_add(1, 0, vec![[1; 32]]).await.expect("a node");
    store.epoch_add(EpochRow { number: 2, seq: 1, kept: 0 }).await.expect("an epoch");
    let anchor = AnchorRow {
        epoch: 1,
        number: 1,
        size: 0,
        root: [0; 32],
        chain: [0; 32],
        checkpoint: vec![],
        meta: vec![],
        made_at: String::new(),
        next_due: String::new(),
        development: true,
    };
    store.anchor_add(&anchor).await.expect("an anchor");
    store.private_erase(&[(2, "src_ip".to_owned())]).await.expect("erased");
    let filter = RecordFilter { text: Some("list".to_owned()), ..RecordFilter::default() };
    assert_eq!(store.records_search(&filter, None, 9).await.expect("a search").len(), 1);
}

#[tokio::test]
async fn addresses_that_are_refused() {
    let path = tempfile::tempdir().expect("a directory");
    let missing = format!("sqlite://{}/no/such/dir/x.sqlite", path.path().display());
    for (url, is_invalid) in [
        ("mysql://user:s3cret@localhost/x", true),
        ("nonsense", true),
        ("postgres://user:s3cret@[bad/x", true),
        ("postgres://user:s3cret@127.0.0.1:1/x", false),
        (missing.as_str(), false),
    ] {
        let error = Store::connect(url, Options::default()).await.expect_err(url);
        assert_eq!(matches!(error, StoreError::Invalid(_)), is_invalid, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_in_memory() {
    let store = Store::connect("sqlite::memory:", Options::default()).await.expect("connect");
    store.migrate(None).await.expect("migrate");
    let writer = writer(&store, "one").await;
    writer.append(Event::new(EventKind::System, "", "gateway:start")).await.expect("a record");
    assert_whole(&all(&store).await);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let db = Db::sqlite().await;
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let dir = db.file().expect("a file").parent().expect("a directory").to_owned();
    for entry in std::fs::read_dir(dir).expect("a listing").flatten() {
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
    }
}
