//! Which processes are alive, without trusting clocks or heartbeat rows.
//!
//! PostgreSQL: each process holds an advisory lock on a session of its own; the server releases
//! it when the session ends. SQLite: one process holds an exclusive lock on `<file>.lock`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::Mutex;

use super::append::Appender;
use super::connect::private_file;
use super::{Inner, Store, StoreError};

/// Proof that the named process is the one that holds it. Released when dropped.
#[derive(Debug)]
pub struct Liveness {
    id: String,
    held: Held,
    store: Store,
}

enum Held {
    /// The session that holds the lock; empty while it has to be opened again.
    Session { options: Box<PgConnectOptions>, slot: Arc<Mutex<Option<PgConnection>>> },
    /// A place in [`Claims`].
    Process,
}

/// What this process holds of a SQLite database.
#[derive(Debug, Default)]
pub(super) struct Claims {
    lock: Option<File>,
    live: BTreeSet<String>,
}

impl Store {
    /// Claims `id` for this process; `None` when a live process has it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another process uses the SQLite file;
    /// [`StoreError::Unavailable`].
    pub async fn instance_claim(&self, id: &str) -> Result<Option<Liveness>, StoreError> {
        let held = match &self.inner.appender {
            Appender::Sqlite(..) => claim_file(&self.inner, id)?.then_some(Held::Process),
            Appender::Postgres { options, .. } => {
                let (options, key) = (options.clone(), key(id));
                let session = self.run({
                    let options = options.clone();
                    async move { claim_session(&options, key).await }
                });
                session.await?.map(|c| Held::Session { options, slot: Arc::new(Mutex::new(Some(c))) })
            }
        };
        Ok(held.map(|held| Liveness { id: id.to_owned(), held, store: self.clone() }))
    }
}

impl Liveness {
    /// Makes sure that the claim still holds, and renews it if the session broke. `false` when
    /// another process took it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the claim may be lost until a later call succeeds.
    pub async fn renew(&self) -> Result<bool, StoreError> {
        let Held::Session { options, slot } = &self.held else { return Ok(true) };
        let (options, slot, key) = (options.clone(), Arc::clone(slot), key(&self.id));
        self.store
            .run(async move {
                let mut slot = slot.lock().await;
                // Taken out, so that a session whose answer never came is not used again.
                if let Some(mut session) = slot.take()
                    && session.ping().await.is_ok()
                {
                    *slot = Some(session);
                    return Ok(true);
                }
                *slot = claim_session(&options, key).await?;
                Ok(slot.is_some())
            })
            .await
    }
}

impl Drop for Liveness {
    fn drop(&mut self) {
        match &self.held {
            // Closing a socket needs the runtime that opened it.
            Held::Session { slot, .. } => {
                let slot = Arc::clone(slot);
                self.store.runtime().spawn(async move { slot.lock().await.take() });
            }
            Held::Process => {
                let mut claims = self.store.inner.claims.lock().unwrap_or_else(PoisonError::into_inner);
                claims.live.remove(&self.id);
                if claims.live.is_empty() {
                    claims.lock = None;
                }
            }
        }
    }
}

/// The lock's number: the first eight bytes of a hash, so that names never collide by design.
pub(super) fn key(id: &str) -> i64 {
    let digest = Sha256::new().chain_update("rack-gateway/instance/").chain_update(id).finalize();
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// Keep-alives: when this machine vanishes, the server must notice within half a minute. The
/// session idles by design, so a server-wide limit on idle sessions is lifted where it exists.
const SESSION: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
    SELECT set_config('idle_session_timeout', '0', false) \
      WHERE current_setting('idle_session_timeout', true) IS NOT NULL";

pub(super) async fn claim_session(options: &PgConnectOptions, key: i64) -> Result<Option<PgConnection>, StoreError> {
    let mut session = options.connect().await?;
    sqlx::raw_sql(SESSION).execute(&mut session).await?;
    let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(key).fetch_one(&mut session).await?;
    if locked {
        return Ok(Some(session));
    }
    session.close().await?;
    Ok(None)
}

fn claim_file(inner: &Inner, id: &str) -> Result<bool, StoreError> {
    let mut claims = inner.claims.lock().unwrap_or_else(PoisonError::into_inner);
    if claims.lock.is_none()
        && let Some(file) = &inner.file
    {
        let mut path = file.clone().into_os_string();
        path.push(".lock");
        claims.lock = Some(lock_file(PathBuf::from(path))?);
    }
    Ok(claims.live.insert(id.to_owned()))
}

fn lock_file(path: PathBuf) -> Result<File, StoreError> {
    let failed =
        |e: std::io::Error| StoreError::unavailable(format!("{} cannot be locked: {}", path.display(), e.kind()));
    let file = private_file(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Conflict(format!(
            "another gateway process uses this database ({} is locked): stop it, or use PostgreSQL for several",
            path.display()
        ))),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session { .. } => "Session",
            Self::Process => "Process",
        })
    }
}
