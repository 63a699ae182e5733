//! What one line of the table says.

use std::fmt;

/// The method of a route. `Socket` is `GET` with `Upgrade: websocket`: the rack treats the two
/// as different routes, and so does policy (convox `stdapi` router).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `GET` without an upgrade.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// `GET` with `Upgrade: websocket`.
    Socket,
}

impl Kind {
    /// The kind of a request, from its method (as it stands in the request line) and whether it
    /// asks to become a websocket; none for a method that no route has.
    #[must_use]
    pub fn of(method: &str, websocket: bool) -> Option<Self> {
        Some(match method {
            "GET" if websocket => Self::Socket,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => return None,
        })
    }

    /// The name in documents, records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Socket => "SOCKET",
        }
    }

    /// The method on the wire.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Socket => "GET",
            Self::Get | Self::Head | Self::Post | Self::Put | Self::Delete | Self::Options => self.as_str(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The Cedar entity type that a row acts on, with the path parameters that name it, in order.
/// The entity id is the parameters joined by `/` (`App::"myapp"`, `Process::"myapp/web-1"`);
/// for the rack and the log of what happened it is the rack's configured name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The rack itself.
    Rack,
    /// `{app}`.
    App,
    /// `{app}`, `{build}`.
    Build,
    /// `{app}`, `{release}`.
    Release,
    /// `{app}`, `{process}`.
    Process,
    /// `{app}`, `{service}`.
    Service,
    /// `{app}`, `{key}`.
    Object,
    /// `{app}`, `{config}`.
    Config,
    /// `{app}`, `{resource}`: a resource that belongs to one app.
    Resource,
    /// `{resource}`: a resource of the whole rack.
    RackResource,
    /// `{instance}`.
    Instance,
    /// `{certificate}`.
    Certificate,
    /// `{server}`.
    Registry,
    /// `{host}`, `{port}`.
    Tunnel,
    /// `{user}`: a person who may use the gateway.
    User,
    /// `{user}`, `{role}`: that a person holds a role.
    UserRole,
    /// `{token}`: an API token.
    ApiToken,
    /// `{token}`, `{role}`: that an API token holds a role.
    ApiTokenRole,
    /// `{setting}` of the gateway.
    Setting,
    /// The gateway's record of what happened; the id is that of the rack.
    AuditLog,
    /// `{app}`, `{key}`: one variable of an app's environment.
    EnvVar,
    /// `{app}`, `{approval}`: a request to deploy a commit of an app.
    DeployApproval,
    /// `{app}`, `{setting}`: a setting of one app.
    AppSetting,
}

impl Resource {
    /// Name of the entity type in `schema/`.
    #[must_use]
    pub const fn entity_type(self) -> &'static str {
        match self {
            Self::Rack => "Rack",
            Self::App => "App",
            Self::Build => "Build",
            Self::Release => "Release",
            Self::Process => "Process",
            Self::Service => "Service",
            Self::Object => "Object",
            Self::Config => "Config",
            Self::Resource => "Resource",
            Self::RackResource => "RackResource",
            Self::Instance => "Instance",
            Self::Certificate => "Certificate",
            Self::Registry => "Registry",
            Self::Tunnel => "Tunnel",
            Self::User => "User",
            Self::UserRole => "UserRole",
            Self::ApiToken => "ApiToken",
            Self::ApiTokenRole => "ApiTokenRole",
            Self::Setting => "Setting",
            Self::AuditLog => "AuditLog",
            Self::EnvVar => "EnvVar",
            Self::DeployApproval => "DeployApproval",
            Self::AppSetting => "AppSetting",
        }
    }

    /// Path parameters that make up the entity id.
    #[must_use]
    pub const fn params(self) -> &'static [Param] {
        use Param as P;
        match self {
            Self::Rack | Self::AuditLog => &[],
            Self::App => &[P("app")],
            Self::Build => &[P("app"), P("build")],
            Self::Release => &[P("app"), P("release")],
            Self::Process => &[P("app"), P("process")],
            Self::Service => &[P("app"), P("service")],
            Self::Object => &[P("app"), P("key")],
            Self::Config => &[P("app"), P("config")],
            Self::Resource => &[P("app"), P("resource")],
            Self::RackResource => &[P("resource")],
            Self::Instance => &[P("instance")],
            Self::Certificate => &[P("certificate")],
            Self::Registry => &[P("server")],
            Self::Tunnel => &[P("host"), P("port")],
            Self::User => &[P("user")],
            Self::UserRole => &[P("user"), P("role")],
            Self::ApiToken => &[P("token")],
            Self::ApiTokenRole => &[P("token"), P("role")],
            Self::Setting => &[P("setting")],
            Self::EnvVar => &[P("app"), P("key")],
            Self::DeployApproval => &[P("app"), P("approval")],
            Self::AppSetting => &[P("app"), P("setting")],
        }
    }
}

/// Name of a path parameter, as written between braces in the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Param(pub &'static str);

