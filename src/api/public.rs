//! Endpoints that answer without knowing who asks. The list is that of the route table; each of them
//! either says nothing about anybody, or ends in a decision about whoever it has proved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{Reply, Services};
use crate::audit::Intent;
use crate::pep::{Accepted, Stopped};

/// A request of somebody unknown.
#[derive(Debug)]
pub struct Visit {
    /// The request: its form is beyond doubt, and its `Host` is the gateway's own.
    pub accepted: Accepted,
    /// What handlers work with.
    pub services: Arc<Services>,
    /// The body, bounded.
    pub body: Bytes,
}

/// How a visit ends.
#[derive(Debug)]
pub enum Visited {
    /// An answer that nothing follows from.
    Told(Reply),
    /// Somebody was let in: the answer, and the intent that it completes.
    Admitted(Reply, Intent),
}

/// What a handler says. What stops is recorded before it is answered.
pub type Outcome = Result<Visited, Box<Stopped>>;

type Handler = dyn Fn(Visit) -> LocalBoxFuture<'static, Outcome> + Send + Sync;

/// The handlers, by path.
#[derive(Clone, Default)]
pub struct Doors(BTreeMap<&'static str, Arc<Handler>>);

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Doors {
    /// With one more.
    #[must_use]
    pub(super) fn with<H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Fn(Visit) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + 'static,
    {
        self.0.insert(path, Arc::new(move |visit| handler(visit).boxed_local()));
        self
    }

    /// Their paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Runs the handler of a path, if there is one.
    #[must_use]
    pub fn open(&self, path: &str, visit: Visit) -> Option<LocalBoxFuture<'static, Outcome>> {
        self.0.get(path).map(|handler| handler(visit))
    }
}
