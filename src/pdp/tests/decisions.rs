//! Decisions: permits, forbids, challenges, shadow policies, and what people are told.

use super::super::{Approval, ChallengeKind, Context, Exec, Mfa, PrincipalKind, ResourceRef, Verdict, WorkloadFacts};
use super::{ask, assert_denied_by, bundle, ids, of_app, ordinary, rack, unproved, user};
use crate::routes::Resource;

const STEP_UP: &str = include_str!("step-up.cedar");
const APPROVALS: &str = include_str!("approvals.cedar");

fn guarded() -> super::Bundle {
    bundle(&[("policies/step-up.cedar", STEP_UP), ("policies/approvals.cedar", APPROVALS)])
}

fn guarded_with(team: &str) -> super::Bundle {
    bundle(&[
        ("policies/step-up.cedar", STEP_UP),
        ("policies/approvals.cedar", APPROVALS),
        ("policies/team.cedar", team),
    ])
}

fn proved(age_s: i64, strong: bool) -> Mfa {
    Mfa { age_s, phishing_resistant: strong, bound_to_request: strong, method: "webauthn".to_owned(), ..Mfa::never() }
}

#[test]
fn a_permit_is_named() {
    let bundle = bundle(&[]);
    let decision = ask(&bundle, &user("viewer"), "app:list", &rack(), &ordinary());
    assert_eq!(decision.verdict(), Verdict::Allow);
    assert_eq!(ids(&decision), ["roles.viewer-looks"]);
    assert_eq!(&*decision.reasons()[0].why, "viewers may look at apps, builds and logs");
    assert_eq!(decision.bundle(), bundle.digest());
    assert_eq!(decision.explain(), "permitted by roles.viewer-looks");
    assert!(decision.errors().is_empty() && decision.challenges().is_empty());
    assert!(decision.hypothetical().is_none() && decision.shadow().is_none());
}

#[test]
fn a_challenge_is_posed_only_where_it_helps() {
    use ChallengeKind::{Approval as Approve, Mfa as Factor, MfaBound as Bound};
    let release = of_app(Resource::Release, "shop/R1");
    let certificate = ResourceRef::new(Resource::Certificate, "acme".to_owned(), None);
    let none = Mfa::never;
    type Case<'a> = (&'a str, &'a str, &'a ResourceRef, Mfa, i64, Verdict, &'a [ChallengeKind]);
    let cases: &[Case<'_>] = &[
        // No permit: no challenge could help.
        ("viewer", "release:promote", &release, none(), 0, Verdict::Deny, &[]),
        ("deployer", "certificate:delete", &certificate, none(), 0, Verdict::Deny, &[]),
        // The slow one first; a factor that is fresh already is not asked for again.
        ("deployer", "release:promote", &release, none(), 0, Verdict::Challenge, &[Approve, Factor]),
        ("deployer", "release:promote", &release, proved(5, false), 0, Verdict::Challenge, &[Approve]),
        ("deployer", "release:promote", &release, none(), 2, Verdict::Challenge, &[Factor]),
        ("deployer", "release:promote", &release, proved(5, false), 2, Verdict::Allow, &[]),
        // One approval of two is not enough.
        ("deployer", "release:promote", &release, proved(5, false), 1, Verdict::Challenge, &[Approve]),
        // A bound factor is a factor: the set collapses.
        ("admin", "certificate:delete", &certificate, none(), 0, Verdict::Challenge, &[Bound]),
        ("admin", "certificate:delete", &certificate, proved(5, false), 0, Verdict::Challenge, &[Bound]),
        ("admin", "certificate:delete", &certificate, proved(5, true), 0, Verdict::Allow, &[]),
        // Too old, and from the future after a clock was set back.
        ("admin", "certificate:delete", &certificate, proved(61, true), 0, Verdict::Challenge, &[Bound]),
        ("admin", "certificate:delete", &certificate, proved(-1, true), 0, Verdict::Challenge, &[Bound]),
    ];
    let bundle = guarded();
    for (role, action, resource, mfa, approvals, verdict, challenges) in cases {
        let approval = if *approvals > 0 {
            Approval { count: *approvals, age_s: 60, ..Approval::none() }
        } else {
            Approval::none()
        };
        let context = Context { mfa: mfa.clone(), approval, ..ordinary() };
        let decision = ask(&bundle, &user(role), action, resource, &context);
        let case = format!("{role} {action} {mfa:?} {approvals}: {decision:?}");
        assert_eq!(decision.verdict(), *verdict, "{case}");
        assert_eq!(decision.challenges(), *challenges, "{case}");
        assert!(decision.errors().is_empty(), "{case}");
    }
}

