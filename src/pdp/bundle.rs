//! One validated set of policies, schema and data, ready to decide.

use super::annotations::Meta;
use super::canary;
use super::context::Contexts;
use super::data::App;
use super::entities::Facts;
use super::loader::{self, Parts};
use super::problem::{BundleErrors, Problem};
use super::slices::{Slicer, Slices};
use super::sources::Sources;
use super::table;
use crate::routes::Facts::Exec;
use cedar_policy::{Authorizer, Effect, Entities, EntityId, EntityTypeName, EntityUid};
use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

/// One action, prepared.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub uid: EntityUid,
    pub slices: Slices,
    pub base: Entities,
    /// Whether the context must say what would be run.
    pub exec: bool,
}

/// Everything the decision point needs, immutable. A change of policy is another bundle.
///
/// # Invariants
/// Every canary was denied before [`Bundle::load`] returned it.
pub struct Bundle {
    pub(super) digest: Arc<str>,
    pub(super) rack: String,
    pub(super) facts: Facts,
    pub(super) contexts: Arc<Contexts>,
    pub(super) actions: HashMap<&'static str, Action>,
    pub(super) metas: HashMap<String, Arc<Meta>>,
    pub(super) authorizer: Authorizer,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle")
            .field("digest", &self.digest)
            .field("rack", &self.rack)
            .field("policies", &self.metas.len())
            .finish_non_exhaustive()
    }
}

impl Bundle {
    /// Read, check and prepare a bundle, and ask it the canaries.
    ///
    /// # Errors
    /// All that is wrong with it: texts that do not parse, policies that the schema refutes or
    /// that cannot match, annotations that are missing or unknown, roles and apps that nobody
    /// declared, canaries that were not denied.
    pub fn load(sources: &Sources) -> Result<Self, BundleErrors> {
        let parts = loader::load(sources)?;
        let bundle = Self::prepare(parts, sources)
            .map_err(|message| Problem::new("policies", None, message, "correct schema and policies"))?;
        BundleErrors::check(canary::failures(&bundle, sources))?;
        Ok(bundle)
    }

    /// SHA-256, in hex, of the texts that it was made of.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name of the rack whose entity it knows.
    #[must_use]
    pub fn rack(&self) -> &str {
        &self.rack
    }

    /// Ids of all policies, sorted.
    #[must_use]
    pub fn policy_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.metas.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    /// Names of the declared roles, in the order of their file.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.facts.roles().order
    }

    /// The declared roles that somebody holds: `roles` given one by one, and those that come with
    /// `groups` of the identity provider. Without inheritance, sorted.
    #[must_use]
    pub fn roles_held(&self, roles: &[String], groups: &[String]) -> Vec<String> {
        self.facts.roles().held(roles, groups).into_iter().map(str::to_owned).collect()
    }

    /// Whether a policy permits or forbids.
    pub(super) fn effect(&self, id: &str) -> Option<Effect> {
        self.metas.get(id).map(|meta| meta.effect)
    }

    /// The same bundle with apps that only tests know.
    pub(super) fn with_apps(&self, apps: &[App]) -> Result<Self, Problem> {
        let problem = |message: String| {
            Problem::new("policies/tests/cast.json", None, message, "leave out apps that policies/apps.json lists")
        };
        Ok(Self {
            digest: Arc::clone(&self.digest),
            rack: self.rack.clone(),
            facts: self.facts.with_apps(apps, &self.rack).map_err(problem)?,
            actions: self.actions.clone(),
            metas: self.metas.clone(),
            contexts: Arc::clone(&self.contexts),
            authorizer: self.authorizer.clone(),
        })
    }

    fn prepare(parts: Parts, sources: &Sources) -> Result<Self, String> {
        let Parts { schema, policies, roles, apps } = parts;
        let all = schema.action_entities().map_err(|error| error.to_string())?;
        let facts = Facts::new(schema, roles, apps, &sources.rack)?;
        let kind = EntityTypeName::from_str("Action").map_err(|error| error.to_string())?;
        let contexts = Contexts::new()?;
        let mut slicer = Slicer::new(&policies);
        let mut actions = HashMap::new();
        for row in table::actions() {
            let uid = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(row.action));
            let groups = all.ancestors(&uid).into_iter().flatten().cloned();
            let family: HashSet<EntityUid> = groups.chain([uid.clone()]).collect();
            let slices = slicer.slices(&family)?;
            let base = facts.base(&uid, &all)?;
            let exec = row.contract.facts == Exec;
            contexts.constant(exec).validate(facts.schema(), &uid).map_err(|error| error.to_string())?;
            actions.insert(row.action, Action { uid, slices, base, exec });
        }
        let metas = policies.iter().map(|known| (known.meta.id.to_string(), Arc::clone(&known.meta))).collect();
        Ok(Self {
            digest: sources.digest().into(),
            rack: sources.rack.clone(),
            facts,
            actions,
            metas,
            contexts: Arc::new(contexts),
            authorizer: Authorizer::new(),
        })
    }
}

/// What a sound bundle consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Digest of the bundle.
    pub digest: String,
    /// How many policies are enforced.
    pub enforced: usize,
    /// Ids of the policies in shadow.
    pub shadow: Vec<String>,
    /// How many actions the schema and the route table agree on.
    pub actions: usize,
    /// Declared roles.
    pub roles: Vec<String>,
}

impl std::fmt::Display for CheckReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (enforced, actions, roles) = (self.enforced, self.actions, self.roles.join(" "));
        writeln!(f, "{enforced} policies enforced, {} in shadow", self.shadow.len())?;
        for id in &self.shadow {
            writeln!(f, "  shadow: {id}")?;
        }
        writeln!(f, "{actions} actions, roles: {roles}")?;
        write!(f, "bundle {}", self.digest)
    }
}

/// Load a bundle and say what it consists of.
///
/// # Errors
/// As [`Bundle::load`].
pub fn check(sources: &Sources) -> Result<CheckReport, BundleErrors> {
    let bundle = Bundle::load(sources)?;
    let in_shadow = |id: &&str| bundle.metas.get(*id).is_some_and(|meta| meta.shadow);
    let (shadow, enforced): (Vec<&str>, Vec<&str>) = bundle.policy_ids().into_iter().partition(in_shadow);
    Ok(CheckReport {
        digest: bundle.digest().to_owned(),
        enforced: enforced.len(),
        shadow: shadow.into_iter().map(str::to_owned).collect(),
        actions: bundle.actions.len(),
        roles: bundle.roles().to_vec(),
    })
}
