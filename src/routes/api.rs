//! The gateway's own rows under `/api/v1` and `/app`: the management API and the pages behind
//! sign-in. Each has exactly one handler, which nothing reaches but a decision.

use super::row::{Kind, Resource as R, Row};

/// Most bytes of a JSON body.
const JSON_MAX: usize = 64 << 10;
/// Header of a change that must not overwrite another (RFC 9110 §13.1.1).
const IF_MATCH: &[&str] = &["if-match"];
/// Where a list goes on, and how much of it is wanted.
const PAGE: &[&str] = &["cursor", "limit"];

const ACCOUNT: &[&str] = &["account"];
const CONFIRM: &[&str] = &["account", "credential-create"];
const READ: &[&str] = &["identity-read"];
const READ_OR_OWN: &[&str] = &["identity-read", "own-account"];
const ADMIN: &[&str] = &["identity-admin"];
const ADMIN_OR_OWN: &[&str] = &["identity-admin", "own-account"];

const AUDIT: &[&str] = &["audit-read"];
/// What a search of the log asks for.
const SEARCH: &[&str] =
    &["actor", "action", "resource", "decision", "kind", "policy", "request", "from", "to", "q", "cursor", "limit"];
/// What an export holds, and in which form.
const EXPORT: &[&str] = &[
    "format", "private", "first", "last", "actor", "action", "resource", "decision", "kind", "policy", "request",
    "from", "to", "q",
];

const BEFORE: &[&str] = &["before-factor"];
const ACCOUNT_BEFORE: &[&str] = &["account", "before-factor"];
const FACTORS: &[&str] = &["own-factors"];

const APPROVALS: &[&str] = &["approval-read"];
const APPROVE: &[&str] = &["approve"];
/// Which requests to deploy a list shows.
const REQUESTS: &[&str] = &["state", "app", "commit", "cursor", "limit"];
const SETTINGS: &[&str] = &["settings-admin"];

const CLI_TOKEN: &[&str] = &["own-account", "credential-create"];
const API_TOKEN: &[&str] = &["identity-admin", "credential-create"];

/// A row about one request to deploy.
const fn approval(kind: Kind, path: &'static str, action: &'static str, groups: &'static [&'static str]) -> Row {
    Row::new(kind, path, action, R::DeployApproval, groups).by_gateway()
}

