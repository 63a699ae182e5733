//! Who am I here, and what may I do?

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::AccountRead;
use super::endpoint::Answer;
use super::{Call, Reply};
use crate::pdp::{About, EnvVar, ResourceRef};
use crate::routes::{Resource, actions};

/// The answer of `GET /api/v1/whoami`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whoami<'a> {
    principal: Principal<'a>,
    email: &'a str,
    name: &'a str,
    roles: Vec<String>,
    groups: &'a [String],
    credential: Credential<'a>,
    rack: String,
    actions: Vec<May>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Principal<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Credential<'a> {
    kind: &'static str,
    id: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
struct May {
    action: &'static str,
    decision: &'static str,
}

/// Who asks, and what policy would say to each action: on `?app=`, or on an app that policy does not list.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "account", responses((status = 200, body = Whoami<'static>)))]
pub(super) async fn whoami(call: Call<AccountRead>) -> Answer {
    let query = call.granted().query();
    let app = query.get("app").unwrap_or("unlisted");
    let identity = call.identity()?;
    let gate = call.gate();
    let actions = actions().map(|row| {
        let resource = sample(row.resource, app, &gate.rack, &identity.id);
        let verdict = call.granted().would(gate, row, &resource);
        May { action: row.action, decision: verdict.map_or("deny", |verdict| verdict.as_str()) }
    });
    let actions = actions.collect();
    Reply::json(&Whoami {
        principal: Principal { kind: identity.principal.as_str(), id: &identity.id },
        email: &identity.email,
        name: &identity.name,
        roles: gate.active.load().roles_held(&identity.roles, &identity.groups),
        groups: &identity.groups,
        credential: Credential {
            kind: identity.credential.kind.as_str(),
            id: &identity.credential.id,
            expires_at: identity.expires_at,
        },
        rack: call.services().rack.full_name(),
        actions,
    })
}

/// Something of this kind: of the app where it is of one, else made up.
fn sample(kind: Resource, app: &str, rack: &str, own: &str) -> ResourceRef {
    let params = kind.params();
    let of_app = params.first().is_some_and(|first| first.0 == "app");
    let id = match kind {
        Resource::Rack => rack.to_owned(),
        Resource::User => own.to_owned(),
        Resource::Tunnel => "any/1".to_owned(),
        _ => params.iter().map(|param| if param.0 == "app" { app } else { "any" }).collect::<Vec<_>>().join("/"),
    };
    // A variable that is not protected: those that are, nobody sees or sets.
    let variable = About::EnvVar(EnvVar { secret: false, protected: false });
    let about = (kind == Resource::EnvVar).then(|| Box::new(variable));
    ResourceRef { about, ..ResourceRef::new(kind, id, of_app.then(|| app.to_owned())) }
}
