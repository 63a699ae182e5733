//! From texts to checked parts: every file alone, every problem at once.
//!
//! Files are never joined: a comment without a line end in one file would swallow the first
//! policy of the next.

use super::annotations::{self, Meta};
use super::context::Reads;
use super::data::{self, App, Roles};
use super::problem::{BundleErrors, Problem, line_at};
use super::slices::{self, Known};
use super::sources::{SourceFile, Sources};
use super::table;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode, Validator};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;
use std::sync::Arc;

/// Entities that a policy may follow from principal or resource: their own attributes, no further.
const DEREFERENCES: u32 = 1;

/// The checked parts of a bundle.
#[derive(Debug)]
pub(super) struct Parts {
    pub schema: Schema,
    pub policies: Vec<Known>,
    pub roles: Roles,
    pub apps: BTreeMap<String, App>,
}

/// Read and check everything.
pub(super) fn load(sources: &Sources) -> Result<Parts, BundleErrors> {
    let mut problems = Vec::new();
    let schema = keep(&mut problems, schema(&sources.schema));
    let roles = keep(&mut problems, data::roles(&sources.roles));
    let apps = keep(&mut problems, data::apps(&sources.apps));
    let mut policies = Vec::new();
    for file in &sources.policies {
        policies.extend(policies_of(file, &mut problems));
    }
    problems.extend(repeated_ids(&policies));
    if let (Some(roles), Some(apps)) = (&roles, &apps) {
        problems.extend(policies.iter().flat_map(|known| undeclared(known, roles, apps)));
    }
    if let Some(schema) = &schema {
        problems.extend(invalid(schema, &policies, sources));
    }
    BundleErrors::check(problems)?;
    match (schema, roles, apps) {
        (Some(schema), Some(roles), Some(apps)) => Ok(Parts { schema, policies, roles, apps }),
        // Each absence above came with a problem.
        _ => Err(Problem::new("policies", None, "the bundle is incomplete", "report this as a defect").into()),
    }
}

