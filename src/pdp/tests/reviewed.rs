//! The default policies: their own tests, their matrix, and what the binary carries of them.

use super::super::{Approval, Context, MATRIX_COMMAND, Mfa, Sources, Verdict, matrix, run_suite, table};
use super::{Bundle, SourceFile, ask, bundle, of_app, ordinary, sources, unproved, user};
use crate::routes::Resource;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files_of(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join(folder)];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| SourceFile::new(name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_policies_pass_their_tests() {
    let report = run_suite(&bundle(&[]), &Sources::embedded("dev").tests);
    assert!(report.is_success(), "{report}");
}

#[test]
fn the_reviewed_matrix_is_current() {
    let current = matrix(&bundle(&[]));
    let reviewed = include_str!("../../../policies/tests/matrix.txt");
    let changed: Vec<&str> = current.lines().filter(|line| !reviewed.lines().any(|known| known == *line)).collect();
    assert!(current == reviewed, "who may do what has changed; review it after {MATRIX_COMMAND}\n{changed:#?}");
}

#[test]
fn the_binary_carries_what_the_folders_hold() {
    let files = files_of("schema").into_iter().chain(files_of("policies"));
    let read = Sources::from_files("dev", files.map(|file| (file.name, file.text))).unwrap();
    assert_eq!(read, Sources::embedded("dev"), "a file is missing in the list of embedded files");
}

/// Policies that the documents show, each under the file name that its id asks for.
#[test]
fn documented_policies_load() {
    let documents = [include_str!("../../../policies/README.md"), include_str!("../../../docs/policies.md")];
    let mut shown = 0;
    for block in documents.iter().flat_map(|text| text.split("```\n")).filter(|block| block.starts_with("@id(\"")) {
        let stem = block.trim_start_matches("@id(\"").split('.').next().unwrap();
        let mut sources = sources(&[]);
        sources.policies.retain(|file| file.stem() != stem);
        sources.policies.push(SourceFile::new(format!("policies/{stem}.cedar"), block));
        sources.tests.clear();
        Bundle::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
        shown += 1;
    }
    assert_eq!(shown, 5);
}

/// The case that the guide shows is answered as it says.
#[test]
fn the_documented_case_passes() {
    let text = include_str!("../../../docs/policies.md");
    let case = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let tests = Sources::embedded("dev").tests;
    let cast = tests.iter().find(|file| file.name.ends_with("cast.json")).unwrap();
    let files = [cast.clone(), SourceFile::new("policies/tests/shown.json", format!("[{case}]"))];
    let report = run_suite(&bundle(&[]), &files);
    assert_eq!((report.passed, report.failures.len()), (1, 0), "{report}");
}

/// Every group of actions is in the table that says which second factor it needs.
#[test]
fn each_group_has_its_second_factor() {
    let text = include_str!("../../../policies/README.md");
    let (_, rest) = text.split_once("## Which second factor what needs").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let groups: BTreeSet<&str> = table::actions().flat_map(|row| row.groups.iter().copied()).collect();
    for group in groups {
        assert_eq!(table.matches(&format!("`{group}`")).count(), 1, "{group}");
    }
}

/// The exemption that the guide shows is one that the policy takes.
#[test]
fn the_documented_exemption_loads() {
    let guide = include_str!("../../../docs/policies.md");
    let exemption = guide.lines().find_map(|line| line.trim().strip_prefix("`|| (resource has app")).unwrap();
    let exemption = format!("|| (resource has app{}", exemption.trim_end_matches('`'));
    let rule = include_str!("../../../policies/step-up.cedar");
    let edge = "context.mfa.age_s <= 600)";
    let text = rule.replace(edge, &format!("{edge} {exemption}"));
    assert_ne!(text, rule);
    let mut sources = sources(&[("policies/step-up.cedar", &text)]);
    sources.apps.text = r#"{"apps": [{"name": "scratch", "protected": false}]}"#.to_owned();
    let bundle = Bundle::load(&sources).unwrap();
    let old = Context { mfa: Mfa { age_s: 3600, ..Mfa::never() }, ..unproved() };
    let restart = |service| ask(&bundle, &user("ops"), "service:restart", &of_app(Resource::Service, service), &old);
    assert_eq!(restart("shop/web").verdict(), Verdict::Challenge);
    assert_eq!(restart("scratch/web").verdict(), Verdict::Allow);
}

/// What the guide shows asks people for an approval where it says so, and lets them pass with one.
#[test]
fn the_documented_approval_is_asked_of_people() {
    let guide = include_str!("../../../docs/policies.md");
    let shown = guide.split("```\n").find(|block| block.starts_with("@id(\"approvals-people.")).unwrap();
    let mut sources = sources(&[("policies/approvals-people.cedar", shown)]);
    sources.apps.text = r#"{"apps": [{"name": "scratch", "environment": "test"}]}"#.to_owned();
    let bundle = Bundle::load(&sources).unwrap();
    let verdict = |action, app, approval| {
        let kind = if action == "object:create" { Resource::Object } else { Resource::App };
        let id = if kind == Resource::Object { format!("{app}/tmp/a.tgz") } else { String::from(app) };
        let context = Context { approval, ..ordinary() };
        ask(&bundle, &user("deployer"), action, &of_app(kind, &id), &context).verdict()
    };
    let good = Approval { id: "a1".to_owned(), count: 1, age_s: 60, left_s: 600, ..Approval::none() };
    let drifted = Approval { drift: "object".into(), ..good.clone() };
    for action in ["object:create", "build:create"] {
        assert_eq!(verdict(action, "shop", Approval::none()), Verdict::Challenge, "{action}");
        assert_eq!(verdict(action, "shop", drifted.clone()), Verdict::Challenge, "{action}");
        assert_eq!(verdict(action, "shop", good.clone()), Verdict::Allow, "{action}");
        assert_eq!(verdict(action, "scratch", Approval::none()), Verdict::Allow, "{action}");
    }
}
