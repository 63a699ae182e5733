//! Image registries, passwords included.

use super::call::Call;
use super::data::{Registry, remove};
use super::reply::{Answer, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/registries", add),
    Route::plain("GET", "/registries", list),
    Route::plain("DELETE", "/registries/{server...}", delete),
];

fn add(call: &Call) -> Answer {
    let (server, username, password) = (call.value("server"), call.value("username"), call.value("password"));
    let registry = Registry { server, username, password };
    let mut data = call.rack.data();
    data.registries.retain(|known| known.server != registry.server);
    let reply = Reply::json(&registry);
    data.registries.push(registry);
    reply
}

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().registries)
}

fn delete(call: &Call) -> Answer {
    let server = call.path("server");
    remove(&mut call.rack.data().registries, |one| one.server == server, format!("no such registry: {server}"))
}
