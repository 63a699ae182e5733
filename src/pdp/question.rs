//! What the decision point is asked: who wants to do what to which thing, under which circumstances.
//!
//! These are plain facts that the rooms before this one established. Nothing here is looked up,
//! and no field has a default: a fact that is not known has a value that says so.

use crate::routes;
use ipnet::IpNet;
use std::borrow::Cow;
use std::net::IpAddr;
use time::OffsetDateTime;

/// An age, in seconds, that stands for "never". Finite on purpose: sums with it cannot overflow,
/// and an overflow would make Cedar skip the policy.
pub const NEVER_S: i64 = 4_000_000_000;

/// What sort of principal asks. Each is an entity type of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// A person; the id is the identity provider's subject.
    User,
    /// A token of the gateway's own, with roles of its own.
    ApiToken,
    /// A CI run, proven by an identity token of its platform.
    Workload,
}

impl PrincipalKind {
    /// Name of the entity type in `schema/`.
    #[must_use]
    pub const fn entity_type(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiToken => "ApiToken",
            Self::Workload => "Workload",
        }
    }
}

/// Verified claims about a CI run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkloadFacts {
    /// Issuer of the identity token.
    pub issuer: String,
    /// Repository, as the platform names it.
    pub repository: String,
    /// Full git reference.
    pub git_ref: String,
    /// Whether the platform protects that reference.
    pub ref_protected: bool,
    /// Commit.
    pub sha: String,
    /// Deployment environment, empty when there is none.
    pub environment: String,
    /// Id of the run.
    pub run: String,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Entity type.
    pub kind: PrincipalKind,
    /// Entity id.
    pub id: String,
    /// Roles held; those that `policies/roles.json` does not declare give nothing.
    pub roles: Vec<String>,
    /// Groups of the identity provider; only people have any.
    pub groups: Vec<String>,
    /// E-mail address of a person, empty otherwise.
    pub email: String,
    /// Whether a person has a second factor; false otherwise.
    pub enrolled: bool,
    /// Whether an administrator locked it.
    pub locked: bool,
    /// Changes with anything that the store knows about the principal.
    pub version: u64,
    /// Where an API token may be used from; everywhere when there is none.
    pub network: Option<IpNet>,
    /// The apps that an API token may be used for; all when there are none.
    pub apps: Vec<String>,
    /// Claims of a CI run; a workload without them is refused.
    pub workload: Option<WorkloadFacts>,
}

impl Principal {
    /// Somebody who holds nothing and of whom nothing is known but the id.
    #[must_use]
    pub const fn nobody(kind: PrincipalKind, id: String) -> Self {
        Self {
            kind,
            id,
            roles: Vec::new(),
            groups: Vec::new(),
            email: String::new(),
            enrolled: false,
            locked: false,
            version: 0,
            network: None,
            apps: Vec::new(),
            workload: None,
        }
    }
}

/// What the request is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceRef {
    /// Entity type.
    pub kind: routes::Resource,
    /// Entity id: the path parameters joined by `/`, or the rack's name.
    pub id: String,
    /// The app it belongs to, where it belongs to one.
    pub app: Option<String>,
    /// What is known of it; nobody knows one whose id is made up.
    pub about: Option<Box<About>>,
}

/// What is known of a resource beyond its name and its app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// The person or token that it is.
    Principal(Principal),
    /// A variable of an environment.
    EnvVar(EnvVar),
    /// A request to deploy.
    DeployApproval(DeployApproval),
}

/// A variable of an app's environment. What is not known is a protected secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvVar {
    /// Whether its value is a secret, by its name or by the lists of the app.
    pub secret: bool,
    /// Whether it is on the list of those that nobody changes through the gateway.
    pub protected: bool,
}

/// A request to deploy a commit of an app. What is not known has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeployApproval {
    /// The commit, whole and in lower case.
    pub commit: String,
    /// The branch that was named; empty when none was.
    pub branch: String,
    /// `pending`, `approved`, `deployed`, `rejected`, `expired` or `revoked`.
    pub state: String,
    /// Distinct people who approved it, without those behind it.
    pub approvals: i64,
    /// How often its life was extended.
    pub extensions: i64,
    /// Seconds until it ends by itself; 0 when it has ended.
    pub left_s: i64,
    /// Ids of the people behind it: who asked, and who made the token that asked or that shall deploy.
    pub users: Vec<String>,
    /// Ids of the API tokens behind it.
    pub tokens: Vec<String>,
    /// Ids of the CI runs behind it.
    pub workloads: Vec<String>,
}

