//! Requests that must be denied, asked before a bundle may decide anything.
//!
//! They catch what no parser sees: a bundle that is well formed and lets everybody in, and an
//! engine that was fed so that guardrails are skipped.

use super::bundle::Bundle;
use super::decision::{Decision, Verdict};
use super::problem::Problem;
use super::question::{
    About, Approval, Audit, Context, EnvVar, Mfa, Principal, PrincipalKind, Question, ResourceRef, Settings,
};
use super::sources::Sources;
use super::suite;
use super::table;
use crate::routes::{Resource, Row};
use cedar_policy::{Decision as Effect, Policy, PolicyId, PolicySet, Request};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use time::OffsetDateTime;

/// Problems of a bundle that permits what it must not.
pub(super) fn failures(bundle: &Bundle, sources: &Sources) -> Vec<Problem> {
    let mut problems: Vec<Problem> = table::actions().filter_map(|row| stranger(bundle, row)).collect();
    problems.extend(skipped_groups(bundle));
    problems.extend(suite::failed_canaries(bundle, sources));
    problems
}

/// Somebody who holds no role, in no particular circumstances.
fn nobody() -> Principal {
    Principal::nobody(PrincipalKind::User, "canary".to_owned())
}

/// A resource of the kind that a row acts on.
pub(super) fn resource(rack: &str, row: &Row) -> ResourceRef {
    sample(rack, row.resource, "canary")
}

/// A resource of this kind, of this app where it is of one.
pub(super) fn sample(rack: &str, kind: Resource, app: &str) -> ResourceRef {
    let of_app = kind.params().first().is_some_and(|first| first.0 == "app");
    let id = match kind {
        Resource::Rack | Resource::AuditLog => rack.to_owned(),
        Resource::Tunnel => format!("{app}/5432"),
        Resource::UserRole | Resource::ApiTokenRole => format!("{app}/viewer"),
        _ if of_app => {
            let rest = kind.params().iter().skip(1).map(|param| format!("/{}", param.0));
            std::iter::once(app.to_owned()).chain(rest).collect()
        }
        _ => app.to_owned(),
    };
    // A variable like any other: of one that is not known, policy would speak as of a protected secret.
    let variable = About::EnvVar(EnvVar { secret: false, protected: false });
    let about = (kind == Resource::EnvVar).then(|| Box::new(variable));
    ResourceRef { about, ..ResourceRef::new(kind, id, of_app.then(|| app.to_owned())) }
}

/// Circumstances in which nothing speaks for the principal.
pub(super) fn context(row: &Row) -> Context {
    Context {
        now: OffsetDateTime::UNIX_EPOCH,
        source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        credential: String::new(),
        credential_age_s: 0,
        mfa: Mfa::never(),
        approval: Approval::none(),
        break_glass: String::new(),
        audit: Audit::anchored(),
        settings: Settings::default(),
        exec: (row.contract.facts == crate::routes::Facts::Exec).then(Default::default),
    }
}

/// The same, with the best of second factors: what asks for one would hide who is let in.
fn proved(row: &Row) -> Context {
    let mfa = Mfa { age_s: 0, phishing_resistant: true, bound_to_request: true, ..Mfa::never() };
    Context { mfa, ..context(row) }
}

/// A stranger gets in.
fn stranger(bundle: &Bundle, row: &Row) -> Option<Problem> {
    let (principal, resource) = (nobody(), resource(&bundle.rack, row));
    let decide = |context: Context| {
        bundle.decide(&Question { principal: &principal, action: row.action, resource: &resource, context: &context })
    };
    // A denial by an error would hide that the policies permit it.
    let is_sound = |decision: &Decision| decision.verdict() == Verdict::Deny && decision.errors().is_empty();
    let decision = [proved(row), context(row)].into_iter().map(decide).find(|decision| !is_sound(decision))?;
    let because: Vec<&str> = decision.reasons().iter().map(|reason| &*reason.id).collect();
    let message = format!(
        "{} must be denied to a user without roles, and is not: {} {}",
        row.action,
        decision.verdict(),
        because.iter().copied().chain(decision.errors().iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
    );
    Some(Problem::new("policies", None, message, "name a role or a group in the scope of the permit"))
}

/// Forbids on groups that do not bite, though they would if the engine were fed rightly.
fn skipped_groups(bundle: &Bundle) -> Vec<Problem> {
    let groups: BTreeSet<&str> = table::actions().flat_map(|row| row.groups.iter().copied()).collect();
    let mut problems = Vec::new();
    for group in groups {
        let probe = probe(group);
        for row in table::actions().filter(|row| row.groups.contains(&group)) {
            let bites = probe.as_ref().and_then(|probe| bites(bundle, row, probe)).unwrap_or(false);
            if !bites {
                let message = format!("a forbid on the group {group} does not reach {}", row.action);
                problems.push(Problem::new("schema", None, message, "restore the action groups of the schema"));
            }
        }
    }
    problems
}

/// Policies that permit everything and forbid one group.
fn probe(group: &str) -> Option<PolicySet> {
    let forbid = format!("forbid (principal, action in Action::\"{group}\", resource);");
    let parse = |id: &str, text: &str| Policy::parse(Some(PolicyId::new(id)), text).ok();
    let permit = parse("permit", "permit (principal, action, resource);")?;
    PolicySet::from_policies([permit, parse("forbid", &forbid)?]).ok()
}

fn bites(bundle: &Bundle, row: &Row, probe: &PolicySet) -> Option<bool> {
    let action = bundle.actions.get(row.action)?;
    let resource = resource(&bundle.rack, row);
    let store = bundle.facts.store(&nobody(), &action.base, &resource).ok()?;
    let context = bundle.contexts.constant(action.exec).clone();
    let schema = Some(bundle.facts.schema());
    let request = Request::new(store.principal.clone(), action.uid.clone(), store.resource.clone(), context, schema);
    let response = bundle.authorizer.is_authorized(&request.ok()?, probe, &store.entities);
    Some(response.decision() == Effect::Deny)
}
