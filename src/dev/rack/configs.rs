//! Configuration values of apps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("GET", "/apps/{app}/configs", list),
    Route::plain("GET", "/apps/{app}/configs/{name}", get),
    Route::plain("PUT", "/apps/{app}/configs/{name}", set),
];

fn list(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let configs = &data.app(call.app())?.configs;
    Reply::json(&configs.iter().map(|(name, value)| one(name, value)).collect::<Vec<_>>())
}

fn get(call: &Call) -> Answer {
    let name = call.path("name");
    let mut data = call.rack.data();
    let value = data.app(call.app())?.configs.get(name);
    value
        .map(|value| Reply::json(&one(name, value)))
        .ok_or_else(|| Failure::not_found(format!("app config not found: {name}")))?
}

fn one(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn set(call: &Call) -> Answer {
    let value = call.param("value").unwrap_or_default();
    let value = STANDARD.decode(&value).map_err(|_| Failure::new(500, "illegal base64 data"))?;
    let value = String::from_utf8_lossy(&value).into_owned();
    call.rack.data().app(call.app())?.configs.insert(call.path("name").to_owned(), value);
    Ok(Reply::ok())
}
