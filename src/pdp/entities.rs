//! The entities of a question, made in one place.
//!
//! Cedar forgives too much here. Entities that are built without the schema lack the action
//! groups, and every policy that names a group is silently skipped; a principal that is absent is
//! in no group and no role. So `Facts` cannot be made without a schema, hands out only stores that
//! hold principal, resource and action, and checks what it adds against the schema.

use super::data::{App, Roles};
use super::problem::with_causes;
use super::question::{About, DeployApproval, EnvVar, Principal, PrincipalKind, ResourceRef, WorkloadFacts};
use crate::routes::Resource;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use ipnet::IpNet;
use moka::sync::Cache;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

/// Principals and apps that are kept, each.
const KEPT: u64 = 4096;

/// The entities of one question: action, principal and resource, each with all that is above it.
#[derive(Debug)]
pub(super) struct Store {
    pub entities: Entities,
    pub principal: EntityUid,
    pub resource: EntityUid,
}

/// Makes stores. Belongs to one bundle.
///
/// Roles, groups, apps and the rack are named as parents, inherited ones included, and need not be
/// entities of a store: what `in` asks is what an entity has above it.
pub(super) struct Facts {
    schema: Schema,
    types: Types,
    rack: EntityUid,
    roles: Roles,
    apps: BTreeMap<String, App>,
    /// By the whole principal, so that a change in any fact is another key, whatever its version.
    principals: Cache<Principal, Arc<Entity>>,
    /// The attribute that an app and all it holds carry, by name of the app.
    app_facts: Cache<String, RestrictedExpression>,
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
        let (principals, app_facts) = (Cache::new(KEPT), Cache::new(KEPT));
        Ok(Self { schema, types, rack, roles, apps, principals, app_facts })
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

    /// The part of a store that only depends on the action: the action, in its groups. `all` are
    /// the action entities of the schema.
    ///
    /// # Errors
    /// The schema does not know the action.
    pub(super) fn base(&self, action: &EntityUid, all: &Entities) -> Result<Entities, String> {
        let found = all.get(action).ok_or_else(|| format!("{action} is not in the schema"))?;
        Entities::empty().add_entities([found.clone()], Some(&self.schema)).map_err(|error| error.to_string())
    }

    /// The store for a question.
    ///
    /// # Errors
    /// The facts do not fit the schema, or contradict each other.
    pub(super) fn store(
        &self,
        principal: &Principal,
        base: &Entities,
        resource: &ResourceRef,
    ) -> Result<Store, String> {
        let who = self.principal(principal)?;
        let what = self.resource(resource)?;
        let (principal, resource) = (who.uid(), what.uid());
        // Somebody who acts on their own account is one entity, as the principal knows it.
        let what = (principal != resource).then_some(what);
        let entities = base.clone().add_entities([Entity::clone(&who)].into_iter().chain(what), Some(&self.schema));
        Ok(Store { entities: entities.map_err(|error| with_causes(&error))?, principal, resource })
    }

    fn principal(&self, principal: &Principal) -> Result<Arc<Entity>, String> {
        if let Some(entity) = self.principals.get(principal) {
            return Ok(entity);
        }
        let entity = Arc::new(self.new_principal(principal)?);
        self.principals.insert(principal.clone(), Arc::clone(&entity));
        Ok(entity)
    }

