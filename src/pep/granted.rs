//! A request that policy lets the gateway answer itself: what its handler may know and do.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::web::Bytes;

use crate::audit::{Event, EventKind, Unavailable};
use crate::identity::{Identity, Presented};
use crate::pdp::{Context, Decision, Question, ResourceRef, Verdict};
use crate::routes::{Form, Matched, Row};

use super::decide::principal;
use super::errand::{Look, Reader};
use super::refusal::{Refusal, Stopped};
use super::{Gate, Trace, event};

/// What was granted.
///
/// # Invariants
/// Only an `OwnPermit` holds one until it is spent, so a handler that has one was decided on.
#[derive(Debug)]
pub struct Granted {
    pub(super) row: &'static Row,
    pub(super) matched: Option<Matched>,
    pub(super) trace: Trace,
    pub(super) request: HttpRequest,
    pub(super) presented: Option<Presented>,
    pub(super) context: Context,
    pub(super) body: Bytes,
    pub(super) reader: Option<Rc<dyn Reader>>,
    /// What policy was asked beyond the row's own question, and allowed: action and id of the resource.
    pub(super) also: Vec<(&'static str, String)>,
}

impl Granted {
    /// Which row.
    #[must_use]
    pub const fn row(&self) -> &'static Row {
        self.row
    }

    /// What is known of the request.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Who asks.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.trace.identity.as_deref()
    }

    /// A parameter of the path, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.matched.as_ref()?.param(name)
    }

    /// What stands behind the `?`, by the contract of the row.
    #[must_use]
    pub fn query(&self) -> Form {
        self.matched.as_ref().and_then(|matched| matched.query().ok()).unwrap_or_default()
    }

    /// A header, when it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// The body, for a row that takes one.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether policy was asked this beyond the row's own question, for this request, and allowed it.
    #[must_use]
    pub fn has_asked(&self, action: &str, resource: &str) -> bool {
        self.also.iter().any(|(asked, id)| *asked == action && id == resource)
    }

    /// Leave to look things up on the rack; none while somebody signs in.
    #[must_use]
    pub fn look(&self) -> Option<Look> {
        self.reader.clone().map(|reader| Look::granted(reader, self.trace.request_id.clone()))
    }

    /// What a page sends back to prove that it was served to this session.
    #[must_use]
    pub fn csrf_token(&self) -> Option<String> {
        self.presented.as_ref()?.csrf_token()
    }

    /// Puts what is about to change on the record, before it does: names of fields, and values that
    /// are no secrets.
    ///
    /// # Errors
    /// When the record cannot be made durable; then nothing may change.
    pub async fn record_change(&self, gate: &Gate, change: BTreeMap<String, String>) -> Result<(), Unavailable> {
        let mut event = Event { detail: BTreeMap::new(), ..event::traced(EventKind::Admin, &self.trace) };
        event.tell(change);
        gate.audit.append(event).await.map(|_| ())
    }

    /// Asks for something more that the request turned out to need, such as each role that a new
    /// token shall have. The answer is on the record before this returns.
    ///
    /// # Errors
    /// When policy does not allow it, or when that cannot be recorded.
    pub async fn also(&self, gate: &Gate, action: &'static Row, resource: &ResourceRef) -> Result<(), Box<Stopped>> {
        let trace = Trace {
            row: Some(action),
            resource: Some(format!("{}::{}", resource.kind.entity_type(), resource.id)),
            ..self.trace.clone()
        };
        let Some(identity) = self.identity() else {
            return Err(Stopped::new(trace, Refusal::UnknownRoute("unknown-route")));
        };
        let decision = self.decide(
            gate,
            &Question { principal: &principal(identity), action: action.action, resource, context: &self.context },
        );
        if decision.verdict() != Verdict::Allow {
            return Err(Stopped::new(trace, Refusal::of(decision, None)));
        }
        let event = event::decided(EventKind::Admin, &trace, &decision);
        match gate.audit.append(event).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Stopped::new(trace, Refusal::Unrecorded(error))),
        }
    }

    /// What policy would say to the same caller in the same circumstances. Asks only: nothing may
    /// follow from the answer but showing it.
    #[must_use]
    pub fn would(&self, gate: &Gate, row: &Row, resource: &ResourceRef) -> Option<Verdict> {
        let who = principal(self.identity()?);
        let question = Question { principal: &who, action: row.action, resource, context: &self.context };
        Some(self.decide(gate, &question).verdict())
    }

    fn decide(&self, gate: &Gate, question: &Question<'_>) -> Decision {
        gate.active.load().decide(question)
    }
}
