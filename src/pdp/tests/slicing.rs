//! Slices decide as the whole set does, and know what their policies read.

use super::super::context::Reads;
use super::super::{PrincipalKind, WorkloadFacts, canary, slices, table};
use super::{Principal, bundle, sources, user};
use cedar_policy::{Authorizer, Decision, Policy, PolicySet, Request};
use std::str::FromStr as _;

#[test]
fn a_slice_decides_as_the_whole_set() {
    let added = [
        ("policies/step-up.cedar", include_str!("step-up.cedar")),
        ("policies/approvals.cedar", include_str!("approvals.cedar")),
        ("policies/facts.cedar", include_str!("facts.cedar")),
    ];
    let bundle = bundle(&added);
    let mut whole = PolicySet::new();
    for file in &sources(&added).policies {
        let set = PolicySet::from_str(&file.text).unwrap();
        for policy in set.policies() {
            let id = cedar_policy::PolicyId::new(policy.annotation("id").unwrap());
            whole.add(policy.new_id(id)).unwrap();
        }
    }
    for row in table::actions() {
        for who in everybody() {
            let action = &bundle.actions[row.action];
            let resource = canary::resource("dev", row);
            let store = bundle.facts.store(&who, &action.base, &resource).unwrap();
            let context = bundle.contexts.make(&canary::context(row), Reads::ALL).unwrap();
            let (principal, what) = (store.principal.clone(), store.resource.clone());
            let schema = Some(bundle.facts.schema());
            let request = Request::new(principal, action.uid.clone(), what, context, schema).unwrap();
            let answer = |set| {
                let response = Authorizer::new().is_authorized(&request, set, &store.entities);
                let mut ids: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
                ids.sort();
                (response.decision() == Decision::Allow, ids, response.diagnostics().errors().count())
            };
            assert_eq!(answer(&action.slices.of(who.kind).live), answer(&whole), "{who:?} {}", row.action);
        }
    }
}

/// One of each role and sort.
fn everybody() -> Vec<Principal> {
    let people = ["", "viewer", "deployer", "admin"].map(user);
    let token = ["", "deployer", "cicd"].map(|role| Principal { kind: PrincipalKind::ApiToken, ..user(role) });
    let run = Principal { kind: PrincipalKind::Workload, workload: Some(WorkloadFacts::default()), ..user("cicd") };
    people.into_iter().chain(token).chain([run]).collect()
}

#[test]
fn slices_are_small_and_shared() {
    let bundle = bundle(&[]);
    let slices = |action: &str| {
        let slices = &bundle.actions[action].slices;
        [&slices.user, &slices.api_token, &slices.workload].map(|slice| slice.live.num_of_policies())
    };
    assert_eq!(slices("app:delete"), [7, 6, 4]);
    assert_eq!(slices("release:promote"), [6, 6, 5]);
    assert_eq!(slices("console:login"), [3, 4, 3]);
    let of = |action: &str| &bundle.actions[action].slices.user.live;
    assert!(std::sync::Arc::ptr_eq(of("app:create"), of("rack:update")));
    let reads = bundle.actions["app:delete"].slices.workload.reads;
    assert_eq!(reads, Reads::part("audit").and(Reads::part("settings")), "step-up is for people");
}

/// A scope that names nobody in particular concerns everybody.
#[test]
fn a_policy_is_kept_for_whomever_it_may_concern() {
    let cases = [
        ("principal", [true, true, true]),
        ("principal in Role::\"viewer\"", [true, true, true]),
        ("principal in Group::\"team\"", [true, true, true]),
        ("principal is User", [true, false, false]),
        ("principal is User in Role::\"viewer\"", [true, false, false]),
        ("principal is ApiToken", [false, true, false]),
        ("principal is Workload in Role::\"cicd\"", [false, false, true]),
        ("principal == User::\"u\"", [true, false, false]),
        ("principal == ApiToken::\"t\"", [false, true, false]),
    ];
    for (scope, expected) in cases {
        let text = format!("@id(\"x.a\") @why(\"w\") forbid ({scope}, action == Action::\"app:list\", resource);");
        let added = bundle(&[("policies/x.cedar", &text)]);
        let slices = &added.actions["app:list"].slices;
        let id = cedar_policy::PolicyId::new("x.a");
        let kept = [&slices.user, &slices.api_token, &slices.workload].map(|slice| slice.live.policy(&id).is_some());
        assert_eq!(kept, expected, "{scope}");
    }
}

#[test]
fn what_policies_read_is_found() {
    let (now, mfa) = (Reads::part("now"), Reads::part("mfa"));
    let cases = [
        ("true", Reads::NONE),
        ("principal.locked", Reads::NONE),
        ("\"context\" == \"now\"", Reads::NONE),
        ("context.mfa.age_s > 3", mfa),
        ("context.now > datetime(\"2026-01-01\")", now),
        ("context.mfa.bound_to_request || context.now.toTime() > duration(\"1h\")", now.and(mfa)),
        ("context[\"source_ip\"].isLoopback()", Reads::part("source_ip")),
        ("context has approval", Reads::part("approval")),
        ("if principal.locked then context.break_glass == \"\" else false", Reads::part("break_glass")),
        ("context.audit.state == \"overdue\"", Reads::part("audit")),
        ("context.exec.command like \"rake *\"", Reads::part("exec")),
        // Anything but a plain attribute is everything.
        ("context == {\"now\": 1}", Reads::ALL),
        ("[context].contains(context)", Reads::ALL),
        ("(if principal.locked then context else context).now == 1", Reads::ALL),
        ("context.unheard == 1", Reads::ALL),
    ];
    for (condition, expected) in cases {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap();
        assert_eq!(slices::reads(&policy.to_json().unwrap()), expected, "{condition}");
    }
}

#[test]
fn a_part_that_is_read_is_never_a_constant() {
    let bundle = bundle(&[]);
    let row = table::actions().find(|row| row.action == "process:exec").unwrap();
    let mut context = canary::context(row);
    context.break_glass = "INC-1".to_owned();
    context.audit.state = "overdue".into();
    context.mfa.age_s = 7;
    context.exec.as_mut().unwrap().command = "sh".to_owned();
    let shown = |name: &str, reads| {
        let made = bundle.contexts.make(&context, reads).unwrap();
        format!("{:?}", made.get(name))
    };
    for (name, value) in [("break_glass", "INC-1"), ("audit", "overdue"), ("mfa", "7"), ("exec", "sh")] {
        assert!(shown(name, Reads::part(name)).contains(value), "{name}");
        assert!(shown(name, Reads::ALL).contains(value), "{name}");
        assert!(!shown(name, Reads::part("now")).contains(value), "{name}");
        assert!(!shown(name, Reads::NONE).contains(value), "{name}");
    }
}
