//! Instances.

use serde_json::json;

use super::call::Call;
use super::data::remove;
use super::reply::{Answer, Reply};
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
    remove(&mut call.rack.data().instances, |one| one.id == id, format!("instance not found: {id}"))
}

fn keyroll(call: &Call) -> Answer {
    let mut data = call.rack.data();
    data.keys += 1;
    Reply::json(&json!({
        "name": format!("{}-keypair-{}", data.system.name, data.keys),
        "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMADE-UP\n-----END RSA PRIVATE KEY-----\n",
    }))
}
