//! Tree and index follow the log, whoever follows it, and say the same as the records.

use std::sync::Arc;
use std::time::Duration;

use rack_gateway::audit::{Event, EventKind, Keeper, tree};
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::tile::TileId;
use rack_gateway::proof::tree::{Frontier, is_consistent, is_included};
use rack_gateway::store::{AnchorRow, EpochRow, Head, Keys, Sealed, Store, StoreError};
use tokio::sync::watch;

use super::append::{ORIGIN, all, json, writer};
use crate::harness::db::Db;
use crate::harness::until;

mod both {
    crate::on_both!(
        proofs_at_many_sizes,
        two_keepers,
        a_keeper_that_runs,
        a_missing_record_stops_the_tree,
        anchors,
        epochs
    );
}

/// Records continuing `head`, of texts that are made for each.
pub fn sealed(head: &Head, count: u64, canon: impl Fn(u64) -> (String, Keys)) -> Vec<Sealed> {
    let mut link = head.chain;
    (head.seq + 1..=head.seq + count)
        .map(|seq| {
            let (canon, keys) = canon(seq);
            let leaf = chain::leaf(canon.as_bytes());
            link = chain::link(&link, &leaf);
            Sealed { seq, canon: canon.into_bytes(), leaf, chain: link, keys: Arc::new(keys), private: [].into() }
        })
        .collect()
}

/// Adds records that say nothing but their number.
async fn grow(store: &Store, to: u64) {
    store.head_init(ORIGIN, chain::genesis(ORIGIN)).await.expect("a head");
    loop {
        let (_, head) = store.head().await.expect("the head").expect("a head");
        let count = (to - head.seq).min(1_000);
        if count == 0 {
            return;
        }
        let bare = |seq| (format!("{{\"seq\":{seq}}}"), Keys { ts: format!("{seq:09}"), ..Keys::default() });
        store.records_append(move |head| sealed(head, count, bare)).await.expect("appended");
    }
}

fn leaf(seq: u64) -> Hash {
    chain::leaf(format!("{{\"seq\":{seq}}}").as_bytes())
}

async fn check(store: &Store, size: u64, root: Hash) {
    assert_eq!(tree::root(store, size).await.expect("a root"), root, "{size}");
    for index in [0, size / 3, size / 2, size.saturating_sub(257), size - 1] {
        let tiles = tree::tiles(store, size, &[index]).await.expect("tiles");
        let path = tiles.inclusion(index, size).expect("a path");
        assert!(is_included(&leaf(index + 1), (index, size), &path, &root), "{index} in {size}");
        let old = tree::root(store, index).await.expect("a root");
        let path = tiles.consistency(index, size).expect("a path");
        assert!(is_consistent((index, &old), (size, &root), &path), "{index} to {size}");
    }
}

async fn proofs_at_many_sizes(db: Db) {
    let store = db.store().await;
    let keeper = Keeper::new(store.clone());
    store.head_init(ORIGIN, chain::genesis(ORIGIN)).await.expect("a head");
    assert_eq!(tree::root(&store, 0).await, Ok(rack_gateway::proof::tree::empty()));
    assert_eq!(tree::chain_at(&store, 0).await, Ok(chain::genesis(ORIGIN)));
    let mut frontier = Frontier::default();
    // Whole and partial tiles of each of three levels, with one more and one less.
    for size in [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 65_535, 65_536, 65_537, 65_793, 66_100] {
        (frontier.size() + 1..=size).for_each(|seq| frontier.push(leaf(seq)));
        grow(&store, size).await;
        keeper.catch_up(size).await.expect("caught up");
        check(&store, size, frontier.root()).await;
        let (_, head) = store.head().await.expect("the head").expect("a head");
        assert_eq!(tree::chain_at(&store, size).await, Ok(head.chain));
    }
    assert_eq!(store.nodes_count(1).await, Ok(258));
    assert_eq!(store.nodes_count(2).await, Ok(1));
    let bytes = tree::tile(&store, TileId { level: 1, index: 1, width: 2 }).await.expect("a tile");
    assert_eq!(bytes.len(), 64);
    let beyond = tree::tile(&store, TileId { level: 1, index: 1, width: 3 }).await;
    assert!(matches!(beyond, Err(StoreError::Corrupt(why)) if why.contains("tile/1/001.p/3")));
    let ahead = keeper.catch_up(66_100 + 256).await.expect_err("there are no such records");
    assert!(ahead.to_string().contains("not all of the records 66049 to 66304 are there"), "{ahead}");
    assert_eq!(tree::chain_at(&store, 66_101).await, Err(StoreError::NotFound));
}

async fn two_keepers(db: Db) {
    let (one, two) = (db.store().await, db.store().await);
    grow(&one, 3_000).await;
    let keepers = [Keeper::new(one.clone()), Keeper::new(two.clone())];
    let work = keepers.clone().map(|keeper| {
        tokio::spawn(async move {
            for size in [700, 1_500, 3_000] {
                keeper.catch_up(size).await.expect("caught up");
                keeper.index(size).await.expect("indexed");
            }
        })
    });
    for task in work {
        task.await.expect("a task");
    }
    assert_eq!((one.nodes_count(1).await, one.indexed().await), (Ok(11), Ok(3_000)));
    let mut frontier = Frontier::default();
    (1..=3_000).for_each(|seq| frontier.push(leaf(seq)));
    check(&two, 3_000, frontier.root()).await;
    keepers[1].catch_up(1_000).await.expect("nothing to do");
    assert_eq!(two.index_add(500, 1_000, vec![(501, "late".to_owned())]).await, Ok(false), "not where the index ends");
}

