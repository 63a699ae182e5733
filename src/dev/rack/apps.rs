//! Apps.

use std::collections::BTreeMap;

use super::call::Call;
use super::data::App;
use super::files::Files;
use super::form;
use super::logs::{Log, Source};
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/apps/{app}/cancel", cancel),
    Route::plain("POST", "/apps", create),
    Route::plain("DELETE", "/apps/{app}", delete),
    Route::plain("GET", "/apps/{app}", get),
    Route::plain("GET", "/apps", list),
    Route::plain("PUT", "/apps/{app}", update),
    Route::plain("GET", "/apps/{app}/balancers", balancers),
];

/// An app that runs nothing yet.
pub(super) fn new(name: &str, router: &str) -> App {
    App {
        generation: "3".to_owned(),
        locked: false,
        name: name.to_owned(),
        release: String::new(),
        router: router.to_owned(),
        status: "running",
        parameters: [("BuildCpu", "500"), ("BuildMem", "1024")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        balancers: Vec::new(),
        budget: None,
        builds: Vec::new(),
        build_logs: BTreeMap::new(),
        configs: BTreeMap::new(),
        files: Files::with_image(&[("/tmp/hello.txt", "hello file\n"), ("/etc/hostname", "dev\n")]),
        log: Log::default(),
        objects: BTreeMap::new(),
        processes: Vec::new(),
        releases: Vec::new(),
        resources: Vec::new(),
        resource_data: BTreeMap::new(),
        services: Vec::new(),
    }
}

fn create(call: &Call) -> Answer {
    let name = call.value("name");
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(valid) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(Failure::new(500, "app name can contain only lowercase letters, numbers and dashes"));
    }
    let mut data = call.rack.data();
    if data.apps.contains_key(&name) {
        return Err(Failure::new(409, format!("app already exists: {name}")));
    }
    let mut app = new(&name, &data.system.domain.clone());
    if let Some(generation) = call.param("generation") {
        app.generation = generation;
    }
    app.log.push(call.now(), Source::System(data.system.name.clone()), "app created");
    let reply = Reply::json(&app);
    data.apps.insert(name, app);
    reply
}

fn get(call: &Call) -> Answer {
    Reply::json(call.rack.data().app(call.app())?)
}

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().apps.values().collect::<Vec<_>>())
}

fn update(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    if let Some(lock) = call.param("lock") {
        app.locked = lock == "true";
    }
    if let Some(parameters) = call.param("parameters") {
        app.parameters.extend(form::map(&parameters));
    }
    Ok(Reply::ok())
}

fn delete(call: &Call) -> Answer {
    let mut data = call.rack.data();
    if data.app(call.app())?.locked {
        return Err(Failure::new(409, format!("app is locked: {}", call.app())));
    }
    data.apps.remove(call.app());
    Ok(Reply::ok())
}

fn cancel(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    if app.status != "updating" {
        return Err(Failure::new(403, "app is not updating"));
    }
    app.status = "running";
    Ok(Reply::ok())
}

fn balancers(call: &Call) -> Answer {
    Reply::json(&call.rack.data().app(call.app())?.balancers)
}
