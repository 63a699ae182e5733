//! Reads of the rack that the gateway makes itself, to know what a request means: the environment that
//! a release changes, the manifest inside an upload.

use std::fmt;
use std::rc::Rc;

use actix_web::web::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;
use serde_json::Value;

use crate::pdp::{Decision, Verdict};
use crate::routes::path;

/// Most bytes of an answer that is read whole.
const ANSWER: usize = 8 << 20;

/// One read. There is one constructor for each that the gateway ever makes, all of them `GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    target: String,
    request_id: String,
}

impl Errand {
    /// Path and query on the rack.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Id of the request that it is made for (`Convox-TID`).
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Most bytes of an answer that is read whole.
    #[must_use]
    pub const fn max(&self) -> usize {
        ANSWER
    }
}

/// Why the rack gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// There is no such thing (404).
    #[error("the rack has no such thing")]
    Missing,
    /// Another status that is no success.
    #[error("the rack answered with status {0}")]
    Status(u16),
    /// No answer, or one that is cut or too long: for the log, without what the rack said.
    #[error("{0}")]
    Unreadable(String),
}

/// The chunks of an answer.
pub type Chunks = LocalBoxStream<'static, Result<Bytes, ErrandError>>;

/// Who makes errands: the one way to the rack, seen from here.
pub trait Reader: fmt::Debug {
    /// The whole answer, of at most [`Errand::max`] bytes.
    fn read(&self, errand: Errand) -> LocalBoxFuture<'static, Result<Bytes, ErrandError>>;

    /// The answer as it comes, of any length.
    fn stream(&self, errand: Errand) -> LocalBoxFuture<'static, Result<Chunks, ErrandError>>;
}

/// Leave to look things up on the rack, for a request that policy lets pass so far.
///
/// # Invariants
/// Only a decision that allows, or what was granted by one, gives it.
#[derive(Clone, Debug)]
pub struct Look {
    reader: Rc<dyn Reader>,
    request_id: String,
}

impl Look {
    pub(super) fn after(decision: &Decision, reader: &Rc<dyn Reader>, request_id: &str) -> Option<Self> {
        (decision.verdict() == Verdict::Allow).then(|| Self::granted(Rc::clone(reader), request_id.to_owned()))
    }

    pub(super) fn granted(reader: Rc<dyn Reader>, request_id: String) -> Self {
        Self { reader, request_id }
    }

    /// The rack with its parameters.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn system(&self) -> Result<Value, ErrandError> {
        self.json("/system".to_owned()).await
    }

    /// An app with its parameters and its running release.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn app(&self, app: &str) -> Result<Value, ErrandError> {
        self.json(path(&["apps", app])).await
    }

    /// The newest releases of an app, the newest first; the rack may leave their environment out.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn releases(&self, app: &str, limit: u32) -> Result<Value, ErrandError> {
        self.json(format!("{}?limit={limit}", path(&["apps", app, "releases"]))).await
    }

    /// A release with its whole environment.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn release(&self, app: &str, release: &str) -> Result<Value, ErrandError> {
        self.json(path(&["apps", app, "releases", release])).await
    }

    /// A build.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn build(&self, app: &str, build: &str) -> Result<Value, ErrandError> {
        self.json(path(&["apps", app, "builds", build])).await
    }

    /// A configuration file of an app.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn config(&self, app: &str, name: &str) -> Result<Value, ErrandError> {
        self.json(path(&["apps", app, "configs", name])).await
    }

    /// What was uploaded: `key` may have slashes.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub async fn object(&self, app: &str, key: &str) -> Result<Chunks, ErrandError> {
        let target = path(&["apps", app, "objects"]) + &path(&key.split('/').collect::<Vec<_>>());
        self.reader.stream(self.errand(target)).await
    }

    async fn json(&self, target: String) -> Result<Value, ErrandError> {
        let answer = self.reader.read(self.errand(target)).await?;
        serde_json::from_slice(&answer).map_err(|_| ErrandError::Unreadable("the rack's answer is not JSON".to_owned()))
    }

    fn errand(&self, target: String) -> Errand {
        Errand { target, request_id: self.request_id.clone() }
    }
}
