//! One decided request to an endpoint.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::action::Action;
use super::{Problem, Services};
use crate::audit::Actor;
use crate::factor::{Desk, Factors};
use crate::identity::{Identity, Issuer};
use crate::pdp::ResourceRef;
use crate::pep::{Gate, Granted};
use crate::routes::{API, Resource};
use crate::store::Store;

/// A request that policy allows, as an endpoint of action `A` gets it.
///
/// # Invariants
/// Only `Endpoint::answer` makes one, out of what was granted for this very action.
#[derive(Debug)]
pub struct Call<A> {
    granted: Granted,
    services: Arc<Services>,
    action: PhantomData<A>,
}

impl<A: Action> Call<A> {
    /// None when something else was granted.
    pub(super) fn new(granted: Granted, services: Arc<Services>) -> Option<Self> {
        (granted.row().action == A::NAME).then_some(Self { granted, services, action: PhantomData })
    }

    /// What was granted.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }

    /// What handlers work with.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The enforcement point.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.services.gate
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.services.gate.store
    }

    /// Second factors.
    #[must_use]
    pub fn factors(&self) -> &Factors {
        &self.services.gate.factors
    }

    /// What they work with.
    #[must_use]
    pub fn desk(&self) -> Desk<'_> {
        self.services.desk(self.granted.trace())
    }

    /// When the request arrived.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.granted.trace().at
    }

    /// Who asks.
    ///
    /// # Errors
    /// Never in practice: nothing is granted to nobody.
    pub fn identity(&self) -> Result<&Identity, Problem> {
        self.granted.identity().ok_or_else(|| Problem::new(401, "credential-missing", "nobody asks"))
    }

    /// What gives credentials out: this request, whose change is on the record by then.
    ///
    /// # Errors
    /// As [`Call::identity`].
    pub fn issuer(&self) -> Result<Issuer<'_>, Problem> {
        let identity = self.identity()?;
        let actor = Actor { kind: identity.principal.as_str().to_owned(), id: identity.id.clone() };
        Ok(Issuer::recorded(self.store(), actor, self.now()))
    }

    /// A parameter of the path.
    ///
    /// # Errors
    /// When the row has none of that name.
    pub fn param(&self, name: &str) -> Result<&str, Problem> {
        self.granted.param(name).ok_or_else(|| Problem::new(404, "not-found", "the path names nothing"))
    }

    /// The body, by the contract of the row.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.granted.body()
    }

    /// The body as JSON of a known shape. Policy has decided before it is looked at.
    ///
    /// # Errors
    /// When it is of another shape; the message says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(self.body())
            .map_err(|error| Problem::new(400, "body-shape", format!("the body cannot be read: {error}")))
    }

    /// The version that a change was made from (`If-Match`, RFC 9110 §13.1.1).
    ///
    /// # Errors
    /// When it is missing (428, RFC 6585 §3) or not one of ours.
    pub fn if_match(&self) -> Result<u64, Problem> {
        let missing = || {
            let how = "send the ETag of what you read as If-Match, so that nobody's change is overwritten";
            Problem::new(428, "if-match-missing", how)
        };
        let value = self.granted.header("if-match").ok_or_else(missing)?;
        let number = value.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
        number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Problem::new(412, "stale", "the If-Match header names no version: read it again"))
    }

    /// Puts what is about to change on the record, before it does. Values must not be secrets.
    ///
    /// # Errors
    /// When the record cannot be made durable; then nothing may change.
    pub async fn record_change(&self, change: &[(&str, &str)]) -> Result<(), Problem> {
        let change: BTreeMap<String, String> =
            change.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(self.granted.record_change(self.gate(), change).await?)
    }

    /// Puts what is about to be shown on the record, before it is: what was asked for.
    ///
    /// # Errors
    /// When the record cannot be made durable; then nothing may be shown.
    pub async fn record_read(&self, asked: &[(&'static str, String)]) -> Result<(), Problem> {
        let asked = asked.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(self.granted.record_change(self.gate(), asked).await?)
    }

    /// Asks for a further action that the body turned out to need, on a resource of this id.
    ///
    /// # Errors
    /// When policy does not allow it.
    pub async fn also(&self, action: &str, resource: Resource, id: String) -> Result<(), Problem> {
        let row = API.iter().find(|row| row.action == action && row.resource == resource);
        let row = row.ok_or_else(|| Problem::new(403, "denied", "no such action"))?;
        Ok(self.granted.also(self.gate(), row, &ResourceRef::new(resource, id, None)).await?)
    }
}
