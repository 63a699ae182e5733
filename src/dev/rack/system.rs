//! The rack itself.

use serde_json::json;
use time::Duration;

use super::auth::Role;
use super::call::Call;
use super::data::{Release, Token};
use super::form;
use super::logs::Source;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/auth", ok),
    Route::plain("POST", "/events", event),
    Route::plain("GET", "/system/capacity", capacity),
    Route::plain("GET", "/system", get),
    Route::plain("PUT", "/system/jwt/rotate", rotate),
    Route::plain("POST", "/system/jwt/token", token),
    Route::plain("GET", "/system/processes", processes),
    Route::plain("GET", "/system/releases", releases),
    Route::plain("PUT", "/system", update),
    Route::plain("POST", "/system/karpenter/cleanup", ok),
];

fn ok(_: &Call) -> Answer {
    Ok(Reply::ok())
}

fn get(call: &Call) -> Answer {
    Reply::json(&call.rack.data().system)
}

fn update(call: &Call) -> Answer {
    let mut data = call.rack.data();
    if let Some(count) = call.param("count").and_then(|count| count.parse().ok()) {
        data.system.count = count;
    }
    if let Some(parameters) = call.param("parameters") {
        data.system.parameters.extend(form::map(&parameters));
    }
    if let Some(kind) = call.param("type") {
        data.system.kind = kind;
    }
    if let Some(version) = call.param("version").filter(|version| !version.is_empty()) {
        data.system.version = version;
    }
    let rack = Source::System(data.system.name.clone());
    data.log.push(call.now(), rack, "system updated");
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}

fn event(call: &Call) -> Answer {
    let action = call.value("action");
    if action.is_empty() {
        return Err(Failure::new(500, "action is required"));
    }
    let mut data = call.rack.data();
    let rack = Source::System(data.system.name.clone());
    data.log.push(call.now(), rack, format!("event {action}"));
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}

fn capacity(call: &Call) -> Answer {
    let data = call.rack.data();
    let processes = data.apps.values().map(|app| app.processes.len()).sum::<usize>();
    Reply::json(&json!({
        "cluster-cpu": 4000,
        "cluster-memory": 8192,
        "instance-cpu": 2000,
        "instance-memory": 4096,
        "process-count": processes,
        "process-memory": 512,
        "process-cpu": 250,
        "process-width": 2,
    }))
}

fn processes(call: &Call) -> Answer {
    let data = call.rack.data();
    let mut processes: Vec<_> = data.apps.values().flat_map(|app| &app.processes).collect();
    processes.sort_by(|a, b| a.id.cmp(&b.id));
    Reply::json(&processes)
}

fn releases(call: &Call) -> Answer {
    let data = call.rack.data();
    let release = Release {
        id: data.system.version.clone(),
        app: String::new(),
        build: String::new(),
        env: String::new(),
        manifest: String::new(),
        description: String::new(),
        created: data.started - Duration::days(2),
    };
    Reply::json(&[release])
}

fn needs_admin(call: &Call) -> Result<(), Failure> {
    if call.role == Role::Admin { Ok(()) } else { Err(Failure::new(403, "admin role required")) }
}

fn token(call: &Call) -> Answer {
    let role = Role::parse(&call.value("role")).ok_or_else(|| Failure::new(400, "invalid role"))?;
    if role == Role::Admin {
        needs_admin(call)?;
    }
    let hours: i64 = call.value("durationInHour").parse().map_err(|_| Failure::new(400, "invalid duration"))?;
    let expires = call.now() + Duration::hours(hours.clamp(1, 8760));
    let mut data = call.rack.data();
    let text = data.ids.token();
    data.tokens.push(Token { text: text.clone(), role, expires });
    Reply::json(&json!({ "token": text }))
}

fn rotate(call: &Call) -> Answer {
    needs_admin(call)?;
    call.rack.data().tokens.clear();
    Ok(Reply::ok())
}
