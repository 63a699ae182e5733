//! Who is calling, and how sure we are.

mod credential;
mod identify;
mod issue;
mod known;
mod token;

pub use credential::{CredentialError, Presented, SESSION_COOKIE, Transport};
pub use identify::{CredentialKind, CredentialRef, IdentifyError, Identity, PrincipalType, identify};
pub use issue::{IssueError, Issuer};
pub use known::{Callers, Known};
pub use token::{Token, TokenHash};

#[cfg(test)]
mod tests;