/// What the body of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// No body at all.
    None,
    /// `application/x-www-form-urlencoded` with these keys only, read up to `max` bytes and
    /// written again from what was read.
    Form {
        /// Allowed keys.
        keys: &'static [&'static str],
        /// Most bytes that are read.
        max: usize,
    },
    /// Any bytes up to `max`, read before they are forwarded.
    Inspect {
        /// Most bytes that are read.
        max: usize,
    },
    /// Any bytes, streamed; never held in memory.
    Stream,
    /// `application/json` for the gateway itself, read up to `max` bytes; looked at only when policy
    /// has decided.
    Json {
        /// Most bytes that are read.
        max: usize,
    },
}

/// Facts that a row yields for the Cedar context beyond those of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facts {
    /// Nothing beyond principal, action, resource and the request's own context.
    None,
    /// `context.exec`: command, image and the like, from the request's option headers.
    Exec,
}

/// What a row does in a deploy: which part of an approval it uses, and what that part is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Uploads source code: one object for each approval.
    Upload,
    /// Builds the uploaded object, of the approved commit.
    Build,
    /// Reads the build that came of it, or its log.
    ReadBuild,
    /// Makes a release of that build.
    Release,
    /// Reads the release that came of it.
    ReadRelease,
    /// Makes that release the running one, once.
    Promote,
    /// Starts a process of that release.
    Start,
    /// Works in, looks at or stops a process that was so started.
    Process,
}

/// What of an answer shows a secret, and so is masked for those who may not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Redactor {
    /// One release, or a list: the environment.
    Release,
    /// One resource of an app, or a list: the credentials in its URL, its parameters.
    Resource,
}

/// The wire contract of a row: all that a request may carry to the rack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Allowed query keys.
    pub query: &'static [&'static str],
    /// Allowed option headers (lower case), beyond those that every request may carry.
    pub headers: &'static [&'static str],
    /// Allowed body.
    pub body: Body,
    /// Facts for the Cedar context.
    pub facts: Facts,
    /// Form key that may name a stored object, and how the object's key must begin. The rack
    /// fetches `object://APP/KEY` from the app that the URL names, whatever app the path names.
    pub object: Option<(&'static str, &'static str)>,
    /// What it does in a deploy.
    pub step: Option<Step>,
    /// What of the answer is masked.
    pub redact: Option<Redactor>,
}

/// Who answers a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The rack, through the gateway.
    Rack,
    /// The gateway itself: the console protocol of the `convox` CLI, the management API, pages.
    Gateway,
}

/// One line of the route table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Method, or socket.
    pub kind: Kind,
    /// Path template: `/apps/{app}/objects/{key...}`; `{x...}` takes the rest of the path,
    /// slashes included, and can only be last.
    pub path: &'static str,
    /// Cedar action id, `noun:verb`; exactly one row has it.
    pub action: &'static str,
    /// Cedar resource.
    pub resource: Resource,
    /// Action groups in the schema.
    pub groups: &'static [&'static str],
    /// What the request may carry.
    pub contract: Contract,
    /// Who answers.
    pub serves: Serves,
}

/// Most bytes of a form body: the longest is a release's whole environment.
const FORM_MAX: usize = 4 << 20;

impl Row {
    /// A row without parameters beyond its path.
    pub(super) const fn new(
        kind: Kind,
        path: &'static str,
        action: &'static str,
        resource: Resource,
        groups: &'static [&'static str],
    ) -> Self {
        let contract = Contract {
            query: &[],
            headers: &[],
            body: Body::None,
            facts: Facts::None,
            object: None,
            step: None,
            redact: None,
        };
        Self { kind, path, action, resource, groups, contract, serves: Serves::Rack }
    }

    pub(super) const fn query(mut self, keys: &'static [&'static str]) -> Self {
        self.contract.query = keys;
        self
    }

    pub(super) const fn headers(mut self, names: &'static [&'static str]) -> Self {
        self.contract.headers = names;
        self
    }

    pub(super) const fn form(mut self, keys: &'static [&'static str]) -> Self {
        self.contract.body = Body::Form { keys, max: FORM_MAX };
        self
    }

    pub(super) const fn stream(mut self) -> Self {
        self.contract.body = Body::Stream;
        self
    }

    pub(super) const fn inspect(mut self, max: usize) -> Self {
        self.contract.body = Body::Inspect { max };
        self
    }

    pub(super) const fn json(mut self, max: usize) -> Self {
        self.contract.body = Body::Json { max };
        self
    }

    pub(super) const fn facts(mut self, facts: Facts) -> Self {
        self.contract.facts = facts;
        self
    }

    pub(super) const fn object(mut self, key: &'static str, prefix: &'static str) -> Self {
        self.contract.object = Some((key, prefix));
        self
    }

    pub(super) const fn step(mut self, step: Step) -> Self {
        self.contract.step = Some(step);
        self
    }

    pub(super) const fn redact(mut self, redactor: Redactor) -> Self {
        self.contract.redact = Some(redactor);
        self
    }

    pub(super) const fn by_gateway(mut self) -> Self {
        self.serves = Serves::Gateway;
        self
    }
}
