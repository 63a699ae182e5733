//! Rows of the rack's API that may pass, in the order of the rack's own route list
//! (convox `pkg/api/routes.go`), each with the parameters that the rack reads.

use super::row::{Facts, Keys, Kind, Redactor, Resource as R, Row, Step};

/// Side effects of an ordinary day: restart, stop.
const OPERATE: &[&str] = &["operate"];
/// Commands inside a running or new process.
const SHELL: &[&str] = &["shell"];
/// Raw access beneath the app: databases, instances, the cluster's network.
const PRIVILEGED_SHELL: &[&str] = &["privileged-shell"];
/// Everything between source code and a running release.
const DEPLOY: &[&str] = &["deploy"];
/// The rack itself and what all apps share.
const RACK_ADMIN: &[&str] = &["rack-admin"];
/// Loss of data or of service.
const DESTRUCTIVE: &[&str] = &["destructive"];
/// No secret in the answer, or a mask in its place; no side effect.
const READ: &[&str] = &["read"];
/// Reads about builds.
const BUILD_READ: &[&str] = &["build-read"];
/// Reads about the release history.
const RELEASE_READ: &[&str] = &["release-read"];
/// Logs: they may repeat what an app prints.
const LOG_READ: &[&str] = &["log-read"];
/// Answers that contain an app's environment or configuration.
const ENV_READ: &[&str] = &["env-read"];
/// Answers that contain source code.
const SOURCE_READ: &[&str] = &["source-read"];
/// Answers that contain credentials or data.
const SECRET_READ: &[&str] = &["secret-read"];
/// Reads about what all apps share.
const RACK_READ: &[&str] = &["rack-read"];

/// Option headers of a log socket.
const LOG: &[&str] = &["filter", "follow", "maxlogrequests", "prefix", "since", "previous", "tail"];
/// Option headers of an exec socket.
const EXEC: &[&str] = &["command", "entrypoint", "height", "width", "tty", "disable-stdin"];
/// Option headers that start a process; the environment, image and volumes are facts for policy.
const RUN: &[&str] = &[
    "command",
    "cpu",
    "cpu-limit",
    "environment",
    "gpu",
    "gpu-vendor",
    "height",
    "width",
    "image",
    "memory",
    "memory-limit",
    "release",
    "volumes",
    "use-service-volume",
    "privileged",
    "node-labels",
    "system-critical",
];
const METRICS: &[&str] = &["end", "metrics", "start", "period"];
const SERVICE_METRICS: &[&str] = &["end", "metrics", "start", "period", "services"];

const fn get(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Get, path, action, resource, groups)
}
const fn head(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Head, path, action, resource, groups)
}
const fn post(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Post, path, action, resource, groups)
}
const fn put(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Put, path, action, resource, groups)
}
const fn delete(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Delete, path, action, resource, groups)
}
const fn options(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Options, path, action, resource, groups)
}
const fn socket(path: &'static str, action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Socket, path, action, resource, groups)
}

