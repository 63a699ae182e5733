//! Questions written down as JSON: canaries, and the cases of the policy tests.

use super::bundle::Bundle;
use super::data::{App, json_problem};
use super::problem::Problem;
use super::question::{
    About, Approval, Audit, Context, DeployApproval, EnvVar, Exec, Mfa, NEVER_S, Principal, PrincipalKind, Question,
    ResourceRef, Settings, WorkloadFacts,
};
use super::sources::SourceFile;
use super::{canary, table};
use crate::routes::Resource;
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use time::OffsetDateTime;
use time::macros::datetime;

/// When cases happen, unless they say otherwise.
const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
/// From where.
const SOURCE_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Age of the session or token, in seconds.
const CREDENTIAL_AGE_S: i64 = 3600;

/// Principals and apps that cases name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cast {
    #[serde(default)]
    pub principals: BTreeMap<String, Person>,
    #[serde(default)]
    pub apps: Vec<App>,
    /// Circumstances of the cases that do not give their own, part by part.
    #[serde(default)]
    pub context: Circumstances,
}

/// A principal, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    email: String,
    /// Without it, a person has a second factor.
    enrolled: Option<bool>,
    #[serde(default)]
    locked: bool,
    network: Option<IpNet>,
    #[serde(default)]
    apps: Vec<String>,
    workload: Option<Claims>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    issuer: String,
    repository: String,
    #[serde(rename = "ref")]
    git_ref: String,
    ref_protected: bool,
    sha: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    run: String,
}

/// Who asks: somebody of the cast, or written out.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Who {
    /// By name.
    Named(String),
    /// In full.
    Written(Box<Person>),
}

/// A question, with its answer where it is a test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub name: String,
    pub principal: Who,
    pub action: String,
    /// Entity id; the kind is that of the action. Without it, the rack or an app that is not listed.
    pub resource: Option<String>,
    /// What is known of the resource, where it is a variable of an environment or a deploy approval.
    pub about: Option<Known>,
    #[serde(default)]
    pub context: Circumstances,
    pub decision: Option<String>,
    pub reasons: Option<BTreeSet<String>>,
    #[serde(default)]
    pub challenges: Vec<String>,
    pub shadow: Option<ShadowCase>,
}

/// What is known of a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Known {
    secret: bool,
    protected: bool,
    commit: String,
    branch: String,
    state: String,
    approvals: i64,
    extensions: i64,
    left_s: i64,
    users: Vec<String>,
    tokens: Vec<String>,
    workloads: Vec<String>,
}

impl Known {
    fn about(self, kind: Resource) -> Result<About, String> {
        match kind {
            Resource::EnvVar => Ok(About::EnvVar(EnvVar { secret: self.secret, protected: self.protected })),
            Resource::DeployApproval => Ok(About::DeployApproval(DeployApproval {
                commit: self.commit,
                branch: self.branch,
                state: self.state,
                approvals: self.approvals,
                extensions: self.extensions,
                left_s: self.left_s,
                users: self.users,
                tokens: self.tokens,
                workloads: self.workloads,
            })),
            _ => Err("nothing is known about a resource of this kind".to_owned()),
        }
    }
}

/// What shadow policies would change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowCase {
    pub decision: String,
    pub reasons: BTreeSet<String>,
}

/// What differs from ordinary circumstances.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Circumstances {
    #[serde(default, with = "time::serde::rfc3339::option")]
    now: Option<OffsetDateTime>,
    source_ip: Option<IpAddr>,
    credential: Option<String>,
    credential_age_s: Option<i64>,
    mfa: Option<Factor>,
    approval: Option<Approved>,
    break_glass: Option<String>,
    audit: Option<Anchored>,
    settings: Option<Set>,
    exec: Option<Command>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Factor {
    age_s: i64,
    phishing_resistant: bool,
    bound_to_request: bool,
    method: String,
    trusted_device: bool,
    required: bool,
}

