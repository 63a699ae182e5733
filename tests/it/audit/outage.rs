//! The database goes away and comes back: callers are told quickly, nothing is half written,
//! nothing is lost, and nobody has to restart anything.

use std::time::{Duration, Instant};

use rack_gateway::audit::{Intent, Outcome, OutcomeResult, Unavailable, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::store::{Options, Store};
use serde_json::Value as Json;
use sqlx::{Connection as _, SqliteConnection};

use super::append::{ORIGIN, all, assert_whole, intent, json, writer};
use crate::harness::cut::{Cut, Line};
use crate::harness::db::Db;
use crate::harness::postgres::{self, Cluster};

/// Far below what a person or a load balancer waits for.
const QUICKLY: Duration = Duration::from_secs(4);

async fn refused(writer: &Writer) {
    let asked = Instant::now();
    assert!(matches!(writer.intent(intent("refused")).await, Err(Unavailable)));
    assert!(asked.elapsed() < QUICKLY, "took {:?}", asked.elapsed());
    assert!(!writer.status().healthy);
}

async fn held(writer: &Writer, request: &str) -> Intent {
    writer.intent(intent(request)).await.expect("an intent")
}

/// The chain is whole, each request in `expected` ended so, once, and no other intent exists.
async fn assert_ended(store: &Store, expected: &[(&str, &str)]) {
    let records = all(store).await;
    assert_whole(&records);
    let records: Vec<Json> = records.iter().map(json).collect();
    let mut ended: Vec<_> = records
        .iter()
        .filter(|r| r["kind"] == "outcome")
        .map(|r| (r["req"].as_str().expect("a request"), r["result"].as_str().expect("a result")))
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, expected);
    assert_eq!(records.iter().filter(|r| r["kind"] == "intent").count(), expected.len());
}

#[tokio::test]
async fn postgres_stops_and_starts_again() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(&["fsync=off"])).await.expect("a cluster");
    let store = Store::connect(&cluster.url("postgres"), Options::default()).await.expect("connect");
    store.migrate(None).await.expect("migrate");
    let mut options = WriterOptions::new("one", ORIGIN);
    options.backlog = 1;
    let writer = Writer::start(store.clone(), Clock::system(), options).await.expect("start");
    let before = held(&writer, "r1").await;
    cluster.down();
    refused(&writer).await;
    assert!(store.ping().await.expect_err("it is down").is_unavailable());
    before.complete(Outcome::of(OutcomeResult::Completed));
    let status = writer.status();
    assert_eq!((status.backlog, status.accepting), (1, false), "an outcome waits, so no intent may follow");
    refused(&writer).await;
    cluster.up();
    let waited = Instant::now();
    while !writer.status().accepting {
        assert!(waited.elapsed() < Duration::from_secs(20), "the outcome is not written");
        tokio::task::yield_now().await;
    }
    held(&writer, "r2").await.complete(Outcome::of(OutcomeResult::Completed));
    assert!(writer.status().healthy);
    store.ping().await.expect("it is back");
    assert!(writer.shutdown(QUICKLY).await, "everything is durable");
    assert_ended(&store, &[("r1", "completed"), ("r2", "completed")]).await;
}

#[tokio::test]
async fn postgres_becomes_read_only() {
    let name = postgres::database().await;
    let cluster = postgres::shared().await;
    let store = Store::connect(&cluster.url(&name), Options::default()).await.expect("connect");
    let writer = writer(&store, "one").await;
    drop(held(&writer, "r1").await);
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    let read_only = |on| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    cluster.execute("postgres", &read_only("on")).await;
    cluster.execute("postgres", &cut).await;
    refused(&writer).await;
    cluster.execute("postgres", &read_only("off")).await;
    cluster.execute("postgres", &cut).await;
    drop(held(&writer, "r2").await);
    assert!(writer.shutdown(QUICKLY).await, "everything is durable");
    assert_ended(&store, &[("r1", "abandoned"), ("r2", "abandoned")]).await;
}

#[tokio::test]
async fn another_process_locks_the_sqlite_file() {
    let db = Db::sqlite().await;
    let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
    let store = db.store_with(options).await;
    let writer = writer(&store, "one").await;
    let before = held(&writer, "r1").await;
    let mut other = SqliteConnection::connect(&db.url().await).await.expect("connect");
    let lock = other.begin_with("BEGIN EXCLUSIVE").await.expect("a lock");
    before.complete(Outcome::of(OutcomeResult::ClientGone));
    refused(&writer).await;
    store.ping().await.expect("reading goes on");
    lock.rollback().await.expect("unlocked");
    drop(held(&writer, "r2").await);
    assert!(writer.shutdown(QUICKLY).await, "everything is durable");
    assert_ended(&store, &[("r1", "client_gone"), ("r2", "abandoned")]).await;
}

/// The line breaks at the commit of an intent, then at that of an outcome: the caller is refused
/// either way, and afterwards the log says what is true, once.
async fn the_line_breaks_at_the_commit(cut: Cut, expected: &[(&str, &str)]) {
    let name = postgres::database().await;
    let cluster = postgres::shared().await;
    let line = Line::to(cluster.port()).await;
    let url = cluster.url(&name).replace(&cluster.port().to_string(), &line.port.to_string());
    let store = Store::connect(&url, Options::default()).await.expect("connect");
    let writer = writer(&store, "one").await;
    let before = held(&writer, "r1").await;
    line.cut(cut);
    refused(&writer).await;
    assert!(!line.is_armed(), "the line did break");
    drop(held(&writer, "r2").await);
    line.cut(cut);
    before.complete(Outcome::of(OutcomeResult::Completed));
    while line.is_armed() {
        tokio::task::yield_now().await;
    }
    // Whoever comes while the break is noticed is refused too.
    let asked = Instant::now();
    while writer.intent(intent("r3")).await.is_err() {
        assert!(asked.elapsed() < QUICKLY, "the line works again");
    }
    assert!(writer.shutdown(QUICKLY).await, "everything is durable");
    assert_ended(&store, expected).await;
    let records: Vec<Json> = all(&store).await.iter().map(json).collect();
    let told = records.iter().filter(|r| r["kind"] == "outcome" && r["req"] == "refused");
    for record in told {
        assert!(record["message"].as_str().expect("words").starts_with("nothing was done"), "{record}");
    }
}

#[tokio::test]
async fn a_commit_that_never_arrives() {
    the_line_breaks_at_the_commit(Cut::Before, &[("r1", "completed"), ("r2", "abandoned"), ("r3", "abandoned")]).await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost() {
    let expected = [("r1", "completed"), ("r2", "abandoned"), ("r3", "abandoned"), ("refused", "abandoned")];
    the_line_breaks_at_the_commit(Cut::After, &expected).await;
}
