//! The gateway's own API: what it answers itself once policy has allowed it.
//!
//! A handler takes a [`Call`] of its action, and only [`guarded`] mounts one, so that no handler
//! runs without a decision on exactly its action. The body is parsed by the handler: policy has
//! spoken by then.

mod account;
pub mod action;
mod app_settings;
mod approvals;
mod audit;
mod call;
mod challenges;
mod cli_challenge;
mod console;
mod cookie;
mod devices;
mod endpoint;
mod factor_page;
mod factors;
mod limit;
pub mod openapi;
mod page;
mod parts;
mod policy;
mod problem;
pub mod public;
mod public_docs;
mod reply;
pub mod return_to;
mod services;
mod sessions;
mod settings;
mod sign_in;
mod tokens;
mod users;

pub use call::Call;
pub use endpoint::{Answer, Endpoint, Endpoints, guarded};
pub use problem::Problem;
pub use reply::{Broken, Content, Download, Reply};
pub use services::Services;

/// Every endpoint that needs no decision to begin with. Health and readiness are `http`'s own.
#[must_use]
pub fn doors() -> public::Doors {
    public::Doors::default()
        .with("/app/login", page::login)
        .with("/app/assets/{file}", page::asset)
        .with("/api/v1/auth/web/login", sign_in::login)
        .with("/api/v1/auth/web/callback", sign_in::web_callback)
        .with("/api/v1/auth/cli/callback", sign_in::cli_callback)
        .with("/api/v1/auth/cli/start", sign_in::cli_start)
        .with("/api/v1/auth/cli/complete", sign_in::cli_complete)
        .with("/api/v1/auth/token", sign_in::exchange)
}

