//! The other way to an [`OwnPermit`]: signing in. The request has proved who asks by other means
//! than a credential of the gateway; policy says whether that person or CI run may come in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::Bytes;

use crate::audit::{Event, EventKind, Unavailable};
use crate::identity::{IdentifyError, Identity};
use crate::pdp::{Approval, Context, Question, ResourceRef, Settings, Verdict};
use crate::routes::{Resource, SIGN_IN};

use super::decide::principal;
use super::permit::OwnPermit;
use super::refusal::{Refusal, Stopped};
use super::{Accepted, Gate, Granted, event, facts, step_up};

impl Accepted {
    /// Puts what signing in changes on the record, before it does, such as a person who is new.
    ///
    /// # Errors
    /// When the record cannot be made durable; then nothing may change.
    pub async fn record_change(
        &self,
        gate: &Gate,
        action: &'static str,
        change: BTreeMap<String, String>,
    ) -> Result<(), Unavailable> {
        let traced = event::traced(EventKind::Admin, &self.trace);
        let mut event = Event { action: Cow::Borrowed(action), detail: BTreeMap::new(), ..traced };
        event.tell(change);
        gate.audit.append(event).await.map(|_| ())
    }

    /// Decides on one of the rows of [`SIGN_IN`] for somebody who has just been proven, as `who`
    /// reads them from the database; on Allow the intent is durable when this returns, and the
    /// person is still the same.
    ///
    /// # Errors
    /// When there is nobody, when policy does not allow it, when the intent cannot be made durable,
    /// or when the person was changed meanwhile.
    pub async fn admit(
        self,
        gate: &Gate,
        action: &str,
        who: impl AsyncFn() -> Result<Identity, IdentifyError>,
    ) -> Result<Box<OwnPermit>, Box<Stopped>> {
        let Self { mut trace, request, .. } = self;
        let (epoch, identity) = match known(gate, &who).await {
            Ok((epoch, identity)) => (epoch, Arc::new(identity)),
            Err(error) => return Err(Stopped::new(trace, Refusal::Credential(error))),
        };
        trace.identity = Some(Arc::clone(&identity));
        let Some(row) = SIGN_IN.iter().find(|row| row.action == action) else {
            return Err(Stopped::new(trace, Refusal::UnknownRoute("unknown-route")));
        };
        let resource = ResourceRef::new(Resource::Rack, gate.rack.to_string(), None);
        trace.row = Some(row);
        trace.resource = Some(format!("{}::{}", Resource::Rack.entity_type(), gate.rack));
        let context = Context {
            now: trace.at,
            source_ip: trace.source_ip,
            credential: String::new(),
            credential_age_s: 0,
            mfa: step_up::mfa(&identity, trace.at, trace.is_clock_sound),
            approval: Approval::none(),
            break_glass: String::new(),
            audit: facts::audit(gate),
            settings: Settings::default(),
            exec: None,
        };
        let principal = principal(&identity);
        let question = Question { principal: &principal, action: row.action, resource: &resource, context: &context };
        let decision = gate.active.load().decide(&question);
        if decision.verdict() != Verdict::Allow {
            return Err(Stopped::new(trace, Refusal::of(decision, None)));
        }
        let intent = match gate.audit.intent(event::decided(EventKind::Intent, &trace, &decision)).await {
            Ok(intent) => intent,
            Err(error) => return Err(Stopped::new(trace, Refusal::Unrecorded(error))),
        };
        let unchanged = intent.epoch() == epoch || who().await.is_ok_and(|again| again == *identity);
        if !unchanged {
            intent.complete(super::decide::superseded());
            let why = "accounts were changed while this was decided; try again";
            return Err(Stopped::new(trace, Refusal::BadRequest("identity-changed", why)));
        }
        let refused = trace.clone();
        let granted = Granted {
            row,
            matched: None,
            trace,
            request,
            presented: None,
            context,
            body: Bytes::new(),
            reader: None,
            also: Vec::new(),
        };
        OwnPermit::new(&decision, granted, intent)
            .map(Box::new)
            .ok_or_else(|| Stopped::new(refused, Refusal::Denied(Box::new(decision))))
    }
}

/// The epoch first: a change between the two reads then shows as another epoch.
async fn known(
    gate: &Gate,
    who: &impl AsyncFn() -> Result<Identity, IdentifyError>,
) -> Result<(u64, Identity), IdentifyError> {
    let epoch = gate.store.identity_epoch().await.map_err(IdentifyError::Unavailable)?;
    Ok((epoch, who().await?))
}
