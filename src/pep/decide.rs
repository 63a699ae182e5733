//! Fifth stage: ask the decision point, and make its answer durable before anything follows.

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::Bytes;

use crate::audit::{EventKind, Intent, Outcome, OutcomeResult};
use crate::identity::{Identity, PrincipalType, Workload};
use crate::pdp::{Decision, Principal, PrincipalKind, Question, Verdict, WorkloadFacts};
use crate::routes::Serves;
use crate::telemetry;

use super::event;
use super::permit::{OwnPermit, Passed, Permit, PreparedBody};
use super::redact::{Of, Redact};
use super::refusal::{Refusal, Stopped};
use super::{Accepted, Classified, Gate, Gathered, Granted, Identified, Recheck, Trace};

/// How often a decision is taken again because the caller changed meanwhile, before it is refused.
const TRIES: u32 = 4;

impl Gathered {
    /// Decides; on Allow records the intent and returns once that is durable.
    ///
    /// # Errors
    /// When policy does not allow it, when the request breaks its contract, or when the intent
    /// cannot be made durable.
    pub async fn decide(mut self, gate: &Gate) -> Result<Passed, Box<Stopped>> {
        for _ in 0..TRIES {
            let mut decision = self.ask(gate);
            if decision.verdict() == Verdict::Allow && !self.informed {
                if let Err(refusal) = self.inform(gate, &decision).await {
                    return Err(self.stop(gate, refusal).await);
                }
                decision = self.ask(gate);
            }
            match self.stand(gate, &decision).await {
                Ok(Standing::Durable(intent)) => return self.pass(gate, decision, intent),
                Ok(Standing::Same) => return Err(self.refuse(gate, decision).await),
                Ok(Standing::Changed) => {}
                Err(refusal) => return Err(self.stop(gate, refusal).await),
            }
        }
        let why = "the credential keeps changing; try again";
        Err(self.stop(gate, Refusal::BadRequest("credential-unstable", why)).await)
    }

    /// What follows from the decision, as long as it is still true of the caller.
    async fn stand(&mut self, gate: &Gate, decision: &Decision) -> Result<Standing, Refusal> {
        if decision.verdict() == Verdict::Allow && self.prepared.is_ok() {
            if let Some(posed) = self.before_socket(gate).await? {
                return Err(Refusal::BeforeSocket(Box::new(posed)));
            }
            // A proof or a step of a deploy that somebody else has used meanwhile is none.
            return if self.spend(gate).await? && self.claim(gate).await? {
                self.enact(gate, decision).await
            } else {
                Ok(Standing::Changed)
            };
        }
        // What is remembered must not deny what the database would allow.
        if self.confirm(gate).await? {
            return Ok(Standing::Changed);
        }
        let is_challenge = decision.verdict() == Verdict::Challenge;
        Ok(Standing::of(is_challenge && self.prove(gate, decision).await?))
    }

    /// Makes the intent durable; `Changed` when the caller is no longer who it was.
    async fn enact(&mut self, gate: &Gate, decision: &Decision) -> Result<Standing, Refusal> {
        let identified = &self.classified.identified;
        let event = event::decided(EventKind::Intent, &identified.accepted.trace, decision);
        let epoch = identified.known.epoch;
        let intent = gate.audit.intent(event).await.map_err(Refusal::Unrecorded)?;
        if intent.epoch() == epoch {
            return Ok(Standing::Durable(intent));
        }
        match self.refresh(gate).await {
            Ok(false) => Ok(Standing::Durable(intent)),
            Ok(true) => {
                intent.complete(superseded());
                Ok(Standing::Changed)
            }
            Err(refusal) => {
                intent.complete(superseded());
                Err(refusal)
            }
        }
    }

    /// Whether the caller differs from what was remembered; nothing is asked if it was read just now.
    async fn confirm(&mut self, gate: &Gate) -> Result<bool, Refusal> {
        if self.classified.identified.known.remembered { self.refresh(gate).await } else { Ok(false) }
    }

    /// Reads the caller again; whether it differs.
    async fn refresh(&mut self, gate: &Gate) -> Result<bool, Refusal> {
        let identified = &mut self.classified.identified;
        let trace = &mut identified.accepted.trace;
        let fresh = gate.callers.refresh(&gate.store, &identified.presented, trace.at).await;
        let fresh = fresh.map_err(Refusal::Credential)?;
        let changed = fresh.identity != identified.known.identity;
        trace.identity = Some(Arc::clone(&fresh.identity));
        identified.known = fresh;
        self.assure();
        Ok(changed)
    }