    fn new_principal(&self, principal: &Principal) -> Result<Entity, String> {
        let uid = self.types.uid(principal.kind.entity_type(), &principal.id)?;
        let above = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let roles = self.roles.held(&principal.roles, &principal.groups).into_iter();
        let roles = roles.flat_map(|role| self.roles.closure(role)).map(|role| above(&self.types.role, role));
        // The empty name is that of no group: an app without approvers has it.
        let groups = principal.groups.iter().filter(|group| !group.is_empty());
        let groups = groups.map(|group| above(&self.types.group, group));
        let parents: HashSet<EntityUid> = roles.chain(groups).collect();
        let locked = ("locked".to_owned(), RestrictedExpression::new_bool(principal.locked));
        let attributes = match principal.kind {
            PrincipalKind::User => {
                let enrolled = ("enrolled".to_owned(), RestrictedExpression::new_bool(principal.enrolled));
                HashMap::from([locked, enrolled, text("email", &principal.email)])
            }
            PrincipalKind::ApiToken => {
                let apps = principal.apps.iter().cloned().map(RestrictedExpression::new_string);
                let apps = ("apps".to_owned(), RestrictedExpression::new_set(apps));
                HashMap::from([locked, apps, network(principal.network)?])
            }
            PrincipalKind::Workload => {
                let facts = principal.workload.as_ref().ok_or("a workload without verified claims")?;
                workload(facts).into_iter().chain([locked]).collect()
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
            Resource::User => self.about(PrincipalKind::User, resource),
            Resource::ApiToken => self.about(PrincipalKind::ApiToken, resource),
            Resource::UserRole => self.role(uid, PrincipalKind::User, resource),
            Resource::ApiTokenRole => self.role(uid, PrincipalKind::ApiToken, resource),
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

    /// A person or token as the thing that is acted on.
    fn about(&self, kind: PrincipalKind, resource: &ResourceRef) -> Result<Entity, String> {
        match resource.about.as_deref() {
            None => self.new_principal(&Principal::nobody(kind, resource.id.clone())),
            Some(About::Principal(principal)) if principal.kind == kind && principal.id == resource.id => {
                self.new_principal(principal)
            }
            Some(_) => Err("the resource is somebody else".into()),
        }
    }

    /// That somebody holds a role.
    fn role(&self, uid: EntityUid, kind: PrincipalKind, resource: &ResourceRef) -> Result<Entity, String> {
        let (holder, role) = resource.id.split_once('/').ok_or("a role of nobody")?;
        let holder = RestrictedExpression::new_entity_uid(self.types.uid(kind.entity_type(), holder)?);
        let attributes = HashMap::from([("holder".to_owned(), holder), text("role", role)]);
        Entity::new(uid, attributes, HashSet::from([self.rack.clone()])).map_err(|error| error.to_string())
    }

    fn app_resource(&self, resource: &ResourceRef) -> Result<Entity, String> {
        let app = resource.app.as_deref().ok_or("a resource of an app without the app")?;
        let uid = self.types.uid(resource.kind.entity_type(), &resource.id)?;
        let mut parents = HashSet::from([self.rack.clone()]);
        if resource.kind == Resource::App {
            if resource.id != app {
                return Err("an app of another name".into());
            }
        } else {
            let inside = resource.id.strip_prefix(app).and_then(|rest| rest.strip_prefix('/'));
            if inside.is_none_or(str::is_empty) {
                return Err("the resource does not belong to the app".into());
            }
            parents.insert(self.types.uid(Resource::App.entity_type(), app)?);
        }
        let mut attributes = HashMap::from([("app".to_owned(), self.app_facts(app)?)]);
        match resource.kind {
            Resource::EnvVar => attributes.extend(env_var(resource)?),
            Resource::DeployApproval => attributes.extend(self.deploy_approval(resource)?),
            Resource::AppSetting => attributes.extend([text("name", name_in_app(resource))]),
            _ => {}
        }
        Entity::new(uid, attributes, parents).map_err(|error| error.to_string())
    }

    fn deploy_approval(&self, resource: &ResourceRef) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let unknown = DeployApproval::default();
        let known = match resource.about.as_deref() {
            None => &unknown,
            Some(About::DeployApproval(known)) => known,
            Some(_) => return Err("the resource is no deploy approval".into()),
        };
        let set = |name: &str, kind: PrincipalKind, ids: &[String]| {
            let uids = ids.iter().map(|id| self.types.uid(kind.entity_type(), id));
            let uids: Vec<_> =
                uids.map(|uid| uid.map(RestrictedExpression::new_entity_uid)).collect::<Result<_, _>>()?;
            Ok::<_, String>((name.to_owned(), RestrictedExpression::new_set(uids)))
        };
        let number = |name: &str, value| (name.to_owned(), RestrictedExpression::new_long(value));
        Ok(vec![
            text("commit", &known.commit),
            text("branch", &known.branch),
            text("state", &known.state),
            number("approvals", known.approvals),
            number("extensions", known.extensions),
            number("left_s", known.left_s),
            set("users", PrincipalKind::User, &known.users)?,
            set("tokens", PrincipalKind::ApiToken, &known.tokens)?,
            set("workloads", PrincipalKind::Workload, &known.workloads)?,
        ])
    }

    fn app_facts(&self, name: &str) -> Result<RestrictedExpression, String> {
        if let Some(facts) = self.app_facts.get(name) {
            return Ok(facts);
        }
        let facts = match self.apps.get(name) {
            Some(app) => self.app_record(app)?,
            None => self.app_record(&App::unlisted(name))?,
        };
        self.app_facts.insert(name.to_owned(), facts.clone());
        Ok(facts)
    }

    fn app_record(&self, app: &App) -> Result<RestrictedExpression, String> {
        let group = EntityUid::from_type_name_and_id(self.types.group.clone(), EntityId::new(&app.approver_group));
        RestrictedExpression::new_record([
            text("name", &app.name),
            text("environment", &app.environment),
            ("protected".to_owned(), RestrictedExpression::new_bool(app.protected)),
            text("repository", &app.repository),
            ("approver_group".to_owned(), RestrictedExpression::new_entity_uid(group)),
        ])
        .map_err(|error| error.to_string())
    }
}

/// What follows the app in the id.
fn name_in_app(resource: &ResourceRef) -> &str {
    resource.id.split_once('/').map_or("", |(_, name)| name)
}

/// One that nobody knows is a protected secret.
fn env_var(resource: &ResourceRef) -> Result<[(String, RestrictedExpression); 3], String> {
    let EnvVar { secret, protected } = match resource.about.as_deref() {
        None => EnvVar { secret: true, protected: true },
        Some(About::EnvVar(known)) => *known,
        Some(_) => return Err("the resource is no variable of an environment".into()),
    };
    let flag = |name: &str, value| (name.to_owned(), RestrictedExpression::new_bool(value));
    Ok([text("name", name_in_app(resource)), flag("secret", secret), flag("protected", protected)])
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
    Resource::UserRole,
    Resource::ApiTokenRole,
    Resource::Setting,
    Resource::AuditLog,
    Resource::EnvVar,
    Resource::DeployApproval,
    Resource::AppSetting,
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
        | Resource::Resource
        | Resource::EnvVar
        | Resource::DeployApproval
        | Resource::AppSetting => true,
        Resource::Rack
        | Resource::RackResource
        | Resource::Instance
        | Resource::Certificate
        | Resource::Registry
        | Resource::Tunnel
        | Resource::User
        | Resource::UserRole
        | Resource::ApiToken
        | Resource::ApiTokenRole
        | Resource::Setting
        | Resource::AuditLog => false,
    }
}

/// One range for each family, since Cedar cannot look through a set of ranges. No address of
/// the family that is left out is in the range that stands for it.
fn network(network: Option<IpNet>) -> Result<(String, RestrictedExpression), String> {
    let (v4, v6) = match network {
        None => ("0.0.0.0/0".to_owned(), "::/0".to_owned()),
        Some(IpNet::V4(v4)) => (v4.trunc().to_string(), "::/128".to_owned()),
        Some(IpNet::V6(v6)) => ("0.0.0.0/32".to_owned(), v6.trunc().to_string()),
    };
    let ranges = [("v4", v4), ("v6", v6)].map(|(name, range)| (name.to_owned(), RestrictedExpression::new_ip(range)));
    let record = RestrictedExpression::new_record(ranges).map_err(|error| error.to_string())?;
    Ok(("network".to_owned(), record))
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
