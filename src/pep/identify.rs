//! Second stage: who calls? Before the route is looked at, so that a stranger learns none.

use std::sync::Arc;

use actix_web::http::header;

use crate::identity::{CredentialError, IdentifyError, Known, Presented};

use super::refusal::{Refusal, Stopped};
use super::{Accepted, Gate, browser};

/// A request of a known principal.
#[derive(Debug)]
pub struct Identified {
    pub(super) accepted: Accepted,
    pub(super) known: Known,
    pub(super) presented: Presented,
}

impl Accepted {
    /// Finds out who presented this credential. What is remembered of the caller is compared with
    /// the database when the decision is recorded.
    ///
    /// # Errors
    /// When nobody did, or when it cannot be known.
    pub async fn identify(mut self, gate: &Gate) -> Result<Identified, Box<Stopped>> {
        match self.principal(gate).await {
            Ok((presented, known)) => {
                self.trace.identity = Some(Arc::clone(&known.identity));
                if let Err(refusal) = browser::check(&self, &presented, &gate.site.origin) {
                    return Err(Stopped::new(self.trace, refusal));
                }
                Ok(Identified { accepted: self, known, presented })
            }
            Err(error) => Err(Stopped::new(self.trace, Refusal::Credential(error))),
        }
    }

    /// The `Authorization` header; without one, the cookie of a browser's session.
    fn presented(&self) -> Result<Presented, CredentialError> {
        let headers = self.request.headers();
        if headers.contains_key(header::AUTHORIZATION) {
            return Presented::from_authorization(headers.get_all(header::AUTHORIZATION).map(|value| value.as_bytes()));
        }
        Presented::from_cookies(headers.get_all(header::COOKIE).map(|value| value.as_bytes()))
    }

    async fn principal(&self, gate: &Gate) -> Result<(Presented, Known), IdentifyError> {
        let presented = self.presented()?;
        let known = gate.callers.find(&gate.store, &presented, self.trace.at).await?;
        if known.identity.fits(&presented) { Ok((presented, known)) } else { Err(IdentifyError::Unknown) }
    }
}
