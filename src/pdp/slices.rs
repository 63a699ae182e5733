//! Policies by action and by sort of principal. Cedar tries every policy on every question; a policy
//! whose scope names other actions or another sort of principal can neither match nor fail, so each
//! pair keeps only those that may apply.

use super::annotations::Meta;
use super::context::Reads;
use super::question::PrincipalKind;
use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PolicySet, PrincipalConstraint};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A policy with what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub policy: Policy,
    pub meta: Arc<Meta>,
    pub reads: Reads,
}

/// The slices of one action, one for each sort of principal.
#[derive(Clone, Debug)]
pub(super) struct Slices {
    pub user: Slice,
    pub api_token: Slice,
    pub workload: Slice,
}

impl Slices {
    pub(super) const fn of(&self, kind: PrincipalKind) -> &Slice {
        match kind {
            PrincipalKind::User => &self.user,
            PrincipalKind::ApiToken => &self.api_token,
            PrincipalKind::Workload => &self.workload,
        }
    }
}

/// The policies that may apply to one action, asked by one sort of principal.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// Those that are enforced.
    pub live: Arc<PolicySet>,
    /// Those and the shadow policies, where there are any.
    pub with_shadow: Option<Arc<PolicySet>>,
    /// What they read of the context.
    pub reads: Reads,
    /// Roles that a permit among them names in its scope.
    pub granting: Vec<String>,
}

/// Slices policies, and shares equal slices between actions.
#[derive(Debug)]
pub(super) struct Slicer<'a> {
    policies: &'a [Known],
    sets: HashMap<Vec<usize>, Arc<PolicySet>>,
}

impl<'a> Slicer<'a> {
    pub(super) fn new(policies: &'a [Known]) -> Self {
        Self { policies, sets: HashMap::new() }
    }

    /// The slices for an action, given the action and all groups above it.
    pub(super) fn slices(&mut self, family: &HashSet<EntityUid>) -> Result<Slices, String> {
        Ok(Slices {
            user: self.slice(family, PrincipalKind::User)?,
            api_token: self.slice(family, PrincipalKind::ApiToken)?,
            workload: self.slice(family, PrincipalKind::Workload)?,
        })
    }

    fn slice(&mut self, family: &HashSet<EntityUid>, kind: PrincipalKind) -> Result<Slice, String> {
        let policies = self.policies;
        let may = |policy: &Policy| applies(policy, family) && concerns(policy, kind);
        let applying = policies.iter().enumerate().filter(|(_, known)| may(&known.policy));
        let (mut live, mut all, mut reads) = (Vec::new(), Vec::new(), Reads::NONE);
        let mut granting = BTreeSet::new();
        for (index, known) in applying {
            all.push(index);
            reads = reads.and(known.reads);
            if !known.meta.shadow {
                live.push(index);
                granting.extend(granted_role(&known.policy));
            }
        }
        let with_shadow = if all.len() > live.len() { Some(self.set(all)?) } else { None };
        Ok(Slice { live: self.set(live)?, with_shadow, reads, granting: granting.into_iter().collect() })
    }

    fn set(&mut self, indexes: Vec<usize>) -> Result<Arc<PolicySet>, String> {
        if let Some(set) = self.sets.get(&indexes) {
            return Ok(Arc::clone(set));
        }
        let policies = indexes.iter().filter_map(|index| self.policies.get(*index));
        let set = PolicySet::from_policies(policies.map(|known| known.policy.clone()));
        let set = Arc::new(set.map_err(|error| error.to_string())?);
        self.sets.insert(indexes, Arc::clone(&set));
        Ok(set)
    }
}

fn applies(policy: &Policy, family: &HashSet<EntityUid>) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.iter().any(|action| family.contains(action)),
        // `==` names one action; a group above it does not equal it.
        ActionConstraint::Eq(action) => family.contains(&action),
    }
}

/// Whether the scope leaves room for this sort of principal. Parents (`in`) are of any.
fn concerns(policy: &Policy, kind: PrincipalKind) -> bool {
    match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
        PrincipalConstraint::Is(name) | PrincipalConstraint::IsIn(name, _) => name.to_string() == kind.entity_type(),
        PrincipalConstraint::Eq(uid) => uid.type_name().to_string() == kind.entity_type(),
    }
}

fn granted_role(policy: &Policy) -> Option<String> {
    if policy.effect() == Effect::Forbid {
        return None;
    }
    match policy.principal_constraint() {
        PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) | PrincipalConstraint::Eq(uid) => {
            let is_role = uid.type_name().basename() == "Role";
            is_role.then(|| uid.id().unescaped().to_owned())
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
    }
}

/// What a policy, given as Cedar's JSON, reads of the context. Any use of the context that is not
/// a plain attribute counts as all of it.
pub(super) fn reads(policy: &Value) -> Reads {
    match policy {
        Value::Array(items) => items.iter().map(reads).fold(Reads::NONE, Reads::and),
        Value::Object(fields) => {
            let of = |(operator, operand): (&String, &Value)| match plain_attribute(operator, operand) {
                Some(name) => Reads::part(name),
                None if operator == "Var" && operand == "context" => Reads::ALL,
                None => reads(operand),
            };
            fields.iter().map(of).fold(Reads::NONE, Reads::and)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Reads::NONE,
    }
}

/// The name in `context.name` and `context has name`.
fn plain_attribute<'a>(operator: &str, operand: &'a Value) -> Option<&'a str> {
    let on_context = operand.get("left").and_then(|left| left.get("Var")).is_some_and(|var| var == "context");
    let is_access = operator == "." || operator == "has";
    if is_access && on_context { operand.get("attr").and_then(Value::as_str) } else { None }
}
