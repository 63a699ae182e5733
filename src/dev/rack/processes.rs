//! Processes.

use time::OffsetDateTime;

use super::call::Call;
use super::data::{Data, Process, Service};
use super::logs;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/apps/{app}/processes/{pid}", get),
    Route::plain("GET", "/apps/{app}/processes", list),
    Route::plain("POST", "/apps/{app}/services/{service}/processes", run),
    Route::plain("DELETE", "/apps/{app}/processes/{pid}", stop),
];

/// Starts a process of a service on the app's release.
pub(super) fn start(data: &mut Data, name: &str, service: &Service, now: OffsetDateTime) -> Result<Process, Failure> {
    let id = data.ids.process(&service.name);
    let rack = data.system.name.clone();
    let app = data.app(name)?;
    let process = Process {
        id,
        app: name.to_owned(),
        command: service.command.clone(),
        cpu: 0.1,
        gpu: 0,
        host: "10.0.0.1".to_owned(),
        image: format!("{rack}/{name}"),
        instance: "ip-10-0-0-1".to_owned(),
        memory: 0.2,
        name: service.name.clone(),
        ports: Vec::new(),
        release: app.release.clone(),
        started: now,
        status: "running",
        service: service.name.clone(),
    };
    app.processes.push(process.clone());
    logs::process(app, now, &service.name, &process.id, "process started");
    Ok(process)
}

fn get(call: &Call) -> Answer {
    Reply::json(call.rack.data().app(call.app())?.process(call.path("pid"))?)
}

fn list(call: &Call) -> Answer {
    let wanted = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let (service, release) = (wanted("service"), wanted("release"));
    let mut data = call.rack.data();
    let mut processes = data.app(call.app())?.processes.clone();
    processes.retain(|p| service.as_ref().is_none_or(|s| *s == p.service));
    processes.retain(|p| release.as_ref().is_none_or(|r| *r == p.release));
    processes.sort_by(|a, b| a.id.cmp(&b.id));
    Reply::json(&processes)
}

/// `convox run`: all options are headers.
fn run(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let mut service = data.app(call.app())?.service(call.path("service"))?.clone();
    if let Some(command) = call.option("command").filter(|command| !command.is_empty()) {
        service.command = command;
    }
    let release = call.header("release");
    if !release.is_empty() {
        data.app(call.app())?.release(&release)?;
    }
    let started = start(&mut data, call.app(), &service, call.now())?;
    let app = data.app(call.app())?;
    let process = app.processes.iter_mut().find(|process| process.id == started.id);
    let process = process.ok_or_else(|| Failure::new(500, "process ended"))?;
    if !release.is_empty() {
        process.release = release;
    }
    if let Some(image) = call.option("image").filter(|image| !image.is_empty()) {
        process.image = image;
    }
    let reply = Reply::json(process);
    drop(data);
    call.rack.changed();
    reply
}

fn stop(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    let process = app.process(call.path("pid"))?.clone();
    app.processes.retain(|p| p.id != process.id);
    logs::process(app, call.now(), &process.service, &process.id, "process stopped");
    // A service keeps its count: what was stopped is started anew, unless it was a one-off.
    let running = app.processes.iter().filter(|p| p.service == process.service).count();
    let service = app.service(&process.service).ok().cloned();
    if let Some(service) = service
        && usize::try_from(service.count).is_ok_and(|count| running < count)
    {
        start(&mut data, call.app(), &service, call.now())?;
    }
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}