/// Every route of the rack that the gateway forwards when policy allows it.
pub static RACK: &[Row] = &[
    // The rack.
    get("/system", "rack:read", R::Rack, READ).redact(Redactor::Rack),
    put("/system", "rack:update", R::Rack, RACK_ADMIN)
        .form(&["count", "force", "parameters", "type", "version"])
        .keys(Keys::Parameters),
    get("/system/capacity", "rack-capacity:read", R::Rack, READ),
    get("/system/metrics", "rack-metrics:read", R::Rack, READ).query(METRICS),
    socket("/system/logs", "rack-log:read", R::Rack, LOG_READ).headers(LOG),
    get("/system/processes", "rack-process:list", R::Rack, READ).query(&["all"]).redact(Redactor::RackProcess),
    get("/system/releases", "rack-release:list", R::Rack, READ).redact(Redactor::RackRelease),
    post("/system/karpenter/cleanup", "rack-karpenter:cleanup", R::Rack, RACK_ADMIN),
    // Apps.
    get("/apps", "app:list", R::Rack, READ).redact(Redactor::App),
    post("/apps", "app:create", R::Rack, RACK_ADMIN).form(&["name", "generation", "timeout"]).redact(Redactor::App),
    get("/apps/{app}", "app:read", R::App, READ).redact(Redactor::App),
    put("/apps/{app}", "app:update", R::App, DEPLOY).form(&["lock", "parameters"]).keys(Keys::Parameters),
    delete("/apps/{app}", "app:delete", R::App, DESTRUCTIVE),
    post("/apps/{app}/cancel", "app:cancel", R::App, DEPLOY),
    socket("/apps/{app}/logs", "app-log:read", R::App, LOG_READ).headers(LOG),
    get("/apps/{app}/diagnose", "app:diagnose", R::App, LOG_READ)
        .query(&["checks", "services", "age", "all", "lines", "events", "previous"]),
    get("/apps/{app}/manifest/services/{service}", "service-manifest:read", R::Service, ENV_READ)
        .redact(Redactor::ServiceManifest),
    get("/apps/{app}/metrics", "app-metrics:read", R::App, READ).query(METRICS),
    get("/apps/{app}/metrics-by-service", "service-metrics:list", R::App, READ).query(SERVICE_METRICS),
    get("/apps/{app}/services/{service}/metrics", "service-metrics:read", R::Service, READ).query(METRICS),
    // Budgets.
    get("/apps/{app}/budget", "budget:read", R::App, READ),
    post("/apps/{app}/budget", "budget:update", R::App, RACK_ADMIN).form(&[
        "monthly-cap-usd",
        "alert-threshold-percent",
        "at-cap-action",
        "pricing-adjustment",
        "ack_by",
    ]),
    delete("/apps/{app}/budget", "budget:clear", R::App, RACK_ADMIN).form(&["ack_by"]),
    post("/apps/{app}/budget/reset", "budget:reset", R::App, RACK_ADMIN).form(&[
        "ack_by",
        "force_clear_cooldown",
        "reset_period",
    ]),
    post("/apps/{app}/budget/simulate-shutdown", "budget:simulate-shutdown", R::App, RACK_ADMIN).form(&[
        "ack_by",
        "force_clear_cooldown",
        "reset_period",
    ]),
    post("/apps/{app}/budget/dismiss-recovery", "budget:dismiss-recovery", R::App, RACK_ADMIN).form(&[
        "ack_by",
        "force_clear_cooldown",
        "reset_period",
    ]),
    get("/apps/{app}/budget/shutdown-state", "budget-shutdown:read", R::App, READ),
    get("/apps/{app}/cost", "cost:read", R::App, READ),
    get("/apps/{app}/balancers", "balancer:list", R::App, READ),
    // Objects.
    post("/apps/{app}/objects/{key...}", "object:create", R::Object, DEPLOY)
        .headers(&["public"])
        .stream()
        .step(Step::Upload),
    get("/apps/{app}/objects/{key...}", "object:read", R::Object, SOURCE_READ),
    head("/apps/{app}/objects/{key...}", "object:exists", R::Object, BUILD_READ),
    delete("/apps/{app}/objects/{key...}", "object:delete", R::Object, DESTRUCTIVE),
    get("/apps/{app}/objects", "object:list", R::App, BUILD_READ).query(&["prefix"]),
    // Builds.
    post("/apps/{app}/builds", "build:create", R::App, DEPLOY)
        .form(&[
            "url",
            "description",
            "git-sha",
            "manifest",
            "no-cache",
            "development",
            "external",
            "build-args",
            "wildcard-domain",
        ])
        .object("url", "tmp/")
        .step(Step::Build)
        .keys(Keys::BuildArguments)
        .redact(Redactor::Build),
    get("/apps/{app}/builds", "build:list", R::App, BUILD_READ).query(&["limit"]).redact(Redactor::Build),
    get("/apps/{app}/builds/{build}", "build:read", R::Build, BUILD_READ).step(Step::ReadBuild).redact(Redactor::Build),
    put("/apps/{app}/builds/{build}", "build:update", R::Build, RACK_ADMIN)
        .form(&["ended", "entrypoint", "logs", "manifest", "release", "started", "status"])
        .object("logs", "")
        .redact(Redactor::Build),
    get("/apps/{app}/builds/{build}.tgz", "build:export", R::Build, SOURCE_READ),
    post("/apps/{app}/builds/import", "build:import", R::App, DEPLOY).stream().redact(Redactor::Build),
    post("/apps/{app}/builds/{build}/image", "build-image:import", R::Build, DEPLOY)
        .form(&["image", "src-creds-user", "src-creds-pass"])
        .redact(Redactor::Build),
    socket("/apps/{app}/builds/{build}/logs", "build-log:read", R::Build, LOG_READ).headers(LOG).step(Step::ReadBuild),
    // Configuration files.
    get("/apps/{app}/configs", "config:list", R::App, ENV_READ).redact(Redactor::Config),
    get("/apps/{app}/configs/{config}", "config:read", R::Config, ENV_READ).redact(Redactor::Config),
    put("/apps/{app}/configs/{config}", "config:update", R::Config, RACK_ADMIN).form(&["value"]).keys(Keys::Config),
    // Releases.
    get("/apps/{app}/releases", "release:list", R::App, RELEASE_READ).query(&["limit"]).redact(Redactor::Release),
    get("/apps/{app}/releases/{release}", "release:read", R::Release, RELEASE_READ)
        .step(Step::ReadRelease)
        .redact(Redactor::Release),
    post("/apps/{app}/releases", "release:create", R::App, DEPLOY)
        .form(&["build", "description", "env", "parent-release"])
        .step(Step::Release)
        .redact(Redactor::Release)
        .keys(Keys::Environment),
    post("/apps/{app}/releases/{release}/promote", "release:promote", R::Release, DEPLOY)
        .form(&["force", "development", "idle", "min", "max", "timeout"])
        .step(Step::Promote),
    // Processes.
    get("/apps/{app}/processes", "process:list", R::App, READ).query(&["release", "service"]).redact(Redactor::Process),
    get("/apps/{app}/processes/{process}", "process:read", R::Process, READ).redact(Redactor::Process),
    delete("/apps/{app}/processes/{process}", "process:terminate", R::Process, OPERATE).step(Step::Process),
    post("/apps/{app}/services/{service}/processes", "process:start", R::Service, SHELL)
        .headers(RUN)
        .facts(Facts::Exec)
        .step(Step::Start)
        .keys(Keys::Process)
        .redact(Redactor::Process),
    socket("/apps/{app}/processes/{process}/exec", "process:exec", R::Process, SHELL)
        .headers(EXEC)
        .facts(Facts::Exec)
        .step(Step::Process),
    socket("/apps/{app}/processes/{process}/logs", "process-log:read", R::Process, LOG_READ).headers(LOG),
    get("/apps/{app}/processes/{process}/files", "process-file:read", R::Process, SHELL).query(&["file"]),
    post("/apps/{app}/processes/{process}/files", "process-file:create", R::Process, SHELL)
        .query(&["tar-extra"])
        .stream(),
    delete("/apps/{app}/processes/{process}/files", "process-file:delete", R::Process, SHELL).query(&["files"]),
    // Services.
    get("/apps/{app}/services", "service:list", R::App, READ),
    put("/apps/{app}/services/{service}", "service:update", R::Service, DEPLOY).form(&[
        "count",
        "cpu",
        "gpu",
        "gpu-vendor",
        "memory",
        "min",
        "max",
    ]),
    post("/apps/{app}/services/{service}/restart", "service:restart", R::Service, OPERATE),
    post("/apps/{app}/services/{service}/scale-override", "service-scale:override", R::Service, DEPLOY)
        .form(&["active", "ack_by"]),
    post("/apps/{app}/services/{service}/triggers/enable", "service-trigger:enable", R::Service, DEPLOY)
        .form(&["opts", "ack_by"]),
    post("/apps/{app}/services/{service}/triggers/disable", "service-trigger:disable", R::Service, DEPLOY)
        .form(&["ack_by"]),
    post("/apps/{app}/services/{service}/triggers/threshold", "service-trigger:update", R::Service, DEPLOY).form(&[
        "type",
        "threshold",
        "ack_by",
    ]),
    socket("/apps/{app}/services/{service}/logs", "service-log:read", R::Service, LOG_READ).headers(LOG),
    // Resources of an app. The password in the URL is masked for those who may not read it: host and port stay.
    get("/apps/{app}/resources", "resource:list", R::App, READ).redact(Redactor::Resource),
    get("/apps/{app}/resources/{resource}", "resource:read", R::Resource, READ).redact(Redactor::Resource),
    get("/apps/{app}/resources/{resource}/data", "resource:export", R::Resource, SECRET_READ),
    put("/apps/{app}/resources/{resource}/data", "resource:import", R::Resource, DESTRUCTIVE).stream(),
    socket("/apps/{app}/resources/{resource}/console", "resource:console", R::Resource, PRIVILEGED_SHELL)
        .headers(&["height", "width"]),
    put("/apps/{app}/ssl/{service}/{port}", "service-certificate:update", R::Service, RACK_ADMIN).form(&["id"]),
    // Certificates.
    get("/certificates", "certificate:list", R::Rack, RACK_READ).form(&["generated"]),
    post("/certificates", "certificate:create", R::Rack, RACK_ADMIN).form(&["pub", "key", "chain"]),
    post("/certificates/generate", "certificate:generate", R::Rack, RACK_ADMIN)
        .form(&["domains", "issuer", "duration"]),
    delete("/certificates/{certificate}", "certificate:delete", R::Certificate, DESTRUCTIVE),
    post("/certificates/{app}/renew", "certificate:renew", R::App, RACK_ADMIN),
    get("/letsencrypt/config", "letsencrypt:read", R::Rack, SECRET_READ).redact(Redactor::LetsEncrypt),
    put("/letsencrypt/config", "letsencrypt:update", R::Rack, RACK_ADMIN).inspect(1 << 20),
    // Instances.
    get("/instances", "instance:list", R::Rack, READ),
    delete("/instances/{instance}", "instance:terminate", R::Instance, DESTRUCTIVE),
    post("/instances/keyroll", "instance:keyroll", R::Rack, RACK_ADMIN).redact(Redactor::InstanceKey),
    socket("/instances/{instance}/shell", "instance:shell", R::Instance, PRIVILEGED_SHELL)
        .headers(&["command", "private-key", "height", "width"])
        .facts(Facts::Exec),
    // Raw TCP into the cluster.
    socket("/proxy/{host}/{port}", "tunnel:open", R::Tunnel, PRIVILEGED_SHELL),
    // Registries.
    get("/registries", "registry:list", R::Rack, RACK_READ).redact(Redactor::Registry),
    post("/registries", "registry:create", R::Rack, RACK_ADMIN)
        .form(&["server", "username", "password"])
        .redact(Redactor::Registry),
    delete("/registries/{server...}", "registry:delete", R::Registry, DESTRUCTIVE),
    // Resources of the rack.
    options("/resources", "rack-resource-type:list", R::Rack, RACK_READ),
    get("/resources", "rack-resource:list", R::Rack, RACK_READ).redact(Redactor::RackResource),
    post("/resources", "rack-resource:create", R::Rack, RACK_ADMIN)
        .form(&["kind", "name", "parameters"])
        .redact(Redactor::RackResource),
    get("/resources/{resource}", "rack-resource:read", R::RackResource, RACK_READ).redact(Redactor::RackResource),
    put("/resources/{resource}", "rack-resource:update", R::RackResource, RACK_ADMIN)
        .form(&["parameters"])
        .redact(Redactor::RackResource),
    delete("/resources/{resource}", "rack-resource:delete", R::RackResource, DESTRUCTIVE),
    post("/resources/{resource}/links", "rack-resource:link", R::RackResource, RACK_ADMIN)
        .form(&["app"])
        .redact(Redactor::RackResource),
    delete("/resources/{resource}/links/{app}", "rack-resource:unlink", R::RackResource, RACK_ADMIN)
        .redact(Redactor::RackResource),
    post("/events", "event:create", R::Rack, RACK_ADMIN).form(&["action", "data", "error", "status"]),
];
