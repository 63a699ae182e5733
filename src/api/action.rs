//! The actions of the gateway's own rows as types: a handler names the one it may be reached by.

/// An action of the route table.
pub trait Action: 'static {
    /// Its id, `noun:verb`.
    const NAME: &'static str;
}

macro_rules! actions {
    ($($type:ident = $name:literal,)+) => {$(
        #[doc = concat!("`", $name, "`")]
        #[derive(Clone, Copy, Debug)]
        pub struct $type;

        impl Action for $type {
            const NAME: &'static str = $name;
        }
    )+};
}

actions! {
    ConsoleLogin = "console:login",
    ConsoleRackList = "console-rack:list",
    ConsoleRackRead = "console-rack:read",
    ConsoleMachineList = "console-machine:list",
    PageAccount = "page:account",
    PageCliLogin = "page:cli-login",
    PageCliToken = "page:cli-token",
    PageFactors = "page:factors",
    PageChallenge = "page:challenge",
    PageCliChallenge = "page:cli-challenge",
    ChallengeRead = "challenge:read",
    ChallengeBegin = "challenge:begin",
    ChallengeAnswer = "challenge:answer",
    CliChallengeBegin = "cli-challenge:begin",
    CliChallengeComplete = "cli-challenge:complete",
    FactorList = "factor:list",
    FactorCreate = "factor:create",
    FactorConfirm = "factor:confirm",
    FactorUpdate = "factor:update",
    FactorDelete = "factor:delete",
    FactorReset = "factor:reset",
    FactorPrefer = "factor:prefer",
    BackupCodeGenerate = "backup-code:generate",
    TrustedDeviceList = "trusted-device:list",
    TrustedDeviceRevoke = "trusted-device:revoke",
    AccountRead = "account:read",
    ApiDescribe = "api:describe",
    SessionEnd = "session:end",
    CliLoginConfirm = "cli-login:confirm",
    UserList = "user:list",
    UserCreate = "user:create",
    UserRead = "user:read",
    UserUpdate = "user:update",
    UserDelete = "user:delete",
    UserLock = "user:lock",
    UserUnlock = "user:unlock",
    UserRoleGrant = "user-role:grant",
    UserRoleRevoke = "user-role:revoke",
    SessionList = "session:list",
    SessionRevokeAll = "session:revoke-all",
    SessionRevoke = "session:revoke",
    CliTokenCreate = "cli-token:create",
    ApiTokenList = "api-token:list",
    ApiTokenCreate = "api-token:create",
    ApiTokenRead = "api-token:read",
    ApiTokenUpdate = "api-token:update",
    ApiTokenRevoke = "api-token:revoke",
    ApiTokenRotate = "api-token:rotate",
    ApiTokenRoleGrant = "api-token-role:grant",
    ApiTokenRoleRevoke = "api-token-role:revoke",
    DeployApprovalList = "deploy-approval:list",
    DeployApprovalCreate = "deploy-approval:create",
    DeployApprovalRead = "deploy-approval:read",
    DeployApprovalWait = "deploy-approval:wait",
    DeployApprovalApprove = "deploy-approval:approve",
    DeployApprovalReject = "deploy-approval:reject",
    DeployApprovalExtend = "deploy-approval:extend",
    DeployApprovalRevoke = "deploy-approval:revoke",
    AuditSearch = "audit:search",
    AuditRead = "audit:read",
    AuditProve = "audit:prove",
    AuditCheckpoint = "audit:checkpoint",
    AuditConsistency = "audit:consistency",
    AuditExport = "audit:export",
    RoleList = "role:list",
    PolicyRead = "policy:read",
    SettingList = "setting:list",
    SettingUpdate = "setting:update",
    SettingReset = "setting:reset",
    AppSettingList = "app-setting:list",
    AppSettingUpdate = "app-setting:update",
    AppSettingReset = "app-setting:reset",
}
