//! Certificates and Let's Encrypt.

use serde_json::json;
use time::Duration;

use super::call::Call;
use super::data::{Certificate, remove};
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/certificates", create),
    Route::plain("DELETE", "/certificates/{id}", delete),
    Route::plain("POST", "/certificates/{app}/renew", renew),
    Route::plain("POST", "/certificates/generate", generate),
    Route::plain("GET", "/certificates", list),
    Route::plain("GET", "/letsencrypt/config", letsencrypt),
    Route::plain("PUT", "/letsencrypt/config", set_letsencrypt),
];

fn add(call: &Call, domains: Vec<String>) -> Answer {
    let mut data = call.rack.data();
    let certificate = Certificate {
        id: data.ids.certificate(),
        domain: domains.first().cloned().unwrap_or_default(),
        domains,
        expiration: call.now() + Duration::days(90),
        status: "issued",
    };
    let reply = Reply::json(&certificate);
    data.certificates.push(certificate);
    reply
}

fn create(call: &Call) -> Answer {
    if !call.value("pub").contains("CERTIFICATE") || !call.value("key").contains("PRIVATE KEY") {
        return Err(Failure::new(500, "tls: failed to find any PEM data in certificate input"));
    }
    add(call, vec!["imported.example.test".to_owned()])
}

fn generate(call: &Call) -> Answer {
    add(call, call.value("domains").split(',').map(str::to_owned).collect())
}

fn delete(call: &Call) -> Answer {
    let id = call.path("id");
    remove(&mut call.rack.data().certificates, |one| one.id == id, format!("certificate not found: {id}"))
}

fn renew(call: &Call) -> Answer {
    call.rack.data().app(call.app())?;
    Ok(Reply::ok())
}

fn list(call: &Call) -> Answer {
    Reply::json(&call.rack.data().certificates)
}

fn letsencrypt(call: &Call) -> Answer {
    Reply::json(&call.rack.data().letsencrypt)
}

/// The body is JSON, whatever its type says.
fn set_letsencrypt(call: &Call) -> Answer {
    let config: serde_json::Value =
        serde_json::from_slice(&call.body).map_err(|error| Failure::new(500, error.to_string()))?;
    call.rack.data().letsencrypt = json!({ "role": config.get("role"), "solvers": config.get("solvers") });
    Ok(Reply::ok())
}
