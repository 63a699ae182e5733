//! `kill -9` under load: whatever was answered is on the record, and what was interrupted is marked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rack_gateway::store::{Options, Store};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::gateway::assert_unanchored;
use crate::harness::binary::{Serving, create_token};
use crate::harness::{Db, basic, parse_record};
use crate::replay::peer::Wire;
use crate::rows::CountingRack;

const ROUNDS: usize = 20;
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_on_sqlite() {
    killed_under_load(Db::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_on_postgres() {
    killed_under_load(Db::postgres().await).await;
}

async fn killed_under_load(db: Db) {
    let rack = CountingRack::start().await;
    let token =
        create_token(&db.url().await, &["--user", "admin@example.com", "--role", "admin", "--name", "load"]).await;
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
        answered.extend(load_until_killed(serving, &token, 20 + 13 * round).await);
    }
    // The next start marks what the last kill left open.
    let last = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    until_recovered(&db).await;
    assert!(last.terminate().await.success());

    assert_unanchored(&db).await;
    let mut kinds: HashMap<String, Vec<String>> = HashMap::new();
    let (mut intents, mut outcomes, mut unknown) = (0, 0, 0);
    for record in
        Store::connect(&db.url().await, Options::default()).await.unwrap().records_after(0, 1_000_000).await.unwrap()
    {
        let record = parse_record(&record);
        let kind = record["kind"].as_str().unwrap().to_owned();
        intents += usize::from(kind == "intent");
        outcomes += usize::from(kind == "outcome");
        unknown += usize::from(record["result"] == "unknown");
        if let Some(id) = record["req"].as_str() {
            kinds.entry(id.to_owned()).or_default().push(kind);
        }
    }
    assert!(answered.len() >= ROUNDS * 20, "too little load: {}", answered.len());
    for id in &answered {
        let kinds = kinds.get(id).unwrap_or_else(|| panic!("{id} was answered and has no record"));
        assert_eq!(kinds, &["intent", "outcome"], "{id}");
    }
    assert_eq!(intents, outcomes, "every intent has its outcome");
    assert!(unknown > 0, "20 kills under load interrupted nothing: the load is not real");
}

/// A process of a shared database must look dead for a while before another closes what it left.
async fn until_recovered(db: &Db) {
    let store = db.store().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let recovered = async {
        loop {
            ticks.tick().await;
            let halves = store.records_halves(0, 1_000_000).await.unwrap();
            let outcomes = halves.iter().filter(|half| half.outcome_of.is_some()).count();
            if outcomes * 2 == halves.len() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), recovered).await.expect("open intents stay open");
    store.close().await;
}

/// Loads with clients that keep their connections, kills after `enough` answers, and gives the ids
/// of all requests that were answered.
async fn load_until_killed(serving: Serving, token: &str, enough: usize) -> Vec<String> {
    let count = Arc::new(AtomicUsize::new(0));
    let reached = Arc::new(Notify::new());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(serving.addr, basic(token), Arc::clone(&count), Arc::clone(&reached), enough)))
        .collect();
    tokio::time::timeout(Duration::from_secs(60), reached.notified()).await.expect("too few answers");
    serving.kill().await;
    let mut answered = Vec::new();
    for client in clients {
        answered.extend(client.await.unwrap());
    }
    answered
}

async fn client(
    addr: SocketAddr,
    authorization: String,
    count: Arc<AtomicUsize>,
    reached: Arc<Notify>,
    enough: usize,
) -> Vec<String> {
    let mut answered = Vec::new();
    let request = format!("GET /apps? HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {authorization}\r\n\r\n");
    let Ok(stream) = TcpStream::connect(addr).await else { return answered };
    let mut wire = Wire::new(stream);
    while wire.stream().write_all(request.as_bytes()).await.is_ok() {
        let Some(answer) = wire.message(false).await else { break };
        assert_eq!(answer.status(), 200, "{answer:?}");
        answered.push(answer.header("rack-gateway-request-id").unwrap().to_owned());
        if count.fetch_add(1, Ordering::SeqCst) + 1 == enough {
            reached.notify_one();
        }
    }
    answered
}
