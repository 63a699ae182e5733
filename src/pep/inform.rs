//! Between the first decision and the intent: what only the rack can tell of a request, and what the
//! request turns out to need beyond its own action.

use std::collections::BTreeSet;

use crate::pdp::{Decision, Question, ResourceRef, Verdict};
use crate::routes::Row;

use super::decide::principal;
use super::errand::Look;
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::{Gate, Gathered};

/// A further question that must be allowed as well.
#[derive(Debug)]
pub(super) struct Also {
    pub(super) row: &'static Row,
    pub(super) resource: ResourceRef,
}

impl Gathered {
    /// Looks up what is missing, once policy would let the request pass. Facts, further questions, followers and
    /// the body may change; then policy is asked again.
    ///
    /// # Errors
    /// When the rack cannot be asked, or the request has no single meaning.
    pub(super) async fn inform(&mut self, gate: &Gate, decision: &Decision) -> Result<(), Refusal> {
        let request_id = &self.classified.identified.accepted.trace.request_id;
        if self.informed || self.prepared.is_err() {
            return Ok(());
        }
        let Some(look) = Look::after(decision, &self.reader, request_id) else { return Ok(()) };
        self.informed = true;
        self.inspect(gate, &look).await?;
        self.look_at_secrets(gate)?;
        self.inform_keys(gate, &look).await
    }

    /// Sends another body than the one that came. A factor was, or will be, proved for the one that came.
    pub(super) fn rewrite(&mut self, body: PreparedBody) {
        self.pinned = self.digest();
        if let Ok(prepared) = &mut self.prepared {
            prepared.body = body;
        }
    }

    /// The first of the further questions that is not allowed, if any; else says in the record which were.
    pub(super) fn ask_also(&mut self, gate: &Gate) -> Option<Decision> {
        let bundle = gate.active.load();
        let who = principal(&self.classified.identified.known.identity);
        let mut by = BTreeSet::new();
        for also in &self.also {
            let (action, resource) = (also.row.action, &also.resource);
            let decision = bundle.decide(&Question { principal: &who, action, resource, context: &self.context });
            if decision.verdict() != Verdict::Allow {
                return Some(decision);
            }
            by.extend(decision.reasons().iter().map(|reason| format!("{action} by {}", reason.id)));
        }
        if !by.is_empty() {
            let by = by.into_iter().collect::<Vec<_>>().join(", ");
            self.classified.identified.accepted.trace.facts.insert("also", by);
        }
        None
    }
}
