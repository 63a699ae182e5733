//! The default step-up, over all rows: who is asked for what, and what never helps.

use super::super::{
    Bundle, ChallengeKind, Context, Decision, Mfa, NEVER_S, PrincipalKind, Question, SourceFile, Sources, Verdict,
    run_suite,
};
use super::super::{canary, table};
use super::{Principal, ResourceRef, bundle, sources, unproved, user};
use crate::routes::{Facts, Resource, Row};

const STEP_UP: &str = include_str!("../../../policies/step-up.cedar");

/// Groups that a session may use before it has shown a second factor.
const BEFORE: &[&str] = &["before-factor", "sign-in", "console"];
/// Groups of which each request needs a second factor of its own.
const BOUND: &[&str] = &["destructive", "identity-admin", "settings-admin", "credential-create", "approve"];
/// Actions of no such group that need one of their own too.
const BOUND_TOO: &[&str] = &["factor:create", "factor:delete"];
/// Actions with side effects for which an old second factor is enough.
const HARMLESS: &[&str] = &["object:create", "factor:confirm"];
/// Actions without side effects for which it is not: they take all records out of the gateway.
const TAKEN_OUT: &[&str] = &["audit:export"];
/// A login that began with a second factor counts.
const CONFIRM: &str = "cli-login:confirm";

fn proof(age_s: i64, bound: bool, strong: bool) -> Mfa {
    Mfa { age_s, bound_to_request: bound, phishing_resistant: strong, method: "webauthn".to_owned(), ..Mfa::never() }
}

fn trusted() -> Mfa {
    Mfa { trusted_device: true, ..Mfa::never() }
}

fn is_in(row: &Row, groups: &[&str]) -> bool {
    row.groups.iter().any(|group| groups.contains(group))
}

fn is_bound(row: &Row) -> bool {
    (is_in(row, BOUND) || BOUND_TOO.contains(&row.action)) && row.action != CONFIRM
}

/// Whether the schema puts it below `mutate`, or the answer holds credentials.
fn is_sensitive(bundle: &Bundle, row: &Row) -> bool {
    let all = bundle.facts.schema().action_entities().unwrap();
    let mut above = all.ancestors(&bundle.actions[row.action].uid).unwrap();
    TAKEN_OUT.contains(&row.action) || above.any(|group| ["mutate", "secret-read"].contains(&group.id().unescaped()))
}

/// Ask about a row as somebody at the browser; about their own account where only that is theirs.
fn ask(bundle: &Bundle, who: &Principal, row: &Row, mfa: Mfa) -> Decision {
    let own = is_in(row, &["own-factors"]) || row.action == "cli-token:create";
    let about = if own && row.resource == Resource::User { who.id.as_str() } else { "somebody" };
    ask_about(bundle, who, row, &canary::sample("dev", row.resource, about), mfa)
}

fn ask_about(bundle: &Bundle, who: &Principal, row: &Row, resource: &ResourceRef, mfa: Mfa) -> Decision {
    let credential = if who.kind == PrincipalKind::User { "web-session" } else { "api-token" };
    let exec = (row.contract.facts == Facts::Exec).then(Default::default);
    let context = Context { mfa, credential: credential.to_owned(), exec, ..unproved() };
    bundle.decide(&Question { principal: who, action: row.action, resource, context: &context })
}

/// The default bundle without its step-up: what is permitted, factors aside.
fn without_step_up() -> Bundle {
    let mut sources = Sources::embedded("dev");
    sources.policies.retain(|file| file.stem() != "step-up");
    sources.tests.clear();
    Bundle::load(&sources).unwrap()
}

#[test]
fn nobody_is_asked_for_a_factor_that_cannot_help() {
    let (bundle, plain) = (bundle(&[]), without_step_up());
    for role in ["", "viewer", "deployer", "admin", "auditor"] {
        let who = user(role);
        for row in table::actions() {
            let permitted = ask(&plain, &who, row, Mfa::never()).verdict();
            for mfa in [Mfa::never(), proof(3600, false, false), proof(0, true, true)] {
                let decision = ask(&bundle, &who, row, mfa.clone());
                let case = format!("{role} {} {mfa:?}: {decision:?}", row.action);
                assert!(decision.errors().is_empty(), "{case}");
                match permitted {
                    Verdict::Allow => assert_ne!(decision.verdict(), Verdict::Deny, "{case}"),
                    _ => assert!(
                        decision.verdict() == Verdict::Deny
                            && decision.challenges().is_empty()
                            && decision.factor().is_none()
                            && !decision.strong(),
                        "{case}"
                    ),
                }
            }
        }
    }
}