    fn pass(self, gate: &Gate, decision: Decision, intent: Intent) -> Result<Passed, Box<Stopped>> {
        let Self { classified, prepared, context, reader, mut followers, also, .. } = self;
        let Classified { identified, matched, resource } = classified;
        let Identified { accepted: Accepted { trace, request, .. }, presented, known } = identified;
        let row = matched.row();
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => return Err(Stopped::new(trace, refusal)),
        };
        let refused = trace.clone();
        let passed = match row.serves {
            Serves::Gateway => {
                let body = match prepared.body {
                    PreparedBody::Bytes(bytes) => bytes,
                    PreparedBody::Empty | PreparedBody::Stream => Bytes::new(),
                };
                let granted = Granted {
                    row,
                    matched: Some(matched),
                    trace,
                    request,
                    presented: Some(presented),
                    context,
                    body,
                    reader: Some(reader),
                    also: also.into_iter().map(|also| (also.row.action, also.resource.id)).collect(),
                };
                OwnPermit::new(&decision, granted, intent).map(|permit| Passed::Own(Box::new(permit)))
            }
            Serves::Rack => {
                // The last of all: the others see what the rack has said.
                let (identity, app) = (&known.identity, resource.app.as_deref());
                let of =
                    Of { row, trace: &trace, identity, context: &context, app, reader: &reader, prepared: &prepared };
                followers.extend(Redact::of(gate, &of));
                let recheck = Recheck { presented, action: row.action, resource, context };
                Permit::new(&decision, row, prepared, intent, followers)
                    .map(|permit| Passed::Rack(Box::new(permit), Box::new(recheck)))
            }
        };
        passed.ok_or_else(|| Stopped::new(refused, Refusal::Denied(Box::new(decision))))
    }

    async fn refuse(mut self, gate: &Gate, decision: Decision) -> Box<Stopped> {
        self.unclaim(gate).await;
        match self.unapproved(gate, &decision).await {
            Ok(None) => {}
            Ok(Some(what)) => return Stopped::new(self.into_trace(), Refusal::Unapproved(Box::new(decision), what)),
            Err(refusal) => return Stopped::new(self.into_trace(), refusal),
        }
        let wanted = match decision.verdict() {
            Verdict::Challenge => self.pose(gate, &decision).await,
            Verdict::Allow | Verdict::Deny => Ok(None),
        };
        let refusal = match (decision.verdict(), self.prepared, wanted) {
            (Verdict::Allow | Verdict::Challenge, Err(refusal), _) | (_, _, Err(refusal)) => refusal,
            (_, _, Ok(wanted)) => Refusal::of(decision, wanted),
        };
        Stopped::new(self.classified.identified.accepted.trace, refusal)
    }

    /// Stops a request; what was claimed for it is free again.
    async fn stop(mut self, gate: &Gate, refusal: Refusal) -> Box<Stopped> {
        self.unclaim(gate).await;
        Stopped::new(self.into_trace(), refusal)
    }

    fn into_trace(self) -> Trace {
        self.classified.identified.accepted.trace
    }

    /// Asks policy: the request's own question, then those that it turned out to need. The first that is not
    /// allowed is the answer.
    fn ask(&mut self, gate: &Gate) -> Decision {
        let own = self.ask_own(gate);
        if own.verdict() != Verdict::Allow || self.also.is_empty() {
            return own;
        }
        self.ask_also(gate).unwrap_or(own)
    }

    fn ask_own(&self, gate: &Gate) -> Decision {
        let started = Instant::now();
        let principal = principal(&self.classified.identified.known.identity);
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

/// Where a decision stands after the caller was compared with the database.
enum Standing {
    /// Allowed, on the record, and still true.
    Durable(Intent),
    /// Refused, and still so.
    Same,
    /// The caller is not who it was: decide again.
    Changed,
}

impl Standing {
    const fn of(changed: bool) -> Self {
        if changed { Self::Changed } else { Self::Same }
    }
}

pub(super) fn superseded() -> Outcome {
    let why = "nothing was done: the credential changed while this was decided";
    Outcome { message: Some(why.to_owned()), ..Outcome::of(OutcomeResult::Abandoned) }
}

pub(super) fn principal(identity: &Identity) -> Principal {
    let kind = match identity.principal {
        PrincipalType::User => PrincipalKind::User,
        PrincipalType::ApiToken => PrincipalKind::ApiToken,
        PrincipalType::Workload => PrincipalKind::Workload,
    };
    Principal {
        kind,
        id: identity.id.clone(),
        roles: identity.roles.clone(),
        groups: identity.groups.clone(),
        email: identity.email.clone(),
        locked: identity.locked,
        enrolled: identity.assurance.enrolled,
        version: identity.version,
        network: identity.network,
        apps: identity.apps.clone(),
        workload: identity.workload.as_ref().map(workload),
    }
}

fn workload(claims: &Workload) -> WorkloadFacts {
    WorkloadFacts {
        issuer: claims.issuer.clone(),
        repository: claims.repository.clone(),
        git_ref: claims.git_ref.clone(),
        ref_protected: claims.ref_protected,
        sha: claims.sha.clone(),
        environment: claims.environment.clone(),
        run: claims.run.clone(),
    }
}