fn keep<T>(problems: &mut Vec<Problem>, result: Result<T, Vec<Problem>>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

fn schema(files: &[SourceFile]) -> Result<Schema, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut fragments = Vec::new();
    for file in files {
        let remedy = "correct the schema; schema/README.md describes it";
        match SchemaFragment::from_cedarschema_str(&file.text) {
            Ok((fragment, warnings)) => {
                let warnings = warnings.map(|warning| DetailedError::from(&warning));
                problems.extend(warnings.map(|found| Problem::from_engine(&file.name, &file.text, &found, remedy)));
                fragments.push(fragment);
            }
            Err(error) => {
                let found = DetailedError::from(&error);
                problems.push(Problem::from_engine(&file.name, &file.text, &found, remedy));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = |message: String, remedy: &str| vec![Problem::new("schema", None, message, remedy)];
    let schema = Schema::from_schema_fragments(fragments).map_err(|error| {
        whole(DetailedError::from(&error).message, "declare what is named, once, in one of the files")
    })?;
    let gaps = table::differences(&schema);
    if gaps.is_empty() {
        return Ok(schema);
    }
    let remedy = "take over the actions of the gateway's own schema; `rack-gateway-api routes` lists them";
    Err(gaps.into_iter().flat_map(|gap| whole(gap, remedy)).collect())
}

/// The policies of one file, under their own ids, in the order of the file.
fn policies_of(file: &SourceFile, problems: &mut Vec<Problem>) -> Vec<Known> {
    let set = match PolicySet::from_str(&file.text) {
        Ok(set) => set,
        Err(errors) => {
            let remedy = "correct the policy; docs/policies.md is the guide";
            let found = errors.iter().map(DetailedError::from);
            problems.extend(found.map(|found| Problem::from_engine(&file.name, &file.text, &found, remedy)));
            return Vec::new();
        }
    };
    for template in set.templates() {
        let line = template.as_ref().loc().map(|loc| line_at(&file.text, loc.start()));
        let remedy = "write a policy without ?principal and ?resource, for a role or a group";
        problems.push(Problem::new(&file.name, line, "templates are not allowed", remedy));
    }
    let mut known = Vec::new();
    for policy in set.policies() {
        let loc = policy.as_ref().loc();
        let at = loc.map_or((0, file.text.len()), |loc| (loc.start(), loc.end()));
        match identified(file, policy, at) {
            Ok(policy) => known.push(policy),
            Err(found) => problems.extend(found),
        }
    }
    known.sort_by_key(|known| known.meta.line);
    known
}

fn identified(file: &SourceFile, policy: &Policy, at: (usize, usize)) -> Result<Known, Vec<Problem>> {
    let meta = annotations::read(file, policy, at)?;
    // What cannot be looked into counts as reading everything.
    let reads = policy.to_json().map_or(Reads::ALL, |json| slices::reads(&json));
    let policy = policy.new_id(PolicyId::new(&*meta.id));
    Ok(Known { policy, meta: Arc::new(meta), reads })
}

fn repeated_ids(policies: &[Known]) -> Vec<Problem> {
    let mut first: HashMap<&str, &Meta> = HashMap::new();
    let mut problems = Vec::new();
    for known in policies {
        let meta = &*known.meta;
        if let Some(earlier) = first.get(&*meta.id) {
            let message = format!("@id(\"{}\") is already in {}:{}", meta.id, earlier.file, earlier.line);
            problems.push(Problem::new(&meta.file, Some(meta.line), message, "give each policy an id of its own"));
        } else {
            first.insert(&meta.id, meta);
        }
    }
    problems
}

/// Roles and apps that a policy names and nobody declared: a misspelt one would never match.
fn undeclared(known: &Known, roles: &Roles, apps: &BTreeMap<String, App>) -> Vec<Problem> {
    let meta = &*known.meta;
    let missing = known.policy.entity_literals().into_iter().filter_map(|uid| {
        let id = uid.id().unescaped().to_owned();
        let (kind, declared, file) = match uid.type_name().basename() {
            "Role" => ("role", roles.is_declared(&id), "policies/roles.json"),
            "App" => ("app", apps.contains_key(&id), "policies/apps.json"),
            _ => return None,
        };
        (!declared).then(|| (format!("{kind} {id} is not declared"), format!("declare it in {file}, or correct it")))
    });
    missing.map(|(message, remedy)| Problem::new(&meta.file, Some(meta.line), message, remedy)).collect()
}

/// Strict validation; a warning is an error, since "this can never match" is how a guardrail fails.
fn invalid(schema: &Schema, policies: &[Known], sources: &Sources) -> Vec<Problem> {
    let mut set = PolicySet::new();
    for known in policies {
        // A second policy of the same id was reported already.
        if set.policy(known.policy.id()).is_none() && set.add(known.policy.clone()).is_err() {
            let remedy = "report this as a defect";
            return vec![Problem::new(&known.meta.file, Some(known.meta.line), "the policy cannot be added", remedy)];
        }
    }
    let result = Validator::new(schema.clone()).validate_with_level(&set, ValidationMode::Strict, DEREFERENCES);
    let errors = result.validation_errors().map(|error| (error.policy_id().clone(), DetailedError::from(error)));
    let warnings = result.validation_warnings().map(|found| (found.policy_id().clone(), DetailedError::from(found)));
    errors
        .chain(warnings)
        .map(|(id, found)| {
            let meta = policies.iter().find(|known| *known.policy.id() == id).map(|known| &*known.meta);
            let file = meta.and_then(|meta| sources.policies.iter().find(|file| file.name == meta.file));
            let (name, text) = file.map_or(("policies", ""), |file| (&*file.name, &*file.text));
            let remedy = "make the policy agree with schema/; a policy that cannot match protects nothing";
            let problem = Problem::from_engine(name, text, &found, remedy);
            Problem { line: problem.line.or_else(|| meta.map(|meta| meta.line)), ..problem }
        })
        .collect()
}