#[test]
fn a_session_that_has_shown_no_factor_does_next_to_nothing() {
    let bundle = bundle(&[]);
    let nothing = [
        Mfa::never(),
        proof(NEVER_S, true, true),
        proof(NEVER_S + 1, true, true),
        proof(-1, true, true),
        proof(i64::MIN, true, true),
        Mfa { required: false, ..Mfa::never() },
    ];
    for role in ["viewer", "admin"] {
        for row in table::actions() {
            for mfa in &nothing {
                let verdict = ask(&bundle, &user(role), row, mfa.clone()).verdict();
                assert!(verdict != Verdict::Allow || is_in(row, BEFORE), "{role} {} {mfa:?}", row.action);
            }
        }
    }
    // Whoever has none enrols the first, and nothing else.
    let new = Principal { enrolled: false, ..user("admin") };
    for row in table::actions().filter(|row| !is_in(row, BEFORE) && row.action != "factor:confirm") {
        let verdict = ask(&bundle, &new, row, Mfa::never()).verdict();
        assert_ne!(verdict, Verdict::Allow, "{}: this session is an hour old", row.action);
    }
}

#[test]
fn a_window_and_a_trusted_device_are_what_they_are() {
    let bundle = bundle(&[]);
    let admin = user("admin");
    let mut counted = (0, 0, 0);
    for row in table::actions() {
        let verdict = |mfa| ask(&bundle, &admin, row, mfa).verdict();
        if verdict(proof(0, true, true)) != Verdict::Allow {
            continue;
        }
        let action = row.action;
        let (old, device) = (verdict(proof(601, false, true)), verdict(trusted()));
        assert_eq!(old, device, "{action}: a trusted device is worth what an old factor is");
        let window = [verdict(proof(0, false, true)), verdict(proof(600, false, false))];
        if is_bound(row) {
            counted.0 += 1;
            assert_eq!((old, window), (Verdict::Challenge, [Verdict::Challenge; 2]), "{action}");
            let asked = ask(&bundle, &admin, row, proof(0, false, true));
            assert_eq!((asked.factor(), asked.strong()), (Some(ChallengeKind::MfaBound), false), "{action}");
            let edges = [300, 301].map(|age_s| verdict(proof(age_s, true, false)));
            assert_eq!(edges, [Verdict::Allow, Verdict::Challenge], "{action}");
        } else if is_sensitive(&bundle, row) && !HARMLESS.contains(&action) {
            counted.1 += 1;
            assert_eq!((old, window), (Verdict::Challenge, [Verdict::Allow; 2]), "{action}");
            let asked = ask(&bundle, &admin, row, trusted());
            assert_eq!((asked.factor(), asked.strong()), (Some(ChallengeKind::Mfa), false), "{action}");
        } else {
            counted.2 += 1;
            assert_eq!((old, window), (Verdict::Allow, [Verdict::Allow; 2]), "{action}");
        }
    }
    assert!(counted.0 > 25 && counted.1 > 40 && counted.2 > 50, "{counted:?}");
}

#[test]
fn a_factor_is_no_factor_of_machines() {
    let bundle = bundle(&[]);
    let token = Principal { kind: PrincipalKind::ApiToken, enrolled: false, email: String::new(), ..user("admin") };
    for row in table::actions() {
        let [none, best] = [Mfa::never(), proof(0, true, true)].map(|mfa| ask(&bundle, &token, row, mfa).verdict());
        assert_eq!(none, best, "{}", row.action);
        assert_ne!(none, Verdict::Challenge, "{}", row.action);
        let theirs = is_in(row, &["own-factors"]) || row.groups == ["before-factor"];
        assert!(!theirs || none == Verdict::Deny, "{}", row.action);
    }
}

