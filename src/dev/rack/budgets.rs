//! Budgets and cost.

use std::collections::BTreeMap;

use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::call::Call;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/apps/{app}/budget", get),
    Route::plain("POST", "/apps/{app}/budget", set),
    Route::plain("DELETE", "/apps/{app}/budget", clear),
    Route::plain("POST", "/apps/{app}/budget/reset", reset),
    Route::plain("GET", "/apps/{app}/budget/shutdown-state", shutdown_state),
    Route::plain("POST", "/apps/{app}/budget/simulate-shutdown", simulate),
    Route::plain("POST", "/apps/{app}/budget/dismiss-recovery", dismiss),
    Route::plain("GET", "/apps/{app}/cost", cost),
];

const SETTINGS: [&str; 4] = ["monthly-cap-usd", "alert-threshold-percent", "at-cap-action", "pricing-adjustment"];

/// Marks an answer to a request that still says who acknowledges (convox `pkg/api/deprecation.go`).
fn deprecated(call: &Call, reply: Reply) -> Reply {
    if call.param("ack_by").or_else(|| call.in_body("ack_by")).is_none() {
        return reply;
    }
    let link = "<https://docs.convox.com/migration/ack-by-derivation>; rel=\"deprecation\"; type=\"text/html\"";
    reply.with("Deprecation", "true").with("Link", link).with("Sunset", "Thu, 01 Oct 2026 00:00:00 GMT")
}

fn known(call: &Call) -> Result<(), Failure> {
    call.rack.data().app(call.app()).map(|_| ())
}

fn get(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let config = data.app(call.app())?.budget.clone();
    let state = config.as_ref().map(|_| json!({ "current-month-spend-usd": 1.5, "status": "ok" }));
    Reply::json(&json!({ "config": config, "state": state }))
}

fn set(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let budget = data.app(call.app())?.budget.get_or_insert_with(BTreeMap::new);
    for name in SETTINGS {
        if let Some(value) = call.param(name) {
            budget.insert(name, value);
        }
    }
    Ok(deprecated(call, Reply::ok()))
}

fn clear(call: &Call) -> Answer {
    call.rack.data().app(call.app())?.budget = None;
    Ok(deprecated(call, Reply::ok()))
}

fn reset(call: &Call) -> Answer {
    known(call)?;
    Ok(deprecated(call, Reply::ok()))
}

fn dismiss(call: &Call) -> Answer {
    reset(call)
}

fn simulate(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let services: Vec<String> = data.app(call.app())?.services.iter().map(|service| service.name.clone()).collect();
    let reply = Reply::json(&json!({ "app": call.app(), "services": services, "would-shut-down": false }))?;
    Ok(deprecated(call, reply))
}

fn shutdown_state(call: &Call) -> Answer {
    known(call)?;
    Reply::json(&json!({ "app": call.app(), "shut-down": false, "services": [] }))
}

fn cost(call: &Call) -> Answer {
    known(call)?;
    let now = call.now().format(&Rfc3339).unwrap_or_default();
    Reply::json(&json!({
        "app": call.app(),
        "month-start": "0001-01-01T00:00:00Z",
        "as-of": now,
        "spend-usd": 1.5,
        "breakdown": [{
            "service": "web",
            "gpu-hours": 0,
            "cpu-hours": 10,
            "mem-gb-hours": 20,
            "instance-type": "t3.medium",
            "spend-usd": 1.5,
        }],
        "pricing-source": "dev",
        "pricing-table-version": "1",
        "pricing-adjustment": 1,
        "tracking-enabled": true,
    }))
}
