//! Rooms of the gateway under load, without a server: decisions and appends.

use std::time::{Duration, Instant};

use rack_gateway::audit::{Keeper, Writer, WriterOptions, search};
use rack_gateway::clock::Clock;
use rack_gateway::pdp::Verdict;
use rack_gateway::store::{self, RecordFilter, Store};
use rack_gateway_benches::{ask, bundle, context, event, principal, resource};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Failure, Options, percentile};

/// `--count` decisions at `--policies` policies; one in a hundred is of a principal not seen before.
pub(crate) fn decide(options: &Options) -> Result<Value, Failure> {
    let count = options.number("count")?;
    let bundle = bundle(options.number("policies")?).map_err(|errors| errors.to_string())?;
    let (resource, context) = (resource(), context());
    let mut took = Vec::with_capacity(count);
    for n in 0..count as u64 {
        let principal = principal(if n.is_multiple_of(100) { n } else { 0 });
        let began = Instant::now();
        let decision = bundle.decide(&ask(&principal, &resource, &context));
        took.push(began.elapsed());
        if decision.verdict() != Verdict::Allow {
            return Err(format!("{}: {:?}", decision.verdict(), decision.reasons()).into());
        }
    }
    took.sort_unstable();
    let micros = |share| percentile(&took, share) * 1e6;
    Ok(json!({ "p50_us": micros(0.5), "p99_us": micros(0.99), "policies": bundle.policy_ids().len() }))
}

async fn writer(options: &Options) -> Result<Writer, Failure> {
    let store = Store::connect(options.text("database")?, store::Options::default()).await?;
    store.migrate(None).await?;
    let instance = format!("load-{}-{}", std::process::id(), Clock::system().now().unix_timestamp_nanos());
    Ok(Writer::start(store, Clock::system(), WriterOptions::new(instance, "load")).await?)
}

/// Appends for `--seconds` by `--tasks` tasks, each as fast as its records become durable; each with
/// `--private` personal values (one, as requests have, unless it is given).
pub(crate) fn append(options: &Options) -> Result<Value, Failure> {
    let (seconds, tasks) = (options.number("seconds")?, options.number("tasks")?);
    let private = options.number("private").unwrap_or(1);
    Runtime::new()?.block_on(async {
        let writer = writer(options).await?;
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds as u64);
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let writer = writer.clone();
                tokio::spawn(async move {
                    let mut records = 0_u64;
                    while Instant::now() < until {
                        let mut event = event(records);
                        event.source_ip = event.source_ip.filter(|_| private > 0);
                        let more = (1..private).map(|n| (format!("value_{n}"), "somebody@example.com".to_owned()));
                        event.private.extend(more);
                        writer.append(event).await?;
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
        writer.shutdown(Duration::from_secs(10)).await;
        Ok(json!({ "records": records, "per_s": per_s }))
    })
}

/// Appends at `--rate` for `--seconds`; latency counts from when a record was due.
pub(crate) fn append_paced(options: &Options) -> Result<Value, Failure> {
    let (rate, seconds) = (options.number("rate")?, options.number("seconds")?);
    Runtime::new()?.block_on(async {
        let writer = writer(options).await?;
        let began = Instant::now();
        let mut tasks = Vec::with_capacity(rate * seconds);
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate as f64));
        for n in 0..rate * seconds {
            let due = began + Duration::from_secs_f64(n as f64 / rate as f64);
            tick.tick().await;
            let writer = writer.clone();
            tasks.push(tokio::spawn(async move {
                writer.append(event(n as u64)).await?;
                Ok::<_, Failure>(due.elapsed())
            }));
        }
        let mut took = Vec::with_capacity(tasks.len());
        for task in tasks {
            took.push(task.await??);
        }
        writer.shutdown(Duration::from_secs(10)).await;
        took.sort_unstable();
        let millis = |share| percentile(&took, share) * 1e3;
        Ok(json!({ "records": took.len(), "p50_ms": millis(0.5), "p99_ms": millis(0.99) }))
    })
}

/// Brings the tree and the search index up with a log that is there, then searches it.
pub(crate) fn keep(options: &Options) -> Result<Value, Failure> {
    Runtime::new()?.block_on(async {
        let store = Store::connect(options.text("database")?, store::Options::default()).await?;
        store.migrate(None).await?;
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
            ("begin", RecordFilter { text: some("chain begin"), ..RecordFilter::default() }),
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
