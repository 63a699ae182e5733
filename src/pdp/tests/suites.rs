//! The runner of policy tests fails for whatever a reviewer would want it to.

use super::super::{SourceFile, SuiteReport, explain, run_suite};
use super::{Bundle, bundle};

const CAST: &str = r#"{"context": {"mfa": {"age_s": 0, "bound_to_request": true}}, "principals": {
    "vic": {"kind": "User", "roles": ["viewer"]},
    "gone": {"kind": "User", "id": "vic", "roles": ["viewer"], "locked": true}
}}"#;

fn run(bundle: &Bundle, cases: &str) -> SuiteReport {
    let files = [
        SourceFile::new("policies/tests/cast.json", CAST),
        SourceFile::new("policies/tests/cases.json", cases),
        SourceFile::new("policies/tests/canaries.json", "not read here"),
        SourceFile::new("policies/tests/matrix.txt", "not read here"),
    ];
    run_suite(bundle, &files)
}

fn case(name: &str, who: &str, action: &str, rest: &str) -> String {
    format!("{{\"name\": \"{name}\", \"principal\": \"{who}\", \"action\": \"{action}\", {rest}}}")
}

#[test]
fn answers_are_compared_exactly() {
    let bundle = bundle(&[]);
    let allow = "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"]";
    let wrong = [
        "\"decision\": \"deny\", \"reasons\": [\"roles.viewer-looks\"]",
        "\"decision\": \"allow\", \"reasons\": []",
        "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\", \"roles.ops-operates\"]",
        "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"], \"challenges\": [\"mfa\"]",
        "\"decision\": \"allow\"",
        "\"reasons\": [\"roles.viewer-looks\"]",
        "\"resource\": \"prod\", \"decision\": \"deny\", \"reasons\": []",
        "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"], \
         \"shadow\": {\"decision\": \"deny\", \"reasons\": []}",
    ];
    assert_eq!(run(&bundle, &format!("[{}]", case("n", "vic", "app:list", allow))).passed, 1);
    for rest in wrong {
        let report = run(&bundle, &format!("[\n{}]", case("the name", "vic", "app:list", rest)));
        assert_eq!((report.passed, report.failures.len()), (0, 1), "{rest}");
        let failure = &report.failures[0];
        assert_eq!(
            (failure.file.as_str(), failure.line, failure.name.as_str()),
            ("policies/tests/cases.json", Some(2), "the name")
        );
        assert!(!report.is_success());
    }
    let report =
        run(&bundle, &format!("[{}]", case("n", "vic", "app:list", "\"decision\": \"deny\", \"reasons\": []")));
    let text = report.to_string();
    assert!(
        text.contains("cases.json:1: n\n  expected deny by []\n  got      allow by [roles.viewer-looks]\n"),
        "{text}"
    );
}

#[test]
fn challenges_and_shadows_can_be_expected() {
    let step_up = "@id(\"s.m\") @why(\"w\") @challenge(\"mfa\")
        forbid (principal, action == Action::\"app:list\", resource) unless { context.mfa.age_s <= 60 };
        @id(\"s.t\") @why(\"w\") @mode(\"shadow\") forbid (principal, action == Action::\"app:read\", resource);";
    let cases = [
        case(
            "c",
            "vic",
            "app:list",
            "\"context\": {\"mfa\": {\"age_s\": 61}}, \
              \"decision\": \"challenge\", \"reasons\": [\"s.m\"], \"challenges\": [\"mfa\"]",
        ),
        case(
            "a",
            "vic",
            "app:list",
            "\"context\": {\"mfa\": {\"age_s\": 9}}, \"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"]",
        ),
        case(
            "s",
            "vic",
            "app:read",
            "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"], \
              \"shadow\": {\"decision\": \"deny\", \"reasons\": [\"s.t\"]}",
        ),
        case("t", "vic", "app-metrics:read", "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"]"),
    ];
    let report = run(&bundle(&[("policies/s.cedar", step_up)]), &format!("[{}]", cases.join(",")));
    assert_eq!((report.passed, report.failures.len()), (4, 0), "{report}");
    assert!(!report.uncovered.iter().any(|id| id.starts_with("s.")), "{report}");
    // s.m has a near miss in the factor alone, s.t in the action alone.
    assert!(!report.without_near_miss.iter().any(|id| id.starts_with("s.")), "{report}");
}

