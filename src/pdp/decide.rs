//! The decision: one evaluation, and on a denial that challenges might lift, a second one with
//! those challenges assumed to be met; by a factor that can be phished, and where that is not
//! enough, by one that cannot.
//!
//! Whatever cannot be evaluated as it should is denied, with an error that is worth an alarm.

use super::bundle::{Action, Bundle};
use super::context::{self, Reads};
use super::decision::{ChallengeKind, Decision, Hypothetical, Reason, Shadow, Verdict};
use super::entities::Store;
use super::question::{Context, PrincipalKind, Question};
use super::refusal;
use super::slices::Slice;
use cedar_policy::{Decision as Effect, PolicySet, Request, Response, validate_scope_variables};
use std::sync::Arc;

/// One evaluation of a set of policies, challenges included.
struct Judged {
    verdict: Verdict,
    reasons: Vec<Reason>,
    errors: Vec<String>,
    challenges: Vec<ChallengeKind>,
    hypothetical: Option<Hypothetical>,
}

impl Judged {
    fn denied(reasons: Vec<Reason>, errors: Vec<String>) -> Self {
        Self { verdict: Verdict::Deny, reasons, errors, challenges: Vec::new(), hypothetical: None }
    }

    fn reason_ids(&self) -> Vec<Arc<str>> {
        self.reasons.iter().map(|reason| Arc::clone(&reason.id)).collect()
    }
}

/// What does not change between the evaluations of one question.
struct Asked<'a> {
    bundle: &'a Bundle,
    action: &'a Action,
    slice: &'a Slice,
    store: &'a Store,
    context: &'a Context,
    /// Whether the principal is of a sort that has second factors.
    has_factors: bool,
}

impl Bundle {
    /// Decide one question. Never fails: what cannot be decided is denied.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let Some(action) = self.actions.get(question.action) else {
            return self.refuse(question, format!("action {} is unknown", question.action));
        };
        let store = match self.facts.store(question.principal, &action.base, question.resource) {
            Ok(store) => store,
            Err(error) => return self.refuse(question, error),
        };
        if let Err(error) = is_complete(&store, action, question.context) {
            return self.refuse(question, error);
        }
        let has_factors = question.principal.kind == PrincipalKind::User;
        let slice = action.slices.of(question.principal.kind);
        let asked = Asked { bundle: self, action, slice, store: &store, context: question.context, has_factors };
        let judged = asked.judge(&slice.live);
        let shadow = slice.with_shadow.as_ref().and_then(|set| asked.shadow(set, &judged));
        self.decision(question, judged, shadow)
    }

    /// A denial of a question that could not be evaluated.
    fn refuse(&self, question: &Question<'_>, error: String) -> Decision {
        self.decision(question, Judged::denied(Vec::new(), vec![error]), None)
    }

    fn decision(&self, question: &Question<'_>, judged: Judged, shadow: Option<Shadow>) -> Decision {
        let mut decision = Decision {
            verdict: judged.verdict,
            reasons: judged.reasons,
            errors: judged.errors,
            challenges: judged.challenges,
            hypothetical: judged.hypothetical,
            shadow,
            bundle: Arc::clone(&self.digest),
            explanation: String::new(),
        };
        if decision.verdict != Verdict::Allow {
            decision.explanation = refusal::line(self, question, &decision);
        }
        decision
    }

    fn reason(&self, id: &cedar_policy::PolicyId) -> Reason {
        let id: &str = id.as_ref();
        self.metas.get(id).map_or_else(
            || Reason { id: id.into(), why: "".into(), challenge: None },
            |meta| Reason { id: Arc::clone(&meta.id), why: Arc::clone(&meta.why), challenge: meta.challenge },
        )
    }
}

/// A policy about a principal, resource or group that is not there does not match and does not
/// fail: it is silently skipped. So their presence is checked, not assumed.
fn is_complete(store: &Store, action: &Action, context: &Context) -> Result<(), String> {
    if context.exec.is_some() != action.exec {
        return Err(format!(
            "what would be run is {} for {}",
            if action.exec { "missing" } else { "out of place" },
            action.uid
        ));
    }
    let wanted = [("principal", &store.principal), ("resource", &store.resource), ("action", &action.uid)];
    wanted.into_iter().try_for_each(|(role, uid)| match store.entities.get(uid) {
        Some(_) => Ok(()),
        None => Err(format!("the {role} {uid} is not among the entities")),
    })
}

