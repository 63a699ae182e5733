//! What the operator may set: read once, typed, all problems reported together.
//!
//! The environment is read through [`Env`], so that tests pass a map. Nothing else in the program
//! reads a variable.

mod anchor;
mod app_settings;
mod catalog;
mod env;
mod global;
mod limits;
mod policy_dir;
mod setting;
mod settings;
mod sign_in;
mod site;
mod workload;
mod yubico;

pub use anchor::{AnchorKey, AnchorPlace, AnchorSettings};
pub use app_settings::{APP_SETTINGS, AppSettings, DeploySettings, is_app_name};
pub use catalog::Catalog;
pub use env::{Env, Process};
pub use global::SETTINGS;
pub use limits::AnchorLimits;
pub use policy_dir::{PolicyDirError, read_policy_dir};
pub use setting::{Setting, SettingKind, SettingOrigin};
pub use settings::{Config, ConfigErrors, Pin, RackSettings, Trust, is_email};
pub use sign_in::{GOOGLE_ISSUER, ProviderHttp, SignInSettings, is_loopback, provider_url};
pub use site::Site;
pub use workload::{FactClaims, Pattern, WorkloadIssuer, WorkloadSettings};
pub use yubico::YubicoSettings;

#[cfg(test)]
mod provider_tests;
#[cfg(test)]
mod tests;
