//! Changing the key while values are read and written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rack_gateway::store::SecretKey;
use rack_gateway::vault::{Census, Survey, Vault, VaultError, rotate};
use tokio::sync::oneshot;

use super::kept::{census, now, open, text};
use super::{KEYS, ring};
use crate::harness::Db;

mod each {
    crate::on_both!(
        everything_comes_under_the_new_key,
        values_that_are_written_meanwhile_stay,
        broken_off_it_goes_on_where_it_was,
        a_replica_that_seals_under_the_old_key_is_noticed,
        what_no_key_opens_stays_and_is_counted,
    );
}

/// Keeps this many values, each its own id.
async fn fill(vault: &Vault, count: u32) {
    for id in 0..count {
        vault.put("totp", &id.to_string(), id.to_string().as_bytes(), now()).await.unwrap();
    }
}

async fn assert_filled(vault: &Vault, count: u32) {
    for id in 0..count {
        assert_eq!(text(vault, "totp", &id.to_string()).await, Some(id.to_string()));
    }
}

async fn everything_comes_under_the_new_key(db: Db) {
    let store = db.store().await;
    fill(&open(&store, KEYS[0], None).await.unwrap().vault, 230).await;
    let before = store.secret_page(None, None, 1_000).await.unwrap();
    for (old, new) in [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[2])] {
        let (both, mut told) = (ring(new, Some(old)), Vec::new());
        let later = now() + time::Duration::days(1);
        let rotation = rotate(&store, &both, later, |done| told.push(done)).await.unwrap();
        assert_eq!((rotation.resealed, &rotation.left, &rotation.unreadable), (231, &Census::default(), &census(&[])));
        assert_eq!(told, [100, 200, 231]);
        let again = rotate(&store, &both, later, |_| panic!("nothing is left")).await.unwrap();
        assert_eq!((again.resealed, again.left.total()), (0, 0));
        assert!(matches!(open(&store, old, None).await, Err(VaultError::OtherKey(_))), "the old key is of no use");
        let opened = open(&store, new, None).await.unwrap();
        assert!(!opened.is_new && opened.waiting.total() == 0);
        assert_filled(&opened.vault, 230).await;
        for (row, before) in store.secret_page(None, None, 1_000).await.unwrap().iter().zip(&before) {
            assert_eq!((&row.key, row.created_at, row.resealed_at), (&before.key, before.created_at, Some(later)));
            assert_ne!(row.sealed, before.sealed);
        }
    }
}