#[test]
fn both_evaluations_are_kept() {
    let bundle = guarded();
    let release = of_app(Resource::Release, "shop/R1");
    let decision = ask(&bundle, &user("deployer"), "release:promote", &release, &unproved());
    assert_eq!(ids(&decision), ["approvals.production", "step-up.mutate"]);
    let hypothetical = decision.hypothetical().unwrap();
    assert_eq!(hypothetical.assumed, [ChallengeKind::Approval, ChallengeKind::Mfa]);
    assert_eq!(hypothetical.verdict, Verdict::Allow);
    assert_eq!(hypothetical.reasons.iter().map(|id| &**id).collect::<Vec<_>>(), ["roles.deployer-deploys"]);
    let hopeless = ask(&bundle, &user("viewer"), "release:promote", &release, &unproved());
    assert_eq!(hopeless.hypothetical().map(|second| second.verdict), Some(Verdict::Deny));
}

#[test]
fn a_forbid_without_challenge_is_final() {
    let bundle = guarded();
    let mut locked = user("deployer");
    locked.locked = true;
    let release = of_app(Resource::Release, "shop/R1");
    let decision = ask(&bundle, &locked, "release:promote", &release, &unproved());
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(ids(&decision), ["approvals.production", "guardrails.locked", "step-up.mutate"]);
    assert!(decision.hypothetical().is_none(), "nothing to assume");
}

