//! The tool of `run.sh`: an upstream, and the clients that `wrk` is not. Each command prints one
//! line of JSON, so that the driver compares numbers and not texts.

mod decisions;
mod http;
mod log;
mod sockets;
mod upstream;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `--name value` pairs after the command.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = HashMap::new();
        while let Some(name) = args.next() {
            let Some(name) = name.strip_prefix("--") else { return Err(format!("{name}: not an option").into()) };
            let value = args.next().ok_or_else(|| format!("--{name}: the value is missing"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?)
    }

    pub(crate) fn number(&self, name: &str) -> Result<usize, Failure> {
        Ok(self.text(name)?.parse()?)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    // `cargo test --all-targets` runs benches without a command: nothing to do then.
    let Some(command) = args.next() else { return ExitCode::SUCCESS };
    let run = Options::parse(args).and_then(|options| match command.as_str() {
        "upstream" => upstream::serve(&options),
        "paced" => paced(&options),
        "stream" => stream(&options),
        "round-trips" => sockets::round_trips(&options),
        "idle" => sockets::idle(&options),
        "decide" => decisions::decide(&options),
        "append" => log::append(&options),
        "append-paced" => log::append_paced(&options),
        "fill" => log::fill(&options),
        "keep" => log::keep(&options),
        other => Err(format!("{other}: no such command").into()),
    });
    match run {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{command}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until a moment; more exact than a timer of the async runtime (1 ms).
fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// The value that this share of the sorted values does not exceed, in seconds.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, Duration::as_secs_f64)
}

/// Requests at a fixed rate. Latency counts from when a request was *due*, so that a server that
/// stalls does not also slow the clock that measures it.
fn paced(options: &Options) -> Result<Value, Failure> {
    let (rate, seconds) = (options.number("rate")?, options.number("seconds")?);
    let connections = options.number("connections")?;
    let total = rate * seconds;
    let next = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::with_capacity(total));
    let failures = AtomicUsize::new(0);
    let began = Instant::now() + Duration::from_millis(50);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> Result<(), Failure> {
                    let mut client = http::Client::connect(options)?;
                    let mut own = Vec::new();
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= total {
                            break;
                        }
                        let due = began + Duration::from_secs_f64(at as f64 / rate as f64);
                        wait_until(due);
                        if client.get()?.status != 200 {
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                        own.push(due.elapsed());
                    }
                    latencies.lock().map_err(|_| "a worker panicked")?.extend(own);
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })?;
    let mut sorted = latencies.into_inner().map_err(|_| "a worker panicked")?;
    sorted.sort_unstable();
    let millis = |share| percentile(&sorted, share) * 1e3;
    Ok(json!({
        "requests": sorted.len(),
        "failures": failures.into_inner(),
        "p50_ms": millis(0.50),
        "p90_ms": millis(0.90),
        "p99_ms": millis(0.99),
        "max_ms": millis(1.0),
    }))
}

/// One download, discarded.
fn stream(options: &Options) -> Result<Value, Failure> {
    let mut client = http::Client::connect(options)?;
    let began = Instant::now();
    let answer = client.get()?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "status": answer.status, "bytes": answer.bytes, "mb_per_s": answer.bytes as f64 / 1e6 / seconds }))
}
