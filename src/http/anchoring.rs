//! What follows the log while the gateway serves: the keeper of tree and index, the anchorer, and the
//! watch over the state of anchors. And the last anchor, when everything has ended.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit::{AnchorFault, AnchorWatch, Anchors, Keeper, Writer};
use crate::clock::Clock;
use crate::config::{AnchorSettings, Catalog};
use crate::store::Store;

/// How anchors are made, until they are.
#[derive(Debug)]
pub(super) struct Anchoring {
    /// The state that all requests read.
    pub(super) anchors: Anchors,
    /// What keeps tree and index up with the record.
    pub(super) keeper: Keeper,
    settings: Option<AnchorSettings>,
    fault: AnchorFault,
}

/// What runs of it.
#[derive(Debug)]
pub(super) struct AnchoringTasks {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Anchoring {
    pub(super) fn new(settings: Option<AnchorSettings>, store: &Store, clock: &Clock) -> Self {
        let fault = AnchorFault::default();
        let anchors = match &settings {
            Some(settings) => Anchors::new(clock.clone(), settings.is_development(), fault.clone()),
            None => Anchors::off(clock.clone()),
        };
        Self { anchors, keeper: Keeper::new(store.clone()), settings, fault }
    }

    /// Begins to follow the log.
    pub(super) fn begin(self, store: &Store, clock: &Clock, catalog: &Arc<Catalog>, writer: &Writer) -> AnchoringTasks {
        say(self.settings.as_ref());
        let (stop, stopped) = watch::channel(false);
        let watched = AnchorWatch {
            anchors: self.anchors,
            store: store.clone(),
            catalog: Arc::clone(catalog),
            writer: writer.clone(),
            clock: clock.clone(),
        };
        let tasks = vec![tokio::spawn(self.keeper.run(stopped)), tokio::spawn(watched.run())];
        AnchoringTasks { stop, tasks }
    }
}

fn say(settings: Option<&AnchorSettings>) {
    match settings {
        None => tracing::warn!("anchors are off: whoever owns the database can rewrite the audit log unnoticed"),
        Some(settings) if settings.is_development() => {
            tracing::warn!(%settings, "development anchors: nobody is kept from changing them");
        }
        Some(settings) => tracing::info!(%settings, "the audit log is anchored"),
    }
}

impl AnchoringTasks {
    /// Stops everything, once the last record is there.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
