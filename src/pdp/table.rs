//! The schema against the route table: an action that one of them lacks is never permitted, and a
//! group that the schema lost takes with it every policy that names it.

pub(super) use crate::routes::actions;
use cedar_policy::{Entities, EntityUid, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// What the schema says about one action.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub resources: BTreeSet<String>,
    pub groups: BTreeSet<String>,
}

/// Where schema and route table disagree, one sentence each. The schema may have groups of its
/// own beyond those of the table, and nothing else.
pub(super) fn differences(schema: &Schema) -> Vec<String> {
    let declared = declared(schema);
    let mut found = Vec::new();
    for row in actions() {
        let Some(action) = declared.get(row.action) else {
            found.push(format!("action {} is missing", row.action));
            continue;
        };
        let wanted = row.resource.entity_type();
        if !action.resources.iter().eq([wanted]) {
            found.push(format!("action {} must apply to {wanted} and nothing else", row.action));
        }
        for group in row.groups.iter().filter(|group| !action.groups.contains(**group)) {
            found.push(format!("action {} must be in the group {group}", row.action));
        }
    }
    let known: BTreeSet<&str> = actions().map(|row| row.action).collect();
    let surplus = declared.keys().filter(|action| !known.contains(action.as_str()));
    found.extend(surplus.map(|action| format!("action {action} belongs to no route")));
    found
}

/// The actions of the schema that apply to something; the others are groups.
pub(super) fn declared(schema: &Schema) -> BTreeMap<String, Declared> {
    let all = schema.action_entities().unwrap_or_else(|_| Entities::empty());
    let mut found = BTreeMap::new();
    for uid in schema.actions() {
        let resources: BTreeSet<String> =
            schema.resources_for_action(uid).into_iter().flatten().map(ToString::to_string).collect();
        if !resources.is_empty() {
            let groups = all.ancestors(uid).into_iter().flatten().map(name).collect();
            found.insert(name(uid), Declared { resources, groups });
        }
    }
    found
}

fn name(uid: &EntityUid) -> String {
    uid.id().unescaped().to_owned()
}
