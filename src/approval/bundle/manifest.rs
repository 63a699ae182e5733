//! What of a `convox.yml` runs which image. The rack reads it by YAML 1.1 (`gopkg.in/yaml.v2`), the first document
//! only, and takes the last of two equal names; what that reader and ours could take for different things is refused.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};
use serde_json::{Map, Value};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

/// Deepest nesting.
const DEPTH: usize = 32;

/// Why a manifest is not believed. No text of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest {0}")]
pub struct ManifestError(&'static str);

/// A thing that runs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// Name of the service, timer or resource.
    pub(super) name: String,
    /// Its image; none when it is built from source.
    pub(super) image: Option<String>,
}

/// A manifest, as far as images go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub(super) runs: Vec<Runs>,
}

impl Manifest {
    /// Reads it.
    ///
    /// # Errors
    /// [`ManifestError`] for what is no YAML, for anchors, aliases, merge keys and tags, for names that stand there
    /// twice, for several documents, for characters that YAML 1.1 and 1.2 read differently, and for images that are
    /// no text.
    pub fn parse(raw: &[u8]) -> Result<Self, ManifestError> {
        let text = str::from_utf8(raw).map_err(|_| ManifestError("is not UTF-8"))?;
        plain(text)?;
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_anchors: 0,
                max_aliases: 0,
                max_documents: 1,
                max_depth: DEPTH,
            },
            duplicate_keys: DuplicateKeyPolicy::Error,
            merge_keys: MergeKeyPolicy::Error,
            reject_unsupported_tags: true,
        };
        let unreadable = "cannot be read: it must be one YAML document without anchors, aliases, merge keys, tags \
                          and names that stand there twice";
        let root: Value = serde_saphyr::from_str_with_options(text, options).map_err(|_| ManifestError(unreadable))?;
        let Value::Object(sections) = root else { return Err(ManifestError("is no mapping")) };
        let mut runs = Vec::new();
        for (section, entries) in &sections {
            match entries {
                Value::Object(entries) => {
                    for (name, entry) in entries {
                        collect(name, entry, section == "services", &mut runs)?;
                    }
                }
                Value::Null => {}
                other if section == "services" => {
                    let _unread: &Value = other;
                    return Err(ManifestError("has services that are no mapping"));
                }
                other => nested(section, other, &mut runs)?,
            }
        }
        Ok(Self { runs })
    }
}

/// A service has its own image or is built; whatever lies in it (an init container, a sidecar) may name one more.
fn collect(name: &str, entry: &Value, is_service: bool, runs: &mut Vec<Runs>) -> Result<(), ManifestError> {
    if !is_service {
        return nested(name, entry, runs);
    }
    let empty = Map::new();
    let fields = match entry {
        Value::Object(fields) => fields,
        Value::Null => &empty,
        _ => return Err(ManifestError("has a service that is no mapping")),
    };
    let image = fields.get("image").filter(|image| !matches!(image, Value::Null));
    if image.is_some() && fields.get("build").is_some_and(|build| !build.is_null()) {
        return Err(ManifestError("has a service with both image and build"));
    }
    runs.push(Runs { name: name.to_owned(), image: image.map(text).transpose()?.filter(|image| !image.is_empty()) });
    for (key, value) in fields {
        if key != "image" {
            nested(name, value, runs)?;
        }
    }
    Ok(())
}

/// Every `image` at any depth.
fn nested(name: &str, value: &Value, runs: &mut Vec<Runs>) -> Result<(), ManifestError> {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "image" && !value.is_null() {
                    runs.push(Runs { name: name.to_owned(), image: Some(text(value)?) });
                } else {
                    nested(name, value, runs)?;
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| nested(name, value, runs)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn text(value: &Value) -> Result<String, ManifestError> {
    value.as_str().map(str::to_owned).ok_or(ManifestError("has an image that is no text"))
}

/// What the two versions of YAML read differently, and what only one reader may understand.
fn plain(text: &str) -> Result<(), ManifestError> {
    let odd = |symbol: char| {
        (symbol.is_control() && !matches!(symbol, '\n' | '\t' | '\r'))
            || matches!(symbol, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if text.contains(odd) || text.replace("\r\n", "\n").contains('\r') {
        return Err(ManifestError("has control characters or line breaks of an unusual kind"));
    }
    for line in text.lines() {
        let indentation = line.len().saturating_sub(line.trim_start().len());
        if line.starts_with('%') || line.get(..indentation).is_some_and(|blank| blank.contains('\t')) {
            return Err(ManifestError("has a directive, or a tab at the beginning of a line"));
        }
        if line.starts_with("---") || line.starts_with("...") {
            return Err(ManifestError("has a line that separates documents"));
        }
        if tagged(line) {
            return Err(ManifestError("has a tag (an exclamation mark at the beginning of a value)"));
        }
    }
    Ok(())
}

/// Whether a value of this line begins with an exclamation mark.
fn tagged(line: &str) -> bool {
    line.match_indices('!').any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let bare = before.trim_end();
        match bare.chars().next_back() {
            None => true,
            Some('[' | '{' | ',') => true,
            Some(':' | '-' | '?') => before.len() > bare.len(),
            Some(_) => false,
        }
    })
}

/// As the rack does before it reads the manifest (convox `pkg/manifest/helpers.go`): each `${NAME}` becomes the
/// value of that variable, and nothing when there is none.
#[must_use]
pub fn interpolate(manifest: &[u8], environment: &BTreeMap<String, String>) -> Vec<u8> {
    static VARIABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?-u)\$\{([^}]*?)\}").ok());
    let Some(variable) = VARIABLE.as_ref() else { return Vec::new() };
    let value = |found: &Captures<'_>| {
        let name = found.get(1).and_then(|name| str::from_utf8(name.as_bytes()).ok());
        name.and_then(|name| environment.get(name)).map(|value| value.clone().into_bytes()).unwrap_or_default()
    };
    variable.replace_all(manifest, value).into_owned()
}
