//! Second stage: who calls? Before the route is looked at, so that a stranger learns none.

use actix_web::http::header;

use crate::identity::{IdentifyError, Identity, Presented, identify};

use super::refusal::{Refusal, Stopped};
use super::{Accepted, Gate};

/// A request of a known principal.
#[derive(Debug)]
pub struct Identified {
    pub(super) accepted: Accepted,
    pub(super) identity: Identity,
    pub(super) presented: Presented,
}

impl Accepted {
    /// Asks the database who presented this credential.
    ///
    /// # Errors
    /// When nobody did, or when it cannot be asked.
    pub async fn identify(mut self, gate: &Gate) -> Result<Identified, Box<Stopped>> {
        match self.principal(gate).await {
            Ok((presented, identity)) => {
                self.trace.identity = Some(identity.clone());
                Ok(Identified { accepted: self, identity, presented })
            }
            Err(error) => Err(Stopped::new(self.trace, Refusal::Credential(error))),
        }
    }

    async fn principal(&self, gate: &Gate) -> Result<(Presented, Identity), IdentifyError> {
        let values = self.request.headers().get_all(header::AUTHORIZATION).map(|value| value.as_bytes());
        let presented = Presented::from_authorization(values)?;
        let identity = identify(&gate.store, &presented, self.trace.at).await?;
        Ok((presented, identity))
    }
}
