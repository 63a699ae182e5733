//! What a rack holds. Field order and names are those of the JSON that convox `pkg/structs` writes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::datetime;

use super::auth::Role;
use super::files::Files;
use super::ids::Ids;
use super::logs::Log;
use super::objects::Stored;
use super::reply::{Answer, Failure, Reply};

/// Go's zero time, which an unfinished build has as its end.
pub(super) const NEVER: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);

/// Everything.
pub(super) struct Data {
    pub(super) system: System,
    pub(super) apps: BTreeMap<String, App>,
    pub(super) instances: Vec<Instance>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) registries: Vec<Registry>,
    pub(super) resources: Vec<RackResource>,
    pub(super) letsencrypt: serde_json::Value,
    pub(super) tokens: Vec<Token>,
    pub(super) keys: u32,
    pub(super) started: OffsetDateTime,
    pub(super) log: Log,
    pub(super) ids: Ids,
}

impl Data {
    /// An app, or the rack's words for its absence.
    pub(super) fn app(&mut self, name: &str) -> Result<&mut App, Failure> {
        self.apps.get_mut(name).ok_or_else(|| Failure::not_found(format!("app not found: {name}")))
    }
}

/// `GET /system`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct System {
    pub(super) count: i64,
    pub(super) domain: String,
    pub(super) name: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) provider: &'static str,
    pub(super) rack_domain: String,
    pub(super) router_internal: String,
    pub(super) region: &'static str,
    pub(super) status: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) version: String,
}

/// An app and all that belongs to it; what the API shows of the app itself comes first.
#[derive(Debug, Serialize)]
pub(super) struct App {
    pub(super) generation: String,
    pub(super) locked: bool,
    pub(super) name: String,
    pub(super) release: String,
    pub(super) router: String,
    pub(super) status: &'static str,
    pub(super) parameters: BTreeMap<String, String>,
    #[serde(skip)]
    pub(super) balancers: Vec<Balancer>,
    #[serde(skip)]
    pub(super) budget: Option<BTreeMap<&'static str, String>>,
    #[serde(skip)]
    pub(super) builds: Vec<Build>,
    #[serde(skip)]
    pub(super) build_logs: BTreeMap<String, Vec<String>>,
    #[serde(skip)]
    pub(super) configs: BTreeMap<String, String>,
    #[serde(skip)]
    pub(super) files: Files,
    #[serde(skip)]
    pub(super) log: Log,
    #[serde(skip)]
    pub(super) objects: BTreeMap<String, Stored>,
    #[serde(skip)]
    pub(super) processes: Vec<Process>,
    #[serde(skip)]
    pub(super) releases: Vec<Release>,
    #[serde(skip)]
    pub(super) resources: Vec<Resource>,
    #[serde(skip)]
    pub(super) resource_data: BTreeMap<String, Stored>,
    #[serde(skip)]
    pub(super) services: Vec<Service>,
}

impl App {
    pub(super) fn service(&mut self, name: &str) -> Result<&mut Service, Failure> {
        let service = self.services.iter_mut().find(|service| service.name == name);
        service.ok_or_else(|| Failure::not_found(format!("no such service: {name}")))
    }

    pub(super) fn process(&self, id: &str) -> Result<&Process, Failure> {
        let process = self.processes.iter().find(|process| process.id == id);
        process.ok_or_else(|| Failure::not_found(format!("process not found: {id}")))
    }

    pub(super) fn release(&self, id: &str) -> Result<&Release, Failure> {
        let release = self.releases.iter().find(|release| release.id == id);
        release.ok_or_else(|| Failure::not_found(format!("release not found: {id}")))
    }

    pub(super) fn build(&mut self, id: &str) -> Result<&mut Build, Failure> {
        let build = self.builds.iter_mut().find(|build| build.id == id);
        build.ok_or_else(|| Failure::not_found(format!("build not found: {id}")))
    }

    pub(super) fn resource(&self, name: &str) -> Result<&Resource, Failure> {
        let resource = self.resources.iter().find(|resource| resource.name == name);
        resource.ok_or_else(|| Failure::not_found(format!("no such resource: {name}")))
    }
}