#[test]
fn everybody_signs_themselves_out_without_a_fresh_factor() {
    let bundle = bundle(&[]);
    for action in ["session:revoke", "session:revoke-all", "trusted-device:revoke"] {
        let row = table::actions().find(|row| row.action == action).unwrap();
        for role in ["viewer", "admin"] {
            let who = user(role);
            let own = canary::sample("dev", row.resource, &who.id);
            let verdict = ask_about(&bundle, &who, row, &own, proof(86_400, false, false)).verdict();
            assert_eq!(verdict, Verdict::Allow, "{role} {action}");
        }
        assert_eq!(ask(&bundle, &user("admin"), row, proof(0, false, true)).verdict(), Verdict::Challenge, "{action}");
    }
}

/// The cases about step-up.
fn cases() -> Vec<SourceFile> {
    let about = |file: &SourceFile| ["cast", "step-up"].contains(&file.stem());
    sources(&[]).tests.into_iter().filter(about).collect()
}

/// The defaults with one text in place of another in step-up.
fn changed(from: &str, to: &str) -> Sources {
    assert!(STEP_UP.contains(from), "{from}");
    let name = "policies/step-up.cedar";
    let mut changed = Sources::embedded("dev");
    changed.policies.retain(|file| file.name != name);
    changed.policies.push(SourceFile::new(name, STEP_UP.replacen(from, to, 1)));
    changed
}

/// Nobody weakens the defaults by accident: the canaries refuse the bundle, and cases fail.
#[test]
fn each_policy_is_missed_when_it_is_gone() {
    let ids: Vec<&str> = STEP_UP.split("@id(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids, ["step-up.session", "step-up.recent", "step-up.bound", "step-up.first-factor"]);
    let tests = cases();
    for id in ids {
        let mut gone = changed(&format!("@id(\"{id}\")"), &format!("@id(\"{id}\")\n@mode(\"shadow\")"));
        let refused = Bundle::load(&gone).err().map(|errors| errors.to_string()).unwrap_or_default();
        assert!(refused.contains("policies/tests/canaries.json"), "{id}: {refused}");
        gone.tests.clear();
        let report = run_suite(&Bundle::load(&gone).unwrap(), &tests);
        assert!(!report.failures.is_empty(), "{id}");
    }
}

#[test]
fn each_condition_is_missed_when_it_is_gone() {
    let tests = cases();
    let weaker = [
        ("context.mfa.age_s >= 0 && context.mfa.age_s < 4000000000", "context.mfa.age_s < 4000000000"),
        ("< 4000000000", "<= 4000000000"),
        ("!context.mfa.required && !principal.enrolled", "!principal.enrolled"),
        ("!context.mfa.required && !principal.enrolled", "!context.mfa.required"),
        ("context.mfa.trusted_device ||", ""),
        ("context.mfa.age_s >= 0 && context.mfa.age_s <= 600", "context.mfa.age_s <= 600"),
        ("<= 600", "<= 601"),
        ("<= 600", "< 600"),
        ("action == Action::\"object:create\" ||", ""),
        ("action == Action::\"factor:confirm\" ||", ""),
        ("resource is User &&\n   principal == resource) ||\n  // Begun", "resource is User) ||\n  // Begun"),
        ("resource is User &&\n   principal == resource) ||\n  (action", "resource is User) ||\n  (action"),
        ("Action::\"secret-read\"", "Action::\"mutate\""),
        ("context.mfa.bound_to_request &&", ""),
        ("<= 300", "<= 301"),
        ("<= 300", "< 300"),
        ("Action::\"destructive\",", ""),
        ("Action::\"identity-admin\",", ""),
        ("Action::\"settings-admin\",", ""),
        ("Action::\"credential-create\",", ""),
        ("Action::\"factor:create\",\n", ""),
        (",\n     Action::\"factor:delete\"", ""),
        ("action == Action::\"cli-login:confirm\" ||", ""),
        ("principal.enrolled ||", ""),
        ("context.credential_age_s >= 0 &&", ""),
        ("<= 900", "<= 901"),
        ("<= 900", "< 900"),
    ];
    for (from, to) in weaker {
        let mut sources = changed(from, to);
        sources.tests.clear();
        let report = run_suite(&Bundle::load(&sources).unwrap(), &tests);
        assert!(!report.failures.is_empty(), "no case notices {from:?} as {to:?}");
    }
}