async fn values_that_are_written_meanwhile_stay(db: Db) {
    const IDS: u64 = 120;
    let store = db.store().await;
    fill(&open(&store, KEYS[0], None).await.unwrap().vault, 120).await;
    let both = ring(KEYS[1], Some(KEYS[0]));
    let vault = Vault::open(store.clone(), both.clone(), now()).await.unwrap().vault;
    let (ended, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for writer in 0..3 {
        let (vault, ended, writes) = (vault.clone(), Arc::clone(&ended), Arc::clone(&writes));
        writers.push(tokio::spawn(async move {
            // Each has ids of its own, so that it knows what must be there.
            let ids: Vec<u64> = (0..IDS).filter(|id| id % 3 == writer).collect();
            for round in 0u64.. {
                for id in &ids {
                    let value = format!("{id} in round {round}");
                    vault.put("totp", &id.to_string(), value.as_bytes(), now()).await.unwrap();
                    assert_eq!(text(&vault, "totp", &id.to_string()).await, Some(value));
                    writes.fetch_add(1, Ordering::Relaxed);
                }
                if ended.load(Ordering::Relaxed) {
                    return ids.into_iter().map(|id| (id, format!("{id} in round {round}"))).collect::<Vec<_>>();
                }
            }
            Vec::new()
        }));
    }
    let rotation = rotate(&store, &both, now(), |_| {}).await.unwrap();
    assert_eq!((rotation.left.total(), rotation.unreadable.total()), (0, 0), "{rotation:?}");
    ended.store(true, Ordering::Relaxed);
    for writer in writers {
        for (id, value) in writer.await.unwrap() {
            assert_eq!(text(&vault, "totp", &id.to_string()).await, Some(value));
        }
    }
    assert!(writes.load(Ordering::Relaxed) >= IDS, "there was load");
    assert_eq!(open(&store, KEYS[1], None).await.unwrap().waiting.total(), 0);
}

/// What the rotation read is not what is there any more.
#[tokio::test]
async fn a_value_that_was_replaced_or_deleted_is_not_brought_back() {
    for db in Db::each().await {
        let store = db.store().await;
        let vault = open(&store, KEYS[0], None).await.unwrap().vault;
        fill(&vault, 2).await;
        let rows = store.secret_page(None, None, 2).await.unwrap();
        vault.put("totp", "0", b"newer", now()).await.unwrap();
        vault.delete("totp", "1").await.unwrap();
        let new = ring(KEYS[1], None);
        for row in &rows {
            let sealed = new.seal(&row.key.purpose, &row.key.id, b"older").unwrap();
            let done = store.secret_reseal(row, sealed, new.current_id().to_string(), now()).await.unwrap();
            assert!(!done, "{row:?}");
        }
        assert_eq!(text(&vault, "totp", "0").await.as_deref(), Some("newer"));
        assert_eq!(text(&vault, "totp", "1").await, None);
    }
}

async fn broken_off_it_goes_on_where_it_was(db: Db) {
    let store = db.store().await;
    fill(&open(&store, KEYS[0], None).await.unwrap().vault, 230).await;
    let both = ring(KEYS[1], Some(KEYS[0]));
    let (first_batch, reached) = oneshot::channel();
    let mut first_batch = Some(first_batch);
    let (at, keyring) = (store.clone(), both.clone());
    let running = tokio::spawn(async move {
        let tell = |_| {
            if let Some(told) = first_batch.take() {
                told.send(()).unwrap();
            }
        };
        rotate(&at, &keyring, now(), tell).await
    });
    reached.await.unwrap();
    running.abort();
    drop(running.await);
    let survey = Survey::take(&store, &both).await.unwrap();
    let done = survey.settled().total();
    assert!(done >= 100, "{survey:?}");
    // The old key alone, or the new one alone, is refused in between.
    for key in [KEYS[0], KEYS[1]] {
        let opened = open(&store, key, None).await;
        assert!(done == 231 || matches!(opened, Err(VaultError::OtherKey(_))), "{key}");
    }
    assert_filled(&Vault::open(store.clone(), both.clone(), now()).await.unwrap().vault, 230).await;
    let rotation = rotate(&store, &both, now(), |_| {}).await.unwrap();
    assert!(rotation.left.total() == 0 && rotation.resealed <= 231 - done, "{rotation:?}");
    assert_filled(&open(&store, KEYS[1], None).await.unwrap().vault, 230).await;
}

async fn a_replica_that_seals_under_the_old_key_is_noticed(db: Db) {
    let store = db.store().await;
    let old = open(&store, KEYS[0], None).await.unwrap().vault;
    fill(&old, 3).await;
    let both = ring(KEYS[1], Some(KEYS[0]));
    assert_eq!(rotate(&store, &both, now(), |_| {}).await.unwrap().resealed, 4);
    old.put("totp", "late", b"late", now()).await.unwrap();
    assert_eq!(Survey::take(&store, &both).await.unwrap().waiting(), census(&[("totp", 1)]));
    assert_eq!(open(&store, KEYS[1], None).await.err(), Some(VaultError::OtherKey(census(&[("totp", 1)]))));
    let rotation = rotate(&store, &both, now(), |_| {}).await.unwrap();
    assert_eq!((rotation.resealed, rotation.left.total()), (1, 0));
    assert_eq!(text(&open(&store, KEYS[1], None).await.unwrap().vault, "totp", "late").await.as_deref(), Some("late"));
}

async fn what_no_key_opens_stays_and_is_counted(db: Db) {
    let store = db.store().await;
    fill(&open(&store, KEYS[0], None).await.unwrap().vault, 130).await;
    let lost = ring(KEYS[2], None);
    for id in ["a", "b"] {
        let at = SecretKey { purpose: "sso".to_owned(), id: id.to_owned() };
        let sealed = lost.seal("sso", id, b"kept").unwrap();
        store.secret_put(at, sealed, lost.current_id().to_string(), now()).await.unwrap();
    }
    let sso = census(&[("sso", 2)]);
    let rotation = rotate(&store, &ring(KEYS[1], Some(KEYS[0])), now(), |_| {}).await.unwrap();
    assert_eq!((rotation.resealed, &rotation.unreadable, &rotation.left), (131, &sso, &sso));
    // With the key that was missing, those follow: nothing had to be given up.
    let rotation = rotate(&store, &ring(KEYS[1], Some(KEYS[2])), now(), |_| {}).await.unwrap();
    assert_eq!((rotation.resealed, rotation.unreadable.total(), rotation.left.total()), (2, 0, 0));
    let vault = open(&store, KEYS[1], None).await.unwrap().vault;
    assert_eq!(text(&vault, "sso", "a").await.as_deref(), Some("kept"));
    assert_filled(&vault, 130).await;
}
