//! Why an endpoint does not do what it was asked for.

use crate::audit::Unavailable;
use crate::factor::FactorError;
use crate::identity::IssueError;
use crate::pages::PageError;
use crate::pep::Stopped;
use crate::store::StoreError;

/// A problem (RFC 9457) in the making.
#[derive(Debug)]
pub enum Problem {
    /// The endpoint's own: status, stable name, what happened and what to do.
    Own {
        /// HTTP status.
        status: u16,
        /// Stable name: the end of the problem's `type`.
        slug: &'static str,
        /// For people.
        message: String,
    },
    /// Too often: seconds until the next try may pass.
    TooMany(u64),
    /// Policy denies a further action that the request turned out to need.
    Stopped(Box<Stopped>),
}

impl Problem {
    /// A problem of the endpoint's own.
    pub fn new(status: u16, slug: &'static str, message: impl Into<String>) -> Self {
        Self::Own { status, slug, message: message.into() }
    }

    /// There is no such thing, or not any more.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(404, "not-found", format!("there is no such {what}"))
    }

    /// Somebody else was faster (RFC 9110 §13.1.1).
    #[must_use]
    pub fn stale() -> Self {
        Self::new(412, "stale", "it was changed by somebody else meanwhile: read it again, then try again")
    }

    /// The body is well formed and asks for something impossible.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, "invalid", message)
    }
}

impl From<Box<Stopped>> for Problem {
    fn from(stopped: Box<Stopped>) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<Unavailable> for Problem {
    fn from(_: Unavailable) -> Self {
        let message = "the audit log cannot be written, so nothing was changed; try again, and tell the operator";
        Self::new(503, "audit-unavailable", message)
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Audit(error) => error.into(),
            IssueError::Store(error) => error.into(),
            IssueError::NoUser(_) => Self::not_found("user"),
            IssueError::Random(error) => {
                tracing::error!(%error, "the operating system has no randomness");
                Self::new(503, "unanswerable", "no secret can be made; try again, and tell the operator")
            }
        }
    }
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match &error {
            FactorError::TooMany(seconds) => return Self::TooMany(*seconds),
            FactorError::Unavailable(cause) => tracing::error!(cause, "second factors cannot be checked"),
            _ => {}
        }
        Self::new(error.status(), error.slug(), error.to_string())
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        tracing::error!(%error, "no page");
        Self::new(503, "unanswerable", "the page cannot be written; try again")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found("thing"),
            StoreError::Conflict(_) => Self::new(409, "conflict", "something of that name exists already"),
            StoreError::Stale => Self::stale(),
            error => {
                tracing::error!(%error, "the database refuses");
                Self::new(503, "database-unavailable", "the database does not answer; try again")
            }
        }
    }
}
