//! The settings of the gateway as a whole, for `/api/v1/settings`.

use super::limits::{AMBER, RED, REFUSE};
use super::setting::{Initial, Setting, SettingKind};

/// Whether apps may be deleted.
pub(super) const DESTRUCTION: &str = "allow_destructive_actions";
/// Whether there are deploy approvals.
pub(super) const APPROVALS: &str = "deploy_approvals_enabled";
/// How long a grant lasts.
pub(super) const WINDOW: &str = "deploy_approval_window_minutes";
/// How long a request waits.
pub(super) const PENDING: &str = "deploy_approval_pending_hours";
/// Further variables that are secret.
pub(super) const SECRETS: &str = "secret_env_vars";

const fn number(
    name: &'static str,
    variable: &'static str,
    (min, default, max): (u64, u64, u64),
    description: &'static str,
) -> Setting {
    Setting { name, variable, kind: SettingKind::Integer { min, max }, default: Initial::Number(default), description }
}

/// All of them, by name.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: DESTRUCTION,
        variable: "RGW_SETTING_ALLOW_DESTRUCTIVE_ACTIONS",
        kind: SettingKind::Boolean,
        default: Initial::Is(false),
        description: "Whether apps may be deleted, by whom policy lets",
    },
    number(
        "api_token_max_days",
        "RGW_SETTING_API_TOKEN_MAX_DAYS",
        (1, 365, 3650),
        "The longest life of an API token, in days",
    ),
    number(
        AMBER,
        "RGW_SETTING_AUDIT_AMBER_MINUTES",
        (1, 5, 1440),
        "An alarm is raised when the oldest record without an anchor is so many minutes old",
    ),
    number(
        RED,
        "RGW_SETTING_AUDIT_RED_MINUTES",
        (1, 15, 1440),
        "A louder alarm is raised when the oldest record without an anchor is so many minutes old",
    ),
    number(
        REFUSE,
        "RGW_SETTING_AUDIT_REFUSE_MINUTES",
        (0, 60, 10080),
        "Destruction and administration are refused when the oldest record without an anchor is so many minutes old; \
         0 for never",
    ),
    number(
        "cli_session_idle_days",
        "RGW_SETTING_CLI_SESSION_IDLE_DAYS",
        (1, 7, 90),
        "A CLI's session ends after so many days without use",
    ),
    number(
        "cli_session_max_days",
        "RGW_SETTING_CLI_SESSION_MAX_DAYS",
        (1, 30, 365),
        "A CLI's session, and a token for the CLI, ends after so many days in any case",
    ),
    Setting {
        name: "default_roles",
        variable: "RGW_SETTING_DEFAULT_ROLES",
        kind: SettingKind::Roles,
        default: Initial::Nothing,
        description: "Roles of people who come without being invited, where user_creation lets them",
    },
    number(
        PENDING,
        "RGW_SETTING_DEPLOY_APPROVAL_PENDING_HOURS",
        (1, 24, 720),
        "A request to deploy that nobody has approved expires after so many hours",
    ),
    number(
        WINDOW,
        "RGW_SETTING_DEPLOY_APPROVAL_WINDOW_MINUTES",
        (1, 15, 1440),
        "An approved request to deploy must be used within so many minutes of its approval",
    ),
    Setting {
        name: APPROVALS,
        variable: "RGW_SETTING_DEPLOY_APPROVALS_ENABLED",
        kind: SettingKind::Boolean,
        default: Initial::Is(true),
        description: "Whether there are deploy approvals; where not, nobody gets one, and what needs one is refused",
    },
    Setting {
        name: "mfa_require_all_users",
        variable: "RGW_SETTING_MFA_REQUIRE_ALL_USERS",
        kind: SettingKind::Boolean,
        default: Initial::Is(true),
        description: "Whether a person who has no second factor must enrol one before anything else",
    },
    number(
        "mfa_trusted_device_days",
        "RGW_SETTING_MFA_TRUSTED_DEVICE_DAYS",
        (0, 30, 90),
        "For how many days a browser may spare its person the second factor at sign-in; 0 for never",
    ),
    Setting {
        name: SECRETS,
        variable: "RGW_SETTING_SECRET_ENV_VARS",
        kind: SettingKind::Names { patterns: true },
        default: Initial::Nothing,
        description: "Variables that are secret in every app though their names do not say so; `*` stands for any \
                      characters",
    },
    number(
        "session_max_hours",
        "RGW_SETTING_SESSION_MAX_HOURS",
        (1, 12, 168),
        "A browser's session ends after so many hours in any case",
    ),
    number(
        "session_timeout_minutes",
        "RGW_SETTING_SESSION_TIMEOUT_MINUTES",
        (5, 30, 1440),
        "A browser's session ends after so many minutes without use",
    ),
    number(
        "token_overlap_max_hours",
        "RGW_SETTING_TOKEN_OVERLAP_MAX_HOURS",
        (0, 168, 720),
        "How many hours a rotated API token's old secret may go on working",
    ),
    Setting {
        name: "user_creation",
        variable: "RGW_SETTING_USER_CREATION",
        kind: SettingKind::Choice(&["invited", "groups", "domain"]),
        default: Initial::Word("invited"),
        description: "Who becomes known at sign-in: nobody new, whoever is in a group that gives a role, or everybody \
                      whom the identity provider lets in",
    },
    number(
        "workload_token_minutes",
        "RGW_SETTING_WORKLOAD_TOKEN_MINUTES",
        (5, 15, 60),
        "The life of a CI run's token, in minutes",
    ),
];
