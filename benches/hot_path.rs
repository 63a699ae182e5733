//! The functions that every request passes: target and row, decision, record.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use rack_gateway::audit::{Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::pdp::Verdict;
use rack_gateway::routes::{Found, Kind, Target, find};
use rack_gateway::store::{Options, Store};
use rack_gateway_benches::{ask, bundle, context, event, principal, resource};
use tokio::runtime::Runtime;

/// Records of one batch of the writer.
const BATCH: u64 = 256;

fn target(bench: &mut Criterion) {
    bench.bench_function("target: parse and find a row", |b| {
        b.iter(|| {
            let target = Target::parse(black_box("/apps/myapp/processes?service=web")).expect("a good target");
            assert!(matches!(find(Kind::Get, target), Found::Row(_)));
        });
    });
}

fn decision(bench: &mut Criterion) {
    let bundle = bundle(100).expect("the bundle loads");
    let (resource, context) = (resource(), context());
    let known = principal(0);
    bench.bench_function("decision: 100 policies, known principal", |b| {
        b.iter(|| assert_eq!(bundle.decide(&ask(black_box(&known), &resource, &context)).verdict(), Verdict::Allow));
    });
    let mut n = 0;
    bench.bench_function("decision: 100 policies, new principal", |b| {
        b.iter(|| {
            n += 1;
            let new = principal(n);
            assert_eq!(bundle.decide(&ask(&new, &resource, &context)).verdict(), Verdict::Allow);
        });
    });
}

fn append(bench: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("rack-gateway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let url = format!("sqlite://{}", folder.join("bench.sqlite").display());
    let writer = runtime.block_on(async {
        let store = Store::connect(&url, Options::default()).await.expect("a database");
        store.migrate(None).await.expect("a schema");
        Writer::start(store, Clock::system(), WriterOptions::new("bench", "bench")).await.expect("a writer")
    });
    let mut group = bench.benchmark_group("append");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    group.bench_function("a batch of intents, SQLite, durable", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..BATCH)
                    .map(|n| {
                        let writer = writer.clone();
                        tokio::spawn(async move { writer.append(event(n)).await.expect("a record").seq })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("a task");
                }
            });
        });
    });
    group.finish();
    runtime.block_on(writer.shutdown(Duration::from_secs(10)));
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    target(&mut criterion);
    decision(&mut criterion);
    append(&mut criterion);
    criterion.final_summary();
}