impl Asked<'_> {
    fn judge(&self, set: &PolicySet) -> Judged {
        let response = match self.evaluate(set, self.context) {
            Ok(response) => response,
            Err(error) => return Judged::denied(Vec::new(), vec![error]),
        };
        let reasons = self.reasons(&response);
        let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        if !errors.is_empty() {
            return Judged::denied(reasons, errors);
        }
        if response.decision() == Effect::Allow {
            return Judged { verdict: Verdict::Allow, ..Judged::denied(reasons, errors) };
        }
        let Some(assumed) = self.liftable(&reasons) else {
            return Judged::denied(reasons, errors);
        };
        let judged = self.with_challenges(set, &reasons, &assumed, false);
        let stronger = judged.verdict == Verdict::Deny && judged.errors.is_empty();
        if stronger && assumed.iter().any(|challenge| challenge.is_factor()) {
            return self.with_challenges(set, &reasons, &assumed, true);
        }
        judged
    }

    /// The second evaluation: would it be allowed with these challenges met?
    fn with_challenges(&self, set: &PolicySet, reasons: &[Reason], assumed: &[ChallengeKind], strong: bool) -> Judged {
        let reasons = reasons.to_vec();
        let response = match self.evaluate(set, &context::assuming(self.context, assumed, strong)) {
            Ok(response) => response,
            Err(error) => return Judged::denied(reasons, vec![error]),
        };
        let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        let allowed = response.decision() == Effect::Allow && errors.is_empty();
        let hypothetical = Hypothetical {
            assumed: assumed.to_vec(),
            strong,
            verdict: if allowed { Verdict::Allow } else { Verdict::Deny },
            reasons: self.reasons(&response).into_iter().map(|reason| reason.id).collect(),
        };
        let denied = Judged { hypothetical: Some(hypothetical), ..Judged::denied(reasons, errors) };
        if allowed { Judged { verdict: Verdict::Challenge, challenges: assumed.to_vec(), ..denied } } else { denied }
    }

    /// The challenges that together would lift all these forbids, or nothing when one of the
    /// forbids cannot be lifted. A bound second factor is a second factor, and where one was given
    /// for this very request, only another such would be looked at. Machines have no factors.
    fn liftable(&self, reasons: &[Reason]) -> Option<Vec<ChallengeKind>> {
        let mut challenges: Vec<ChallengeKind> =
            reasons.iter().map(|reason| reason.challenge).collect::<Option<_>>()?;
        if !self.has_factors && challenges.iter().any(|kind| kind.is_factor()) {
            return None;
        }
        if self.context.mfa.bound_to_request {
            let bound = |kind: ChallengeKind| if kind.is_factor() { ChallengeKind::MfaBound } else { kind };
            challenges = challenges.into_iter().map(bound).collect();
        }
        challenges.sort_unstable();
        challenges.dedup();
        if challenges.contains(&ChallengeKind::MfaBound) {
            challenges.retain(|kind| *kind != ChallengeKind::Mfa);
        }
        (!challenges.is_empty()).then_some(challenges)
    }

    /// What would change if the shadow policies were enforced too.
    fn shadow(&self, set: &PolicySet, live: &Judged) -> Option<Shadow> {
        let shadow = self.judge(set);
        let (now, then) = (live.reason_ids(), shadow.reason_ids());
        let same = live.verdict == shadow.verdict && now == then && live.errors == shadow.errors;
        (!same).then_some(Shadow { verdict: shadow.verdict, reasons: then, errors: shadow.errors })
    }

    fn evaluate(&self, set: &PolicySet, context: &Context) -> Result<Response, String> {
        let request = self.request(context)?;
        Ok(self.bundle.authorizer.is_authorized(&request, set, &self.store.entities))
    }

    /// The request, checked against the schema.
    fn request(&self, context: &Context) -> Result<Request, String> {
        let Bundle { facts, contexts, .. } = self.bundle;
        let (principal, action, resource) = (&self.store.principal, &self.action.uid, &self.store.resource);
        let made = |context, schema| {
            Request::new(principal.clone(), action.clone(), resource.clone(), context, schema)
                .map_err(|error| error.to_string())
        };
        if self.slice.reads != Reads::NONE {
            return made(contexts.make(context, self.slice.reads)?, Some(facts.schema()));
        }
        // The constant context was checked for this action when the bundle was loaded.
        validate_scope_variables(principal, action, resource, facts.schema()).map_err(|error| error.to_string())?;
        made(contexts.constant(self.action.exec).clone(), None)
    }

    fn reasons(&self, response: &Response) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = response.diagnostics().reason().map(|id| self.bundle.reason(id)).collect();
        reasons.sort_by(|a, b| a.id.cmp(&b.id));
        reasons
    }
}
