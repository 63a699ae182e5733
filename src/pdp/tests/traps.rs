//! Cedar's traps, each with what this room does about it. In all of them plain Cedar allows.

use super::super::{Bundle, Context, PrincipalKind, ResourceRef, SourceFile, Verdict};
use super::{ask, assert_denied_by, bundle, ids, of_app, ordinary, rack, sources, unproved, user};
use crate::routes::Resource;
use cedar_policy::Entities;

fn refused(policy: &str) -> String {
    let text = format!("@id(\"x.a\") @why(\"w\") {policy}");
    let mut sources = sources(&[]);
    sources.policies = vec![SourceFile::new("policies/x.cedar", text)];
    match Bundle::load(&sources) {
        Ok(_) => panic!("accepted: {policy}"),
        Err(errors) => errors.to_string(),
    }
}

/// Guardrails that Cedar would accept and never apply.
#[test]
fn a_guardrail_that_cannot_bite_is_refused() {
    let cases = [
        // Only a warning: no request of this action has such a resource.
        "forbid (principal, action == Action::\"app:delete\", resource is Rack);",
        // Reads what is not there; without a schema the forbid is skipped.
        "forbid (principal, action, resource) when { context.env == \"production\" };",
        // `==` across types is false, in silence.
        "forbid (principal, action, resource) when { context.break_glass == App::\"shop\" };",
        "forbid (principal, action, resource) when { context.mfa.age_s == \"never\" };",
        // `in` on a string is an error, and the forbid is skipped.
        "forbid (principal, action, resource) when { context.break_glass in [\"none\"] };",
        // A misspelt action or group matches nothing.
        "forbid (principal, action in Action::\"mutating\", resource);",
        // Attributes of an entity that is not in the store.
        "forbid (principal, action, resource) when { Workload::\"x\".ref_protected };",
        // An attribute that only some principals have.
        "forbid (principal, action, resource) when { principal.email == \"\" };",
    ];
    for policy in cases {
        assert!(refused(policy).contains("policies/x.cedar:1: "), "{policy}");
    }
}

/// Strict validation does not rule out overflow; the forbid would be skipped.
#[test]
fn an_evaluation_error_denies() {
    let overflow =
        "@id(\"x.a\") @why(\"w\") forbid (principal == User::\"the viewer\", action == Action::\"app:list\", resource)
        when { context.credential_age_s + 9223372036854775807 > 0 };";
    let bundle = bundle(&[("policies/x.cedar", overflow)]);
    let decision = ask(&bundle, &user("viewer"), "app:list", &rack(), &ordinary());
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(decision.errors().len(), 1);
    assert!(decision.errors()[0].contains("overflow"), "{:?}", decision.errors());
    assert_eq!(ids(&decision), ["roles.viewer-looks"], "what it would have been allowed by");
    let sentinel = unproved().mfa.age_s;
    assert!(sentinel.checked_add(sentinel).is_some(), "`never` must not overflow in sums");
}

