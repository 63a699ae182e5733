//! The data that policies read from git: `roles.json` and `apps.json`.

use super::problem::{Problem, line_of};
use super::sources::SourceFile;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A role, as declared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    name: String,
    /// For people; every role has one.
    description: String,
    #[serde(default)]
    inherits: Vec<String>,
    /// Groups of the identity provider whose members hold it.
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesFile {
    roles: Vec<Role>,
}

/// The declared roles: name → names it inherits from, directly.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles {
    pub inherits: BTreeMap<String, Vec<String>>,
    /// Group of the identity provider → roles that its members hold.
    pub of_group: BTreeMap<String, Vec<String>>,
    /// Names in the order of the file.
    pub order: Vec<String>,
    /// What each is for.
    pub descriptions: BTreeMap<String, String>,
}

/// Facts about an app; what is not given has the strictest value.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    pub name: String,
    #[serde(default = "strictest_environment")]
    pub environment: String,
    #[serde(default = "strictest_protected")]
    pub protected: bool,
    #[serde(default)]
    pub repository: String,
    #[serde(default)]
    pub approver_group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppsFile {
    apps: Vec<App>,
}

fn strictest_environment() -> String {
    "production".to_owned()
}

const fn strictest_protected() -> bool {
    true
}

impl App {
    /// An app that nobody described.
    pub(super) fn unlisted(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            environment: strictest_environment(),
            protected: strictest_protected(),
            repository: String::new(),
            approver_group: String::new(),
        }
    }
}

/// Read `roles.json`.
pub(super) fn roles(file: &SourceFile) -> Result<Roles, Vec<Problem>> {
    let parsed: RolesFile = serde_json::from_str(&file.text).map_err(|error| {
        vec![json_problem(file, &error, "{\"roles\": [{\"name\": .., \"description\": .., \"inherits\": [..]}]}")]
    })?;
    let mut roles = Roles::default();
    let mut problems = Vec::new();
    for role in parsed.roles {
        let line = line_of(&file.text, &format!("\"{}\"", role.name));
        if role.name.is_empty() || role.description.trim().is_empty() {
            problems.push(Problem::new(&file.name, line, "a role without name or description", "give it both"));
        }
        roles.order.push(role.name.clone());
        roles.descriptions.insert(role.name.clone(), role.description);
        for group in role.groups {
            roles.of_group.entry(group).or_default().push(role.name.clone());
        }
        if roles.inherits.insert(role.name.clone(), role.inherits).is_some() {
            let message = format!("role {} is declared twice", role.name);
            problems.push(Problem::new(&file.name, line, message, "declare it once"));
        }
    }
    problems.extend(roles.unknown_parents(file));
    problems.extend(roles.cycles(file));
    if problems.is_empty() { Ok(roles) } else { Err(problems) }
}

impl Roles {
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.inherits.contains_key(name)
    }

    /// The role and all that it inherits from.
    pub(super) fn closure<'a>(&'a self, name: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(self.inherits.get(next).into_iter().flatten().map(String::as_str));
            }
        }
        seen
    }

    /// The declared ones among `roles`, and those that `groups` give; without inheritance.
    pub(super) fn held<'a>(&'a self, roles: &'a [String], groups: &'a [String]) -> BTreeSet<&'a str> {
        let given = groups.iter().filter_map(|group| self.of_group.get(group)).flatten();
        roles.iter().filter(|role| self.is_declared(role)).chain(given).map(String::as_str).collect()
    }

    fn unknown_parents(&self, file: &SourceFile) -> Vec<Problem> {
        let all = self.inherits.iter().flat_map(|(name, parents)| parents.iter().map(move |parent| (name, parent)));
        all.filter(|(_, parent)| !self.is_declared(parent))
            .map(|(name, parent)| {
                let line = line_of(&file.text, &format!("\"{parent}\""));
                let message = format!("role {name} inherits from {parent}, which is not declared");
                Problem::new(&file.name, line, message, "declare it, or correct the name")
            })
            .collect()
    }

    fn cycles(&self, file: &SourceFile) -> Vec<Problem> {
        let inherits_itself = |name: &str| {
            let parents = self.inherits.get(name).into_iter().flatten();
            parents.into_iter().any(|parent| self.closure(parent).contains(name))
        };
        self.order
            .iter()
            .filter(|name| inherits_itself(name))
            .map(|name| {
                let line = line_of(&file.text, &format!("\"{name}\""));
                Problem::new(&file.name, line, format!("role {name} inherits from itself"), "break the circle")
            })
            .collect()
    }
}

/// Read `apps.json`.
pub(super) fn apps(file: &SourceFile) -> Result<BTreeMap<String, App>, Vec<Problem>> {
    let parsed: AppsFile = serde_json::from_str(&file.text).map_err(|error| {
        vec![json_problem(file, &error, "{\"apps\": [{\"name\": .., \"environment\": .., \"protected\": ..}]}")]
    })?;
    let mut apps = BTreeMap::new();
    let mut problems = Vec::new();
    for app in parsed.apps {
        let line = line_of(&file.text, &format!("\"{}\"", app.name));
        if app.name.is_empty() || app.environment.is_empty() {
            problems.push(Problem::new(&file.name, line, "an app without name or environment", "give it both"));
        }
        let name = app.name.clone();
        if apps.insert(name.clone(), app).is_some() {
            problems.push(Problem::new(&file.name, line, format!("app {name} is listed twice"), "list it once"));
        }
    }
    if problems.is_empty() { Ok(apps) } else { Err(problems) }
}

/// A JSON text that is not of the expected shape.
pub(super) fn json_problem(file: &SourceFile, error: &serde_json::Error, shape: &str) -> Problem {
    let line = Some(error.line()).filter(|line| *line > 0);
    Problem::new(&file.name, line, error.to_string(), format!("write {shape}"))
}
