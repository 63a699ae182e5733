//! What the browser tests are made of: packages of exact versions, none of which runs anything when
//! it is installed.

use serde_json::Value;

use super::{none, read};

fn parsed(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const REGISTRY: &str = "https://registry.npmjs.org/";

/// `1.2.3`, without a range.
fn is_exact(version: &str) -> bool {
    version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok())
}

/// What is wrong with a locked package.
fn problem(name: &str, package: &Value) -> Option<String> {
    // Without an address, it comes from the registry that npm is configured with; the digest decides.
    let address = &package["resolved"];
    let elsewhere = !address.is_null() && !address.as_str().is_some_and(|url| url.starts_with(REGISTRY));
    let has_digest = package["integrity"].as_str().is_some_and(|digest| digest.starts_with("sha512-"));
    let checks = [
        (elsewhere, "it does not come from the public registry"),
        (!has_digest, "it has no SHA-512"),
        (package["hasInstallScript"] == true, "it wants to run a script when it is installed"),
    ];
    checks.iter().find(|(wrong, _)| *wrong).map(|(_, what)| format!("package-lock.json: {name}: {what}"))
}

#[test]
fn packages_have_exact_versions_and_run_nothing() {
    let manifest = parsed("tests/browser/package.json");
    let wanted = manifest["dependencies"].as_object().expect("dependencies");
    let loose = wanted.iter().filter(|(_, version)| !version.as_str().is_some_and(is_exact));
    let loose = loose.map(|(name, version)| format!("package.json: {name}: {version}: name one version"));
    let lock = parsed("tests/browser/package-lock.json");
    assert_eq!(lock["packages"][""]["dependencies"], manifest["dependencies"], "run npm install in tests/browser");
    let locked = lock["packages"].as_object().expect("packages");
    let locked = locked.iter().filter(|(name, _)| !name.is_empty()).filter_map(|(name, one)| problem(name, one));
    none(&loose.chain(locked).collect::<Vec<_>>());
}

#[test]
fn each_fault_of_a_package_is_found() {
    for version in ["^1.2.3", "~1.2.3", "1.2", "1.x.0", "latest", "", "1.2.3-beta.1", "file:x"] {
        assert!(!is_exact(version), "{version}");
    }
    let good = serde_json::json!({"resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "sha512-x"});
    assert!(is_exact("1.2.3") && problem("a", &good).is_none());
    for (field, value) in [
        ("resolved", Value::from("https://elsewhere.example/a.tgz")),
        ("resolved", Value::from("git+ssh://git@example.com/a.git")),
        ("integrity", Value::from("sha1-x")),
        ("integrity", Value::Null),
        ("hasInstallScript", Value::from(true)),
    ] {
        let mut faulty = good.clone();
        faulty[field] = value;
        assert!(problem("a", &faulty).is_some(), "{faulty}");
    }
}
