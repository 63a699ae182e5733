//! What needs to reach inside the store.

use sea_orm::ConnectionTrait as _;
use sha2::{Digest as _, Sha256};

use super::{Cause, Head, Keys, Options, Sealed, Store, StoreError};

async fn empty() -> Store {
    let store = Store::connect("sqlite::memory:", Options::default()).await.expect("connect");
    store.migrate(None).await.expect("migrate");
    store.head_init("test", [0; 32]).await.expect("a head");
    store
}

fn batch(head: &Head, records: u64) -> Vec<Sealed> {
    let sealed = |seq| {
        let canon = vec![b'x'; 10_000];
        let leaf = Sha256::digest(&canon).into();
        Sealed { seq, canon, leaf, chain: leaf, keys: Keys::default().into(), private: [].into() }
    };
    (head.seq + 1..=head.seq + records).map(sealed).collect()
}

#[tokio::test]
async fn a_full_disk_stops_the_log_cleanly() {
    let store = empty().await;
    let pages = |n: u32| format!("PRAGMA max_page_count = {n}");
    store.inner.write.execute_unprepared(&pages(100)).await.expect("a limit");
    let mut stored = 0;
    let error = loop {
        match store.records_append(|head| batch(head, 5)).await {
            Ok(appended) => stored += appended.sealed.len(),
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the limit holds");
    };
    assert_eq!(error.error, StoreError::Unavailable(Cause("the disk is full".to_owned())));
    let ends = store.ends().await.expect("reading goes on");
    assert_eq!((ends.last, ends.head.map(|(_, head)| head.seq)), (stored as u64, Some(stored as u64)), "no half batch");
    store.inner.write.execute_unprepared(&pages(100_000)).await.expect("room again");
    let sealed = store.records_append(|head| batch(head, 70)).await.expect("it goes on").sealed;
    assert_eq!(sealed.first().map(|record| record.seq), Some(stored as u64 + 1));
    assert_eq!(store.ends().await.expect("the end").last, stored as u64 + 70);
}

#[tokio::test]
async fn an_append_that_does_not_continue_is_refused() {
    let store = empty().await;
    store.records_append(|head| batch(head, 3)).await.expect("three records");
    let again = store.records_append(|_| batch(&Head { seq: 1, chain: [0; 32] }, 1)).await;
    assert!(!again.expect_err("number 2 exists").error.is_unavailable());
    store.records_append(|head| batch(head, 1)).await.expect("the connection is fit for use");
    assert_eq!(store.ends().await.expect("the end").last, 4);
}

#[tokio::test]
async fn settling_tells_what_is_stored() {
    let store = empty().await;
    let sealed = store.records_append(|head| batch(head, 3)).await.expect("three records").sealed;
    let chain = sealed.last().expect("a record").chain;
    for (link, is_stored) in
        [(Head { seq: 3, chain }, true), (Head { seq: 3, chain: [1; 32] }, false), (Head { seq: 4, chain }, false)]
    {
        assert_eq!(store.records_settle(link).await, Ok(is_stored));
    }
}
