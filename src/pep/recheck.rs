//! A socket outlives the decision that opened it, so its question is kept and asked again.

use crate::identity::{IdentifyError, Presented};
use crate::pdp::{Context, Principal, Question, ResourceRef, Verdict};

use super::decide::principal;
use super::{Gate, deploy, facts, step_up};

/// The question behind an open socket.
#[derive(Debug)]
pub struct Recheck {
    pub(super) presented: Presented,
    pub(super) action: &'static str,
    pub(super) resource: ResourceRef,
    pub(super) context: Context,
}

/// What asking again gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It would be opened again.
    Holds,
    /// It would not: why, for the record.
    Ended(String),
    /// It cannot be known now.
    Unknown,
}

impl Recheck {
    /// Asks again: the credential, the roles, and the bundle that decides now.
    pub async fn ask(&self, gate: &Gate) -> Standing {
        let now = gate.clock.now();
        let identity = match gate.callers.refresh(&gate.store, &self.presented, now).await {
            Ok(known) => known.identity,
            Err(IdentifyError::Unavailable(_)) => return Standing::Unknown,
            Err(error) => return Standing::Ended(error.to_string()),
        };
        let who: Principal = principal(&identity);
        // A factor counts as on the way in; a session that has none any more has lost it.
        let mfa = if identity.assurance.is_verified() || self.context.mfa.bound_to_request {
            self.context.mfa.clone()
        } else {
            step_up::mfa(&identity, now, gate.latest.holds(now))
        };
        let mut approval = self.context.approval.clone();
        if !approval.id.is_empty() {
            // A grant that was taken back or used up holds no socket open.
            approval.left_s = match gate.store.approval_find(&approval.id).await {
                Ok(row) => row.map_or(0, |row| deploy::facts(&row, 0, now).left_s),
                Err(_) => return Standing::Unknown,
            };
        }
        let context = Context { now, mfa, approval, audit: facts::audit(gate), ..self.context.clone() };
        let question = Question { principal: &who, action: self.action, resource: &self.resource, context: &context };
        let decision = gate.active.load().decide(&question);
        match decision.verdict() {
            Verdict::Allow => Standing::Holds,
            Verdict::Deny | Verdict::Challenge => Standing::Ended(decision.explain()),
        }
    }
}
