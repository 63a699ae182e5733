//! Fifth stage: ask the decision point, and make its answer durable before anything follows.

use std::time::Instant;

use crate::audit::EventKind;
use crate::identity::{Identity, PrincipalType};
use crate::pdp::{Decision, Principal, PrincipalKind, Question, Verdict};
use crate::routes::Serves;
use crate::telemetry;

use super::event;
use super::permit::{OwnPermit, Passed, Permit};
use super::refusal::{Refusal, Stopped};
use super::{Gate, Gathered, Recheck};

impl Gathered {
    /// Decides; on Allow records the intent and returns once that is durable.
    ///
    /// # Errors
    /// When policy does not allow it, when the request breaks its contract, or when the intent
    /// cannot be made durable.
    pub async fn decide(self, gate: &Gate) -> Result<Passed, Box<Stopped>> {
        let decision = self.ask(gate);
        let Self { classified, prepared, context } = self;
        let row = classified.matched.row();
        let recheck = Recheck {
            presented: classified.identified.presented,
            action: row.action,
            resource: classified.resource,
            context,
        };
        let trace = classified.identified.accepted.trace;
        match decision.verdict() {
            Verdict::Allow => {}
            Verdict::Deny => return Err(Stopped::new(trace, Refusal::Denied(Box::new(decision)))),
            Verdict::Challenge => return Err(Stopped::new(trace, Refusal::Challenged(Box::new(decision)))),
        }
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return Err(Stopped::new(trace, refusal)),
        };
        let intent = match gate.audit.intent(event::decided(EventKind::Intent, &trace, &decision)).await {
            Ok(intent) => intent,
            Err(error) => return Err(Stopped::new(trace, Refusal::Unrecorded(error))),
        };
        let passed = match row.serves {
            Serves::Rack => Permit::new(&decision, row, prepared, intent).map(|permit| Passed::Rack(permit, recheck)),
            Serves::Gateway => OwnPermit::new(&decision, row, trace.clone(), intent).map(Passed::Own),
        };
        passed.ok_or_else(|| Stopped::new(trace, Refusal::Denied(Box::new(decision))))
    }

    fn ask(&self, gate: &Gate) -> Decision {
        let started = Instant::now();
        let principal = principal(&self.classified.identified.identity);
        let decision = gate.active.load().decide(&Question {
            principal: &principal,
            action: self.classified.matched.row().action,
            resource: &self.classified.resource,
            context: &self.context,
        });
        metrics::histogram!(telemetry::DECISION_SECONDS).record(started.elapsed());
        decision
    }
}

pub(super) fn principal(identity: &Identity) -> Principal {
    Principal {
        kind: match identity.principal {
            PrincipalType::User => PrincipalKind::User,
            PrincipalType::ApiToken => PrincipalKind::ApiToken,
        },
        id: identity.id.clone(),
        roles: identity.roles.clone(),
        groups: Vec::new(),
        email: identity.email.clone(),
        suspended: identity.suspended,
        version: identity.version,
        workload: None,
    }
}
