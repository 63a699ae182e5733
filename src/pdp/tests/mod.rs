//! Tests of the decision point.

mod decisions;
mod loading;
mod reviewed;
mod slicing;
mod step_up;
mod suites;
mod table;
mod traps;

use super::{
    Approval, Audit, Bundle, Context, Decision, Mfa, Principal, PrincipalKind, Question, ResourceRef, Settings,
    SourceFile,
};
use super::{Sources, Verdict};
use crate::routes::Resource;
use std::net::{IpAddr, Ipv4Addr};
use time::macros::datetime;

/// The default sources with these files added, in place of those of the same name. Canaries watch
/// over the defaults, not over what replaces them.
fn sources(added: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::embedded("dev");
    for (name, text) in added {
        let before = sources.policies.len();
        sources.policies.retain(|file| file.name != *name);
        if sources.policies.len() < before {
            sources.tests.retain(|file| !file.name.ends_with("canaries.json"));
        }
        sources.policies.push(SourceFile::new(*name, *text));
    }
    sources
}

fn bundle(added: &[(&str, &str)]) -> Bundle {
    Bundle::load(&sources(added)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn user(role: &str) -> Principal {
    Principal {
        roles: if role.is_empty() { Vec::new() } else { vec![role.to_owned()] },
        email: "somebody@example.com".to_owned(),
        enrolled: true,
        locked: false,
        version: 1,
        ..Principal::nobody(PrincipalKind::User, format!("the {role}"))
    }
}

fn rack() -> ResourceRef {
    ResourceRef::new(Resource::Rack, "dev".to_owned(), None)
}

fn of_app(kind: Resource, id: &str) -> ResourceRef {
    let app = id.split('/').next().map(str::to_owned);
    ResourceRef::new(kind, id.to_owned(), app)
}

/// Circumstances in which nothing but rights is missing: a second factor for this very request.
fn ordinary() -> Context {
    let fresh = Mfa { age_s: 0, bound_to_request: true, method: "totp".to_owned(), ..Mfa::never() };
    Context { mfa: fresh, ..unproved() }
}

/// Circumstances in which no second factor was shown, and apps may be deleted.
fn unproved() -> Context {
    Context {
        now: datetime!(2026-01-01 12:00 UTC),
        source_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        mfa: Mfa::never(),
        approval: Approval::none(),
        credential: "cli-session".to_owned(),
        credential_age_s: 3600,
        break_glass: String::new(),
        audit: Audit::anchored(),
        settings: Settings { allow_destructive_actions: true },
        exec: None,
    }
}

fn ask(bundle: &Bundle, principal: &Principal, action: &str, resource: &ResourceRef, context: &Context) -> Decision {
    bundle.decide(&Question { principal, action, resource, context })
}

/// Ids of the policies that determined a decision.
fn ids(decision: &Decision) -> Vec<&str> {
    decision.reasons().iter().map(|reason| &*reason.id).collect()
}

/// Assert a plain denial by exactly this policy, without errors.
fn assert_denied_by(decision: &Decision, id: &str) {
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(ids(decision), [id]);
    assert!(decision.errors().is_empty(), "{:?}", decision.errors());
}
