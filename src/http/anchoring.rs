//! What follows the log while the gateway serves: the keeper of tree and index, the anchorer, and the
//! watch over the state of anchors. And the last anchor, when everything has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::audit::anchor::{AnchorError, AnchorParts, Anchorer, Aws, Fault, Sealer, StartCheck, check_start};
use crate::audit::{AnchorWatch, Anchors, Keeper, Writer};
use crate::clock::Clock;
use crate::config::{AnchorSettings, Catalog};
use crate::pep::{Active, Gate};
use crate::store::Store;

/// How long the last anchor may take. With draining and the last records it is within the minute that
/// orchestrators give.
const LAST: Duration = Duration::from_secs(15);
/// How often a start that could not be compared with the anchors is compared again.
const AGAIN: Duration = Duration::from_secs(60);

/// How the log is anchored, compared with the database; nothing runs yet.
#[derive(Debug)]
pub(super) struct Checked {
    /// What keeps tree and index up with the record.
    pub(super) keeper: Keeper,
    settings: Option<AnchorSettings>,
    /// Why the comparison could not be made.
    unchecked: Option<String>,
    /// The name of the log, if it has not begun.
    origin: String,
}

/// Everything is made, nothing runs yet.
#[derive(Debug)]
pub(super) struct Anchoring {
    /// The state that all requests read.
    pub(super) anchors: Anchors,
    /// What signs exports, where this process has the key.
    pub(super) sealer: Option<Sealer>,
    checked: Checked,
    anchorer: Option<Anchorer>,
}

/// What runs of it.
#[derive(Debug)]
pub(super) struct AnchoringTasks {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    anchorer: Option<JoinHandle<()>>,
}

impl Checked {
    /// Compares the database with the last anchor.
    ///
    /// # Errors
    /// When it does not hold what was anchored.
    pub(super) async fn new(
        settings: Option<AnchorSettings>,
        store: &Store,
        origin: String,
    ) -> Result<Self, AnchorError> {
        say(settings.as_ref());
        let keeper = Keeper::new(store.clone());
        let mut checked = Self { keeper, settings, unchecked: None, origin };
        checked.unchecked = checked.compare().await?;
        if let Some(problem) = &checked.unchecked {
            tracing::warn!(
                problem,
                "nobody knows yet whether the database holds what was anchored; it is looked again"
            );
        }
        Ok(checked)
    }

    /// Why the comparison could not be made, if it could not.
    async fn compare(&self) -> Result<Option<String>, AnchorError> {
        let Some(settings) = &self.settings else { return Ok(None) };
        match check_start(settings, &Aws::environment(), &self.keeper, &self.origin).await? {
            StartCheck::Holds(_) => Ok(None),
            StartCheck::Unchecked(problem) => Ok(Some(problem)),
        }
    }

    /// With the anchorer, where this process makes anchors.
    pub(super) fn equip(self, clock: &Clock, writer: &Writer, active: &Active) -> Anchoring {
        let settings = self.settings.clone().filter(|settings| settings.in_server);
        let sealer = settings.clone().map(|settings| Sealer::new(settings, Aws::environment()));
        let anchorer = settings.map(|settings| {
            let active = active.clone();
            Anchorer::new(AnchorParts {
                settings,
                aws: Aws::environment(),
                keeper: self.keeper.clone(),
                clock: clock.clone(),
                writer: writer.clone(),
                bundle: Box::new(move || Some(active.load().digest().to_owned())),
            })
        });
        let making = anchorer.as_ref().map(Anchorer::status);
        let anchors = match &self.settings {
            Some(settings) => Anchors::new(clock.clone(), settings.is_development(), making),
            None => Anchors::off(clock.clone()),
        };
        Anchoring { anchors, sealer, checked: self, anchorer }
    }
}

impl Anchoring {
    /// Begins to follow the log.
    pub(super) fn begin(self, gate: &Gate, catalog: &Arc<Catalog>) -> AnchoringTasks {
        let (stop, stopped) = watch::channel(false);
        let watched = AnchorWatch {
            anchors: self.anchors.clone(),
            store: gate.store.clone(),
            catalog: Arc::clone(catalog),
            writer: gate.audit.clone(),
            clock: gate.clock.clone(),
        };
        let keeper = self.checked.keeper.clone();
        let mut tasks = vec![tokio::spawn(keeper.run(stopped.clone())), tokio::spawn(watched.run())];
        if self.checked.unchecked.is_some() {
            tasks.push(tokio::spawn(check_again(self.checked, self.anchors)));
        }
        let anchorer = self.anchorer.map(|anchorer| tokio::spawn(anchorer.run(stopped)));
        AnchoringTasks { stop, tasks, anchorer }
    }
}

/// Compares until it is known. What is found too late to refuse the start is told.
async fn check_again(checked: Checked, anchors: Anchors) {
    let not_yet = |problem: &str| format!("the database could not be compared with the anchors: {problem}");
    anchors.say(checked.unchecked.as_deref().map(not_yet));
    loop {
        tokio::time::sleep(AGAIN).await;
        match checked.compare().await {
            Ok(None) => return anchors.say(None),
            Ok(Some(problem)) => anchors.say(Some(not_yet(&problem))),
            Err(AnchorError::Fault(Fault::Behind(behind))) => {
                tracing::error!(%behind, "the next start will be refused");
                return anchors.say(Some(behind.to_string()));
            }
            Err(error) => anchors.say(Some(not_yet(&error.to_string()))),
        }
    }
}

fn say(settings: Option<&AnchorSettings>) {
    match settings {
        None => tracing::warn!("anchors are off: whoever owns the database can rewrite the audit log unnoticed"),
        Some(settings) if settings.is_development() => say_development(settings),
        Some(settings) => say_anchored(settings),
    }
}

fn say_development(settings: &AnchorSettings) {
    tracing::warn!(%settings, "development anchors: nobody is kept from changing them");
}

fn say_anchored(settings: &AnchorSettings) {
    tracing::info!(%settings, "the audit log is anchored");
}

impl AnchoringTasks {
    /// Stops everything and makes the last anchor. To be called when the last record is durable.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        if let Some(anchorer) = self.anchorer {
            let abort = anchorer.abort_handle();
            if timeout(LAST, anchorer).await.is_err() {
                abort.abort();
                tracing::warn!("the last anchor was not made in time; the next start completes it");
            }
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
