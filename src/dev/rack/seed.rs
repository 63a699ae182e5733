//! What a rack holds at its start: one app that has been built and promoted.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::apps;
use super::builds;
use super::data::{Balancer, BalancerPort, Certificate, Data, Instance, Registry, System};
use super::ids::Ids;
use super::logs::{Log, Source};
use super::options::RackOptions;
use super::rack_resources;
use super::releases::{self, Change};
use super::reply::Failure;

const APP: &str = "myapp";
/// Values are made up.
const ENV: &str = "GREETING=hello\nSECRET_KEY=made-up-s3cr3t";
const MANIFEST: &str = concat!(
    "environment:\n  - GREETING=hello\n",
    "resources:\n  database:\n    type: postgres\n",
    "services:\n",
    "  web:\n    build: .\n    command: bin/web\n    environment:\n      - FOO=bar\n    port: 3000\n",
    "    resources:\n      - database\n    scale: 2\n",
    "  worker:\n    build: .\n    command: bin/worker\n",
);

/// The whole.
pub(super) fn data(options: &RackOptions, addr: SocketAddr) -> Data {
    let now = options.clock.now();
    let mut data = empty(options, addr, now);
    data.log.push(now, Source::System(options.name.clone()), format!("{} started", options.name));
    if let Err(failure) = app(&mut data, now) {
        tracing::error!(message = failure.message, "the development rack has no app");
    }
    data
}

fn empty(options: &RackOptions, addr: SocketAddr, now: OffsetDateTime) -> Data {
    let mut ids = Ids::new();
    let certificate = Certificate {
        id: ids.certificate(),
        domain: "*.apps.example.test".to_owned(),
        domains: vec!["*.apps.example.test".to_owned()],
        expiration: now + Duration::days(90),
        status: "issued",
    };
    let registry = Registry {
        server: "registry.example.test".to_owned(),
        username: "puller".to_owned(),
        password: "made-up-registry-password".to_owned(),
    };
    Data {
        system: system(&options.name, addr),
        apps: BTreeMap::new(),
        instances: [1, 2].map(|n| instance(n, now)).into(),
        certificates: vec![certificate],
        registries: vec![registry],
        resources: vec![rack_resources::new("shared-redis", "redis")],
        letsencrypt: json!({ "role": "arn:aws:iam::123456789012:role/cert-manager", "solvers": null }),
        tokens: Vec::new(),
        keys: 0,
        started: now,
        log: Log::default(),
        ids,
    }
}

fn system(name: &str, addr: SocketAddr) -> System {
    let parameters =
        [("build_node_type", ""), ("high_availability", "true"), ("idle_timeout", "3600"), ("node_type", "t3.medium")];
    System {
        count: 2,
        domain: format!("router.{addr}"),
        name: name.to_owned(),
        parameters: parameters.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        provider: "aws",
        rack_domain: addr.to_string(),
        router_internal: String::new(),
        region: "us-east-1",
        status: "running",
        kind: "t3.medium".to_owned(),
        version: "3.24.9".to_owned(),
    }
}

fn instance(n: u8, now: OffsetDateTime) -> Instance {
    Instance {
        agent: true,
        cpu: 0.2,
        cpu_capacity: 2000,
        cpu_allocatable: 1900,
        gpu_capacity: 0,
        gpu_allocatable: 0,
        id: format!("ip-10-0-0-{n}"),
        memory: 0.3,
        memory_capacity: 4096,
        memory_allocatable: 3900,
        private_ip: format!("10.0.0.{n}"),
        processes: 3,
        public_ip: format!("203.0.113.{n}"),
        status: "running",
        started: now - Duration::days(1),
    }
}

fn app(data: &mut Data, now: OffsetDateTime) -> Result<(), Failure> {
    let rack = Source::System(data.system.name.clone());
    let mut app = apps::new(APP, &data.system.domain.clone());
    app.log.push(now, rack.clone(), "app created");
    app.balancers.push(Balancer {
        name: "web".to_owned(),
        endpoint: "web-balancer.example.test".to_owned(),
        ports: vec![BalancerPort { protocol: "TCP", source: 443, target: 3000 }],
        service: "web".to_owned(),
    });
    app.configs.insert("app.conf".to_owned(), "made-up configuration\n".to_owned());
    data.apps.insert(APP.to_owned(), app);

    let mut build = builds::new(data, APP, "seed build".to_owned(), now);
    MANIFEST.clone_into(&mut build.manifest);
    "complete".clone_into(&mut build.status);
    build.ended = now;
    let id = build.id.clone();
    let app = data.app(APP)?;
    let log = ["Building: .", "Build complete"].map(str::to_owned).to_vec();
    app.build_logs.insert(id.clone(), log);
    app.builds.push(build);

    let change = Change {
        build: Some(id.clone()),
        description: Some("seed build".to_owned()),
        env: Some(ENV.to_owned()),
        parent: None,
    };
    let release = releases::fork(data, APP, change, now)?.id;
    let app = data.app(APP)?;
    app.build(&id)?.release.clone_from(&release);
    app.release.clone_from(&release);
    releases::apply(data, APP, now)?;
    data.app(APP)?.log.push(now, rack, format!("promoted {release}"));
    Ok(())
}
