//! Taking turns: what only one process may do at a time, for as long as that takes.
//!
//! PostgreSQL: an advisory lock on a session of its own, which the server releases when the session
//! ends. SQLite: a lock on a file beside the database, which does not keep it from being served.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use super::append::Appender;
use super::connect::private_file;
use super::liveness::{claim_session, key};
use super::{Store, StoreError};

/// Proof that it is this process's turn. Over when dropped.
pub struct Turn {
    held: Held,
    store: Store,
}

enum Held {
    Session(Arc<Mutex<Option<PgConnection>>>),
    File(File),
    /// A database in memory is this process's own.
    Nothing,
}

impl Store {
    /// Takes the turn of that name, a plain word; `None` when another process has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn turn(&self, name: &'static str) -> Result<Option<Turn>, StoreError> {
        let held = match &self.inner.appender {
            Appender::Sqlite(..) => match &self.inner.file {
                Some(file) => {
                    let mut path = file.clone().into_os_string();
                    path.push(format!(".{name}.lock"));
                    try_lock(PathBuf::from(path))?.map(Held::File)
                }
                None => Some(Held::Nothing),
            },
            Appender::Postgres { options, .. } => {
                let (options, key) = (options.clone(), key(&format!("turn/{name}")));
                let session = self.run(async move { claim_session(&options, key).await }).await?;
                session.map(|session| Held::Session(Arc::new(Mutex::new(Some(session)))))
            }
        };
        Ok(held.map(|held| Turn { held, store: self.clone() }))
    }
}

impl Turn {
    /// Ends the turn, and waits until others can have it.
    pub async fn end(self) {
        let Held::Session(slot) = &self.held else { return };
        let slot = Arc::clone(slot);
        let ended = self.store.run(async move {
            let Some(mut session) = slot.lock().await.take() else { return Ok(()) };
            sqlx::raw_sql("SELECT pg_advisory_unlock_all()").execute(&mut session).await?;
            Ok(session.close().await?)
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "the session of a turn did not close cleanly");
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closing a socket needs the runtime that opened it.
        if let Held::Session(slot) = &self.held {
            let slot = Arc::clone(slot);
            self.store.runtime().spawn(async move { slot.lock().await.take() });
        }
    }
}

fn try_lock(path: PathBuf) -> Result<Option<File>, StoreError> {
    let failed = |kind| StoreError::unavailable(format!("{} cannot be locked: {kind}", path.display()));
    let file = private_file(&path).map_err(|error| failed(error.kind()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error.kind())),
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.held {
            Held::Session(_) => f.write_str("Turn(Session)"),
            Held::File(file) => f.debug_tuple("Turn").field(file).finish(),
            Held::Nothing => f.write_str("Turn(Nothing)"),
        }
    }
}