#[test]
fn what_is_not_tried_fails() {
    let bundle = bundle(&[]);
    let locked = case("a", "gone", "app:list", "\"decision\": \"deny\", \"reasons\": [\"guardrails.locked\"]");
    let far = case("b", "vic", "console:login", "\"decision\": \"allow\", \"reasons\": [\"gateway.console\"]");
    let near = case("c", "vic", "app:list", "\"decision\": \"allow\", \"reasons\": [\"roles.viewer-looks\"]");
    let without = run(&bundle, &format!("[{locked},{far}]"));
    assert_eq!(without.passed, 2);
    assert_eq!(without.without_near_miss, ["guardrails.locked"]);
    assert!(without.uncovered.contains(&"roles.viewer-looks".to_owned()));
    assert!(!without.uncovered.contains(&"gateway.console".to_owned()));
    let with = run(&bundle, &format!("[{locked},{far},{near}]"));
    assert!(with.without_near_miss.is_empty() && !with.uncovered.contains(&"roles.viewer-looks".to_owned()));
    assert!(!with.is_success(), "other policies are still untried");
}

#[test]
fn no_tests_is_a_failure() {
    let bundle = bundle(&[]);
    for report in [run(&bundle, "[]"), run_suite(&bundle, &[])] {
        assert!(!report.is_success());
        assert!(report.to_string().contains("there are no tests"), "{report}");
    }
}

#[test]
fn files_that_cannot_be_read_fail() {
    let bundle = bundle(&[]);
    let cases = [
        ("[{]", "cases.json:1: "),
        (
            "[{\"name\": \"n\", \"principal\": \"vic\", \"action\": \"app:list\", \"reason\": []}]",
            "unknown field `reason`",
        ),
        (
            "[{\"name\": \"n\", \"principal\": \"vic\", \"action\": \"app:list\", \"context\": {\"ip\": \"::1\"}}]",
            "unknown field `ip`",
        ),
    ];
    for (text, message) in cases {
        let report = run(&bundle, text);
        assert!(!report.is_success() && report.to_string().contains(message), "{report}");
    }
    let clash = SourceFile::new("policies/tests/cast.json", r#"{"apps": [{"name": "a"}, {"name": "a"}]}"#);
    let report = run_suite(&bundle, &[clash]);
    assert!(report.to_string().contains("app a is there already"), "{report}");
}

#[test]
fn a_question_is_explained_at_length() {
    let step_up = ("policies/step-up.cedar", include_str!("step-up.cedar"));
    let bundle = bundle(&[step_up]);
    let cast =
        SourceFile::new("policies/tests/cast.json", r#"{"principals": {"ola": {"kind": "User", "roles": ["ops"]}}}"#);
    let question = r#"{"name": "q", "principal": "ola", "action": "service:restart", "resource": "shop/web"}"#;
    let told = explain(&bundle, std::slice::from_ref(&cast), question).unwrap();
    let expected = format!(
        "challenge: service:restart on Service shop/web refused: changes need a second factor (step-up.mutate); it \
         would pass with a second factor\n  by step-up.mutate: changes need a second factor\n  with mfa it \
         would be allow by [roles.ops-operates]\n  bundle {}",
        bundle.digest()
    );
    assert_eq!(told, expected);
    let unknown = question.replace("ola", "nobody");
    let problem = explain(&bundle, &[cast], &unknown).unwrap_err();
    assert!(problem.to_string().starts_with("question: nobody is not in the cast; remedy: write {"), "{problem}");
}
