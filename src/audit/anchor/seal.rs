//! What the key of the anchors says about an export: whom its manifest is from.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::aws::Aws;
use super::found::Found;
use super::init::trust_of;
use super::session::{Session, signed};
use super::{AnchorError, Fault};
use crate::config::AnchorSettings;
use crate::proof::anchor::Meta;
use crate::proof::note::Note;
use crate::proof::trust::Trust;
use crate::store::{AnchorRow, Store};

/// How long each answer may take: whoever exports waits for it.
const LIMIT: Duration = Duration::from_secs(10);

/// Signs the manifests of exports. Cheap to clone.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    settings: AnchorSettings,
    aws: Aws,
    /// Opened at the first export, and again after a failure.
    session: Mutex<Option<Arc<Session>>>,
}

impl Sealer {
    /// With the configured key; nothing is opened before the first export.
    #[must_use]
    pub fn new(settings: AnchorSettings, aws: Aws) -> Self {
        Self(Arc::new(Inner { settings, aws, session: Mutex::default() }))
    }

    /// The trust file of the log of that name, at most ten seconds later.
    ///
    /// # Errors
    /// See [`AnchorError`].
    pub async fn trust(&self, origin: &str) -> Result<Trust, AnchorError> {
        in_time(async { Ok(trust_of(self.session().await?.as_ref(), origin)) }).await
    }

    /// The note `manifest.note` for a manifest (`docs/audit-format.md`, "Bundle"), at most ten seconds later. `last`
    /// is the last anchor of the export.
    ///
    /// # Errors
    /// See [`AnchorError`]; also when another key than ours is in force after that anchor, or when key or epoch
    /// changed later: with the anchors of today, a verifier expects the key and the name of today.
    pub async fn sign(&self, store: &Store, last: &AnchorRow, manifest: &[u8]) -> Result<Vec<u8>, AnchorError> {
        let done = in_time(self.signed(store, last, manifest)).await;
        if done.is_err() {
            // Credentials, keys or addresses may have changed.
            *self.0.session.lock().await = None;
        }
        done
    }

    async fn signed(&self, store: &Store, last: &AnchorRow, manifest: &[u8]) -> Result<Vec<u8>, AnchorError> {
        let session = self.session().await?;
        let found = read(last)?;
        let key = session.in_force(&found)?;
        if !found.is_signed_by(key.public()) {
            return Err(wrong(last, "not signed by our key"));
        }
        if let Some(newest) = store.anchor_last().await? {
            let now = session.in_force(&read(&newest)?)?;
            if (newest.epoch, now.public()) != (last.epoch, key.public()) {
                return Err(wrong(last, "of a key or an epoch that is no longer in force"));
            }
        }
        let text = format!("rack-gateway-audit-export/v1\n{}\n", hex::encode(Sha256::digest(manifest)));
        signed(text, &found.meta.origin, &[key]).await
    }

    async fn session(&self) -> Result<Arc<Session>, AnchorError> {
        let mut slot = self.0.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.0.settings, &self.0.aws).await?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, AnchorError>>) -> Result<T, AnchorError> {
    let late = || AnchorError::Unavailable { what: "the key of the anchors", cause: "it takes too long".to_owned() };
    tokio::time::timeout(LIMIT, work).await.map_err(|_| late())?
}

/// The anchor as the database holds it.
fn read(row: &AnchorRow) -> Result<Found, AnchorError> {
    let meta = Note::parse(&row.meta).ok().and_then(|note| Meta::parse(&note.text));
    let meta = meta.ok_or_else(|| wrong(row, "without the metadata of one"))?;
    let (checkpoint, note) = (Bytes::copy_from_slice(&row.checkpoint), Bytes::copy_from_slice(&row.meta));
    Ok(Found { checkpoint, note, meta })
}

fn wrong(row: &AnchorRow, what: &'static str) -> AnchorError {
    Fault::Object { key: format!("anchor {} of epoch {} in the database", row.number, row.epoch), what }.into()
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
