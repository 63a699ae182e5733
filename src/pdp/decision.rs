//! The answer to a question. Only the decision point makes one.

use std::fmt;
use std::sync::Arc;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// It may not.
    Deny,
    /// It may not yet: it would if the challenges were met.
    Challenge,
}

impl Verdict {
    /// The name in records and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What would lift a forbid. Ordered as they are to be met: the slow one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// Somebody else approves this request.
    Approval,
    /// A second factor, now; it opens a window for the session.
    Mfa,
    /// A second factor, now, for this very request and no other.
    MfaBound,
}

impl ChallengeKind {
    /// Whether a second factor meets it.
    #[must_use]
    pub const fn is_factor(self) -> bool {
        matches!(self, Self::Mfa | Self::MfaBound)
    }

    /// The value of `@challenge`, and the name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Mfa => "mfa",
            Self::MfaBound => "mfa_bound",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Approval, Self::Mfa, Self::MfaBound].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that determined the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its `@id`.
    pub id: Arc<str>,
    /// Its `@why`.
    pub why: Arc<str>,
    /// Its `@challenge`.
    pub challenge: Option<ChallengeKind>,
}

/// The second evaluation, after a denial that challenges might lift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hypothetical {
    /// The challenges that were assumed to be met.
    pub assumed: Vec<ChallengeKind>,
    /// Whether by a factor that cannot be phished, since one that can was not enough.
    pub strong: bool,
    /// What would be decided then: `Allow` or `Deny`.
    pub verdict: Verdict,
    /// Ids of the policies that would determine it.
    pub reasons: Vec<Arc<str>>,
}

/// What would be decided if the policies in `@mode("shadow")` were enforced. Present only where
/// that differs from what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// What would be decided.
    pub verdict: Verdict,
    /// Ids of the policies that would determine it.
    pub reasons: Vec<Arc<str>>,
    /// Errors of their evaluation.
    pub errors: Vec<String>,
}

/// The answer to one question.
///
/// # Invariants
/// Made by [`super::Bundle::decide`] only. `Challenge` has at least one challenge; `errors` are
/// never with `Allow`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Decision {
    pub(super) verdict: Verdict,
    pub(super) reasons: Vec<Reason>,
    pub(super) errors: Vec<String>,
    pub(super) challenges: Vec<ChallengeKind>,
    pub(super) hypothetical: Option<Hypothetical>,
    pub(super) shadow: Option<Shadow>,
    pub(super) bundle: Arc<str>,
    pub(super) explanation: String,
}

impl Decision {
    /// What was decided.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The policies that determined it, by id. Empty when no policy permitted it.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Why the question could not be evaluated as it should. Never empty without a denial, and
    /// always worth an alarm.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// What would lift the denial, in the order in which to ask for it. With an approval
    /// outstanding a second factor cannot help yet.
    #[must_use]
    pub fn challenges(&self) -> &[ChallengeKind] {
        &self.challenges
    }

    /// The factor that would lift the denial: `Mfa`, `MfaBound`, or none.
    #[must_use]
    pub fn factor(&self) -> Option<ChallengeKind> {
        self.challenges.iter().copied().find(|challenge| challenge.is_factor())
    }

    /// Whether only a factor that cannot be phished would lift the denial.
    #[must_use]
    pub fn strong(&self) -> bool {
        self.factor().is_some() && self.hypothetical.as_ref().is_some_and(|second| second.strong)
    }

    /// The policies to name to people. Where one forbids for good, those that a challenge would
    /// lift are left out; where one asks for a factor for this very request, those that ask for less.
    pub fn grounds(&self) -> impl Iterator<Item = &Reason> {
        let any = |kind: Option<ChallengeKind>| self.reasons.iter().any(|reason| reason.challenge == kind);
        let (is_final, is_bound) = (any(None), any(Some(ChallengeKind::MfaBound)));
        self.reasons.iter().filter(move |reason| match reason.challenge {
            None => true,
            Some(ChallengeKind::Mfa) => !is_final && !is_bound,
            Some(_) => !is_final,
        })
    }

    /// The second evaluation, where there was one.
    #[must_use]
    pub const fn hypothetical(&self) -> Option<&Hypothetical> {
        self.hypothetical.as_ref()
    }

    /// What shadow policies would change.
    #[must_use]
    pub const fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// Digest of the bundle that decided.
    #[must_use]
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    /// One line for people: what was refused, by which policy and why, and what would help.
    /// Without percent signs and control characters.
    #[must_use]
    pub fn explain(&self) -> String {
        if self.verdict == Verdict::Allow {
            let ids: Vec<&str> = self.reasons.iter().map(|reason| &*reason.id).collect();
            return format!("permitted by {}", ids.join(", "));
        }
        self.explanation.clone()
    }
}
