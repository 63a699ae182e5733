//! What the record says about a request.

use std::borrow::Cow;

use crate::audit::{Actor, Event, EventKind, Value, Via};
use crate::mask;
use crate::pdp::{Decision, Hypothetical, Shadow};

use super::{Refusal, Trace};

/// A request on which policy has decided.
pub(super) fn decided(kind: EventKind, trace: &Trace, decision: &Decision) -> Event {
    let base = traced(kind, trace);
    Event {
        decision: Some(Cow::Borrowed(decision.verdict().as_str())),
        reasons: decision.reasons().iter().map(|reason| reason.id.to_string()).collect(),
        challenges: decision.challenges().iter().map(|kind| kind.as_str().to_owned()).collect(),
        errors: decision.errors().to_vec(),
        hypothetical: decision.hypothetical().map(hypothetical),
        shadow: decision.shadow().map(shadow).into_iter().collect(),
        bundle: Some(decision.bundle().to_owned()),
        ..base
    }
}

/// A request that stopped.
pub(super) fn stopped(trace: &Trace, refusal: &Refusal, message: &str) -> Event {
    let event = match refusal.decision() {
        Some(decision) => decided(EventKind::Denial, trace, decision),
        None => Event { decision: Some(Cow::Borrowed("deny")), ..traced(EventKind::Denial, trace) },
    };
    let mut event = Event { status: Some(refusal.status()), message: Some(mask::scrub_tokens(message)), ..event };
    event.detail.insert("refusal".to_owned(), refusal.slug().to_owned());
    event
}

pub(super) fn traced(kind: EventKind, trace: &Trace) -> Event {
    let action = trace.row.map_or("", |row| row.action);
    Event {
        actor: trace
            .identity
            .as_ref()
            .map(|identity| Actor { kind: identity.principal.as_str().to_owned(), id: identity.id.clone() }),
        via: trace.identity.as_ref().map(|identity| Via {
            credential_kind: identity.credential.kind.as_str().to_owned(),
            credential_id: identity.credential.id.clone(),
        }),
        source_ip: Some(trace.source_ip),
        method: Some(match trace.row.filter(|row| !row.is_derived()) {
            Some(row) => Cow::Borrowed(row.kind.as_str()),
            None => Cow::Owned(trace.method.clone()),
        }),
        route: trace.row.filter(|row| !row.is_derived()).map(|row| Cow::Borrowed(row.path)),
        path: Some(mask::scrub_name(&trace.path).into_owned()),
        resource: trace.resource.as_deref().map(|resource| mask::scrub_name(resource).into_owned()),
        detail: trace.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Event::new(kind, trace.request_id.clone(), action)
    }
}

fn hypothetical(hypothetical: &Hypothetical) -> Value {
    let assumed = hypothetical.assumed.iter().map(|kind| Value::from(kind.as_str())).collect();
    Value::Map(
        [
            ("assumed".to_owned(), Value::List(assumed)),
            ("decision".to_owned(), Value::from(hypothetical.verdict.as_str())),
        ]
        .into(),
    )
}

fn shadow(shadow: &Shadow) -> Value {
    let reasons = shadow.reasons.iter().map(|id| Value::from(&**id)).collect();
    Value::Map(
        [("decision".to_owned(), Value::from(shadow.verdict.as_str())), ("reasons".to_owned(), Value::List(reasons))]
            .into(),
    )
}
