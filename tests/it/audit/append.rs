//! Records reach the chain whole, in order, and once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rack_gateway::audit::{Event, EventKind, Outcome, OutcomeResult, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::proof::chain;
use rack_gateway::store::{Record, Store};
use serde_json::Value as Json;

use crate::harness::db::Db;

pub const ORIGIN: &str = "gw.example.com/prod/audit";

pub async fn writer(store: &Store, instance: &str) -> Writer {
    let mut options = WriterOptions::new(instance, ORIGIN);
    options.dead_after = Duration::ZERO;
    Writer::start(store.clone(), Clock::system(), options).await.expect("start a writer")
}

pub fn intent(request: &str) -> Event {
    Event::new(EventKind::Intent, request, "app:list")
}

pub async fn all(store: &Store) -> Vec<Record> {
    store.records_after(0, 1_000_000).await.expect("read the records")
}

pub fn json(record: &Record) -> Json {
    serde_json::from_slice(&record.canon).expect("a record is JSON")
}

/// Recomputes the chain with nothing but the bytes.
#[track_caller]
pub fn assert_whole(records: &[Record]) {
    let mut link = chain::genesis(ORIGIN);
    for (record, expected) in records.iter().zip(1..) {
        assert_eq!(record.seq, expected, "no gaps");
        assert_eq!(json(record)["seq"], expected, "the number is in the bytes");
        assert_eq!(record.leaf, chain::leaf(&record.canon), "leaf of {expected}");
        link = chain::link(&link, &chain::leaf(&record.canon));
        assert_eq!(record.chain, link, "chain at {expected}");
    }
}

mod both {
    crate::on_both!(intents_and_outcomes, four_tasks_and_two_writers, a_dropped_intent_is_abandoned);
}

async fn intents_and_outcomes(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let held = writer.intent(intent("r1")).await.expect("an intent");
    assert_eq!((held.seq(), held.request_id()), (2, "r1"), "after the record that begins the chain");
    let mut outcome = Outcome::of(OutcomeResult::Completed);
    outcome.status = Some(200);
    held.complete(outcome);
    let denial = writer.append(Event::new(EventKind::Denial, "r2", "app:delete")).await.expect("a record");
    assert!(writer.shutdown(Duration::from_secs(5)).await, "everything is durable");
    assert!(writer.append(intent("r3")).await.is_err(), "nothing is taken after the end");
    let records = all(&store).await;
    assert_whole(&records);
    assert_eq!(records.len(), 4);
    let begin = json(&records[0]);
    assert_eq!((&begin["action"], &begin["detail"]["origin"]), (&"chain:begin".into(), &ORIGIN.into()));
    let outcome = records.iter().map(json).find(|r| r["kind"] == "outcome").expect("an outcome");
    assert_eq!((&outcome["intent"], &outcome["status"], &outcome["req"]), (&2.into(), &200.into(), &"r1".into()));
    let found = store.records_by_request("r2", 10).await.expect("search");
    assert_eq!(found.iter().map(|r| r.seq).collect::<Vec<_>>(), [denial.seq]);
    let (origin, head) = store.head().await.expect("the head").expect("a head");
    assert_eq!((origin.as_str(), head.seq), (ORIGIN, 4));
    assert_eq!(records[3].chain, head.chain);
}

async fn four_tasks_and_two_writers(db: Db) {
    const EACH: u64 = 200;
    let store = db.store().await;
    // As two processes would on PostgreSQL; a SQLite file has one process, which may have two.
    let other = if store.is_exclusive() { store.clone() } else { db.store().await };
    let writers = [writer(&store, "one").await, writer(&other, "two").await];
    let tasks = (0..4).map(|n| {
        let writer = writers[n % 2].clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for i in 0..EACH {
                let held = writer.intent(intent(&format!("r{n}-{i}"))).await.expect("an intent");
                seen.push(held.seq());
                held.complete(Outcome::of(OutcomeResult::Completed));
            }
            seen
        })
    });
    let mut seen = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        seen.extend(task.await.expect("a task"));
    }
    for writer in &writers {
        assert!(writer.shutdown(Duration::from_secs(10)).await);
    }
    assert_eq!(seen.len() as u64, 4 * EACH, "no number twice");
    let records = all(&store).await;
    assert_eq!(records.len() as u64, 1 + 8 * EACH);
    assert_whole(&records);
}

async fn a_dropped_intent_is_abandoned(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    drop(writer.intent(intent("r1")).await.expect("an intent"));
    // A caller that goes away while it waits leaves no open intent either.
    let waiting = Arc::new(writer.clone());
    let gone = tokio::spawn(async move { waiting.intent(intent("r2")).await.map(|held| held.seq()) });
    gone.abort();
    assert!(writer.shutdown(Duration::from_secs(5)).await, "no intent stays open");
    let records: Vec<Json> = all(&store).await.iter().map(json).collect();
    let opened = records.iter().filter(|r| r["kind"] == "intent").count();
    let abandoned = records.iter().filter(|r| r["result"] == "abandoned").count();
    assert_eq!(opened, abandoned);
    assert!(opened >= 1);
}
