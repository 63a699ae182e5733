//! Who is calling, and how sure we are.

mod arrival;
mod assurance;
mod bootstrap;
mod claims;
mod code;
mod credential;
mod identify;
mod issue;
mod known;
mod oidc;
mod rescue;
mod rules;
mod token;
mod workload;

pub use arrival::{Arrival, Origin};
pub use assurance::Assurance;
pub use bootstrap::{ADMIN_ROLE, Bootstrap};
pub use claims::Workload;
pub use code::user_code;
pub use credential::{CredentialError, Presented, SESSION_COOKIE, Transport};
pub use identify::{CredentialRef, IdentifyError, Identity, PrincipalType};
pub use issue::{ApiTokenRequest, IssueError, Issued, Issuer};
pub use known::{Callers, Known};
pub(crate) use oidc::Http;
pub use oidc::{
    Channel, FetchError, Oidc, OidcError, Pending, Person, ProviderError, SetupError, Start, TokenError, Told,
};
pub use rescue::FactorReset;
pub use rules::{Rules, UserCreation};
pub use token::{Token, TokenHash};
pub use workload::{WorkloadClaims, WorkloadError, Workloads};

#[cfg(test)]
mod tests;
