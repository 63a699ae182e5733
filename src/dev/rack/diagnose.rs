//! `convox deploy-debug`.

use serde_json::json;

use super::call::Call;
use super::reply::{Answer, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[Route::plain("GET", "/apps/{app}/diagnose", diagnose)];

fn diagnose(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    let processes: Vec<_> =
        app.processes.iter().map(|p| json!({ "id": p.id, "service": p.service, "status": p.status })).collect();
    let checks = call.query("checks").unwrap_or_else(|| "overview,services".to_owned());
    Reply::json(&json!({
        "app": app.name,
        "status": app.status,
        "release": app.release,
        "checks": checks.split(',').collect::<Vec<_>>(),
        "processes": processes,
        "events": [],
    }))
}
