//! Which rules are in force, for people to read.

use serde::Serialize;
use utoipa::ToSchema;

use super::action::{PolicyRead, RoleList};
use super::endpoint::Answer;
use super::{Call, Reply};
use crate::pdp::{Bundle, PolicyInfo, RoleInfo};

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyView {
    /// SHA-256 of the texts; it is in every record of a decision.
    digest: String,
    /// The rack that they are about.
    rack: String,
    policies: Vec<PolicyItem>,
    roles: Vec<RoleView>,
    /// Why the newest texts are not in force, if they are not.
    problem: Option<String>,
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyItem {
    id: String,
    why: String,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// Whether it only watches.
    shadow: bool,
}

impl From<PolicyInfo> for PolicyItem {
    fn from(info: PolicyInfo) -> Self {
        let effect = if info.forbids { "forbid" } else { "permit" };
        Self { id: info.id, why: info.why, effect, shadow: info.shadow }
    }
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
struct RoleView {
    name: String,
    description: String,
    /// Roles that it inherits from, directly.
    inherits: Vec<String>,
    /// All roles that whoever holds it holds, itself included.
    includes: Vec<String>,
    /// Groups of the identity provider whose members hold it.
    groups: Vec<String>,
}

impl From<RoleInfo> for RoleView {
    fn from(info: RoleInfo) -> Self {
        let RoleInfo { name, description, inherits, includes, groups } = info;
        Self { name, description, inherits, includes, groups }
    }
}

/// All roles.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Roles {
    items: Vec<RoleView>,
}

fn roles_of(bundle: &Bundle) -> Vec<RoleView> {
    bundle.declared_roles().into_iter().map(RoleView::from).collect()
}

/// The declared roles, in the order of their file.
#[utoipa::path(get, path = "/api/v1/roles", tag = "gateway", responses((status = 200, body = Roles)))]
pub(super) async fn roles(call: Call<RoleList>) -> Answer {
    Reply::json(&Roles { items: roles_of(&call.gate().active.load()) })
}

/// The policies in force, and whether the newest could be loaded.
#[utoipa::path(get, path = "/api/v1/policy", tag = "gateway", responses((status = 200, body = PolicyView)))]
pub(super) async fn read(call: Call<PolicyRead>) -> Answer {
    let bundle = call.gate().active.load();
    Reply::json(&PolicyView {
        digest: bundle.digest().to_owned(),
        rack: bundle.rack().to_owned(),
        policies: bundle.policies().into_iter().map(PolicyItem::from).collect(),
        roles: roles_of(&bundle),
        problem: call.services().bundle.problem(),
    })
}
