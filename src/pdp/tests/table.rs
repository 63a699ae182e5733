//! The default schema and the route table say the same, in both directions.

use super::super::{loader, table};
use super::{Sources, sources};
use std::collections::BTreeSet;

/// Groups that have side effects; the schema puts `mutate` above them.
const MUTATING: &[&str] = &[
    "operate",
    "shell",
    "privileged-shell",
    "deploy",
    "rack-admin",
    "destructive",
    "credential-create",
    "identity-admin",
    "settings-admin",
    "own-factors",
    "secret-write",
    "approve",
    "approval-request",
];

#[test]
fn schema_and_route_table_agree() {
    let parts = loader::load(&Sources::embedded("dev")).unwrap();
    assert_eq!(table::differences(&parts.schema), Vec::<String>::new());
    let declared = table::declared(&parts.schema);
    assert_eq!(declared.len(), table::actions().count());
    for row in table::actions() {
        let mut wanted: BTreeSet<String> = row.groups.iter().map(ToString::to_string).collect();
        if row.groups.iter().any(|group| MUTATING.contains(group)) {
            wanted.insert("mutate".to_owned());
        }
        assert_eq!(declared[row.action].groups, wanted, "groups of {}", row.action);
        let resources: Vec<&str> = declared[row.action].resources.iter().map(String::as_str).collect();
        assert_eq!(resources, [row.resource.entity_type()], "resource of {}", row.action);
    }
}

#[test]
fn each_action_says_what_it_is() {
    for file in &Sources::embedded("dev").schema {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("action ")) {
            assert!(lines[index - 1].starts_with("@doc(\""), "{}:{}: {line}", file.name, index + 1);
        }
    }
}

#[test]
fn a_schema_that_differs_is_refused() {
    let without_group = ("in [\"destructive\"] appliesTo", "appliesTo", "must be in the group destructive");
    let other_resource = ("resource: [Tunnel]", "resource: [Rack]", "tunnel:open must apply to Tunnel");
    let renamed = ("\"app:delete\"", "\"app:remove\"", "action app:delete is missing");
    let surplus = ("\"app:delete\"", "\"app:remove\"", "action app:remove belongs to no route");
    for (from, to, expected) in [without_group, other_resource, renamed, surplus] {
        let mut changed = sources(&[]);
        for file in &mut changed.schema {
            file.text = file.text.replace(from, to);
        }
        let errors = loader::load(&changed).unwrap_err().to_string();
        assert!(errors.contains(expected), "{from} as {to}: {errors}");
    }
}
