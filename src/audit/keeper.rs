//! The keeper follows the log: it adds the nodes of the tree and the words that records are found by. Nothing
//! of that is part of an append. All of it follows from the records, so that keepers of several processes may
//! work at the same time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::words::words;
use crate::proof::chain::Hash;
use crate::proof::tile::WIDTH;
use crate::proof::tree::Frontier;
use crate::store::{Record, Store, StoreError};

/// Levels of tiles that a tree of 2^63 leaves has.
const LEVELS: u32 = 8;
/// Bits of a place that one level takes.
const HEIGHT: u32 = 8;
/// Nodes that are made at once, of 256 below each.
const NODES: u64 = 64;
/// Records whose words are added in one transaction: other writers of SQLite wait for it.
const RECORDS: u64 = 500;
/// How often the end of the log is looked for.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps tree and index up with the log. Cheap to clone; one for each store.
#[derive(Clone)]
pub struct Keeper {
    store: Store,
    /// Held by whoever adds nodes, or words: two would do the same work twice.
    turns: Arc<(Mutex<()>, Mutex<()>)>,
}

impl Keeper {
    /// A keeper of that log.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, turns: Arc::default() }
    }

    /// The log.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Adds what is missing of the tree over the first `size` records.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there are fewer records, or one of them is missing;
    /// [`StoreError::Unavailable`].
    pub async fn catch_up(&self, size: u64) -> Result<(), StoreError> {
        let _turn = self.turns.0.lock().await;
        for level in 1..LEVELS {
            let wanted = size >> (HEIGHT * level);
            if wanted == 0 {
                break;
            }
            let mut there = self.store.nodes_count(level).await?;
            while there < wanted {
                there += self.grow(level, there, (wanted - there).min(NODES)).await?;
            }
        }
        Ok(())
    }

    /// Adds up to `count` nodes from place `first` on, and says how many.
    async fn grow(&self, level: u32, first: u64, count: u64) -> Result<u64, StoreError> {
        let below = self.store.nodes(level - 1, first * WIDTH, count * WIDTH).await?;
        let row = self.aside(move || fold(&below)).await?;
        let added = u64::try_from(row.len()).unwrap_or_default();
        if added == 0 {
            let (begin, end) = (first << (HEIGHT * level), (first + 1) << (HEIGHT * level));
            let text = format!("not all of the records {} to {end} are there", begin + 1);
            return Err(StoreError::Corrupt(text));
        }
        self.store.nodes_add(level, first, row).await?;
        Ok(added)
    }

    /// Adds the words of the records up to that one to the index.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn index(&self, upto: u64) -> Result<(), StoreError> {
        let _turn = self.turns.1.lock().await;
        loop {
            let done = self.store.indexed().await?;
            if done >= upto {
                return Ok(());
            }
            let page = self.store.records_after(done, RECORDS).await?;
            let Some(last) = page.last().map(|record| record.seq) else { return Ok(()) };
            let rows = self.aside(move || page.iter().map(spelled).collect()).await?;
            // Where another process was first, its end is read next.
            self.store.index_add(done, last, rows).await?;
        }
    }

    /// Hashing and spelling would hold up the statements of others on the store's own threads.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        let done = self.store.runtime().spawn_blocking(work).await;
        done.map_err(|_| StoreError::unavailable("the gateway is shutting down"))
    }

    /// Follows the log until `stop`, or until nobody is left to tell.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let following = async {
            loop {
                let pause = match self.follow().await {
                    Ok(()) => EVERY,
                    Err(error) if error.is_unavailable() => {
                        tracing::debug!(%error, "tree and index are not up with the audit log");
                        PAUSE
                    }
                    Err(error) => {
                        tracing::error!(%error, "tree and index cannot follow the audit log");
                        PAUSE
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                tracing::debug!("nobody is left to stop the keeper of the audit log");
            }
        };
        tokio::select! {
            () = following => {}
            () = stopped => {}
        }
    }

    async fn follow(&self) -> Result<(), StoreError> {
        let end = self.store.head().await?.map_or(0, |(_, head)| head.seq);
        self.catch_up(end).await?;
        self.index(end).await
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// The roots of the perfect trees over each 256 of the row.
fn fold(row: &[Hash]) -> Vec<Hash> {
    let width = usize::try_from(WIDTH).unwrap_or(usize::MAX);
    row.chunks_exact(width)
        .map(|chunk| {
            let mut tree = Frontier::default();
            chunk.iter().for_each(|hash| tree.push(*hash));
            tree.root()
        })
        .collect()
}

fn spelled(record: &Record) -> (u64, String) {
    (record.seq, words(&record.canon).joined())
}
