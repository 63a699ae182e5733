//! Who is calling, and how sure we are.

mod credential;
mod identify;
mod issue;
mod known;
mod oidc;
mod token;
mod workload;

pub use credential::{CredentialError, Presented, SESSION_COOKIE, Transport};
pub use identify::{CredentialRef, IdentifyError, Identity, PrincipalType, identify};
pub use issue::{IssueError, Issuer};
pub use known::{Callers, Known};
pub use oidc::{
    Channel, FetchError, Oidc, OidcError, Pending, Person, ProviderError, SetupError, Start, TokenError, Told,
};
pub use token::{Token, TokenHash};
pub use workload::{Workload, WorkloadClaims, WorkloadError, Workloads};

#[cfg(test)]
mod tests;
