//! What does not start, and what it says; what starts, and how it stops.

use crate::harness::Db;
use crate::harness::binary::{Serving, run};
use crate::harness::policies::Policies;
use crate::rows::CountingRack;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bundle_does_not_start_and_says_where_and_what_to_do() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let good = Policies::copy();
    let dir = good.dir();
    let dir = dir.to_str().unwrap();
    let serving = Serving::start(&db.url().await, rack.addr, &[("RGW_POLICY_DIR", dir)]).await.unwrap();
    assert!(serving.terminate().await.success());

    let annotated = "@why(\"w\")\npermit (principal, action == Action::\"app:list\", resource);\n";
    let cases: &[(&str, &str, String, &[&str])] = &[
        ("not Cedar", "policies/bad.cedar", "permit (principal".to_owned(), &["policies/bad.cedar:1"]),
        ("no @id", "policies/bad.cedar", format!("\n{annotated}"), &["policies/bad.cedar:2", "@id"]),
        (
            "unknown annotation",
            "policies/bad.cedar",
            format!("@id(\"bad.x\")\n@colour(\"red\")\n{annotated}"),
            &["policies/bad.cedar:", "colour"],
        ),
        (
            "unknown action",
            "policies/bad.cedar",
            "@id(\"bad.x\")\n@why(\"w\")\npermit (principal, action == Action::\"app:explode\", resource);\n"
                .to_owned(),
            &["policies/bad.cedar:", "app:explode"],
        ),
        ("bad schema", "schema/bad.cedarschema", "entity ;".to_owned(), &["schema/bad.cedarschema:1"]),
        ("bad roles", "policies/roles.json", "{".to_owned(), &["policies/roles.json"]),
    ];
    for (what, file, text, expected) in cases {
        let spoiled = Policies::copy();
        spoiled.write(file, text);
        let dir = spoiled.dir();
        let started = Serving::start(&db.url().await, rack.addr, &[("RGW_POLICY_DIR", dir.to_str().unwrap())]).await;
        let said = started.err().unwrap_or_else(|| panic!("{what}: it started"));
        for part in expected.iter().chain(&["remedy"]) {
            assert!(said.contains(part), "{what}: `{part}` is not in: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_are_named_together() {
    let output = run(&["serve"], &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for name in ["RACK is not set", "RACK_HOST is not set", "RACK_TOKEN is not set", "APP_SECRET_KEY is not set"] {
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_from_an_embedded_database() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let first = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    let second = Serving::start(&db.url().await, rack.addr, &[]).await.err().expect("a second process serves");
    assert!(second.contains("PostgreSQL"), "it says what to do: {second}");
    assert!(first.terminate().await.success());
}