/// An error in the second evaluation is an error too.
#[test]
fn an_error_under_assumptions_denies() {
    let text = "@id(\"x.a\") @why(\"w\") @challenge(\"approval\")
        forbid (principal == User::\"the viewer\", action == Action::\"app:list\", resource)
        when { context.approval.count == 0 };
        @id(\"x.b\") @why(\"w\")
        forbid (principal == User::\"the viewer\", action == Action::\"app:list\", resource)
        when { context.approval.count > 0 && context.approval.count + 9223372036854775807 > 0 };";
    let bundle = bundle(&[("policies/x.cedar", text)]);
    let decision = ask(&bundle, &user("viewer"), "app:list", &rack(), &ordinary());
    assert_eq!((decision.verdict(), decision.errors().len()), (Verdict::Deny, 1));
    assert!(decision.challenges().is_empty());
}

/// A comment without a line end swallows the next file's first policy when files are joined.
#[test]
fn files_are_parsed_alone() {
    let comment = "// nothing here yet";
    let forbid = "@id(\"b.none\") @why(\"w\") forbid (principal, action, resource);";
    let bundle = bundle(&[("policies/a.cedar", comment), ("policies/b.cedar", forbid)]);
    assert_denied_by(&ask(&bundle, &user("admin"), "app:list", &rack(), &ordinary()), "b.none");
}

/// Without the schema, actions have no groups, and forbids on groups are skipped without error.
#[test]
fn forbids_on_groups_bite() {
    let text = "@id(\"x.group\") @why(\"w\") forbid (principal, action in Action::\"mutate\", resource);";
    let bundle = bundle(&[("policies/x.cedar", text)]);
    let release = of_app(Resource::Release, "shop/R1");
    assert_denied_by(&ask(&bundle, &user("deployer"), "release:promote", &release, &ordinary()), "x.group");
    let reading = ask(&bundle, &user("deployer"), "release:read", &release, &ordinary());
    assert_eq!(reading.verdict(), Verdict::Allow);
}

/// The canary for the same: an engine that is fed without groups is refused at the start.
#[test]
fn lost_groups_are_noticed_at_the_start() {
    let mut bundle = bundle(&[]);
    let schema_actions = bundle.facts.schema().action_entities().unwrap();
    let action = bundle.actions.get_mut("app:create").unwrap();
    assert!(schema_actions.ancestors(&action.uid).unwrap().count() > 0);
    let bare = cedar_policy::Entity::new_no_attrs(action.uid.clone(), [].into());
    action.base = Entities::from_entities([bare], None).unwrap();
    let problems = super::super::canary::failures(&bundle, &sources(&[]));
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["a forbid on the group rack-admin does not reach app:create"]);
}

/// A principal, resource or action that is not in the store is in nothing and has no attributes.
#[test]
fn incomplete_stores_are_refused() {
    let mut bundle = bundle(&[]);
    bundle.actions.get_mut("app:list").unwrap().base = Entities::empty();
    let decision = ask(&bundle, &user("viewer"), "app:list", &rack(), &ordinary());
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(decision.errors(), ["the action Action::\"app:list\" is not among the entities"]);
}

/// Policies on groups and roles of the principal bite: the principal is there, with all it inherits.
#[test]
fn forbids_on_groups_of_people_bite() {
    let text = "@id(\"x.out\") @why(\"w\") forbid (principal in Group::\"leavers\", action, resource);
        @id(\"x.no-ops\") @why(\"w\") forbid (principal in Role::\"ops\", action == Action::\"rack:read\", resource);";
    let bundle = bundle(&[("policies/x.cedar", text)]);
    let mut leaver = user("admin");
    leaver.groups = vec!["leavers".to_owned()];
    assert_denied_by(&ask(&bundle, &leaver, "app:list", &rack(), &ordinary()), "x.out");
    assert_denied_by(&ask(&bundle, &user("admin"), "rack:read", &rack(), &ordinary()), "x.no-ops");
    assert_eq!(ask(&bundle, &user("viewer"), "rack:read", &rack(), &ordinary()).verdict(), Verdict::Allow);
}

/// Facts that contradict each other, or that the schema has no place for, are denied with an error.
#[test]
fn questions_that_make_no_sense_are_denied() {
    let bundle = bundle(&[]);
    let ada = user("admin");
    let mut claimless = user("admin");
    claimless.kind = PrincipalKind::Workload;
    let mut grouped = user("admin");
    grouped.kind = PrincipalKind::ApiToken;
    grouped.groups = vec!["people".to_owned()];
    let exec = Context { exec: Some(Default::default()), ..ordinary() };
    let other = |kind, id: &str, app: Option<&str>| ResourceRef::new(kind, id.to_owned(), app.map(str::to_owned));
    let app = of_app(Resource::App, "shop");
    let cases = [
        (&ada, "app:remove", rack(), ordinary(), "action app:remove is unknown"),
        (&ada, "mutate", rack(), ordinary(), "action mutate is unknown"),
        (&ada, "app:list", app.clone(), ordinary(), "is not valid for"),
        (&ada, "app:list", other(Resource::Rack, "prod", None), ordinary(), "not the one behind this gateway"),
        (&ada, "app:read", other(Resource::App, "shop", None), ordinary(), "without the app"),
        (&ada, "app:read", other(Resource::App, "shop", Some("bar")), ordinary(), "an app of another name"),
        (&ada, "build:read", other(Resource::Build, "shop/B1", Some("bar")), ordinary(), "does not belong to the app"),
        (&ada, "build:read", other(Resource::Build, "shop/", Some("shop")), ordinary(), "does not belong to the app"),
        (&ada, "build:read", other(Resource::Build, "shopping/B1", Some("shop")), ordinary(), "does not belong"),
        (&ada, "tunnel:open", other(Resource::Tunnel, "db", None), ordinary(), "without host and port"),
        (&ada, "tunnel:open", other(Resource::Tunnel, "db/http", None), ordinary(), "a tunnel to no port"),
        (&ada, "app:list", rack(), exec.clone(), "out of place"),
        (&ada, "process:exec", of_app(Resource::Process, "shop/web-1"), ordinary(), "what would be run is missing"),
        (&claimless, "app:list", rack(), ordinary(), "a workload without verified claims"),
        (&grouped, "app:list", rack(), ordinary(), "Group"),
    ];
    for (who, action, resource, context, error) in cases {
        let decision = ask(&bundle, who, action, &resource, &context);
        assert_eq!(decision.verdict(), Verdict::Deny, "{action} {resource:?}");
        assert_eq!(decision.errors().len(), 1, "{action} {resource:?}");
        assert!(decision.errors()[0].contains(error), "{error}: {:?}", decision.errors());
        assert!(decision.reasons().is_empty() && decision.challenges().is_empty());
        assert!(!decision.explain().contains(error), "people are not told internals");
    }
}

/// A permit that is missing is invisible on a denial: a viewer must not be asked for a second
/// factor that cannot help.
#[test]
fn nobody_is_challenged_in_vain() {
    let step_up = include_str!("step-up.cedar");
    let bundle = bundle(&[("policies/step-up.cedar", step_up)]);
    let app = of_app(Resource::Service, "shop/web");
    assert_denied_by(&ask(&bundle, &user("viewer"), "service:restart", &app, &unproved()), "step-up.mutate");
    let stranger = ask(&bundle, &user(""), "service:restart", &app, &unproved());
    assert_eq!((stranger.verdict(), stranger.explain().as_str()), (Verdict::Deny, "not permitted"));
}
