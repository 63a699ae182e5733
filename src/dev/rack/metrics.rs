//! Metrics: constant, one point.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::call::Call;
use super::reply::{Answer, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/apps/{app}/metrics", of_app),
    Route::plain("GET", "/apps/{app}/metrics-by-service", by_service),
    Route::plain("GET", "/apps/{app}/services/{service}/metrics", of_service),
    Route::plain("GET", "/system/metrics", of_system),
];

fn points(call: &Call) -> Vec<Value> {
    let names = call.query("metrics").unwrap_or_else(|| "cpu,mem".to_owned());
    let now = call.now();
    let minute = now - time::Duration::seconds(now.unix_timestamp() % 60);
    let minute = minute.replace_nanosecond(0).unwrap_or(minute).format(&Rfc3339).unwrap_or_default();
    let point = json!({ "avg": 1, "count": 1, "max": 1, "min": 1, "sum": 1, "time": minute });
    names.split(',').map(|name| json!({ "name": name, "values": [point] })).collect()
}

fn of_app(call: &Call) -> Answer {
    call.rack.data().app(call.app())?;
    Reply::json(&points(call))
}

fn of_service(call: &Call) -> Answer {
    call.rack.data().app(call.app())?.service(call.path("service"))?;
    Reply::json(&points(call))
}

fn of_system(call: &Call) -> Answer {
    Reply::json(&points(call))
}

fn by_service(call: &Call) -> Answer {
    let only = call.query("services").filter(|services| !services.is_empty());
    let mut data = call.rack.data();
    let services = data.app(call.app())?.services.iter().map(|service| service.name.clone());
    let wanted = services.filter(|name| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name)));
    let metrics: Vec<_> = wanted.map(|name| json!({ "service": name, "metrics": points(call) })).collect();
    drop(data);
    Reply::json(&metrics)
}
