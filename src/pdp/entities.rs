//! The entities of a question, made in one place.
//!
//! Cedar forgives too much here. Entities that are built without the schema lack the action
//! groups, and every policy that names a group is silently skipped; a principal that is absent is
//! in no group and no role. So `Facts` cannot be made without a schema, hands out only stores that
//! hold principal, resource and action, and checks what it adds against the schema.

use super::data::{App, Roles};
use super::question::{Principal, PrincipalKind, ResourceRef, WorkloadFacts};
use crate::routes::Resource;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use moka::sync::Cache;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

/// Stores that are kept: a store holds a dozen small entities.
const STORES: u64 = 4096;

/// The entities of one principal, action and resource.
#[derive(Debug)]
pub(super) struct Store {
    pub entities: Entities,
    pub principal: EntityUid,
    pub resource: EntityUid,
}

/// Everything that a store depends on. The whole principal is part of the key, so that a change
/// in any of its facts is another key, whatever its version says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StoreKey {
    principal: Principal,
    action: usize,
    resource: ResourceRef,
}

/// Makes stores. Belongs to one bundle.
pub(super) struct Facts {
    schema: Schema,
    types: Types,
    rack: EntityUid,
    roles: Roles,
    role_entities: Vec<Entity>,
    apps: BTreeMap<String, App>,
    stores: Cache<StoreKey, Arc<Store>>,
}

/// Names of entity types, parsed once.
struct Types {
    role: EntityTypeName,
    group: EntityTypeName,
    names: HashMap<&'static str, EntityTypeName>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("rack", &self.rack).field("apps", &self.apps.len()).finish_non_exhaustive()
    }
}

impl Facts {
    /// # Errors
    /// The schema has no place for what the gateway knows.
    pub(super) fn new(schema: Schema, roles: Roles, apps: BTreeMap<String, App>, rack: &str) -> Result<Self, String> {
        let types = Types::new()?;
        let rack = types.uid(Resource::Rack.entity_type(), rack)?;
        let role_uid = |name: &str| EntityUid::from_type_name_and_id(types.role.clone(), EntityId::new(name));
        let role_entities: Vec<Entity> = roles
            .inherits
            .iter()
            .map(|(name, parents)| {
                Entity::new_no_attrs(role_uid(name), parents.iter().map(|parent| role_uid(parent)).collect())
            })
            .collect();
        let stores = Cache::new(STORES);
        Ok(Self { schema, types, rack, roles, role_entities, apps, stores })
    }

    /// The same with apps beyond those that are listed.
    pub(super) fn with_apps(&self, more: &[App], rack: &str) -> Result<Self, String> {
        let mut apps = self.apps.clone();
        for app in more {
            if apps.insert(app.name.clone(), app.clone()).is_some() {
                return Err(format!("app {} is there already", app.name));
            }
        }
        Self::new(self.schema.clone(), self.roles.clone(), apps, rack)
    }

