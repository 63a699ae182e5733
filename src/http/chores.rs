//! What a running gateway does by itself: asks the identity provider for its keys before the first
//! person needs them, and clears away what is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::approval;
use crate::audit::Writer;
use crate::clock::Clock;
use crate::identity::Oidc;
use crate::store::Store;

/// How often what is over is cleared away.
const EVERY: Duration = Duration::from_secs(60);

/// Begins them; they end with the handles.
pub(super) fn begin(store: &Store, audit: &Writer, clock: &Clock, oidc: Option<&Arc<Oidc>>) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(sweep(store.clone(), audit.clone(), clock.clone()))];
    if let Some(oidc) = oidc {
        tasks.push(tokio::spawn(warm_up(Arc::clone(oidc), clock.clone())));
    }
    tasks
}

async fn sweep(store: Store, audit: Writer, clock: Clock) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        warned("what is over", store.sweep(clock.now()).await);
        warned("deploy approvals whose time is over", approval::sweep(&store, &audit, clock.now()).await);
    }
}

/// The next time comes soon.
fn warned<T, E: std::fmt::Display>(what: &str, swept: Result<T, E>) {
    if let Err(error) = swept {
        tracing::warn!(%error, "{what} could not be cleared away");
    }
}

/// A provider that is down now may be up when somebody signs in: then it is asked again.
async fn warm_up(oidc: Arc<Oidc>, clock: Clock) {
    if let Err(error) = oidc.warm_up(clock.now()).await {
        let help = error.help();
        tracing::warn!(%error, help, "the identity provider does not answer; it is asked again at sign-in");
    }
}
