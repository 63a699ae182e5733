//! What the stock `convox` CLI asks a console for around every command: `/auth`, `/racks`,
//! `/racks/ORG/NAME`, `/machines`. A person sees one rack here.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{Outcome, OutcomeResult};
use crate::config::RackSettings;
use crate::pep::OwnPermit;

use super::answer;

/// The one rack, as a console lists it.
#[derive(Clone, Debug)]
pub(super) struct Console {
    rack: ConsoleRack,
}

/// Keys as the CLI reads them. `Parameters` and `State` are null: then the CLI asks the rack
/// itself for parameters and changes them through `PUT /system`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConsoleRack {
    name: String,
    organization: Organization,
    provider: &'static str,
    status: &'static str,
    deletable: bool,
    parameters: Value,
    state: Value,
    version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Organization {
    name: String,
}

impl Console {
    /// Lists the configured rack.
    #[must_use]
    pub(super) fn new(settings: &RackSettings) -> Self {
        let rack = ConsoleRack {
            name: settings.name.clone(),
            organization: Organization { name: settings.organization.clone() },
            provider: "unknown",
            status: "running",
            deletable: false,
            parameters: Value::Null,
            state: Value::Null,
            version: "unknown",
        };
        Self { rack }
    }

    fn find(&self, path: &str) -> Option<&ConsoleRack> {
        let wanted = format!("/racks/{}/{}", self.rack.organization.name, self.rack.name);
        (path == wanted).then_some(&self.rack)
    }
}

/// Answers a row that the gateway serves; returns the row's path with it.
pub(super) fn answer(permit: OwnPermit, console: &Console) -> (&'static str, HttpResponse) {
    let (row, trace, intent) = permit.into_parts();
    let mut response = match row.path {
        "/auth" => answer::json(StatusCode::OK, &json!({ "id": identity(&trace) })),
        "/racks" => answer::json(StatusCode::OK, &[&console.rack]),
        "/machines" => answer::json(StatusCode::OK, &json!([])),
        _ => match console.find(&trace.path) {
            Some(rack) => answer::json(StatusCode::OK, rack),
            None => answer::problem(404, "rack-unknown", "no such rack on this gateway", &trace.request_id),
        },
    };
    answer::name(&mut response, &trace.request_id);
    intent.complete(Outcome {
        result: OutcomeResult::Completed,
        status: Some(response.status().as_u16()),
        bytes_in: 0,
        bytes_out: size(&response),
        duration_ms: trace.elapsed_ms(),
        message: None,
    });
    (row.path, response)
}

fn identity(trace: &crate::pep::Trace) -> &str {
    trace.identity.as_ref().map_or("", |identity| identity.id.as_str())
}

fn size(response: &HttpResponse) -> u64 {
    use actix_web::body::{BodySize, MessageBody};
    match response.body().size() {
        BodySize::Sized(size) => size,
        BodySize::None | BodySize::Stream => 0,
    }
}
