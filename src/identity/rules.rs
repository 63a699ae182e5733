//! How long sessions and tokens last, and who may come.

use std::time::Duration;

/// Who becomes a person that the gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCreation {
    /// Only whom an administrator has added.
    Invited,
    /// Also whoever is in a group of the identity provider that gives a role.
    Groups,
    /// Also whoever the identity provider lets in, with the default roles.
    Domain,
}

/// The settings that sign-in reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A browser's session ends after so long without use.
    pub web_idle: Duration,
    /// And after so long in any case.
    pub web_max: Duration,
    /// A CLI's session ends after so long without use.
    pub cli_idle: Duration,
    /// And after so long in any case.
    pub cli_max: Duration,
    /// The longest life of an API token.
    pub api_token_max: Duration,
    /// The longest time for which an API token's old secret goes on working.
    pub overlap_max: Duration,
    /// The life of a CI run's token.
    pub workload_max: Duration,
    /// Who becomes a person that the gateway knows.
    pub user_creation: UserCreation,
    /// What such a person holds.
    pub default_roles: Vec<String>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Default for Rules {
    fn default() -> Self {
        Self {
            web_idle: Duration::from_secs(30 * MINUTE),
            web_max: Duration::from_secs(12 * HOUR),
            cli_idle: Duration::from_secs(7 * DAY),
            cli_max: Duration::from_secs(30 * DAY),
            api_token_max: Duration::from_secs(365 * DAY),
            overlap_max: Duration::from_secs(7 * DAY),
            workload_max: Duration::from_secs(15 * MINUTE),
            user_creation: UserCreation::Invited,
            default_roles: Vec::new(),
        }
    }
}
