//! The database goes away, fills up, or turns read-only: nothing passes. It comes back: everything
//! does, without a restart.

use rack_gateway::store::Backend;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::postgres;
use crate::harness::{Db, Gateway};
use crate::replay::peer::Wire;
use crate::rows::CountingRack;

/// One way in which a database fails, and how it is put right.
struct Fault {
    name: &'static str,
    begin: &'static [&'static str],
    end: &'static [&'static str],
}

/// Statements of an administrator, on a connection of their own. `{db}` is the database's name.
const POSTGRES: &[Fault] = &[
    Fault {
        name: "gone",
        begin: &["ALTER DATABASE {db} ALLOW_CONNECTIONS false", KICK],
        end: &["ALTER DATABASE {db} ALLOW_CONNECTIONS true"],
    },
    Fault {
        name: "read-only",
        begin: &["ALTER DATABASE {db} SET default_transaction_read_only = on", KICK],
        end: &["ALTER DATABASE {db} RESET default_transaction_read_only", KICK],
    },
];
const KICK: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{db}'";

#[tokio::test(flavor = "multi_thread")]
async fn postgres_fails_and_recovers() {
    for fault in POSTGRES {
        let db = Db::postgres().await;
        let (rack, gateway) = serving(&db).await;
        let name = db.url().await.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let mut admin = PgConnection::connect(&postgres::shared().await.url("postgres")).await.unwrap();
        for statement in fault.begin {
            admin.execute(sqlx::AssertSqlSafe(statement.replace("{db}", &name))).await.unwrap();
        }
        nothing_passes(&gateway, &rack, fault.name).await;
        for statement in fault.end {
            admin.execute(sqlx::AssertSqlSafe(statement.replace("{db}", &name))).await.unwrap();
        }
        passes_again(&gateway, &rack, fault.name).await;
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_locked_away_and_comes_back() {
    let db = Db::sqlite().await;
    let (rack, gateway) = serving(&db).await;
    assert_eq!(gateway.running.gate.store.backend(), Backend::Sqlite);
    let mut other = SqliteConnection::connect(&db.url().await).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    nothing_passes(&gateway, &rack, "locked").await;
    other.execute("ROLLBACK").await.unwrap();
    passes_again(&gateway, &rack, "locked").await;
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_loses_its_table_and_gets_it_back() {
    // A full disk and a read-only file both show as an insert that fails; a renamed table fails the
    // same way, and needs no privileged mount.
    let db = Db::sqlite().await;
    let (rack, gateway) = serving(&db).await;
    let mut other = SqliteConnection::connect(&db.url().await).await.unwrap();
    other.execute("ALTER TABLE audit_records RENAME TO away").await.unwrap();
    nothing_passes(&gateway, &rack, "cannot insert").await;
    other.execute("ALTER TABLE away RENAME TO audit_records").await.unwrap();
    passes_again(&gateway, &rack, "cannot insert").await;
    gateway.stop_and_verify().await;
}

async fn serving(db: &Db) -> (CountingRack, Gateway) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(db, rack.addr).await;
    assert_eq!(get(&gateway, "/apps", true).await, 200);
    assert_eq!(get(&gateway, "/api/v1/ready", false).await, 200);
    rack.take();
    (rack, gateway)
}

async fn nothing_passes(gateway: &Gateway, rack: &CountingRack, fault: &str) {
    for authorized in [true, false] {
        assert_eq!(get(gateway, "/apps", authorized).await, 503, "{fault}, authorized: {authorized}");
    }
    assert_eq!(get(gateway, "/api/v1/ready", false).await, 503, "{fault}");
    assert_eq!(get(gateway, "/api/v1/health", false).await, 200, "{fault}");
    assert_eq!(rack.take(), 0, "{fault}: the rack saw something");
}

/// Without a restart, at the first or the second try: the first may meet a dead connection.
async fn passes_again(gateway: &Gateway, rack: &CountingRack, fault: &str) {
    let mut last = 0;
    for _ in 0..5 {
        last = get(gateway, "/apps", true).await;
        if last == 200 {
            break;
        }
    }
    assert_eq!(last, 200, "{fault}: it does not come back");
    assert_eq!(rack.take(), 1, "{fault}");
    assert_eq!(get(gateway, "/api/v1/ready", false).await, 200, "{fault}");
}

async fn get(gateway: &Gateway, path: &str, authorized: bool) -> u16 {
    let mut wire = Wire::connect(gateway.addr()).await;
    let credential = if authorized { format!("Authorization: {}\r\n", gateway.basic("admin")) } else { String::new() };
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: gateway.example.com\r\n{credential}\r\n").as_bytes()).await;
    wire.message(false).await.unwrap().status()
}
