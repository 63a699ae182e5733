//! The audit log under load: appends while the keeper follows, and a long log with anchors.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rack_gateway::audit::anchor::{AnchorParts, Anchorer, Aws};
use rack_gateway::audit::{Keeper, Outcome, OutcomeResult, Writer, WriterOptions, search};
use rack_gateway::clock::Clock;
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings};
use rack_gateway::http::origin;
use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway::store::{self, RecordFilter, Store};
use rack_gateway_benches::event;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Failure, Options, percentile};

/// Requests that are under way at the same time while a long log is written.
const TASKS: u64 = 512;
/// Anchors of a long log.
const ANCHORS: u64 = 100;
/// Longest wait for what is still to be written.
const END: Duration = Duration::from_secs(60);

/// A log that is written while tree and index follow it, as in a gateway that serves.
struct Log {
    writer: Writer,
    keeper: Keeper,
    stop: watch::Sender<bool>,
    following: JoinHandle<()>,
}

impl Log {
    async fn open(options: &Options) -> Result<Self, Failure> {
        let store = Store::connect(options.text("database")?, store::Options::default()).await?;
        store.migrate(None).await?;
        let instance = format!("load-{}-{}", std::process::id(), Clock::system().now().unix_timestamp_nanos());
        let options = WriterOptions::new(instance, origin("acme/dev"));
        let writer = Writer::start(store.clone(), Clock::system(), options).await?;
        let keeper = Keeper::new(store);
        let (stop, stopped) = watch::channel(false);
        let following = tokio::spawn(keeper.clone().run(stopped));
        Ok(Self { writer, keeper, stop, following })
    }

    /// Ends it; fails when something was not written.
    async fn close(self) -> Result<(), Failure> {
        let is_whole = self.writer.shutdown(END).await;
        self.stop.send(true)?;
        self.following.await?;
        if is_whole { Ok(()) } else { Err("not everything became durable".into()) }
    }
}

/// Appends for `--seconds` by `--tasks` tasks, each as fast as its records become durable.
pub(crate) fn append(options: &Options) -> Result<Value, Failure> {
    let (seconds, tasks) = (options.number("seconds")?, options.number("tasks")?);
    Runtime::new()?.block_on(async {
        let log = Log::open(options).await?;
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds as u64);
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let writer = log.writer.clone();
                tokio::spawn(async move {
                    let mut records = 0_u64;
                    while Instant::now() < until {
                        writer.append(event(records)).await?;
                        records += 1;
                    }
                    Ok::<_, Failure>(records)
                })
            })
            .collect();
        let mut records = 0;
        for task in tasks {
            records += task.await??;
        }
        let per_s = records as f64 / began.elapsed().as_secs_f64();
        log.close().await?;
        Ok(json!({ "records": records, "per_s": per_s }))
    })
}

/// Appends at `--rate` for `--seconds`; latency counts from when a record was due.
pub(crate) fn append_paced(options: &Options) -> Result<Value, Failure> {
    let (rate, seconds) = (options.number("rate")?, options.number("seconds")?);
    Runtime::new()?.block_on(async {
        let log = Log::open(options).await?;
        let began = Instant::now();
        let mut tasks = Vec::with_capacity(rate * seconds);
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
        for n in 0..rate * seconds {
            let due = began + Duration::from_secs_f64(n as f64 / rate as f64);
            tick.tick().await;
            let writer = log.writer.clone();
            tasks.push(tokio::spawn(async move {
                writer.append(event(n as u64)).await?;
                Ok::<_, Failure>(due.elapsed())
            }));
        }
        let mut took = Vec::with_capacity(tasks.len());
        for task in tasks {
            took.push(task.await??);
        }
        log.close().await?;
        took.sort_unstable();
        let millis = |share| percentile(&took, share) * 1e3;
        Ok(json!({ "records": took.len(), "p50_ms": millis(0.5), "p99_ms": millis(0.99) }))
    })
}

