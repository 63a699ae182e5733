//! The database: SQLite in one file, or PostgreSQL shared by several processes.
//!
//! Workers of the HTTP server are single-threaded runtimes that come and go, while connections
//! belong to the runtime that opened them. So every statement runs on one runtime that the
//! [`Store`] owns, and callers on any runtime wait for its answer.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::runtime::{Handle, Runtime};

mod anchor;
mod app_setting;
mod append;
mod approval;
mod approval_change;
mod approval_row;
mod backup_code;
mod challenge;
mod challenge_kind;
mod cli_login;
mod connect;
mod counter;
mod credential;
mod credential_change;
mod deploy_step;
mod device;
mod error;
mod factor;
mod instance;
mod liveness;
mod login;
mod migrate;
mod notice;
mod outbox;
mod private;
mod record;
mod search;
mod secret;
mod setting;
mod sweep;
mod tree;
mod turn;
mod user;
mod user_change;
mod value;
mod words;

pub use anchor::{AnchorRow, EpochRow};
pub use append::{AppendError, Appended, Head, Keys, Link, Sealed};
pub use approval::ApprovalFilter;
pub use approval_row::{ApprovalRow, ApprovalState, NewApproval, Party, Vote};
pub use challenge::{ChallengeReason, ChallengeRow, NewChallenge};
pub use challenge_kind::{Needs, Way};
pub use cli_login::{CliLoginRow, NewCliLogin};
pub use counter::RateState;
pub use credential::{CredentialFilter, CredentialKind, CredentialRow, NewCredential};
pub use credential_change::CredentialChange;
pub use deploy_step::{DeployStep, DeployStepKind, NewDeployStep, StepState};
pub use device::{DeviceRow, NewDevice};
pub use error::{Cause, StoreError};
pub use factor::{FactorKind, FactorRow, NewFactor};
pub use instance::Instance;
pub use liveness::Liveness;
pub use login::{LoginChannel, LoginRow, NewLogin};
pub use migrate::MigrationStatus;
pub use notice::NoticeRow;
pub use outbox::{MessageRow, MessageState, Notice, OutboxCounts};
pub use private::{PrivateOf, PrivateRow, PrivateValue, SOURCE_IP};
pub(crate) use record::column;
pub use record::{ABSENT, Ends, Half, JOIN, Record};
pub use search::RecordFilter;
pub use secret::{SecretCount, SecretKey, SecretRow};
pub use setting::SettingRow;
pub use sweep::Swept;
pub use turn::Turn;
pub use user::{Binding, Lock, NewUser, UserRow};
pub use user_change::UserChange;
pub use words::{Term, Words};

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one statement, or one batch of records, may take before it counts as failed.
    pub timeout: Duration,
    /// How long to wait for a free connection.
    pub acquire: Duration,
    /// Connections for everything but the append of records.
    pub pool: u32,
    /// The runtime to use; without one the store starts its own.
    pub runtime: Option<Handle>,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), acquire: Duration::from_secs(2), pool: 8, runtime: None }
    }
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file, one process that writes.
    Sqlite,
    /// A server that several processes share.
    Postgres,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Handle,
    owned: Option<Runtime>,
    backend: Backend,
    read: DatabaseConnection,
    write: DatabaseConnection,
    appender: append::Appender,
    timeout: Duration,
    /// The database file, when there is one.
    file: Option<PathBuf>,
    claims: Mutex<liveness::Claims>,
}

impl Store {
    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Whether no other process can be writing to it.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.inner.backend == Backend::Sqlite
    }

    /// The runtime that owns the connections; tasks that live as long as the store run there.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.handle
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it gives none in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let db = self.inner.read.clone();
        self.run(async move { Ok(db.ping().await?) }).await
    }

    /// Closes the connections; SQLite then folds its journal into the file. Later calls fail.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let closing = async move {
            inner.appender.close().await;
            inner.read.close_by_ref().await?;
            Ok(inner.write.close_by_ref().await?)
        };
        if let Err(error) = self.run(closing).await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    /// Runs `work` on the store's runtime, within the time limit. The work goes on when the
    /// caller goes away, so that a dropped request never leaves a statement half done.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run_within(self.inner.timeout, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let task = self.inner.handle.spawn(async move { tokio::time::timeout(limit, work).await });
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::unavailable("no answer in time")),
            Err(_) => Err(StoreError::unavailable("the gateway is shutting down")),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime may not be dropped where blocking is forbidden, and this may be anywhere.
        if let Some(runtime) = self.owned.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("backend", &self.inner.backend).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
