//! Who is calling, and how sure we are.

mod credential;
mod identify;
mod issue;
mod token;

pub use credential::{CredentialError, Presented};
pub use identify::{CredentialKind, CredentialRef, IdentifyError, Identity, PrincipalType, identify};
pub use issue::{IssueError, Issuer};
pub use token::{Token, TokenHash};

#[cfg(test)]
mod tests;
