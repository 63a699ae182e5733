//! A denial in one line, for the person who reads it in a terminal.

use super::bundle::Bundle;
use super::decision::{ChallengeKind, Decision, Hypothetical, Verdict};
use super::question::Question;

/// Most characters of an id that are shown.
const SHOWN: usize = 80;

/// What was refused, by which policy and why, and what would help. A principal without any
/// declared role learns that it is not permitted, and nothing about the rules.
pub(super) fn line(bundle: &Bundle, question: &Question<'_>, decision: &Decision) -> String {
    let is_stranger = !question.principal.roles.iter().any(|role| bundle.facts.roles().is_declared(role));
    if is_stranger && decision.verdict() == Verdict::Deny {
        return "not permitted".to_owned();
    }
    let kind = question.resource.kind.entity_type();
    let what = format!("{} on {kind} {} refused", plain(question.action), plain(&question.resource.id));
    if !decision.errors().is_empty() {
        return format!("{what}: the policies could not be evaluated; the record says why, tell an operator");
    }
    if lacks_permit(decision) {
        return format!("{what}: no policy permits it to your roles{}", granting(bundle, question));
    }
    let reasons = decision.grounds().map(|reason| format!("{} ({})", reason.why, reason.id));
    let reasons: Vec<String> = reasons.collect();
    format!("{what}: {}{}", reasons.join(", and "), help(decision))
}

/// Whether nothing permits it: no forbid stands in the way, or none would once challenges are met.
/// Naming the forbids would send people after a second factor that cannot help.
fn lacks_permit(decision: &Decision) -> bool {
    let hopeless = |second: &Hypothetical| second.verdict == Verdict::Deny && second.reasons.is_empty();
    decision.reasons().is_empty() || decision.hypothetical().is_some_and(hopeless)
}

/// The roles that would help, as far as scopes of permits tell.
fn granting(bundle: &Bundle, question: &Question<'_>) -> String {
    let roles = bundle
        .actions
        .get(question.action)
        .map_or(&[][..], |action| &action.slices.of(question.principal.kind).granting);
    if roles.is_empty() { String::new() } else { format!("; roles that may: {}", roles.join(", ")) }
}

fn help(decision: &Decision) -> String {
    if decision.verdict() != Verdict::Challenge {
        return String::new();
    }
    let steps = decision.challenges().iter().map(|challenge| match (challenge, decision.strong()) {
        (ChallengeKind::Approval, _) => "an approval by somebody else",
        (ChallengeKind::Mfa, false) => "a second factor",
        (ChallengeKind::Mfa, true) => "a security key or passkey as second factor",
        (ChallengeKind::MfaBound, false) => "a second factor for this very request",
        (ChallengeKind::MfaBound, true) => "a security key or passkey for this very request",
    });
    let steps: Vec<&str> = steps.collect();
    format!("; it would pass with {}", steps.join(", then "))
}

/// What a client chose, made harmless: the convox command prints through a format string.
fn plain(text: &str) -> String {
    let harmless = |c: char| if c == '%' || c.is_control() { '?' } else { c };
    text.chars().take(SHOWN).map(harmless).collect()
}
