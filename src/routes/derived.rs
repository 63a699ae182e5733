//! Actions that no route has: policy is asked for them when a request turns out to need them, such as
//! for each variable of an environment that a release changes.

use super::row::{Kind, Resource as R, Row};

/// In place of a path: no request can name one of these.
pub(super) const NO_PATH: &str = "";

const fn derived(action: &'static str, resource: R, groups: &'static [&'static str]) -> Row {
    Row::new(Kind::Get, NO_PATH, action, resource, groups).by_gateway()
}

/// All of them, by action.
pub static DERIVED: &[Row] = &[
    derived("env:read", R::EnvVar, &["env-read"]),
    derived("env:set", R::EnvVar, &["deploy"]),
    derived("secret:read", R::EnvVar, &["secret-read"]),
    derived("secret:set", R::EnvVar, &["secret-write"]),
    derived("app-credential:read", R::App, &["secret-read"]),
    derived("rack-credential:read", R::Rack, &["secret-read"]),
    derived("deploy-approval:grant", R::DeployApproval, &["approve"]),
];

impl Row {
    /// Whether no request can name it.
    #[must_use]
    pub const fn is_derived(&self) -> bool {
        self.path.is_empty()
    }
}
