//! Policies on disk change while the gateway runs: load, validate, swap, record. A bundle that
//! cannot be used changes nothing but the health of the gateway.

use std::path::PathBuf;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::audit::{Event, EventKind};
use crate::config::read_policy_dir;
use crate::pdp::{Bundle, Sources};
use crate::pep::{BundleStatus, Gate};
use crate::telemetry;

/// Where the policies come from.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The folder of production; none for the compiled-in defaults.
    pub dir: Option<PathBuf>,
    /// Id of the `Rack` entity.
    pub rack: String,
}

impl PolicySource {
    /// Reads the files.
    ///
    /// # Errors
    /// When the folder cannot be read or lacks a file; the text says what to do.
    pub fn sources(&self) -> Result<Sources, String> {
        match &self.dir {
            None => Ok(Sources::embedded(&self.rack)),
            Some(dir) => {
                let files = read_policy_dir(dir).map_err(|error| error.to_string())?;
                Sources::from_files(&self.rack, files).map_err(|error| error.to_string())
            }
        }
    }

    /// Reads, validates and probes a bundle.
    ///
    /// # Errors
    /// Every problem, each with file, line and remedy.
    pub fn load(&self) -> Result<Bundle, String> {
        Bundle::load(&self.sources()?).map_err(|errors| errors.to_string())
    }
}

/// Loads the bundle again and swaps it in, if it differs and can be used and the swap can be
/// recorded.
pub async fn reload_once(gate: &Gate, source: &PolicySource, status: &BundleStatus) {
    let running = gate.active.load().digest().to_owned();
    match source.load() {
        Ok(bundle) if bundle.digest() == running => status.set(None),
        Ok(bundle) => activate(gate, status, bundle, &running).await,
        Err(problem) => {
            let recorded = gate.audit.append(event("policy-bundle:refuse", &running, ("problem", &problem))).await;
            let note = if recorded.is_ok() { "" } else { " (and this could not be recorded)" };
            refuse(status, problem + note);
        }
    }
}

/// The record first: a bundle that decides must be on the record.
async fn activate(gate: &Gate, status: &BundleStatus, bundle: Bundle, running: &str) {
    let event = event("policy-bundle:activate", bundle.digest(), ("previous", running));
    match gate.audit.append(event).await {
        Ok(_) => {
            tracing::info!(policy.bundle = bundle.digest(), "policy bundle activated");
            gate.active.swap(bundle);
            status.set(None);
            count("activated");
        }
        Err(error) => refuse(status, format!("the new bundle cannot be recorded: {error}")),
    }
}

fn event(action: &'static str, digest: &str, (name, value): (&str, &str)) -> Event {
    Event {
        bundle: Some(digest.to_owned()),
        detail: [(name.to_owned(), value.to_owned())].into(),
        ..Event::new(EventKind::System, "", action)
    }
}

fn refuse(status: &BundleStatus, problem: String) {
    tracing::error!(problem, "policy bundle refused; the running one stays");
    status.set(Some(problem));
    count("refused");
}

fn count(result: &'static str) {
    metrics::counter!(telemetry::BUNDLE_LOADS, "result" => result).increment(1);
}

/// Reloads on `SIGHUP` and whenever a file of the folder changes, until the task is dropped.
///
/// # Errors
/// When the folder cannot be watched or the signal not be received.
pub async fn watch(gate: Gate, source: PolicySource, status: BundleStatus) -> Result<(), String> {
    let (changed, mut changes) = mpsc::channel(1);
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP cannot be received: {error}"))?;
    let _watcher = source.dir.as_ref().map(|dir| watcher(dir, changed)).transpose()?;
    loop {
        tokio::select! {
            Some(()) = changes.recv() => settled(&mut changes).await,
            Some(()) = hangup.recv() => {}
            else => return Ok(()),
        }
        reload_once(&gate, &source, &status).await;
    }
}

/// Quiet that shows that whoever writes is done: half a folder, or half a file, may well be a bundle.
const SETTLED: Duration = Duration::from_millis(500);
/// Longest wait for the quiet.
const UNSETTLED: Duration = Duration::from_secs(10);

async fn settled(changes: &mut mpsc::Receiver<()>) {
    let quiet = async { while let Ok(Some(())) = timeout(SETTLED, changes.recv()).await {} };
    if timeout(UNSETTLED, quiet).await.is_err() {
        tracing::warn!("policy files change without a pause; they are read as they are");
    }
}

/// One waiting notice is enough: a reload reads everything.
fn watcher(dir: &std::path::Path, changed: mpsc::Sender<()>) -> Result<notify::RecommendedWatcher, String> {
    let problem = |error: notify::Error| format!("{} cannot be watched: {error}", dir.display());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let written = event.is_ok_and(|event| !event.kind.is_access());
        if written && changed.try_send(()).is_err() {
            tracing::trace!("a reload is due already");
        }
    })
    .map_err(problem)?;
    watcher.watch(dir, RecursiveMode::Recursive).map_err(problem)?;
    if let Some(schema) = dir.parent().map(|parent| parent.join("schema")).filter(|schema| schema.is_dir()) {
        watcher.watch(&schema, RecursiveMode::Recursive).map_err(problem)?;
    }
    Ok(watcher)
}