    pub(super) const fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) const fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The part of a store that only depends on the action: the action with its groups, and the
    /// roles with what they inherit.
    ///
    /// # Errors
    /// The schema does not know the action.
    pub(super) fn base(&self, action: &EntityUid, all: &Entities) -> Result<Entities, String> {
        let found = all.get(action).ok_or_else(|| format!("{action} is not in the schema"))?;
        let groups = all.ancestors(action).into_iter().flatten().filter_map(|group| all.get(group));
        let actions = std::iter::once(found).chain(groups).cloned();
        Entities::empty()
            .add_entities(actions.chain(self.role_entities.iter().cloned()), Some(&self.schema))
            .map_err(|error| error.to_string())
    }

    /// The store for a question, from the cache where it is there.
    ///
    /// # Errors
    /// The facts do not fit the schema, or contradict each other.
    pub(super) fn store(
        &self,
        principal: &Principal,
        (index, base): (usize, &Entities),
        resource: &ResourceRef,
    ) -> Result<Arc<Store>, String> {
        let key = StoreKey { principal: principal.clone(), action: index, resource: resource.clone() };
        if let Some(store) = self.stores.get(&key) {
            return Ok(store);
        }
        let store = Arc::new(self.build(principal, base, resource)?);
        self.stores.insert(key, Arc::clone(&store));
        Ok(store)
    }

    fn build(&self, principal: &Principal, base: &Entities, resource: &ResourceRef) -> Result<Store, String> {
        let who = self.principal(principal)?;
        let what = self.resource(resource)?;
        let store = (who.uid(), what.uid());
        // The app stands between its resources and the rack: without it nothing is in the rack.
        let app = match (&resource.app, resource.kind) {
            (Some(name), kind) if belongs_to_app(kind) && kind != Resource::App => Some(self.app(name)?),
            _ => None,
        };
        let added = [Some(who), Some(what), app].into_iter().flatten();
        let entities = base.clone().add_entities(added, Some(&self.schema)).map_err(|error| error.to_string())?;
        Ok(Store { entities, principal: store.0, resource: store.1 })
    }

    fn principal(&self, principal: &Principal) -> Result<Entity, String> {
        let uid = self.types.uid(principal.kind.entity_type(), &principal.id)?;
        let roles = principal.roles.iter().filter(|role| self.roles.is_declared(role));
        let roles = roles.map(|role| EntityUid::from_type_name_and_id(self.types.role.clone(), EntityId::new(role)));
        let groups = principal.groups.iter();
        let groups =
            groups.map(|group| EntityUid::from_type_name_and_id(self.types.group.clone(), EntityId::new(group)));
        let parents: HashSet<EntityUid> = roles.chain(groups).collect();
        let suspended = ("suspended".to_owned(), RestrictedExpression::new_bool(principal.suspended));
        let attributes = match principal.kind {
            PrincipalKind::User => HashMap::from([suspended, text("email", &principal.email)]),
            PrincipalKind::ApiToken => HashMap::from([suspended]),
            PrincipalKind::Workload => {
                let facts = principal.workload.as_ref().ok_or("a workload without verified claims")?;
                workload(facts).into_iter().chain([suspended]).collect()
            }
        };
        Entity::new(uid, attributes, parents).map_err(|error| error.to_string())
    }

    fn resource(&self, resource: &ResourceRef) -> Result<Entity, String> {
        let kind = resource.kind;
        if belongs_to_app(kind) {
            return self.app_resource(resource);
        }
        let uid = self.types.uid(kind.entity_type(), &resource.id)?;
        let above_rack = || HashSet::from([self.rack.clone()]);
        match kind {
            Resource::Rack if uid != self.rack => Err("the rack in question is not the one behind this gateway".into()),
            Resource::Rack => Ok(Entity::new_no_attrs(uid, HashSet::new())),
            Resource::Tunnel => {
                let (host, port) = resource.id.rsplit_once('/').ok_or("a tunnel without host and port")?;
                let port = i64::from(u16::from_str(port).map_err(|_| "a tunnel to no port")?);
                let port = ("port".to_owned(), RestrictedExpression::new_long(port));
                let attributes = HashMap::from([text("host", host), port]);
                Entity::new(uid, attributes, above_rack()).map_err(|error| error.to_string())
            }
            _ => Ok(Entity::new_no_attrs(uid, above_rack())),
        }
    }

    fn app_resource(&self, resource: &ResourceRef) -> Result<Entity, String> {
        let app = resource.app.as_deref().ok_or("a resource of an app without the app")?;
        if resource.kind == Resource::App {
            return if resource.id == app { self.app(app) } else { Err("an app of another name".into()) };
        }
        let inside = resource.id.strip_prefix(app).and_then(|rest| rest.strip_prefix('/'));
        if inside.is_none_or(str::is_empty) {
            return Err("the resource does not belong to the app".into());
        }
        let uid = self.types.uid(resource.kind.entity_type(), &resource.id)?;
        let parent = self.types.uid(Resource::App.entity_type(), app)?;
        let attributes = HashMap::from([self.facts_of(app)?]);
        Entity::new(uid, attributes, HashSet::from([parent])).map_err(|error| error.to_string())
    }

    fn app(&self, name: &str) -> Result<Entity, String> {
        let uid = self.types.uid(Resource::App.entity_type(), name)?;
        let attributes = HashMap::from([self.facts_of(name)?]);
        Entity::new(uid, attributes, HashSet::from([self.rack.clone()])).map_err(|error| error.to_string())
    }

    fn facts_of(&self, name: &str) -> Result<(String, RestrictedExpression), String> {
        let unlisted;
        let app = match self.apps.get(name) {
            Some(app) => app,
            None => {
                unlisted = App::unlisted(name);
                &unlisted
            }
        };
        let record = RestrictedExpression::new_record([
            text("name", &app.name),
            text("environment", &app.environment),
            ("protected".to_owned(), RestrictedExpression::new_bool(app.protected)),
            text("repository", &app.repository),
            text("approver_group", &app.approver_group),
        ]);
        Ok(("app".to_owned(), record.map_err(|error| error.to_string())?))
    }
}

impl Types {
    fn new() -> Result<Self, String> {
        let parse = |name: &str| EntityTypeName::from_str(name).map_err(|error| error.to_string());
        let kinds = [PrincipalKind::User, PrincipalKind::ApiToken, PrincipalKind::Workload];
        let principals = kinds.into_iter().map(PrincipalKind::entity_type);
        let resources = RESOURCES.iter().copied().map(Resource::entity_type);
        let names = principals.chain(resources).map(|name| Ok((name, parse(name)?))).collect::<Result<_, String>>()?;
        Ok(Self { role: parse("Role")?, group: parse("Group")?, names })
    }

    fn uid(&self, kind: &str, id: &str) -> Result<EntityUid, String> {
        let name = self.names.get(kind).ok_or_else(|| format!("no entity type {kind}"))?;
        Ok(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id)))
    }
}

const RESOURCES: &[Resource] = &[
    Resource::Rack,
    Resource::App,
    Resource::Build,
    Resource::Release,
    Resource::Process,
    Resource::Service,
    Resource::Object,
    Resource::Config,
    Resource::Resource,
    Resource::RackResource,
    Resource::Instance,
    Resource::Certificate,
    Resource::Registry,
    Resource::Tunnel,
];

/// Whether resources of this kind carry the facts of an app.
const fn belongs_to_app(kind: Resource) -> bool {
    match kind {
        Resource::App
        | Resource::Build
        | Resource::Release
        | Resource::Process
        | Resource::Service
        | Resource::Object
        | Resource::Config
        | Resource::Resource => true,
        Resource::Rack
        | Resource::RackResource
        | Resource::Instance
        | Resource::Certificate
        | Resource::Registry
        | Resource::Tunnel => false,
    }
}

fn text(name: &str, value: &str) -> (String, RestrictedExpression) {
    (name.to_owned(), RestrictedExpression::new_string(value.to_owned()))
}

fn workload(facts: &WorkloadFacts) -> [(String, RestrictedExpression); 7] {
    [
        text("issuer", &facts.issuer),
        text("repository", &facts.repository),
        text("ref", &facts.git_ref),
        ("ref_protected".to_owned(), RestrictedExpression::new_bool(facts.ref_protected)),
        text("sha", &facts.sha),
        text("environment", &facts.environment),
        text("run", &facts.run),
    ]
}