#[test]
fn shadow_policies_are_recorded_and_not_enforced() {
    let forbid = "@id(\"trial.no-looking\") @why(\"w\") @mode(\"shadow\")
        forbid (principal, action == Action::\"app:list\", resource);
        @id(\"trial.viewers-restart\") @why(\"w\") @mode(\"shadow\")
        permit (principal in Role::\"viewer\", action == Action::\"service:restart\", resource);
        @id(\"trial.same\") @why(\"w\") @mode(\"shadow\")
        forbid (principal, action == Action::\"app:read\", resource) when { principal.locked };
        @id(\"trial.fails\") @why(\"w\") @mode(\"shadow\")
        forbid (principal, action == Action::\"rack:read\", resource)
        when { context.credential_age_s + 9223372036854775807 > 0 };";
    let bundle = bundle(&[("policies/trial.cedar", forbid)]);
    let service = of_app(Resource::Service, "shop/web");
    let (vic, now) = (user("viewer"), ordinary());

    let allowed = ask(&bundle, &vic, "app:list", &rack(), &now);
    assert_eq!((allowed.verdict(), ids(&allowed)), (Verdict::Allow, vec!["roles.viewer-looks"]));
    let shadow = allowed.shadow().unwrap();
    assert_eq!((shadow.verdict, &*shadow.reasons[0]), (Verdict::Deny, "trial.no-looking"));

    let denied = ask(&bundle, &vic, "service:restart", &service, &now);
    assert_eq!((denied.verdict(), ids(&denied)), (Verdict::Deny, vec![]));
    assert_eq!(denied.shadow().map(|shadow| shadow.verdict), Some(Verdict::Allow));

    let same = ask(&bundle, &vic, "app:read", &of_app(Resource::App, "shop"), &now);
    assert!(same.verdict() == Verdict::Allow && same.shadow().is_none());

    let failing = ask(&bundle, &vic, "rack:read", &rack(), &now);
    assert_eq!((failing.verdict(), failing.errors().len()), (Verdict::Allow, 0));
    assert_eq!(failing.shadow().map(|shadow| (shadow.verdict, shadow.errors.len())), Some((Verdict::Deny, 1)));
}

#[test]
fn facts_reach_the_policies() {
    let text = include_str!("facts.cedar");
    let bundle = bundle(&[("policies/facts.cedar", text)]);
    let (ada, shop) = (user("admin"), of_app(Resource::Service, "shop/web"));
    let exec =
        |command: &str| Context { exec: Some(Exec { command: command.to_owned(), ..Exec::default() }), ..ordinary() };
    assert_eq!(ask(&bundle, &ada, "process:start", &shop, &exec("rake db:migrate")).verdict(), Verdict::Allow);
    assert_denied_by(&ask(&bundle, &ada, "process:start", &shop, &exec("sh -c rm")), "facts.command");

    let tunnel = |host: &str, port: u16| ResourceRef::new(Resource::Tunnel, format!("{host}/{port}"), None);
    assert_eq!(ask(&bundle, &ada, "tunnel:open", &tunnel("db", 5432), &ordinary()).verdict(), Verdict::Allow);
    assert_denied_by(&ask(&bundle, &ada, "tunnel:open", &tunnel("db", 22), &ordinary()), "facts.tunnel");
    assert_denied_by(&ask(&bundle, &ada, "tunnel:open", &tunnel("meta", 5432), &ordinary()), "facts.tunnel");

    let from = |ip: &str| Context { source_ip: ip.parse().unwrap(), ..ordinary() };
    assert_eq!(ask(&bundle, &ada, "rack:update", &rack(), &from("192.0.2.7")).verdict(), Verdict::Allow);
    assert_eq!(ask(&bundle, &ada, "rack:update", &rack(), &from("::ffff:192.0.2.7")).verdict(), Verdict::Allow);
    assert_denied_by(&ask(&bundle, &ada, "rack:update", &rack(), &from("198.51.100.1")), "facts.network");
    assert_denied_by(&ask(&bundle, &ada, "rack:update", &rack(), &from("2001:db8::1")), "facts.network");

    let at = |now| Context { now, ..ordinary() };
    let before = time::macros::datetime!(2026-12-24 00:59:59.999 +01:00);
    let after = time::macros::datetime!(2026-12-24 01:00 +01:00);
    let release = of_app(Resource::Release, "shop/R1");
    assert_eq!(ask(&bundle, &ada, "release:promote", &release, &at(before)).verdict(), Verdict::Allow);
    assert_denied_by(&ask(&bundle, &ada, "release:promote", &release, &at(after)), "facts.freeze");
    let broken = Context { break_glass: "INC-1".to_owned(), ..at(after) };
    assert_eq!(ask(&bundle, &ada, "release:promote", &release, &broken).verdict(), Verdict::Allow);
}

#[test]
fn groups_roles_apps_and_claims_are_matched() {
    let mut sources = super::sources(&[("policies/grants.cedar", include_str!("grants.cedar"))]);
    sources.apps.text = r#"{"apps": [{"name": "shop", "repository": "acme/shop"}]}"#.to_owned();
    // Else machines are asked for an approval first.
    sources.policies.retain(|file| file.stem() != "approvals");
    sources.tests.clear();
    let bundle = super::Bundle::load(&sources).unwrap();
    let release = |app: &str| of_app(Resource::Release, &format!("{app}/R1"));
    let mut dana = user("");
    dana.groups = vec!["team-shop".to_owned()];
    let promote = |who: &_, app: &str| ask(&bundle, who, "release:promote", &release(app), &ordinary()).verdict();
    assert_eq!(promote(&dana, "shop"), Verdict::Allow);
    assert_eq!(promote(&dana, "other"), Verdict::Deny);
    dana.groups = vec!["team-other".to_owned()];
    assert_eq!(promote(&dana, "shop"), Verdict::Deny, "the same id with other groups is not taken from the cache");

    let mut run = user("");
    run.kind = PrincipalKind::Workload;
    run.workload =
        Some(WorkloadFacts { repository: "acme/shop".to_owned(), ref_protected: true, ..WorkloadFacts::default() });
    assert_eq!(promote(&run, "shop"), Verdict::Allow);
    assert_eq!(promote(&run, "other"), Verdict::Deny, "an app without a repository is nobody's");
    let mut branch = run.clone();
    branch.workload.as_mut().unwrap().ref_protected = false;
    assert_eq!(promote(&branch, "shop"), Verdict::Deny);
    let empty = super::Principal { workload: Some(WorkloadFacts::default()), ..run };
    assert_eq!(promote(&empty, "other"), Verdict::Deny, "nothing equals nothing");
}

#[test]
fn people_are_told_what_would_help() {
    let team = "@id(\"team.promotes\") @why(\"w\")
        permit (principal in Group::\"team\", action == Action::\"release:promote\", resource);";
    let bundle = guarded_with(team);
    let release = of_app(Resource::Release, "shop/R1");
    let mut locked = user("admin");
    locked.locked = true;
    // Somebody without a role, to whom a group gives a permit, is no stranger to it.
    let mut teammate = user("");
    teammate.groups = vec!["team".to_owned()];
    let cases = [
        (
            user("viewer"),
            "app:create",
            rack(),
            "app:create on Rack dev refused: no policy permits it to your roles; \
          roles that may: admin",
        ),
        (
            user("viewer"),
            "service:restart",
            of_app(Resource::Service, "shop/web"),
            "service:restart on Service shop/web refused: no policy permits it to your roles; roles that may: ops",
        ),
        (
            locked,
            "app:list",
            rack(),
            "app:list on Rack dev refused: this account or token is locked (guardrails.locked)",
        ),
        (
            user("deployer"),
            "release:promote",
            release.clone(),
            "release:promote on Release shop/R1 refused: production needs two approvals (approvals.production), and \
          changes need a second factor (step-up.mutate); it would pass with an approval by somebody else, then a \
          second factor",
        ),
        (user(""), "release:promote", release.clone(), "not permitted"),
        (user("superuser"), "app:list", rack(), "not permitted"),
        (
            teammate,
            "release:promote",
            release,
            "release:promote on Release shop/R1 refused: production needs two approvals (approvals.production), \
             and changes need a second factor (step-up.mutate); it would pass with an approval by somebody else, then \
             a second factor",
        ),
        (
            user("viewer"),
            "no:such",
            rack(),
            "no:such on Rack dev refused: the policies could not be evaluated; the record says why, tell an operator",
        ),
    ];
    for (who, action, resource, expected) in cases {
        let told = ask(&bundle, &who, action, &resource, &unproved()).explain();
        assert_eq!(told, expected);
    }
}

#[test]
fn what_clients_choose_is_told_harmlessly() {
    let bundle = bundle(&[]);
    let nasty = format!("shop/%s%n\u{1b}[31m\n{}", "x".repeat(500));
    let told = ask(&bundle, &user("viewer"), "release:promote", &of_app(Resource::Release, &nasty), &ordinary());
    let told = told.explain();
    assert!(told.contains("shop/?s?n?[31m?xxx"), "{told}");
    assert!(!told.contains('%') && !told.contains(char::is_control) && told.len() < 300, "{told}");
}

/// A passkey is asked for where nothing less is enough, and a factor for the request where one for
/// the request was given already.
#[test]
fn the_least_factor_is_asked_for() {
    use ChallengeKind::{Mfa as Factor, MfaBound as Bound};
    let keys = "@id(\"keys.rack\") @why(\"w\") @challenge(\"mfa\")
        forbid (principal, action in Action::\"rack-admin\", resource) unless { context.mfa.phishing_resistant };";
    let bundle = bundle(&[("policies/step-up.cedar", STEP_UP), ("policies/keys.cedar", keys)]);
    let certificate = ResourceRef::new(Resource::Certificate, "acme".to_owned(), None);
    let service = of_app(Resource::Service, "shop/web");
    let weak = |age_s, bound| Mfa { bound_to_request: bound, ..proved(age_s, false) };
    let cases = [
        ("service:restart", &service, Mfa::never(), Some(Factor), false),
        ("rack:update", &rack(), Mfa::never(), Some(Factor), true),
        ("rack:update", &rack(), weak(0, false), Some(Factor), true),
        // What was given for the request is what policies see: only its like can take its place.
        ("rack:update", &rack(), weak(0, true), Some(Bound), true),
        ("service:restart", &service, weak(601, true), Some(Bound), false),
        ("rack:update", &rack(), proved(0, true), None, false),
        ("certificate:delete", &certificate, Mfa::never(), Some(Bound), true),
        ("certificate:delete", &certificate, weak(0, true), Some(Bound), true),
    ];
    for (action, resource, mfa, factor, strong) in cases {
        let context = Context { mfa: mfa.clone(), ..unproved() };
        let decision = ask(&bundle, &user("admin"), action, resource, &context);
        assert_eq!((decision.factor(), decision.strong()), (factor, strong), "{action} {mfa:?}: {decision:?}");
        assert_eq!(decision.verdict() == Verdict::Challenge, factor.is_some(), "{action} {mfa:?}");
    }
    let mut token = user("admin");
    token.kind = PrincipalKind::ApiToken;
    let decision = ask(&bundle, &token, "rack:update", &rack(), &unproved());
    assert_eq!((decision.verdict(), ids(&decision)), (Verdict::Deny, vec!["keys.rack"]), "machines have no factors");
}

#[test]
fn people_are_told_which_factor_would_help() {
    let bundle = bundle(&[]);
    let app = of_app(Resource::App, "shop");
    let mut locked = user("admin");
    locked.locked = true;
    let cases = [
        (
            user("viewer"),
            "app:read",
            "app:read on App shop refused: this session has not shown a second factor yet (step-up.session); it \
             would pass with a second factor",
        ),
        (
            user("admin"),
            "app:delete",
            "app:delete on App shop refused: this needs a second factor that is given for this very request \
             (step-up.bound); it would pass with a second factor for this very request",
        ),
        (
            user("viewer"),
            "app:delete",
            "app:delete on App shop refused: no policy permits it to your roles; roles that may: admin",
        ),
        (locked, "app:delete", "app:delete on App shop refused: this account or token is locked (guardrails.locked)"),
    ];
    for (who, action, expected) in cases {
        assert_eq!(ask(&bundle, &who, action, &app, &unproved()).explain(), expected);
    }
    let keys = "@id(\"keys.apps\") @why(\"apps are deleted with a key\") @challenge(\"mfa_bound\")
        forbid (principal, action == Action::\"app:delete\", resource) unless { context.mfa.phishing_resistant };";
    let bundle = super::bundle(&[("policies/keys.cedar", keys)]);
    let told = ask(&bundle, &user("admin"), "app:delete", &app, &unproved()).explain();
    assert!(told.ends_with("; it would pass with a security key or passkey for this very request"), "{told}");
}