/// A build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Build {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) description: String,
    pub(super) entrypoint: String,
    pub(super) git_sha: String,
    pub(super) logs: String,
    pub(super) manifest: String,
    pub(super) process: String,
    pub(super) release: String,
    pub(super) reason: String,
    /// Holds the registry's credentials, as a real rack's does.
    pub(super) repository: String,
    pub(super) status: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) started: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) ended: OffsetDateTime,
}

/// A release.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Release {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) build: String,
    pub(super) env: String,
    pub(super) manifest: String,
    pub(super) description: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created: OffsetDateTime,
}

/// A process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) command: String,
    pub(super) cpu: f64,
    pub(super) gpu: i64,
    pub(super) host: String,
    pub(super) image: String,
    pub(super) instance: String,
    pub(super) memory: f64,
    pub(super) name: String,
    pub(super) ports: Vec<String>,
    pub(super) release: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) started: OffsetDateTime,
    pub(super) status: &'static str,
    pub(super) service: String,
}

/// A service.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Service {
    pub(super) count: i64,
    pub(super) cpu: i64,
    pub(super) domain: String,
    pub(super) gpu: i64,
    pub(super) gpu_vendor: String,
    pub(super) memory: i64,
    pub(super) name: String,
    pub(super) nlb: Vec<String>,
    pub(super) ports: Vec<ServicePort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<i64>,
    #[serde(skip)]
    pub(super) command: String,
}

/// A port of a service.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ServicePort {
    pub(super) balancer: i64,
    pub(super) certificate: String,
    pub(super) container: i64,
}

/// A load balancer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Balancer {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) ports: Vec<BalancerPort>,
    pub(super) service: String,
}

/// A port of a load balancer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BalancerPort {
    pub(super) protocol: &'static str,
    pub(super) source: i64,
    pub(super) target: i64,
}

/// A resource of an app; its URL holds its credentials.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) status: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) url: String,
}

/// A resource of the rack.
#[derive(Clone, Debug)]
pub(super) struct RackResource {
    pub(super) name: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) apps: Vec<String>,
}

/// A machine of the cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Instance {
    pub(super) agent: bool,
    pub(super) cpu: f64,
    pub(super) cpu_capacity: i64,
    pub(super) cpu_allocatable: i64,
    pub(super) gpu_capacity: i64,
    pub(super) gpu_allocatable: i64,
    pub(super) id: String,
    pub(super) memory: f64,
    pub(super) memory_capacity: i64,
    pub(super) memory_allocatable: i64,
    pub(super) private_ip: String,
    pub(super) processes: i64,
    pub(super) public_ip: String,
    pub(super) status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) started: OffsetDateTime,
}

/// A certificate.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Certificate {
    pub(super) id: String,
    pub(super) domain: String,
    pub(super) domains: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) expiration: OffsetDateTime,
    pub(super) status: &'static str,
}

/// Credentials of an image registry.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Registry {
    pub(super) server: String,
    pub(super) username: String,
    pub(super) password: String,
}

/// A token minted by `POST /system/jwt/token`.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) role: Role,
    pub(super) expires: OffsetDateTime,
}

/// Takes what matches out of a list, or says that it is not there.
pub(super) fn remove<T>(list: &mut Vec<T>, which: impl Fn(&T) -> bool, missing: String) -> Answer {
    let before = list.len();
    list.retain(|one| !which(one));
    if list.len() < before { Ok(Reply::ok()) } else { Err(Failure::not_found(missing)) }
}

/// The environment of a process: what the release sets, and what a rack adds.
pub(super) fn environment(app: &App, process: &Process) -> BTreeMap<String, String> {
    let release = app.releases.iter().find(|release| release.id == process.release);
    let env = release.map(|release| release.env.as_str()).unwrap_or_default();
    let mut all: BTreeMap<String, String> =
        env.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    for resource in &app.resources {
        all.insert(format!("{}_URL", resource.name.to_uppercase().replace('-', "_")), resource.url.clone());
    }
    for (name, value) in [
        ("APP", app.name.as_str()),
        ("BUILD", release.map(|release| release.build.as_str()).unwrap_or_default()),
        ("HOME", "/root"),
        ("HOSTNAME", process.id.as_str()),
        ("PATH", "/usr/bin:/bin"),
        ("RELEASE", process.release.as_str()),
        ("SERVICE", process.service.as_str()),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

/// A whole file or body, if it was small enough to keep.
pub(super) type Content = Option<Bytes>;
