//! Documents: links lead somewhere, commands exist, the settings are those of the code.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::{none, read, root, table, walk_ext};

/// The text outside fenced blocks, and the text inside them.
fn split_fences(text: &str) -> (String, String) {
    let (mut outside, mut inside, mut fenced) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let into = if fenced { &mut inside } else { &mut outside };
        into.push_str(line);
        into.push('\n');
    }
    (outside, inside)
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter_map(|c| match c {
        ' ' | '-' => Some('-'),
        c if c.is_alphanumeric() || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

fn broken_links(path: &str) -> Vec<String> {
    let text = read(path);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let local = links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    let mut problems = Vec::new();
    for link in local {
        let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { root().join(path) } else { root().join(folder).join(file) };
        if !target.exists() {
            problems.push(format!("{path}: the link {link} leads nowhere"));
        } else if !fragment.is_empty() {
            let linked = std::fs::read_to_string(&target).expect("a text file");
            if !linked.lines().any(|line| line.starts_with('#') && anchor(line) == fragment) {
                problems.push(format!("{path}: {link}: there is no such heading"));
            }
        }
    }
    problems
}

#[test]
fn links_between_documents_resolve() {
    none(&walk_ext(".", &[".md"]).iter().flat_map(|path| broken_links(path)).collect::<Vec<_>>());
}

/// Paths of the repository written as code in the documents that describe it.
#[test]
fn files_named_in_documents_exist() {
    let folders = ["src/", "tests/", "docs/", "benches/", "policies/", "schema/", "migrations/", ".ci/", ".github/"];
    let mut problems = Vec::new();
    for path in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let (outside, _) = split_fences(&read(path));
        for code in outside.split('`').skip(1).step_by(2) {
            let named = code.split('*').next().unwrap_or(code);
            let ours = folders.iter().any(|folder| named.starts_with(folder)) && !named.contains([' ', '<', '{']);
            if ours && !root().join(named).exists() {
                problems.push(format!("{path}: `{code}` does not exist"));
            }
        }
    }
    none(&problems);
}

/// Documents that comments and messages of the source send their reader to.
#[test]
fn documents_named_in_source_exist() {
    let mut problems = Vec::new();
    for path in walk_ext(".", &[".rs", ".mjs", ".cedar", ".cedarschema", ".toml", ".yml", ".sh", ".py", "Dockerfile"]) {
        let text = read(&path);
        let words = text.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)));
        let named = words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md"));
        let ours =
            named.filter(|word| word.starts_with("docs/") || word.starts_with("policies/") || !word.contains('/'));
        let gone = ours.filter(|word| word.len() > 3 && !root().join(word).exists());
        problems.extend(gone.map(|word| format!("{path}: {word} does not exist")));
    }
    none(&problems);
}

#[test]
fn make_targets_named_in_documents_exist() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':').map(|(names, _)| names))
        .flat_map(str::split_whitespace)
        .collect();
    let mut problems = Vec::new();
    for path in walk_ext(".", &[".md"]) {
        let text = read(&path);
        let (outside, inside) = split_fences(&text);
        let spans = outside.split('`').skip(1).step_by(2);
        for code in spans.chain(inside.lines()) {
            let Some(target) = code.trim().strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()) else {
                continue;
            };
            if !targets.contains(target) {
                problems.push(format!("{path}: `make {target}` is not in the Makefile"));
            }
        }
    }
    none(&problems);
}

/// String literals in the form of environment variables.
#[derive(Default)]
struct Settings(BTreeSet<String>);

impl<'ast> Visit<'ast> for Settings {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !super::source::is_test_only(super::source::item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let value = literal.value();
        let upper = value.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if upper && value.len() > 3 {
            self.0.insert(value);
        }
    }
}

/// Environment variables that the program reads: those of `src/config`, and our own elsewhere.
pub(super) fn settings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in walk_ext("src", &[".rs"]).iter().filter(|path| !super::source::is_test_file(path)) {
        let mut settings = Settings::default();
        settings.visit_file(&syn::parse_file(&read(path)).expect("a source file"));
        let is_config = path.starts_with("src/config/");
        all.extend(settings.0.into_iter().filter(|name| is_config || name.starts_with("RGW_")));
    }
    all
}

/// Environment variables of the table in the README.
pub(super) fn documented() -> BTreeSet<String> {
    let rows = table(&read("README.md"), "<!-- tidy: settings -->");
    let names = rows.iter().flat_map(|row| row[0].split('`').skip(1).step_by(2)).map(str::to_owned);
    names.collect()
}

#[test]
fn the_readme_lists_the_settings_of_the_code() {
    let (settings, documented) = (settings(), documented());
    let missing = settings.difference(&documented).map(|name| format!("README.md: {name} is not in the table"));
    let invented = documented.difference(&settings).map(|name| format!("README.md: nothing reads {name}"));
    none(&missing.chain(invented).collect::<Vec<_>>());
}

#[test]
fn anchors_are_made_as_the_forge_makes_them() {
    assert_eq!(anchor("## Who may name whom"), "who-may-name-whom");
    assert_eq!(anchor("# `make run`, then?"), "make-run-then");
}