impl Default for Factor {
    fn default() -> Self {
        Self {
            age_s: NEVER_S,
            phishing_resistant: false,
            bound_to_request: false,
            method: String::new(),
            trusted_device: false,
            required: true,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Approved {
    id: String,
    count: i64,
    age_s: i64,
    left_s: i64,
    drift: String,
    images_allowed: bool,
}

impl Default for Approved {
    fn default() -> Self {
        let Approval { id, count, age_s, left_s, drift, images_allowed } = Approval::none();
        Self { id, count, age_s, left_s, drift: drift.into_owned(), images_allowed }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Set {
    allow_destructive_actions: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Anchored {
    state: String,
    unanchored_s: i64,
}

impl Default for Anchored {
    fn default() -> Self {
        let Audit { state, unanchored_s } = Audit::anchored();
        Self { state: state.into_owned(), unanchored_s }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Command {
    command: String,
    entrypoint: bool,
    image: String,
    volumes: bool,
    environment: bool,
    release: String,
    privileged: bool,
    node_labels: String,
    deploy_command: bool,
}

/// A question with everything that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Posed {
    pub principal: Principal,
    pub action: String,
    pub resource: ResourceRef,
    pub context: Context,
}

impl Posed {
    pub(super) fn question(&self) -> Question<'_> {
        Question { principal: &self.principal, action: &self.action, resource: &self.resource, context: &self.context }
    }

    /// How many of the facts differ: principal, action, resource, and each part of the context.
    pub(super) fn distance(&self, other: &Self) -> usize {
        let (a, b) = (&self.context, &other.context);
        let differences = [
            self.principal != other.principal,
            self.action != other.action,
            self.resource != other.resource,
            a.now != b.now,
            a.source_ip != b.source_ip,
            a.credential != b.credential,
            a.credential_age_s != b.credential_age_s,
            a.mfa != b.mfa,
            a.approval != b.approval,
            a.break_glass != b.break_glass,
            a.audit != b.audit,
            a.settings != b.settings,
            a.exec != b.exec,
        ];
        differences.into_iter().filter(|differs| *differs).count()
    }
}

/// Read a JSON file of a known shape.
pub(super) fn parse<T: for<'a> Deserialize<'a>>(file: &SourceFile, shape: &str) -> Result<T, Problem> {
    serde_json::from_str(&file.text).map_err(|error| json_problem(file, &error, shape))
}

impl Asked {
    /// Put in what the case refers to.
    ///
    /// # Errors
    /// Names that the cast or the route table does not know.
    pub(super) fn pose(&self, bundle: &Bundle, cast: &Cast) -> Result<Posed, String> {
        let row = table::actions()
            .find(|row| row.action == self.action)
            .ok_or_else(|| format!("action {} is unknown", self.action))?;
        let (name, person) = match &self.principal {
            Who::Named(name) => {
                let person = cast.principals.get(name).ok_or_else(|| format!("{name} is not in the cast"))?;
                (name.as_str(), person)
            }
            Who::Written(person) => ("", &**person),
        };
        let sample = canary::sample(bundle.rack(), row.resource, "unlisted");
        let mut resource = match &self.resource {
            None => sample,
            Some(id) => {
                let app = sample.app.as_ref().map(|_| id.split('/').next().unwrap_or_default().to_owned());
                ResourceRef::new(row.resource, id.clone(), app)
            }
        };
        if let Some(known) = self.about.clone() {
            resource.about = Some(Box::new(known.about(row.resource)?));
        }
        let context = self.context.clone().or(&cast.context).context(canary::context(row));
        Ok(Posed { principal: person.principal(name)?, action: self.action.clone(), resource, context })
    }
}

impl Person {
    fn principal(&self, name: &str) -> Result<Principal, String> {
        let kinds = [PrincipalKind::User, PrincipalKind::ApiToken, PrincipalKind::Workload];
        let kind = kinds.into_iter().find(|kind| kind.entity_type() == self.kind);
        let kind = kind.ok_or_else(|| format!("a principal is a User, ApiToken or Workload, not a {}", self.kind))?;
        let id = if self.id.is_empty() { name } else { &self.id };
        Ok(Principal {
            kind,
            id: id.to_owned(),
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            email: self.email.clone(),
            enrolled: kind == PrincipalKind::User && self.enrolled.unwrap_or(true),
            locked: self.locked,
            version: 0,
            network: self.network,
            apps: self.apps.clone(),
            workload: self.workload.as_ref().map(Claims::facts),
        })
    }
}

impl Claims {
    fn facts(&self) -> WorkloadFacts {
        WorkloadFacts {
            issuer: self.issuer.clone(),
            repository: self.repository.clone(),
            git_ref: self.git_ref.clone(),
            ref_protected: self.ref_protected,
            sha: self.sha.clone(),
            environment: self.environment.clone(),
            run: self.run.clone(),
        }
    }
}

impl Circumstances {
    /// With the parts of `ordinary` where there are none of one's own.
    fn or(self, ordinary: &Self) -> Self {
        let ordinary = ordinary.clone();
        Self {
            now: self.now.or(ordinary.now),
            source_ip: self.source_ip.or(ordinary.source_ip),
            credential: self.credential.or(ordinary.credential),
            credential_age_s: self.credential_age_s.or(ordinary.credential_age_s),
            mfa: self.mfa.or(ordinary.mfa),
            approval: self.approval.or(ordinary.approval),
            break_glass: self.break_glass.or(ordinary.break_glass),
            audit: self.audit.or(ordinary.audit),
            settings: self.settings.or(ordinary.settings),
            exec: self.exec.or(ordinary.exec),
        }
    }

    fn context(self, bare: Context) -> Context {
        let approval = self.approval.unwrap_or_default();
        let audit = self.audit.unwrap_or_default();
        Context {
            now: self.now.unwrap_or(NOW),
            source_ip: self.source_ip.unwrap_or(SOURCE_IP),
            credential: self.credential.unwrap_or_else(|| "cli-session".to_owned()),
            credential_age_s: self.credential_age_s.unwrap_or(CREDENTIAL_AGE_S),
            mfa: self.mfa.unwrap_or_default().mfa(),
            approval: Approval {
                id: approval.id,
                count: approval.count,
                age_s: approval.age_s,
                left_s: approval.left_s,
                drift: approval.drift.into(),
                images_allowed: approval.images_allowed,
            },
            break_glass: self.break_glass.unwrap_or_default(),
            audit: Audit { state: audit.state.into(), unanchored_s: audit.unanchored_s },
            settings: Settings {
                allow_destructive_actions: self.settings.unwrap_or_default().allow_destructive_actions,
            },
            exec: bare.exec.map(|_| self.exec.unwrap_or_default().exec()),
        }
    }
}

impl Factor {
    fn mfa(self) -> Mfa {
        Mfa {
            age_s: self.age_s,
            phishing_resistant: self.phishing_resistant,
            bound_to_request: self.bound_to_request,
            method: self.method,
            trusted_device: self.trusted_device,
            required: self.required,
        }
    }
}

impl Command {
    fn exec(self) -> Exec {
        Exec {
            command: self.command,
            entrypoint: self.entrypoint,
            image: self.image,
            volumes: self.volumes,
            environment: self.environment,
            release: self.release,
            privileged: self.privileged,
            node_labels: self.node_labels,
            deploy_command: self.deploy_command,
        }
    }
}