/// The rows, by path.
pub static API: &[Row] = &[
    // Whoever is signed in.
    Row::new(Kind::Get, "/app", "page:account", R::Rack, ACCOUNT).by_gateway(),
    Row::new(Kind::Get, "/app/cli", "page:cli-login", R::Rack, ACCOUNT).by_gateway().query(&["code"]),
    Row::new(Kind::Get, "/app/cli-token", "page:cli-token", R::Rack, ACCOUNT).by_gateway(),
    Row::new(Kind::Get, "/api/v1/whoami", "account:read", R::Rack, ACCOUNT_BEFORE).by_gateway().query(&["app"]),
    Row::new(Kind::Get, "/api/v1/openapi.json", "api:describe", R::Rack, ACCOUNT).by_gateway(),
    Row::new(Kind::Post, "/api/v1/auth/logout", "session:end", R::Rack, ACCOUNT_BEFORE).by_gateway(),
    Row::new(Kind::Post, "/api/v1/auth/cli/confirm", "cli-login:confirm", R::Rack, CONFIRM).by_gateway().json(JSON_MAX),
    // Second factors: what a session may do that has not shown one.
    Row::new(Kind::Get, "/app/factors", "page:factors", R::Rack, BEFORE).by_gateway().query(&["return_to"]),
    Row::new(Kind::Get, "/app/c/{code}", "page:challenge", R::Rack, BEFORE).by_gateway(),
    Row::new(Kind::Get, "/api/v1/challenges/{challenge}", "challenge:read", R::Rack, BEFORE).by_gateway(),
    Row::new(Kind::Post, "/api/v1/challenges/{challenge}/webauthn", "challenge:begin", R::Rack, BEFORE).by_gateway(),
    Row::new(Kind::Post, "/api/v1/challenges/{challenge}/answer", "challenge:answer", R::Rack, BEFORE)
        .by_gateway()
        .json(JSON_MAX),
    // The second factors of a person.
    Row::new(Kind::Get, "/api/v1/users/{user}/factors", "factor:list", R::User, READ_OR_OWN).by_gateway(),
    Row::new(Kind::Post, "/api/v1/users/{user}/factors", "factor:create", R::User, FACTORS).by_gateway().json(JSON_MAX),
    Row::new(Kind::Post, "/api/v1/users/{user}/factors/{factor}/confirm", "factor:confirm", R::User, FACTORS)
        .by_gateway()
        .json(JSON_MAX),
    Row::new(Kind::Put, "/api/v1/users/{user}/factors/{factor}", "factor:update", R::User, FACTORS)
        .by_gateway()
        .json(JSON_MAX),
    Row::new(Kind::Delete, "/api/v1/users/{user}/factors/{factor}", "factor:delete", R::User, FACTORS).by_gateway(),
    Row::new(Kind::Delete, "/api/v1/users/{user}/factors", "factor:reset", R::User, ADMIN).by_gateway(),
    Row::new(Kind::Put, "/api/v1/users/{user}/preferred-factor", "factor:prefer", R::User, FACTORS)
        .by_gateway()
        .json(JSON_MAX),
    Row::new(Kind::Post, "/api/v1/users/{user}/backup-codes", "backup-code:generate", R::User, FACTORS).by_gateway(),
    Row::new(Kind::Get, "/api/v1/users/{user}/trusted-devices", "trusted-device:list", R::User, READ_OR_OWN)
        .by_gateway(),
    Row::new(
        Kind::Delete,
        "/api/v1/users/{user}/trusted-devices/{device}",
        "trusted-device:revoke",
        R::User,
        ADMIN_OR_OWN,
    )
    .by_gateway(),
    // People.
    Row::new(Kind::Get, "/api/v1/users", "user:list", R::Rack, READ).by_gateway().query(PAGE),
    Row::new(Kind::Post, "/api/v1/users", "user:create", R::Rack, ADMIN).by_gateway().json(JSON_MAX),
    Row::new(Kind::Get, "/api/v1/users/{user}", "user:read", R::User, READ_OR_OWN).by_gateway(),
    Row::new(Kind::Put, "/api/v1/users/{user}", "user:update", R::User, ADMIN)
        .by_gateway()
        .json(JSON_MAX)
        .headers(IF_MATCH),
    Row::new(Kind::Delete, "/api/v1/users/{user}", "user:delete", R::User, ADMIN).by_gateway(),
    Row::new(Kind::Post, "/api/v1/users/{user}/lock", "user:lock", R::User, ADMIN).by_gateway().json(JSON_MAX),
    Row::new(Kind::Post, "/api/v1/users/{user}/unlock", "user:unlock", R::User, ADMIN).by_gateway(),
    Row::new(Kind::Put, "/api/v1/users/{user}/roles/{role}", "user-role:grant", R::UserRole, ADMIN).by_gateway(),
    Row::new(Kind::Delete, "/api/v1/users/{user}/roles/{role}", "user-role:revoke", R::UserRole, ADMIN).by_gateway(),
    Row::new(Kind::Get, "/api/v1/users/{user}/sessions", "session:list", R::User, READ_OR_OWN).by_gateway().query(PAGE),
    Row::new(Kind::Delete, "/api/v1/users/{user}/sessions", "session:revoke-all", R::User, ADMIN_OR_OWN).by_gateway(),
    Row::new(Kind::Delete, "/api/v1/users/{user}/sessions/{session}", "session:revoke", R::User, ADMIN_OR_OWN)
        .by_gateway(),
    Row::new(Kind::Post, "/api/v1/users/{user}/cli-tokens", "cli-token:create", R::User, CLI_TOKEN)
        .by_gateway()
        .json(JSON_MAX),
    // Machines.
    Row::new(Kind::Get, "/api/v1/api-tokens", "api-token:list", R::Rack, READ).by_gateway().query(PAGE),
    Row::new(Kind::Post, "/api/v1/api-tokens", "api-token:create", R::Rack, API_TOKEN).by_gateway().json(JSON_MAX),
    Row::new(Kind::Get, "/api/v1/api-tokens/{token}", "api-token:read", R::ApiToken, READ).by_gateway(),
    Row::new(Kind::Put, "/api/v1/api-tokens/{token}", "api-token:update", R::ApiToken, ADMIN)
        .by_gateway()
        .json(JSON_MAX)
        .headers(IF_MATCH),
    Row::new(Kind::Delete, "/api/v1/api-tokens/{token}", "api-token:revoke", R::ApiToken, ADMIN).by_gateway(),
    Row::new(Kind::Post, "/api/v1/api-tokens/{token}/rotate", "api-token:rotate", R::ApiToken, API_TOKEN)
        .by_gateway()
        .json(JSON_MAX)
        .headers(IF_MATCH),
    Row::new(Kind::Put, "/api/v1/api-tokens/{token}/roles/{role}", "api-token-role:grant", R::ApiTokenRole, ADMIN)
        .by_gateway(),
    Row::new(Kind::Delete, "/api/v1/api-tokens/{token}/roles/{role}", "api-token-role:revoke", R::ApiTokenRole, ADMIN)
        .by_gateway(),
    // Requests to deploy.
    Row::new(Kind::Get, "/api/v1/deploy-approvals", "deploy-approval:list", R::Rack, APPROVALS)
        .by_gateway()
        .query(REQUESTS),
    Row::new(
        Kind::Post,
        "/api/v1/apps/{app}/deploy-approvals",
        "deploy-approval:create",
        R::App,
        &["approval-request"],
    )
    .by_gateway()
    .json(JSON_MAX),
    approval(Kind::Get, "/api/v1/apps/{app}/deploy-approvals/{approval}", "deploy-approval:read", APPROVALS),
    approval(Kind::Get, "/api/v1/apps/{app}/deploy-approvals/{approval}/wait", "deploy-approval:wait", APPROVALS)
        .query(&["timeout"]),
    approval(Kind::Post, "/api/v1/apps/{app}/deploy-approvals/{approval}/approve", "deploy-approval:approve", APPROVE)
        .json(JSON_MAX),
    approval(Kind::Post, "/api/v1/apps/{app}/deploy-approvals/{approval}/reject", "deploy-approval:reject", APPROVE)
        .json(JSON_MAX),
    approval(Kind::Post, "/api/v1/apps/{app}/deploy-approvals/{approval}/extend", "deploy-approval:extend", APPROVE),
    approval(Kind::Post, "/api/v1/apps/{app}/deploy-approvals/{approval}/revoke", "deploy-approval:revoke", APPROVE)
        .json(JSON_MAX),
    // The log of what happened.
    Row::new(Kind::Get, "/api/v1/audit/records", "audit:search", R::AuditLog, AUDIT).by_gateway().query(SEARCH),
    Row::new(Kind::Get, "/api/v1/audit/records/{seq}", "audit:read", R::AuditLog, AUDIT).by_gateway(),
    Row::new(Kind::Get, "/api/v1/audit/records/{seq}/proof", "audit:prove", R::AuditLog, AUDIT).by_gateway(),
    Row::new(Kind::Get, "/api/v1/audit/checkpoint", "audit:checkpoint", R::AuditLog, AUDIT)
        .by_gateway()
        .query(&["epoch", "number"]),
    Row::new(Kind::Get, "/api/v1/audit/consistency", "audit:consistency", R::AuditLog, AUDIT)
        .by_gateway()
        .query(&["old", "new"]),
    Row::new(Kind::Get, "/api/v1/audit/export", "audit:export", R::AuditLog, AUDIT).by_gateway().query(EXPORT),
    // The gateway itself.
    Row::new(Kind::Get, "/api/v1/roles", "role:list", R::Rack, READ).by_gateway(),
    Row::new(Kind::Get, "/api/v1/policy", "policy:read", R::Rack, &["policy-read"]).by_gateway(),
    Row::new(Kind::Get, "/api/v1/settings", "setting:list", R::Rack, &["settings-read"]).by_gateway(),
    Row::new(Kind::Put, "/api/v1/settings/{setting}", "setting:update", R::Setting, &["settings-admin"])
        .by_gateway()
        .json(JSON_MAX)
        .headers(IF_MATCH),
    Row::new(Kind::Delete, "/api/v1/settings/{setting}", "setting:reset", R::Setting, &["settings-admin"])
        .by_gateway()
        .headers(IF_MATCH),
    // What is set for one app.
    Row::new(Kind::Get, "/api/v1/apps/{app}/settings", "app-setting:list", R::App, &["settings-read"]).by_gateway(),
    Row::new(Kind::Put, "/api/v1/apps/{app}/settings/{setting}", "app-setting:update", R::AppSetting, SETTINGS)
        .by_gateway()
        .json(JSON_MAX)
        .headers(IF_MATCH),
    Row::new(Kind::Delete, "/api/v1/apps/{app}/settings/{setting}", "app-setting:reset", R::AppSetting, SETTINGS)
        .by_gateway()
        .headers(IF_MATCH),
];

