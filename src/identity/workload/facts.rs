//! Reading claims: what is required of them, and the facts that policy gets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::WorkloadError;
use crate::config::{FactClaims, Pattern};

/// Longest claim that becomes a fact, in bytes.
const LONGEST: usize = 1024;

type Claims = Map<String, Value>;

/// Every required claim must have one of its values.
pub(super) fn check_required(claims: &Claims, require: &BTreeMap<String, Vec<Pattern>>) -> Result<(), WorkloadError> {
    for (claim, patterns) in require {
        let value = claims.get(claim).and_then(scalar);
        if !value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(&value))) {
            return Err(WorkloadError::Requirement(claim.clone()));
        }
    }
    Ok(())
}

/// A claim as text; empty when there is none.
pub(super) fn text(claims: &Claims, name: Option<&str>) -> Result<String, WorkloadError> {
    let Some((name, value)) = name.and_then(|name| Some((name, claims.get(name)?))) else { return Ok(String::new()) };
    if value.is_null() {
        return Ok(String::new());
    }
    let text = scalar(value).filter(|text| text.len() <= LONGEST && !text.contains(char::is_control));
    text.ok_or_else(|| WorkloadError::Claim(name.to_owned()))
}

/// A claim that is true or `true`. Anything else but false and nothing is refused.
pub(super) fn is_true(claims: &Claims, name: Option<&str>) -> Result<bool, WorkloadError> {
    match text(claims, name)?.as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(WorkloadError::Claim(name.unwrap_or_default().to_owned())),
    }
}

/// The whole git ref. Where branches and tags are named without `refs/`, the kind says which it is:
/// without it a tag could pass for a branch of the same name.
pub(super) fn git_ref(claims: &Claims, names: &FactClaims) -> Result<String, WorkloadError> {
    let name = text(claims, names.git_ref.as_deref())?;
    let Some(kind) = names.ref_type.as_deref() else { return Ok(name) };
    if name.is_empty() {
        return Ok(name);
    }
    match text(claims, Some(kind))?.as_str() {
        "branch" => Ok(format!("refs/heads/{name}")),
        "tag" => Ok(format!("refs/tags/{name}")),
        _ => Err(WorkloadError::Claim(kind.to_owned())),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