async fn a_keeper_that_runs(db: Db) {
    let store = db.store().await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Keeper::new(store.clone()).run(stopped));
    let writer = writer(&store, "one").await;
    let seq = writer.append(Event::new(EventKind::System, "", "gateway:start")).await.expect("a record").seq;
    until("the record is in the index", || async { (store.indexed().await == Ok(seq)).then_some(()) }).await;
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("it stops").expect("a task");
}

async fn a_missing_record_stops_the_tree(db: Db) {
    let store = db.store().await;
    grow(&store, 600).await;
    db.unlock().await;
    db.execute("DELETE FROM audit_records WHERE seq = 300").await;
    let keeper = Keeper::new(store.clone());
    let error = keeper.catch_up(600).await.expect_err("a record is missing");
    assert_eq!(error, StoreError::Corrupt("not all of the records 257 to 512 are there".to_owned()));
    assert_eq!(store.nodes_count(1).await, Ok(1), "what can be known is kept");
    keeper.index(600).await.expect("what is there can be found");
}

fn anchor(epoch: u64, number: u64, size: u64) -> AnchorRow {
    AnchorRow {
        epoch,
        number,
        size,
        root: [1; 32],
        chain: [2; 32],
        checkpoint: format!("checkpoint {epoch}/{number}\n").into_bytes(),
        meta: b"meta\0\xff".to_vec(),
        made_at: "2026-11-21T10:00:00.123456Z".to_owned(),
        next_due: "2026-11-21T10:05:00.123456Z".to_owned(),
        development: number == 1,
    }
}

async fn anchors(db: Db) {
    let (store, other) = (db.store().await, db.store().await);
    assert_eq!(store.anchor_last().await, Ok(None));
    assert_eq!(store.anchor_at_or_before(9).await, Ok(None));
    let rows = [anchor(1, 1, 0), anchor(1, 2, 10), anchor(1, 3, 10), anchor(1, 4, 20), anchor(2, 1, 15)];
    for row in &rows {
        let (first, again) = tokio::join!(store.anchor_add(row), other.anchor_add(row));
        assert_eq!((first, again), (Ok(()), Ok(())), "two replicas may note the same");
    }
    let changed = AnchorRow { root: [9; 32], ..anchor(1, 2, 10) };
    assert!(matches!(store.anchor_add(&changed).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.anchor_last().await, Ok(Some(rows[4].clone())));
    assert_eq!(store.anchor_find(1, 2).await, Ok(Some(rows[1].clone())));
    assert_eq!(store.anchor_find(1, 5).await, Ok(None));
    assert_eq!(store.anchors_after(0, 0, 9).await.as_deref(), Ok(&rows[..]));
    assert_eq!(store.anchors_after(1, 3, 1).await.as_deref(), Ok(&rows[3..4]));
    // The second epoch kept 12 records: the last anchor of the first is of a branch that is lost.
    store.epoch_add(EpochRow { number: 2, seq: 13, kept: 12 }).await.expect("an epoch");
    for (size, found) in [(0, 0), (9, 0), (10, 2), (14, 2), (15, 4), (999, 4)] {
        assert_eq!(store.anchor_at_or_before(size).await, Ok(Some(rows[found].clone())), "{size}");
    }
}

async fn epochs(db: Db) {
    let store = db.store().await;
    assert_eq!(store.epochs().await, Ok(vec![]));
    assert_eq!(store.unanchored_since(0).await, Ok(None));
    grow(&store, 3).await;
    let since = store.unanchored_since(2).await.expect("a time");
    assert_eq!(since.as_deref(), Some("000000003"));
    assert_eq!(store.unanchored_since(3).await, Ok(None));
    let epoch = EpochRow { number: 2, seq: 3, kept: 1 };
    store.epoch_add(epoch).await.expect("an epoch");
    store.epoch_add(epoch).await.expect("the same again");
    let other = store.epoch_add(EpochRow { seq: 2, ..epoch }).await;
    assert!(matches!(other, Err(StoreError::Conflict(_))));
    assert_eq!(store.epochs().await, Ok(vec![epoch]));
    let writer = writer(&store, "one").await;
    let mut event = Event::new(EventKind::Epoch, "", "audit:epoch");
    event.epoch = Some(rack_gateway::audit::Epoch { number: 2, anchor: 7, checkpoint: [0xab; 32], kept: 1, lost: 9 });
    writer.append(event).await.expect("a record");
    let record = all(&store).await.pop().expect("a record");
    let said = serde_json::json!({ "anchor": 7, "checkpoint": "ab".repeat(32), "kept": 1, "lost": 9, "number": 2 });
    assert_eq!((&json(&record)["epoch"], &json(&record)["kind"]), (&said, &"epoch".into()));
}
