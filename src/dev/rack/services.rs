//! Services and how many processes they have.

use time::OffsetDateTime;

use super::call::Call;
use super::data::{App, Data, Resource, Service, ServicePort};
use super::logs;
use super::manifest::Declared;
use super::processes;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/apps/{app}/services", list),
    Route::plain("POST", "/apps/{app}/services/{service}/restart", restart_one),
    Route::plain("POST", "/apps/{app}/services/{service}/scale-override", touch),
    Route::plain("POST", "/apps/{app}/services/{service}/triggers/disable", touch),
    Route::plain("POST", "/apps/{app}/services/{service}/triggers/enable", touch),
    Route::plain("POST", "/apps/{app}/services/{service}/triggers/threshold", touch),
    Route::plain("PUT", "/apps/{app}/services/{service}", update),
    Route::plain("PUT", "/apps/{app}/ssl/{service}/{port}", certificate),
    Route::plain("GET", "/apps/{app}/manifest/services/{service}", manifest),
];

/// Makes the services of an app those of its manifest; counts that were set stay.
pub(super) fn declare(app: &mut App, declared: &[Declared]) {
    let name = app.name.clone();
    let old = std::mem::take(&mut app.services);
    app.services = declared
        .iter()
        .map(|d| old.iter().find(|s| s.name == d.name).cloned().unwrap_or_else(|| service(&name, d)))
        .collect();
}

fn service(app: &str, declared: &Declared) -> Service {
    let port = |balancer, container| ServicePort { balancer, certificate: String::new(), container };
    let domain = declared.port.map(|_| format!("{}.{app}.apps.example.test", declared.name));
    Service {
        count: declared.scale.unwrap_or(1),
        cpu: 250,
        domain: domain.unwrap_or_default(),
        gpu: 0,
        gpu_vendor: String::new(),
        memory: 512,
        name: declared.name.clone(),
        nlb: Vec::new(),
        ports: declared.port.map(|to| vec![port(443, to), port(80, to)]).unwrap_or_default(),
        min: None,
        max: None,
        command: declared.command.clone(),
    }
}

/// Adds the resources that a manifest names; their URLs hold made-up credentials.
pub(super) fn declare_resources(app: &mut App, rack: &str, declared: &[Declared]) {
    let name = &app.name;
    app.resources = declared
        .iter()
        .map(|d| {
            let (scheme, port) = if d.kind == "redis" { ("redis", 6379) } else { ("postgres", 5432) };
            let host = format!("resource-{}.{rack}-{name}.svc.cluster.local", d.name);
            let url = format!("{scheme}://app:made-up-password@{host}:{port}/app");
            Resource { name: d.name.clone(), status: "running", kind: d.kind.clone(), url }
        })
        .collect();
}

/// Replaces the processes of one service, or of all.
pub(super) fn restart(data: &mut Data, app: &str, only: Option<&str>, now: OffsetDateTime) -> Result<(), Failure> {
    let hit = |service: &str| only.is_none_or(|only| only == service);
    data.app(app)?.processes.retain(|process| !hit(&process.service));
    let services = data.app(app)?.services.clone();
    for service in services.iter().filter(|service| hit(&service.name)) {
        scale(data, app, service, now)?;
    }
    Ok(())
}

/// Starts and stops processes until a service has as many as it should.
fn scale(data: &mut Data, app: &str, service: &Service, now: OffsetDateTime) -> Result<(), Failure> {
    let target = usize::try_from(service.count).unwrap_or(0).min(100);
    loop {
        let of_service = data.app(app)?.processes.iter().filter(|process| process.service == service.name);
        let running: Vec<String> = of_service.map(|process| process.id.clone()).collect();
        match running.last() {
            _ if running.len() < target => {
                processes::start(data, app, service, now)?;
            }
            Some(last) if running.len() > target => {
                let app = data.app(app)?;
                app.processes.retain(|process| process.id != *last);
                logs::process(app, now, &service.name, last, "process stopped");
            }
            _ => return Ok(()),
        }
    }
}

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().app(call.app())?.services)
}

fn restart_one(call: &Call) -> Answer {
    let mut data = call.rack.data();
    data.app(call.app())?.service(call.path("service"))?;
    restart(&mut data, call.app(), Some(call.path("service")), call.now())?;
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}

fn update(call: &Call) -> Answer {
    let number = |name: &str| -> Result<Option<i64>, Failure> {
        let text = call.param(name).filter(|text| !text.is_empty());
        let parse = |t: String| {
            t.parse().map_err(|_| Failure::new(500, format!("strconv.Atoi: parsing \"{t}\": invalid syntax")))
        };
        text.map(parse).transpose()
    };
    let mut data = call.rack.data();
    let service = data.app(call.app())?.service(call.path("service"))?;
    service.count = number("count")?.unwrap_or(service.count);
    service.cpu = number("cpu")?.unwrap_or(service.cpu);
    service.gpu = number("gpu")?.unwrap_or(service.gpu);
    service.memory = number("memory")?.unwrap_or(service.memory);
    service.min = number("min")?.or(service.min);
    service.max = number("max")?.or(service.max);
    if let Some(vendor) = call.param("gpu-vendor") {
        service.gpu_vendor = vendor;
    }
    let service = service.clone();
    scale(&mut data, call.app(), &service, call.now())?;
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}

/// Overrides and triggers: known service or not is all that shows.
fn touch(call: &Call) -> Answer {
    call.rack.data().app(call.app())?.service(call.path("service"))?;
    Ok(Reply::ok())
}

fn certificate(call: &Call) -> Answer {
    let port = call.path("port");
    let port: i64 =
        port.parse().map_err(|_| Failure::new(500, format!("strconv.Atoi: parsing \"{port}\": invalid syntax")))?;
    let mut data = call.rack.data();
    let service = data.app(call.app())?.service(call.path("service"))?;
    for known in service.ports.iter_mut().filter(|known| known.balancer == port) {
        known.certificate = call.value("id");
    }
    Ok(Reply::ok())
}

fn manifest(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let service = data.app(call.app())?.service(call.path("service"))?;
    Reply::json(&serde_json::json!({
        "name": service.name,
        "command": service.command,
        "environment": ["FOO=bar"],
        "port": service.ports.first().map(|port| port.container),
        "scale": { "count": service.count, "cpu": service.cpu, "memory": service.memory },
    }))
}