/// Every endpoint behind a decision, one for each of the gateway's own rows.
#[must_use]
pub fn endpoints() -> Endpoints {
    Endpoints::new([
        guarded::<action::ConsoleLogin, _, _>(console::login),
        guarded::<action::ConsoleRackList, _, _>(console::racks),
        guarded::<action::ConsoleRackRead, _, _>(console::rack),
        guarded::<action::ConsoleMachineList, _, _>(console::machines),
        guarded::<action::PageAccount, _, _>(page::account),
        guarded::<action::PageCliLogin, _, _>(page::cli_login),
        guarded::<action::PageCliToken, _, _>(page::cli_token),
        guarded::<action::PageFactors, _, _>(factor_page::factors),
        guarded::<action::PageChallenge, _, _>(factor_page::challenge),
        guarded::<action::PageCliChallenge, _, _>(factor_page::cli_challenge),
        guarded::<action::ChallengeRead, _, _>(challenges::read),
        guarded::<action::ChallengeBegin, _, _>(challenges::begin),
        guarded::<action::ChallengeAnswer, _, _>(challenges::answer),
        guarded::<action::CliChallengeBegin, _, _>(cli_challenge::begin),
        guarded::<action::CliChallengeComplete, _, _>(cli_challenge::complete),
        guarded::<action::FactorList, _, _>(factors::list),
        guarded::<action::FactorCreate, _, _>(factors::create),
        guarded::<action::FactorConfirm, _, _>(factors::confirm),
        guarded::<action::FactorUpdate, _, _>(factors::update),
        guarded::<action::FactorDelete, _, _>(factors::delete),
        guarded::<action::FactorReset, _, _>(factors::reset),
        guarded::<action::FactorPrefer, _, _>(factors::prefer),
        guarded::<action::BackupCodeGenerate, _, _>(factors::backup_codes),
        guarded::<action::TrustedDeviceList, _, _>(devices::list),
        guarded::<action::TrustedDeviceRevoke, _, _>(devices::revoke),
        guarded::<action::AccountRead, _, _>(account::whoami),
        guarded::<action::ApiDescribe, _, _>(openapi::describe),
        guarded::<action::UserList, _, _>(users::list),
        guarded::<action::UserCreate, _, _>(users::create),
        guarded::<action::UserRead, _, _>(users::read),
        guarded::<action::UserUpdate, _, _>(users::update),
        guarded::<action::UserDelete, _, _>(users::delete),
        guarded::<action::UserLock, _, _>(users::lock),
        guarded::<action::UserUnlock, _, _>(users::unlock),
        guarded::<action::UserRoleGrant, _, _>(users::grant),
        guarded::<action::UserRoleRevoke, _, _>(users::revoke),
        guarded::<action::SessionList, _, _>(sessions::list),
        guarded::<action::SessionRevokeAll, _, _>(sessions::revoke_all),
        guarded::<action::SessionRevoke, _, _>(sessions::revoke),
        guarded::<action::CliTokenCreate, _, _>(sessions::create_cli_token),
        guarded::<action::ApiTokenList, _, _>(tokens::list),
        guarded::<action::ApiTokenCreate, _, _>(tokens::create),
        guarded::<action::ApiTokenRead, _, _>(tokens::read),
        guarded::<action::ApiTokenUpdate, _, _>(tokens::update),
        guarded::<action::ApiTokenRevoke, _, _>(tokens::revoke),
        guarded::<action::ApiTokenRotate, _, _>(tokens::rotate),
        guarded::<action::ApiTokenRoleGrant, _, _>(tokens::grant),
        guarded::<action::ApiTokenRoleRevoke, _, _>(tokens::take),
        guarded::<action::DeployApprovalList, _, _>(approvals::request::list),
        guarded::<action::DeployApprovalCreate, _, _>(approvals::request::create),
        guarded::<action::DeployApprovalRead, _, _>(approvals::request::read),
        guarded::<action::DeployApprovalWait, _, _>(approvals::wait::wait),
        guarded::<action::DeployApprovalApprove, _, _>(approvals::decide::approve),
        guarded::<action::DeployApprovalReject, _, _>(approvals::decide::reject),
        guarded::<action::DeployApprovalExtend, _, _>(approvals::decide::extend),
        guarded::<action::DeployApprovalRevoke, _, _>(approvals::decide::revoke),
        guarded::<action::AuditSearch, _, _>(audit::search::search),
        guarded::<action::AuditRead, _, _>(audit::search::read),
        guarded::<action::AuditProve, _, _>(audit::proofs::record),
        guarded::<action::AuditCheckpoint, _, _>(audit::proofs::checkpoint),
        guarded::<action::AuditConsistency, _, _>(audit::proofs::consistency),
        guarded::<action::AuditExport, _, _>(audit::export::export),
        guarded::<action::RoleList, _, _>(policy::roles),
        guarded::<action::PolicyRead, _, _>(policy::read),
        guarded::<action::SettingList, _, _>(settings::list),
        guarded::<action::SettingUpdate, _, _>(settings::update),
        guarded::<action::SettingReset, _, _>(settings::reset),
        guarded::<action::AppSettingList, _, _>(app_settings::list),
        guarded::<action::AppSettingUpdate, _, _>(app_settings::update),
        guarded::<action::AppSettingReset, _, _>(app_settings::reset),
        guarded::<action::SessionEnd, _, _>(sign_in::session_end),
        guarded::<action::CliLoginConfirm, _, _>(sign_in::cli_confirm),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::{API, CONSOLE, PUBLIC};

    #[test]
    fn every_row_has_one_handler_and_no_handler_is_without_a_row() {
        let rows: BTreeSet<&str> = CONSOLE.iter().chain(API).map(|row| row.action).collect();
        assert_eq!(endpoints().actions().collect::<BTreeSet<_>>(), rows);
    }

    #[test]
    fn every_public_endpoint_is_on_the_list() {
        let http = ["/api/v1/health", "/api/v1/ready"];
        let listed: BTreeSet<&str> = PUBLIC.iter().map(|one| one.path).filter(|path| !http.contains(path)).collect();
        assert_eq!(doors().paths().collect::<BTreeSet<_>>(), listed);
    }
}
