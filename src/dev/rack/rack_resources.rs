//! Resources of the rack.

use serde_json::{Value, json};

use super::call::Call;
use super::data::{Data, RackResource, remove};
use super::form;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/resources", create),
    Route::plain("DELETE", "/resources/{name}", delete),
    Route::plain("GET", "/resources/{name}", get),
    Route::plain("POST", "/resources/{name}/links", link),
    Route::plain("GET", "/resources", list),
    Route::plain("OPTIONS", "/resources", types),
    Route::plain("DELETE", "/resources/{name}/links/{app}", unlink),
    Route::plain("PUT", "/resources/{name}", update),
];

/// A resource with a URL of its own.
pub(super) fn new(name: &str, kind: &str) -> RackResource {
    let (scheme, port) = if kind == "redis" { ("redis", 6379) } else { ("postgres", 5432) };
    RackResource {
        name: name.to_owned(),
        parameters: form::map(""),
        kind: kind.to_owned(),
        url: format!("{scheme}://u:made-up-password@{name}.resources.example.test:{port}/db"),
        apps: Vec::new(),
    }
}

fn show(data: &Data, resource: &RackResource) -> Result<Value, Failure> {
    let mut shown = json!({
        "name": resource.name,
        "parameters": resource.parameters,
        "status": "running",
        "type": resource.kind,
        "url": resource.url,
    });
    if let Some(fields) = shown.as_object_mut().filter(|_| !resource.apps.is_empty()) {
        let apps: Vec<_> = resource.apps.iter().filter_map(|name| data.apps.get(name)).collect();
        let apps = serde_json::to_value(apps).map_err(|error| Failure::new(500, error.to_string()))?;
        fields.insert("apps".to_owned(), apps);
    }
    Ok(shown)
}

/// Changes a resource and shows it.
fn change(call: &Call, change: impl FnOnce(&mut RackResource)) -> Answer {
    let name = call.path("name");
    let mut data = call.rack.data();
    let resource = data.resources.iter_mut().find(|r| r.name == name);
    let resource = resource.ok_or_else(|| Failure::not_found(format!("no such resource: {name}")))?;
    change(resource);
    let resource = resource.clone();
    Reply::json(&show(&data, &resource)?)
}

fn create(call: &Call) -> Answer {
    let kind = call.value("kind");
    let name = call.param("name").filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{kind}-1"));
    let mut resource = new(&name, &kind);
    resource.parameters = form::map(&call.param("parameters").unwrap_or_default());
    let mut data = call.rack.data();
    if data.resources.iter().any(|known| known.name == name) {
        return Err(Failure::new(409, format!("resource already exists: {name}")));
    }
    let reply = Reply::json(&show(&data, &resource)?);
    data.resources.push(resource);
    reply
}

fn get(call: &Call) -> Answer {
    change(call, |_| ())
}

fn update(call: &Call) -> Answer {
    change(call, |resource| resource.parameters.extend(form::map(&call.param("parameters").unwrap_or_default())))
}

fn link(call: &Call) -> Answer {
    let app = call.value("app");
    call.rack.data().app(&app)?;
    change(call, |resource| {
        resource.apps.retain(|known| *known != app);
        resource.apps.push(app);
    })
}

fn unlink(call: &Call) -> Answer {
    change(call, |resource| resource.apps.retain(|app| app != call.app()))
}

fn list(call: &Call) -> Answer {
    let data = call.rack.data();
    let shown: Result<Vec<_>, _> = data.resources.iter().map(|resource| show(&data, resource)).collect();
    Reply::json(&shown?)
}

fn delete(call: &Call) -> Answer {
    let name = call.path("name");
    remove(&mut call.rack.data().resources, |one| one.name == name, format!("no such resource: {name}"))
}

fn types(_: &Call) -> Answer {
    let class = json!({ "default": "db.t3.micro", "description": "instance class", "name": "Class" });
    Reply::json(&json!([{ "name": "postgres", "parameters": [class] }, { "name": "redis", "parameters": [] }]))
}
