//! What the stock `convox` CLI asks a console for around every command: `/auth`, `/racks`,
//! `/racks/ORG/NAME`, `/machines`. A person sees one rack here.

use serde::Serialize;
use serde_json::{Value, json};

use super::action::{ConsoleLogin, ConsoleMachineList, ConsoleRackList, ConsoleRackRead};
use super::endpoint::Answer;
use super::{Call, Problem, Reply};
use crate::config::RackSettings;

/// Keys as the CLI reads them. `Parameters` and `State` are null: then the CLI asks the rack
/// itself for parameters and changes them through `PUT /system`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConsoleRack<'a> {
    name: &'a str,
    organization: Organization<'a>,
    provider: &'static str,
    status: &'static str,
    deletable: bool,
    parameters: Value,
    state: Value,
    version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Organization<'a> {
    name: &'a str,
}

fn listed(settings: &RackSettings) -> ConsoleRack<'_> {
    ConsoleRack {
        name: &settings.name,
        organization: Organization { name: &settings.organization },
        provider: "unknown",
        status: "running",
        deletable: false,
        parameters: Value::Null,
        state: Value::Null,
        version: "unknown",
    }
}

/// `GET /auth`: the credential is good.
pub(super) async fn login(call: Call<ConsoleLogin>) -> Answer {
    Reply::json(&json!({ "id": call.identity()?.id }))
}

/// `GET /racks`.
pub(super) async fn racks(call: Call<ConsoleRackList>) -> Answer {
    Reply::json(&[listed(&call.services().rack)])
}

/// `GET /racks/{organization}/{rack}`.
pub(super) async fn rack(call: Call<ConsoleRackRead>) -> Answer {
    let rack = &call.services().rack;
    if call.param("organization")? == rack.organization && call.param("rack")? == rack.name {
        return Reply::json(&listed(rack));
    }
    Err(Problem::new(404, "rack-unknown", "no such rack on this gateway"))
}

/// `GET /machines`: there are none.
pub(super) async fn machines(_: Call<ConsoleMachineList>) -> Answer {
    Reply::json(&json!([]))
}
