//! The mounting of handlers: the only way is through a decision.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::action::Action;
use super::{Call, Problem, Reply, Services};
use crate::pep::Granted;

/// What a handler says.
pub type Answer = Result<Reply, Problem>;

type Handler = dyn Fn(Granted, Arc<Services>) -> LocalBoxFuture<'static, Answer> + Send + Sync;

/// A handler and the action it may be reached by.
#[derive(Clone)]
pub struct Endpoint {
    action: &'static str,
    handler: Arc<Handler>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.action).finish()
    }
}

/// Mounts `handler` behind the action `A`.
pub fn guarded<A, H, F>(handler: H) -> Endpoint
where
    A: Action,
    H: Fn(Call<A>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + 'static,
{
    let handler = move |granted, services| match Call::<A>::new(granted, services) {
        Some(call) => handler(call).boxed_local(),
        None => std::future::ready(Err(unserved())).boxed_local(),
    };
    Endpoint { action: A::NAME, handler: Arc::new(handler) }
}

fn unserved() -> Problem {
    Problem::new(404, "unserved", "nothing answers this route")
}

/// All of them, by action.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(BTreeMap<&'static str, Endpoint>);

impl Endpoints {
    pub(super) fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        Self(endpoints.into_iter().map(|endpoint| (endpoint.action, endpoint)).collect())
    }

    /// The actions that have a handler, sorted.
    pub fn actions(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Runs the handler of what was granted.
    ///
    /// # Errors
    /// What the handler says, and 404 where there is none.
    pub async fn answer(&self, granted: Granted, services: Arc<Services>) -> Answer {
        match self.0.get(granted.row().action) {
            Some(endpoint) => (endpoint.handler)(granted, services).await,
            None => Err(unserved()),
        }
    }
}
