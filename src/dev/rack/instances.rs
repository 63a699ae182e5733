//! Instances.

use serde_json::json;

use super::call::Call;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/instances/keyroll", keyroll),
    Route::plain("GET", "/instances", list),
    Route::plain("DELETE", "/instances/{id}", terminate),
];

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().instances)
}

fn terminate(call: &Call) -> Answer {
    let id = call.path("id");
    let mut data = call.rack.data();
    let before = data.instances.len();
    data.instances.retain(|instance| instance.id != id);
    if data.instances.len() == before {
        return Err(Failure::not_found(format!("instance not found: {id}")));
    }
    Ok(Reply::ok())
}

fn keyroll(call: &Call) -> Answer {
    let mut data = call.rack.data();
    data.keys += 1;
    Reply::json(&json!({
        "name": format!("{}-keypair-{}", data.system.name, data.keys),
        "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMADE-UP\n-----END RSA PRIVATE KEY-----\n",
    }))
}
