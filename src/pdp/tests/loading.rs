//! What a bundle is refused for: always with file, line and remedy, and all of it at once.

use super::super::{Bundle, BundleErrors, SourceFile, Sources, check};
use super::sources;

fn errors(sources: &Sources) -> BundleErrors {
    match Bundle::load(sources) {
        Ok(_) => panic!("the bundle was accepted"),
        Err(errors) => errors,
    }
}

/// Sources with this policy file only.
fn alone(text: &str) -> Sources {
    let mut sources = sources(&[]);
    sources.policies = vec![SourceFile::new("policies/x.cedar", text)];
    sources
}

const GOOD: &str = "@id(\"x.a\")\n@why(\"w\")\npermit (principal in Role::\"viewer\", action, resource);\n";

/// A policy text, and the line, words of the message and words of the remedy that it is refused with.
type Case<'a> = (&'a str, usize, &'a str, &'a str);

const POLICIES: &[Case<'_>] = &[
    ("@id(\"x.a\") @why(\"w\")\npermit (principal, action resource);", 2, "unexpected token `resource`", "correct"),
    (
        "\n@why(\"w\")\npermit (principal in Role::\"ops\", action, resource);",
        2,
        "without @id",
        "@id(\"x.what-it-does\")",
    ),
    ("@id(\"y.a\") @why(\"w\")\nforbid (principal, action, resource);", 1, "is not x. followed by", "@id(\"x."),
    ("@id(\"x.\") @why(\"w\")\nforbid (principal, action, resource);", 1, "is not x. followed by", "@id(\"x."),
    ("@id(\"x.A b\") @why(\"w\")\nforbid (principal, action, resource);", 1, "is not x. followed by", "@id(\"x."),
    ("@id(\"x.a\")\nforbid (principal, action, resource);", 1, "without @why", "one sentence"),
    ("@id(\"x.a\")\n@why(\" \")\nforbid (principal, action, resource);", 2, "not one plain sentence", "one sentence"),
    ("@id(\"x.a\")\n@why(\"9% of\")\nforbid (principal, action, resource);", 2, "not one plain sentence", "percent"),
    (
        "@id(\"x.a\") @why(\"w\")\n@expires(\"2026\")\nforbid (principal, action, resource);",
        2,
        "unknown annotation @expires",
        "@id @why @challenge @owner @ticket @mode",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\n@why(\"v\")\nforbid (principal, action, resource);",
        2,
        "duplicate annotation",
        "correct",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\n@challenge(\"mfa\")\npermit (principal, action, resource);",
        2,
        "@challenge on a permit",
        "forbid",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\n@challenge(\"sms\")\nforbid (principal, action, resource);",
        2,
        "@challenge(\"sms\")",
        "\"mfa\", \"mfa_bound\" or \"approval\"",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\n@mode(\"audit\")\nforbid (principal, action, resource);",
        2,
        "@mode(\"audit\")",
        "\"shadow\"",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\n@owner\nforbid (principal, action, resource);",
        2,
        "@owner is empty",
        "give it a value",
    ),
    (
        "\n@id(\"x.a\") @why(\"w\")\npermit (principal == ?principal, action, resource);",
        2,
        "templates are not allowed",
        "for a role or a group",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\nforbid (principal in Role::\"admn\", action, resource);",
        1,
        "role admn is not declared",
        "policies/roles.json",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\nforbid (principal, action, resource)\nwhen { resource in App::\"shop\" };",
        1,
        "app shop is not declared",
        "policies/apps.json",
    ),
    // What strict validation refuses.
    ("@id(\"x.a\") @why(\"w\")\nforbid (principal, action, resource)\nwhen { context.nope };", 3, "attribute", ""),
    ("@id(\"x.a\") @why(\"w\")\nforbid (principal, action == Action::\"app:remove\", resource);", 2, "app:remove", ""),
    ("@id(\"x.a\") @why(\"w\")\nforbid (principal is Usr, action, resource);", 2, "Usr", ""),
    // What it only warns of: a policy that can never match.
    (
        "@id(\"x.a\") @why(\"w\")\nforbid (principal, action == Action::\"app:delete\", resource is Rack);",
        1,
        "unable to find an applicable action",
        "",
    ),
    (
        "@id(\"x.a\") @why(\"w\")\nforbid (principal, action, resource)\nwhen { false };",
        1,
        "impossible",
        "protects nothing",
    ),
];

#[test]
fn a_policy_is_refused_with_line_and_remedy() {
    for (text, line, message, remedy) in POLICIES {
        let errors = errors(&alone(text));
        let found = errors.problems().iter().find(|problem| problem.message.contains(message));
        let problem = found.unwrap_or_else(|| panic!("{text}\nexpected {message}\ngot {errors}"));
        assert_eq!((problem.file.as_str(), problem.line), ("policies/x.cedar", Some(*line)), "{text}\n{errors}");
        assert!(!problem.remedy.is_empty() && problem.remedy.contains(remedy), "{text}\n{errors}");
        assert!(problem.to_string().starts_with(&format!("policies/x.cedar:{line}: ")), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
}

#[test]
fn ids_are_unique_across_files() {
    let errors = errors(&sources(&[("policies/x.cedar", GOOD), ("policies/deep/x.cedar", GOOD)]));
    let lines: Vec<String> = errors.problems().iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{errors}");
    assert_eq!(
        lines[0],
        "policies/deep/x.cedar:1: @id(\"x.a\") is already in policies/x.cedar:1; \
         remedy: give each policy an id of its own"
    );
}

#[test]
fn everything_wrong_is_reported_together() {
    let mut sources =
        sources(&[("policies/b.cedar", "permit"), ("policies/a.cedar", "forbid (principal, action, resource);")]);
    sources.schema.push(SourceFile::new("schema/more.cedarschema", "entity User in [Nobody];\nentity"));
    sources.roles.text = "{\"roles\": [}".to_owned();
    sources.apps.text = "{\"apps\": [{\"name\": \"x\", \"tier\": 1}]}".to_owned();
    let errors = errors(&sources);
    let files: Vec<&str> = errors.problems().iter().map(|problem| problem.file.as_str()).collect();
    let expected = [
        "policies/a.cedar",
        "policies/a.cedar",
        "policies/apps.json",
        "policies/b.cedar",
        "policies/roles.json",
        "schema/more.cedarschema",
    ];
    assert_eq!(files, expected, "{errors}");
    assert!(errors.problems().iter().all(|problem| problem.line.is_some() && !problem.remedy.is_empty()), "{errors}");
    assert_eq!(errors.to_string().lines().count(), expected.len());
}

#[test]
fn roles_are_refused_with_line_and_remedy() {
    let role = |name: &str, more: &str| format!("{{\"name\": \"{name}\", \"description\": \"d\"{more}}}");
    let cases = [
        (role("a", ", \"inherits\": [\"b\"]"), "role a inherits from b, which is not declared"),
        (role("a", "") + ",\n" + &role("a", ""), "role a is declared twice"),
        (
            role("a", ", \"inherits\": [\"c\"]") + ",\n" + &role("c", ", \"inherits\": [\"a\"]"),
            "role c inherits from itself",
        ),
        (role("a", ", \"inherits\": [\"a\"]"), "role a inherits from itself"),
        (role("", ""), "a role without name or description"),
        (role("a", ", \"parents\": []"), "unknown field `parents`"),
    ];
    for (text, message) in cases {
        let mut sources = sources(&[]);
        sources.roles.text = format!("{{\"roles\": [\n{text}\n]}}");
        let errors = errors(&sources);
        let problem = errors.problems().iter().find(|problem| problem.message.contains(message));
        let problem = problem.unwrap_or_else(|| panic!("{text}: {errors}"));
        assert!(problem.file == "policies/roles.json" && problem.line >= Some(2), "{errors}");
    }
}

#[test]
fn apps_are_strict_and_refused_twice() {
    let mut sources = sources(&[]);
    sources.apps.text =
        "{\"apps\": [\n{\"name\": \"shop\"},\n{\"name\": \"shop\", \"protected\": false}\n]}".to_owned();
    let errors = errors(&sources);
    assert_eq!(errors.to_string(), "policies/apps.json:2: app shop is listed twice; remedy: list it once");
}

#[test]
fn canaries_that_sing_refuse_the_bundle() {
    let everybody = "@id(\"x.a\") @why(\"w\") permit (principal, action in Action::\"read\", resource);";
    let message = errors(&sources(&[("policies/x.cedar", everybody)])).to_string();
    assert!(message.contains("app:list must be denied to a user without roles, and is not: allow x.a"), "{message}");
    assert!(message.contains("remedy: name a role or a group in the scope of the permit"), "{message}");
    assert!(
        message.contains("policies/tests/canaries.json:")
            && message.contains("\"a role that nobody declared gives nothing\""),
        "{message}"
    );
    let fails = "@id(\"x.a\") @why(\"w\") forbid (principal, action in Action::\"read\", resource)
        when { context.mfa.age_s + 9223372036854775807 > 0 };";
    let message = errors(&sources(&[("policies/x.cedar", fails)])).to_string();
    assert!(message.contains("app:list must be denied") && message.contains("overflow"), "{message}");
}

#[test]
fn canaries_must_be_readable() {
    let cases = [
        ("[{\"name\": \"n\"}]", "missing field `principal`"),
        ("[{\"name\": \"n\", \"principal\": \"vic\", \"action\": \"app:list\"}]", "vic is not in the cast"),
        ("[{\"name\": \"n\", \"principal\": {\"kind\": \"Robot\"}, \"action\": \"app:list\"}]", "not a Robot"),
        (
            "[{\"name\": \"n\", \"principal\": {\"kind\": \"User\"}, \"action\": \"app:look\"}]",
            "action app:look is unknown",
        ),
    ];
    for (text, message) in cases {
        let mut sources = sources(&[]);
        sources.tests = vec![SourceFile::new("policies/tests/canaries.json", text)];
        let errors = errors(&sources);
        assert!(errors.to_string().contains(message), "{text}: {errors}");
        assert_eq!(errors.problems()[0].line, Some(1), "{errors}");
    }
}

fn folder() -> Vec<(String, String)> {
    let embedded = Sources::embedded("dev");
    let files = embedded.schema.iter().chain(&embedded.policies).chain(&embedded.tests);
    let files = files.chain([&embedded.roles, &embedded.apps]);
    files.map(|file| (file.name.clone(), file.text.clone())).collect()
}

#[test]
fn a_folder_is_taken_as_it_is_or_refused() {
    let mut files = folder();
    files.push(("policies/README.md".to_owned(), String::new()));
    let read = Sources::from_files("dev", files).unwrap();
    assert_eq!(read, Sources::embedded("dev"));
    for stray in ["policies/tests/x.cedar", "policies/x.cedar.bak", "schema/x.cedar", "policies/users.json", "x.cedar"]
    {
        let stray_file = (stray.to_owned(), GOOD.to_owned());
        let errors = Sources::from_files("dev", folder().into_iter().chain([stray_file])).unwrap_err();
        assert_eq!(errors.problems()[0].file, stray);
        assert!(errors.to_string().contains("belongs to no bundle; remedy: remove it"), "{errors}");
    }
    let errors = Sources::from_files("dev", Vec::new()).unwrap_err();
    assert_eq!(errors.problems().len(), 5, "{errors}");
    assert!(errors.problems().iter().all(|problem| problem.message == "the file is missing"));
}

#[test]
fn the_digest_is_of_what_decides() {
    let plain = sources(&[]);
    let digest = plain.digest();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut reordered = plain.clone();
    reordered.policies.reverse();
    reordered.tests.clear();
    assert_eq!(reordered.digest(), digest);
    let mut changed = Vec::new();
    let mut change = |apply: fn(&mut Sources)| {
        let mut sources = plain.clone();
        apply(&mut sources);
        changed.push(sources.digest());
    };
    change(|sources| sources.policies[0].text.push(' '));
    change(|sources| sources.policies[0].name.push('x'));
    change(|sources| sources.schema[0].text.push(' '));
    change(|sources| sources.roles.text.push(' '));
    change(|sources| sources.apps.text.push(' '));
    change(|sources| sources.policies.truncate(1));
    changed.push(digest);
    let count = changed.len();
    changed.sort();
    changed.dedup();
    assert_eq!(changed.len(), count);
}

#[test]
fn a_sound_bundle_is_described() {
    let shadow = "@id(\"x.a\") @why(\"w\") @mode(\"shadow\") forbid (principal, action, resource);";
    let report = check(&sources(&[("policies/x.cedar", shadow)])).unwrap();
    assert_eq!((report.enforced, report.shadow.as_slice()), (62, ["x.a".to_owned()].as_slice()));
    assert_eq!(report.roles.join(" "), "viewer ops deployer admin cicd security auditor");
    let text = report.to_string();
    assert!(text.starts_with("62 policies enforced, 1 in shadow\n  shadow: x.a\n") && text.ends_with(&report.digest));
}
