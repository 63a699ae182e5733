//! What a bundle says about itself, for people: its policies and its roles.

use super::Bundle;
use cedar_policy::Effect;

/// A policy, as people read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its id.
    pub id: String,
    /// Its sentence.
    pub why: String,
    /// Whether it forbids; else it permits.
    pub forbids: bool,
    /// Whether it only watches.
    pub shadow: bool,
}

/// A role, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Roles that it inherits from, directly.
    pub inherits: Vec<String>,
    /// All roles that whoever holds it holds, itself included, sorted.
    pub includes: Vec<String>,
    /// Groups of the identity provider whose members hold it, sorted.
    pub groups: Vec<String>,
}

impl Bundle {
    /// All policies, by id.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyInfo> {
        let metas = self.policy_ids().into_iter().filter_map(|id| self.metas.get(id));
        metas
            .map(|meta| PolicyInfo {
                id: meta.id.to_string(),
                why: meta.why.to_string(),
                forbids: meta.effect == Effect::Forbid,
                shadow: meta.shadow,
            })
            .collect()
    }

    /// All roles, in the order of their file.
    #[must_use]
    pub fn declared_roles(&self) -> Vec<RoleInfo> {
        let roles = self.facts.roles();
        let members = |name: &String| {
            let given = roles.of_group.iter().filter(|(_, given)| given.contains(name));
            given.map(|(group, _)| group.clone()).collect()
        };
        let info = |name: &String| RoleInfo {
            name: name.clone(),
            description: roles.descriptions.get(name).cloned().unwrap_or_default(),
            inherits: roles.inherits.get(name).cloned().unwrap_or_default(),
            includes: roles.closure(name).into_iter().map(str::to_owned).collect(),
            groups: members(name),
        };
        roles.order.iter().map(info).collect()
    }
}
