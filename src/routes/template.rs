//! Path templates, read once from the static tables.

use std::borrow::Cow;

use super::escape::push_path;
use super::target::Target;

/// One segment of a template. The order is the order of precedence: literals first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// These characters.
    Literal(&'static str),
    /// `{name}` and these characters, as in `{build}.tgz`.
    Suffixed(&'static str, &'static str),
    /// `{name}`.
    Param(&'static str),
    /// `{name...}`: all that is left.
    Tail(&'static str),
}

impl Part {
    fn read(segment: &'static str) -> Self {
        let Some((name, suffix)) = segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Self::Literal(segment);
        };
        match (name.strip_suffix("..."), suffix) {
            (Some(name), _) => Self::Tail(name),
            (None, "") => Self::Param(name),
            (None, suffix) => Self::Suffixed(name, suffix),
        }
    }

    /// Name of the parameter, if it is one.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Literal(_) => None,
            Self::Suffixed(name, _) | Self::Param(name) | Self::Tail(name) => Some(name),
        }
    }

    /// Rank in precedence, without the names.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Suffixed(..) => 1,
            Self::Param(_) => 2,
            Self::Tail(_) => 3,
        }
    }

    fn admits(self, segment: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == segment,
            Self::Suffixed(_, suffix) => segment.strip_suffix(suffix).is_some_and(|value| !value.is_empty()),
            Self::Param(_) | Self::Tail(_) => true,
        }
    }
}

/// A path template: `/apps/{app}/objects/{key...}`.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

impl Template {
    pub(super) fn read(path: &'static str) -> Self {
        Self { parts: path.split('/').skip(1).map(Part::read).collect() }
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The literal that every target of this template starts with.
    pub(super) fn first(&self) -> &'static str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            Some(Part::Suffixed(..) | Part::Param(_) | Part::Tail(_)) | None => "",
        }
    }

    fn fixed(&self) -> (&[Part], bool) {
        match self.parts.split_last() {
            Some((Part::Tail(_), fixed)) => (fixed, true),
            Some((Part::Literal(_) | Part::Suffixed(..) | Part::Param(_), _)) | None => (&self.parts, false),
        }
    }

    /// Whether `target` has this shape. A tail takes at least one segment, and only a tail may be
    /// followed by a slash.
    pub(super) fn admits(&self, target: &Target) -> bool {
        let (fixed, tail) = self.fixed();
        let count = target.segments().len();
        let shape = if tail { count > fixed.len() } else { count == fixed.len() && !target.slash() };
        shape && fixed.iter().zip(target.segments()).all(|(part, segment)| part.admits(segment))
    }

    /// Whether `target` is of this template or beneath it: for refusals, where a tail may be empty.
    pub(super) fn covers(&self, target: &Target) -> bool {
        let (fixed, tail) = self.fixed();
        let count = target.segments().len();
        let shape = if tail { count >= fixed.len() } else { count == fixed.len() };
        shape && fixed.iter().zip(target.segments()).all(|(part, segment)| part.admits(segment))
    }

    /// Values of the parameters, in order, of a target that [`Template::admits`].
    pub(super) fn values<'t>(&'t self, target: &'t Target) -> impl Iterator<Item = (&'static str, Cow<'t, str>)> {
        self.parts.iter().enumerate().filter_map(|(index, part)| {
            let name = part.name()?;
            let rest = target.segments().get(index..)?;
            let segment = rest.first()?;
            let value = match *part {
                Part::Literal(_) | Part::Param(_) => Cow::Borrowed(segment.as_str()),
                Part::Suffixed(_, suffix) => Cow::Borrowed(segment.strip_suffix(suffix)?),
                Part::Tail(_) => Cow::Owned(rest.join("/") + if target.slash() { "/" } else { "" }),
            };
            Some((name, value))
        })
    }

    /// Builds the path of these parameters, percent-encoded.
    pub(super) fn path(&self, params: &[(&'static str, String)]) -> String {
        let mut path = String::new();
        let mut values = params.iter().map(|(_, value)| value.as_str());
        for part in &self.parts {
            path.push('/');
            match part {
                Part::Literal(literal) => path.push_str(literal),
                Part::Suffixed(_, suffix) => {
                    push_path(&mut path, values.next().unwrap_or_default());
                    path.push_str(suffix);
                }
                Part::Param(_) | Part::Tail(_) => push_path(&mut path, values.next().unwrap_or_default()),
            }
        }
        path
    }
}