impl ResourceRef {
    /// A resource that is no principal.
    #[must_use]
    pub const fn new(kind: routes::Resource, id: String, app: Option<String>) -> Self {
        Self { kind, id, app, about: None }
    }
}

/// How the principal last proved a second factor in this session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mfa {
    /// Seconds since then; [`NEVER_S`] also when the clock was set back since.
    pub age_s: i64,
    /// Whether the factor cannot be phished.
    pub phishing_resistant: bool,
    /// Whether the proof was given for this very request.
    pub bound_to_request: bool,
    /// Name of the factor, empty when never.
    pub method: String,
    /// Whether the session began on a device that the person trusts.
    pub trusted_device: bool,
    /// Whether everybody must have a second factor.
    pub required: bool,
}

impl Mfa {
    /// No second factor was ever proved, no device is trusted, and everybody must have a factor.
    #[must_use]
    pub const fn never() -> Self {
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

/// The deploy approval that covers this very request, and how the request compares with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Approval {
    /// Its id; empty when none covers the request.
    pub id: String,
    /// Distinct people who approved it, without those behind it.
    pub count: i64,
    /// Seconds since the last of them.
    pub age_s: i64,
    /// Seconds until it ends; 0 when there is none.
    pub left_s: i64,
    /// What of the request is not what was approved or made under the approval; empty when nothing.
    pub drift: Cow<'static, str>,
    /// Whether every image that the manifest names is one that the app's image rules allow.
    pub images_allowed: bool,
}

impl Approval {
    /// Nobody approved, and nothing speaks against the images.
    #[must_use]
    pub const fn none() -> Self {
        Self { id: String::new(), count: 0, age_s: NEVER_S, left_s: 0, drift: Cow::Borrowed(""), images_allowed: true }
    }
}

/// Settings of the gateway that policy reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whether an app may be deleted at all.
    pub allow_destructive_actions: bool,
}

/// How well the record of what happens is proved outside the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audit {
    /// `off`, `green`, `amber`, `red` or `overdue`.
    pub state: Cow<'static, str>,
    /// Seconds since the oldest record that no anchor covers was written.
    pub unanchored_s: i64,
}

impl Audit {
    /// Everything is anchored.
    #[must_use]
    pub fn anchored() -> Self {
        Self { state: Cow::Borrowed("green"), unanchored_s: 0 }
    }
}

/// What a command would run. Required for rows whose facts are `Exec`, and absent for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exec {
    /// The command line; bytes that are not UTF-8 replaced.
    pub command: String,
    /// Whether it goes through the image's entrypoint.
    pub entrypoint: bool,
    /// Image, empty for that of the release.
    pub image: String,
    /// Whether volumes are mounted.
    pub volumes: bool,
    /// Whether environment variables are given.
    pub environment: bool,
    /// Release, empty for the running one.
    pub release: String,
    /// Whether it runs privileged.
    pub privileged: bool,
    /// Node labels, empty when none are asked for.
    pub node_labels: String,
    /// Whether the command is, byte for byte, one that the app's list of deploy commands has.
    pub deploy_command: bool,
}

/// The circumstances of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Now.
    pub now: OffsetDateTime,
    /// The caller's address, as the gateway established it.
    pub source_ip: IpAddr,
    /// What proved who calls: `web-session`, `cli-session`, `api-token`, `workload-token`; empty
    /// while somebody is signing in.
    pub credential: String,
    /// Seconds since the session or token was made; 0 while somebody is signing in.
    pub credential_age_s: i64,
    /// Second factor.
    pub mfa: Mfa,
    /// Approvals.
    pub approval: Approval,
    /// Ticket of the open break-glass grant, empty when there is none.
    pub break_glass: String,
    /// How well the record is proved.
    pub audit: Audit,
    /// How the gateway is set.
    pub settings: Settings,
    /// What would be run.
    pub exec: Option<Exec>,
}

/// One question to the decision point.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// The Cedar action id: `app:delete`.
    pub action: &'a str,
    /// What it is about.
    pub resource: &'a ResourceRef,
    /// Under which circumstances.
    pub context: &'a Context,
}
