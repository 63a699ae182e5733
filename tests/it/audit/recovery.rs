//! Processes die; what they left open is closed, and only that.

use std::time::{Duration, Instant};

use rack_gateway::audit::{Intent, Outcome, OutcomeResult, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::store::{Options, Store, StoreError};
use serde_json::Value as Json;
use tokio::runtime::{Builder, Runtime};

use super::append::{ORIGIN, all, assert_whole, intent, json, writer};
use crate::harness::db::Db;

mod both {
    crate::on_both!(open_intents_of_a_dead_process, a_clean_end, the_living_are_left_alone);
}

/// A process that can be killed: its tasks and connections end where they stand.
struct Victim {
    runtime: Runtime,
    writer: Writer,
    held: Vec<Intent>,
}

impl Victim {
    async fn start(db: &Db, instance: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let options = Options { runtime: Some(runtime.handle().clone()), ..Options::default() };
        let store = db.store_with(options).await;
        Self { runtime, writer: writer(&store, instance).await, held: Vec::new() }
    }

    /// Dead is dead: nothing of it may run on while the test goes on.
    async fn kill(self) {
        let runtime = self.runtime;
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30)));
        ended.await.expect("its end");
        drop(self.held);
        drop(self.writer);
    }
}

async fn outcomes(store: &Store) -> Vec<(u64, String, String)> {
    let records: Vec<Json> = all(store).await.iter().map(json).collect();
    let text = |r: &Json, key: &str| r[key].as_str().unwrap_or_default().to_owned();
    let found = records.iter().filter(|r| r["kind"] == "outcome");
    found.map(|r| (r["intent"].as_u64().expect("a number"), text(r, "result"), text(r, "instance"))).collect()
}

async fn open_intents_of_a_dead_process(db: Db) {
    let mut victim = Victim::start(&db, "dead").await;
    for request in ["r1", "r2", "r3"] {
        victim.held.push(victim.writer.intent(intent(request)).await.expect("an intent"));
    }
    // The second is finished, and durably so: the third record after it comes later.
    victim.held.remove(1).complete(Outcome::of(OutcomeResult::Completed));
    victim.held.push(victim.writer.intent(intent("r4")).await.expect("an intent"));
    victim.kill().await;

    let store = db.store().await;
    let heir = writer(&store, "heir").await;
    let waited = Instant::now();
    while store.instance_list_open().await.expect("a list").iter().any(|i| i.id == "dead") {
        assert!(waited.elapsed() < Duration::from_secs(30), "the dead are not found");
        tokio::task::yield_now().await;
    }
    assert!(heir.shutdown(Duration::from_secs(5)).await);
    assert_whole(&all(&store).await);
    let owned = |seq, result: &str, by: &str| (seq, result.to_owned(), by.to_owned());
    let expected = [
        owned(3, "completed", "dead"),
        owned(2, "unknown", "heir"),
        owned(4, "unknown", "heir"),
        owned(6, "unknown", "heir"),
    ];
    assert_eq!(outcomes(&store).await, expected);
}

async fn a_clean_end(db: Db) {
    let store = db.store().await;
    let first = writer(&store, "one").await;
    let open = store.instance_list_open().await.expect("a list");
    assert_eq!(open.iter().map(|i| (i.id.as_str(), i.first_seq)).collect::<Vec<_>>(), [("one", 1)]);
    first.intent(intent("r1")).await.expect("an intent").complete(Outcome::of(OutcomeResult::Completed));
    assert!(first.shutdown(Duration::from_secs(5)).await);
    assert_eq!(store.instance_list_open().await, Ok(vec![]));
    let taken = Writer::start(store.clone(), Clock::system(), WriterOptions::new("one", ORIGIN)).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "a name is used once");
    let second = writer(&store, "two").await;
    assert_eq!(store.instance_list_open().await.expect("a list")[0].first_seq, 4);
    let held = second.intent(intent("r2")).await.expect("an intent");
    assert!(!second.shutdown(Duration::from_millis(100)).await, "an intent is open");
    assert_eq!(store.instance_list_open().await.expect("a list").len(), 1, "so the next start must look");
    drop(held);
}

async fn the_living_are_left_alone(db: Db) {
    let store = db.store().await;
    let one = writer(&store, "one").await;
    let held = one.intent(intent("r1")).await.expect("an intent");
    assert!(store.instance_claim("one").await.expect("an answer").is_none(), "it lives");
    let again = Writer::start(store.clone(), Clock::system(), WriterOptions::new("one", ORIGIN)).await;
    assert!(matches!(again, Err(StoreError::Conflict(why)) if why.contains("instance name")));
    let claim = store.instance_claim("two").await.expect("an answer").expect("nobody has it");
    assert!(claim.renew().await.expect("an answer"));
    drop(claim);
    held.complete(Outcome::of(OutcomeResult::Completed));
    assert!(one.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_second_process_on_a_sqlite_file_is_refused() {
    let db = Db::sqlite().await;
    let (first, second) = (db.store().await, db.store().await);
    let running = writer(&first, "one").await;
    let start = || Writer::start(second.clone(), Clock::system(), WriterOptions::new("two", ORIGIN));
    assert!(matches!(start().await, Err(StoreError::Conflict(why)) if why.contains("another gateway process")));
    assert_eq!(second.head().await.expect("reading is free").map(|(_, head)| head.seq), Some(0));
    assert!(running.shutdown(Duration::from_secs(5)).await);
    assert!(start().await.expect("the file is free").shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_lost_session_is_claimed_again() {
    let db = Db::postgres().await;
    let store = db.store().await;
    let claim = store.instance_claim("one").await.expect("an answer").expect("nobody has it");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    db.execute(cut).await;
    assert!(claim.renew().await.expect("an answer"), "claimed again");
    assert!(store.instance_claim("one").await.expect("an answer").is_none(), "by us");
    db.execute(cut).await;
    let thief = store.instance_claim("one").await.expect("an answer").expect("free for a moment");
    assert!(!claim.renew().await.expect("an answer"), "somebody else has it");
    drop(thief);
}
