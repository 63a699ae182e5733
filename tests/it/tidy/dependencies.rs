//! What `deny.toml` says of dependencies, held without `cargo-deny`: licences and refused crates.

use std::collections::BTreeSet;
use std::process::Command;

use super::{none, read, root};

/// The rules of `deny.toml` that matter here.
struct Rules {
    allowed: Vec<String>,
    /// Crate, and the licence that it alone may have.
    exceptions: Vec<(String, String)>,
    refused: Vec<String>,
}

/// Text between the first pair of quotes after `key`.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once(key)?.1.split('"').nth(1)
}

impl Rules {
    fn parse(text: &str) -> Self {
        let mut rules = Self { allowed: Vec::new(), exceptions: Vec::new(), refused: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            match (quoted(line, "crate ="), quoted(line, "allow = [")) {
                (Some(name), Some(licence)) => rules.exceptions.push((name.to_owned(), licence.to_owned())),
                (Some(name), None) => rules.refused.push(name.to_owned()),
                (None, _) if line.starts_with('"') => rules.allowed.extend(quoted(line, "").map(str::to_owned)),
                (None, _) => {}
            }
        }
        rules
    }

    /// What is wrong with a dependency, given as `cargo tree` prints it: `name v1.2.3|licence`.
    fn problem(&self, line: &str) -> Option<String> {
        let (package, licence) = line.split_once('|')?;
        let name = package.split(' ').next().unwrap_or(package);
        if self.refused.iter().any(|refused| refused == name) {
            return Some(format!("{package}: deny.toml refuses it"));
        }
        let exception = self.exceptions.iter().find(|(of, _)| of == name).map(|(_, licence)| licence);
        let is_allowed = |id: &str| self.allowed.iter().chain(exception).any(|allowed| allowed == id);
        (!Expression::new(licence).met(&is_allowed)).then(|| format!("{package}: {licence} is not in deny.toml"))
    }
}

/// An SPDX licence expression (SPDX 2.3, annex D), with the old `/` for `OR`.
struct Expression(Vec<String>);

impl Expression {
    fn new(text: &str) -> Self {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let spaced = spaced.replace(" WITH ", "+WITH+");
        Self(spaced.split_whitespace().map(|word| word.replace("+WITH+", " WITH ")).rev().collect())
    }

    fn met(mut self, allowed: &dyn Fn(&str) -> bool) -> bool {
        let met = self.any(allowed);
        met && self.0.is_empty()
    }

    fn any(&mut self, allowed: &dyn Fn(&str) -> bool) -> bool {
        let mut met = self.all(allowed);
        while self.0.pop_if(|word| word == "OR").is_some() {
            met |= self.all(allowed);
        }
        met
    }

    fn all(&mut self, allowed: &dyn Fn(&str) -> bool) -> bool {
        let mut met = self.one(allowed);
        while self.0.pop_if(|word| word == "AND").is_some() {
            met &= self.one(allowed);
        }
        met
    }

    fn one(&mut self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self.0.pop().as_deref() {
            Some("(") => {
                let met = self.any(allowed);
                self.0.pop_if(|word| word == ")").is_some() && met
            }
            Some(id) => allowed(id),
            None => false,
        }
    }
}

/// What `cargo tree` prints, one package a line.
fn tree(selection: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--prefix", "none", "--locked"])
        .args(selection)
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).expect("UTF-8")
}

#[test]
fn the_client_brings_nothing_of_the_server_and_the_server_nothing_of_the_client() {
    let cases: [(&str, &[&str], &str); 2] = [
        (
            "cli",
            &["actix-web", "actix-http", "awc", "cedar-policy", "sea-orm", "sqlx", "rack-gateway-migrations", "ring"],
            "reqwest",
        ),
        ("server", &["webbrowser", "gethostname", "ring"], "actix-web"),
    ];
    for (feature, strange, own) in cases {
        let selection = ["--package", "rack-gateway", "--no-default-features", "--features", feature];
        let text = tree(&[&selection[..], &["--edges", "normal,build"]].concat());
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(own), "{feature}: cargo tree printed too little");
        let found = strange.iter().filter(|name| names.contains(**name));
        none(&found.map(|name| format!("Cargo.toml: {feature} brings {name}")).collect::<Vec<_>>());
    }
}

#[test]
fn dependencies_keep_to_deny_toml() {
    let text = tree(&["--workspace", "--all-features", "--edges", "all", "--format", "{p}|{l}"]);
    let rules = Rules::parse(&read("deny.toml"));
    // Lines of features have no version; what is printed again ends with a star.
    let packages = text.lines().filter(|line| line.contains(" v")).map(|line| line.trim_end_matches(" (*)"));
    let mut problems: Vec<_> = packages.filter_map(|line| rules.problem(line)).collect();
    problems.dedup();
    assert!(text.lines().count() > 100, "cargo tree printed too little");
    none(&problems);
}

#[test]
fn a_licence_is_read_as_it_is_written() {
    let rules = Rules::parse(&read("deny.toml"));
    let cases = [
        ("a v1|MIT", true),
        ("a v1|MIT OR GPL-3.0", true),
        ("a v1|GPL-3.0/MIT", true),
        ("a v1|MIT AND GPL-3.0", false),
        ("a v1|(GPL-3.0 OR MIT) AND ISC", true),
        ("a v1|(GPL-3.0 OR AGPL-3.0) AND ISC", false),
        ("a v1|Apache-2.0 WITH LLVM-exception", true),
        ("a v1|GPL-2.0 WITH Classpath-exception-2.0", false),
        ("a v1|", false),
        ("a v1|CC0-1.0", false),
        ("notify v8|CC0-1.0", true),
        ("ring v0.17|ISC", false),
        ("actix-governor v1|MIT", false),
    ];
    for (line, is_fine) in cases {
        assert_eq!(rules.problem(line).is_none(), is_fine, "{line}");
    }
}