/// Writes an honest log of about `--records` records, intents and their outcomes, with a hundred anchors in the
/// folder `--anchors`, signed by the key file `--key`.
pub(crate) fn fill(options: &Options) -> Result<Value, Failure> {
    let records = options.number("records")? as u64;
    Runtime::new()?.block_on(async {
        let log = Log::open(options).await?;
        let anchorer = anchorer(&log, options)?;
        let (mut writing, mut took) = (Duration::ZERO, Vec::new());
        for part in 0..ANCHORS {
            let began = Instant::now();
            requests(&log.writer, part, records / ANCHORS / 2).await?;
            writing += began.elapsed();
            let began = Instant::now();
            anchorer.anchor(AnchorReason::Start).await?;
            took.push(began.elapsed());
        }
        let (_, head) = log.keeper.store().head().await?.ok_or("there is no log")?;
        log.close().await?;
        let last = took.last().copied().unwrap_or_default().as_secs_f64() * 1e3;
        took.sort_unstable();
        let millis = |share| percentile(&took, share) * 1e3;
        Ok(json!({
            "records": head.seq,
            "per_s": head.seq as f64 / writing.as_secs_f64(),
            "anchor_p50_ms": millis(0.5),
            "anchor_max_ms": millis(1.0),
            "anchor_last_ms": last,
        }))
    })
}

fn anchorer(log: &Log, options: &Options) -> Result<Anchorer, Failure> {
    let place = AnchorPlace::Folder(PathBuf::from(options.text("anchors")?));
    let key = AnchorKey::File(PathBuf::from(options.text("key")?));
    Ok(Anchorer::new(AnchorParts {
        settings: AnchorSettings::new(place, key),
        aws: Aws::environment(),
        keeper: log.keeper.clone(),
        clock: Clock::system(),
        writer: log.writer.clone(),
        bundle: Box::new(|| None),
    }))
}

/// So many requests, each an intent and an outcome; waits until all are durable.
async fn requests(writer: &Writer, part: u64, count: u64) -> Result<(), Failure> {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let writer = writer.clone();
            tokio::spawn(async move {
                for n in (task..count).step_by(TASKS as usize) {
                    let held = writer.intent(event(part * count + n)).await?;
                    held.complete(Outcome { status: Some(200), ..Outcome::of(OutcomeResult::Completed) });
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let until = Instant::now() + END;
    while writer.status().backlog > 0 {
        if Instant::now() > until {
            return Err("outcomes do not become durable".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Brings the tree and the search index up with a log that is there, then searches it.
pub(crate) fn keep(options: &Options) -> Result<Value, Failure> {
    Runtime::new()?.block_on(async {
        let store = Store::connect(options.text("database")?, store::Options::default()).await?;
        let (_, head) = store.head().await?.ok_or("there is no log")?;
        let keeper = Keeper::new(store);
        let began = Instant::now();
        keeper.catch_up(head.seq).await?;
        let tree_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        keeper.index(head.seq).await?;
        let index_s = began.elapsed().as_secs_f64();
        let mut searches = serde_json::Map::new();
        let some = |text: &str| Some(text.to_owned());
        for (name, filter) in [
            ("all", RecordFilter::default()),
            ("actor", RecordFilter { actor: some("user-1"), ..RecordFilter::default() }),
            ("common_word", RecordFilter { text: some("processes"), ..RecordFilter::default() }),
            ("rare_word", RecordFilter { text: some("origin"), ..RecordFilter::default() }),
            ("rare_kind", RecordFilter { kind: some("system"), ..RecordFilter::default() }),
            ("common_and_rare", RecordFilter { kind: some("system"), text: some("begin"), ..RecordFilter::default() }),
            ("two_common", RecordFilter { kind: some("intent"), actor: some("user-1"), ..RecordFilter::default() }),
        ] {
            let began = Instant::now();
            let found = search(&keeper, &filter, None, 50).await?.len();
            searches.insert(name.to_owned(), json!({ "found": found, "ms": began.elapsed().as_secs_f64() * 1e3 }));
        }
        Ok(json!({ "records": head.seq, "tree_s": tree_s, "index_s": index_s, "searches": searches }))
    })
}
