//! From method and target to one row, or to the reason why there is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::param::Syntax;
use super::row::{Kind, Resource, Row};
use super::target::Target;
use super::template::Template;
use super::{API, CONSOLE, RACK, REFUSED, Refused};

/// What the table says about a request.
#[derive(Debug)]
pub enum Found {
    /// A row, with its parameters.
    Row(Matched),
    /// A route that never passes.
    Refused(&'static Refused),
    /// A row whose path parameter has a value that nothing on a rack can have.
    BadParameter(BadParameter),
    /// No such path.
    Unknown,
    /// The path exists under another method.
    WrongMethod,
}

impl Found {
    /// Stable name for records, metrics and tests; none for a row.
    #[must_use]
    pub const fn slug(&self) -> Option<&'static str> {
        match self {
            Self::Row(_) => None,
            Self::Refused(_) => Some("refused-route"),
            Self::BadParameter(bad) => Some(bad.slug()),
            Self::Unknown => Some("unknown-route"),
            Self::WrongMethod => Some("wrong-method"),
        }
    }

    /// HTTP status of the refusal; none for a row.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Row(_) => None,
            Self::Refused(_) => Some(403),
            Self::BadParameter(bad) => Some(bad.status()),
            Self::Unknown | Self::WrongMethod => Some(404),
        }
    }
}

/// A path parameter outside its syntax. Malformed, so status 400; the value is not repeated.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the path names no possible {name}: expected {expected}")]
pub struct BadParameter {
    /// The row that the path has the shape of.
    pub row: &'static Row,
    /// Name of the parameter, as in the template.
    pub name: &'static str,
    /// What would be accepted, for people.
    pub expected: &'static str,
}

impl BadParameter {
    /// Stable name for records, metrics and tests.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        "bad-parameter"
    }

    /// HTTP status of the refusal.
    #[must_use]
    pub const fn status(&self) -> u16 {
        400
    }
}

/// A row with the parameters and the target of one request.
#[derive(Debug)]
pub struct Matched {
    entry: &'static Entry,
    params: Vec<(&'static str, String)>,
    target: Target,
}

/// Finds the row of a request. Refused routes come first; then the more specific template wins:
/// a literal before a parameter, `{build}.tgz` before `{build}`. `HEAD` is never read as `GET`.
#[must_use]
pub fn find(kind: Kind, target: Target) -> Found {
    let Some(bucket) = target.segments().first().and_then(|first| INDEX.get(first.as_str())) else {
        return Found::Unknown;
    };
    let refused = bucket
        .refused
        .iter()
        .find(|(template, refused)| refused.kind.is_none_or(|only| only == kind) && template.covers(&target));
    if let Some((_, refused)) = refused {
        return Found::Refused(refused);
    }
    let mut known = false;
    for entry in bucket.rows.iter().filter(|entry| entry.template.admits(&target)) {
        if entry.row.kind == kind {
            return bind(entry, target);
        }
        known = true;
    }
    if known { Found::WrongMethod } else { Found::Unknown }
}

fn bind(entry: &'static Entry, target: Target) -> Found {
    let mut params = Vec::with_capacity(2);
    for (name, value) in entry.template.values(&target) {
        let syntax = Syntax::of(name).unwrap_or(Syntax::Name);
        if !syntax.accepts(&value) {
            return Found::BadParameter(BadParameter { row: entry.row, name, expected: syntax.expected() });
        }
        params.push((name, value.into_owned()));
    }
    Found::Row(Matched { entry, params, target })
}

impl Matched {
    /// The row.
    #[must_use]
    pub const fn row(&self) -> &'static Row {
        self.entry.row
    }

    /// Value of a path parameter, decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Id of the Cedar entity that the row acts on: its parameters joined by `/`; `rack`, the
    /// configured name, when it acts on the rack.
    #[must_use]
    pub fn resource_id(&self, rack: &str) -> String {
        if matches!(self.entry.row.resource, Resource::Rack | Resource::AuditLog) {
            return rack.to_owned();
        }
        let values: Vec<&str> =
            self.entry.row.resource.params().iter().filter_map(|param| self.param(param.0)).collect();
        values.join("/")
    }

    /// The app that the path names, if any.
    #[must_use]
    pub fn app(&self) -> Option<&str> {
        self.param("app")
    }

    /// The target as it was read.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The path, built again from the row and the parameters.
    pub(super) fn path(&self) -> String {
        self.entry.template.path(&self.params)
    }
}

#[derive(Debug)]
struct Entry {
    row: &'static Row,
    template: Template,
}

/// Rows and refusals whose paths start with the same literal.
#[derive(Debug, Default)]
struct Bucket {
    rows: Vec<Entry>,
    refused: Vec<(Template, &'static Refused)>,
}

/// Derived from the static tables; constant.
static INDEX: LazyLock<HashMap<&'static str, Bucket>> = LazyLock::new(|| {
    let mut index: HashMap<&'static str, Bucket> = HashMap::new();
    for row in RACK.iter().chain(CONSOLE).chain(API) {
        let template = Template::read(row.path);
        index.entry(template.first()).or_default().rows.push(Entry { row, template });
    }
    for refused in REFUSED {
        let template = Template::read(refused.path);
        index.entry(template.first()).or_default().refused.push((template, refused));
    }
    for bucket in index.values_mut() {
        // The more specific template first.
        bucket
            .rows
            .sort_by_cached_key(|entry| entry.template.parts().iter().map(|part| part.rank()).collect::<Vec<_>>());
    }
    index
});

#[cfg(test)]
mod tests;