const SIGN_IN_GROUP: &[&str] = &["sign-in"];

/// Rows on which policy decides once the request itself has proved who asks: the ends of the ways
/// to sign in. They stand on the public list too, since nobody is known when they begin.
pub static SIGN_IN: &[Row] = &[
    Row::new(Kind::Get, "/api/v1/auth/web/callback", "session:create", R::Rack, SIGN_IN_GROUP).by_gateway(),
    Row::new(Kind::Post, "/api/v1/auth/cli/complete", "cli-session:create", R::Rack, SIGN_IN_GROUP).by_gateway(),
    Row::new(Kind::Post, "/api/v1/auth/token", "workload-token:create", R::Rack, SIGN_IN_GROUP).by_gateway(),
];

/// An endpoint that answers without knowing who asks.
#[derive(Clone, Copy, Debug)]
pub struct Public {
    /// Method.
    pub kind: Kind,
    /// Path, without parameters but for a last one.
    pub path: &'static str,
    /// Why it must be public.
    pub why: &'static str,
}

const fn public(kind: Kind, path: &'static str, why: &'static str) -> Public {
    Public { kind, path, why }
}

/// All of them. The list may only shrink.
pub static PUBLIC: &[Public] = &[
    public(Kind::Get, "/api/v1/health", "a load balancer has no credential"),
    public(Kind::Get, "/api/v1/ready", "a load balancer has no credential"),
    public(Kind::Get, "/app/login", "the page with the button to sign in"),
    public(Kind::Get, "/app/assets/{file}", "its stylesheet and scripts"),
    public(Kind::Get, "/api/v1/auth/web/login", "goes to the identity provider"),
    public(Kind::Get, "/api/v1/auth/web/callback", "comes back from it; policy decides on session:create"),
    public(Kind::Get, "/api/v1/auth/cli/callback", "the same, on the way to confirm a CLI"),
    public(Kind::Post, "/api/v1/auth/cli/start", "a CLI asks for a code to show"),
    public(Kind::Post, "/api/v1/auth/cli/complete", "it asks for its session; policy decides on cli-session:create"),
    public(Kind::Post, "/api/v1/auth/token", "a CI run shows its identity; policy decides on workload-token:create"),
];
