//! What a policy says about itself: a closed list of annotations, so that a misspelt one is an
//! error and not a policy without it.

use super::decision::ChallengeKind;
use super::problem::{Problem, line_at};
use super::sources::SourceFile;
use cedar_policy::{Effect, Policy};
use std::sync::Arc;

/// What the gateway knows about one policy beside its condition.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub id: Arc<str>,
    pub why: Arc<str>,
    pub effect: Effect,
    pub challenge: Option<ChallengeKind>,
    pub shadow: bool,
    pub file: String,
    pub line: usize,
}

const KNOWN: &[&str] = &["id", "why", "challenge", "owner", "ticket", "mode"];

/// Where a policy stands in its file.
struct Place<'a> {
    file: &'a SourceFile,
    start: usize,
    end: usize,
}

impl Place<'_> {
    fn line(&self) -> usize {
        line_at(&self.file.text, self.start)
    }

    /// The line of an annotation of this policy.
    fn line_of(&self, key: &str) -> usize {
        let text = self.file.text.get(self.start..self.end).unwrap_or_default();
        let offset = text.find(&format!("@{key}")).unwrap_or(0);
        line_at(&self.file.text, self.start + offset)
    }

    fn problem(&self, line: usize, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::new(&self.file.name, Some(line), message, remedy)
    }
}

/// Read a policy's annotations.
pub(super) fn read(file: &SourceFile, policy: &Policy, at: (usize, usize)) -> Result<Meta, Vec<Problem>> {
    let place = Place { file, start: at.0, end: at.1 };
    let mut problems = unknown(policy, &place);
    let id = problems_into(&mut problems, id(policy, &place));
    let why = problems_into(&mut problems, why(policy, &place));
    let challenge = problems_into(&mut problems, challenge(policy, &place));
    let shadow = problems_into(&mut problems, mode(policy, &place));
    problems.extend(empty(policy, &place));
    match (id, why, challenge, shadow) {
        (Some(id), Some(why), Some(challenge), Some(shadow)) if problems.is_empty() => Ok(Meta {
            id: id.into(),
            why: why.into(),
            effect: policy.effect(),
            challenge,
            shadow,
            file: file.name.clone(),
            line: place.line(),
        }),
        _ => Err(problems),
    }
}

fn problems_into<T>(problems: &mut Vec<Problem>, result: Result<T, Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn unknown(policy: &Policy, place: &Place<'_>) -> Vec<Problem> {
    let unknown = policy.annotations().filter(|(key, _)| !KNOWN.contains(key));
    unknown
        .map(|(key, _)| {
            place.problem(
                place.line_of(key),
                format!("unknown annotation @{key}"),
                "use one of @id @why @challenge @owner @ticket @mode",
            )
        })
        .collect()
}

/// An `@owner` or `@ticket` that says nothing.
fn empty(policy: &Policy, place: &Place<'_>) -> Vec<Problem> {
    ["owner", "ticket"]
        .iter()
        .filter(|key| policy.annotation(key).is_some_and(|value| value.trim().is_empty()))
        .map(|key| place.problem(place.line_of(key), format!("@{key} is empty"), "give it a value or remove it"))
        .collect()
}

fn id(policy: &Policy, place: &Place<'_>) -> Result<String, Problem> {
    let stem = place.file.stem();
    let example = format!("give it an id that begins with the file's name: @id(\"{stem}.what-it-does\")");
    let Some(id) = policy.annotation("id") else {
        return Err(place.problem(place.line(), "a policy without @id", example));
    };
    let rest = id.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(plain) => Ok(id.to_owned()),
        _ => Err(place.problem(
            place.line_of("id"),
            format!("@id(\"{id}\") is not {stem}. followed by lower-case letters, digits, dots and dashes"),
            example,
        )),
    }
}

fn why(policy: &Policy, place: &Place<'_>) -> Result<String, Problem> {
    let remedy = "write one sentence that a refused person understands, without the percent sign";
    match policy.annotation("why") {
        None => Err(place.problem(place.line(), "a policy without @why", remedy)),
        // The convox command prints what it is told through a format string.
        Some(why) if why.trim().is_empty() || why.contains('%') || why.contains(char::is_control) => {
            Err(place.problem(place.line_of("why"), "@why is not one plain sentence", remedy))
        }
        Some(why) => Ok(why.trim().to_owned()),
    }
}

fn challenge(policy: &Policy, place: &Place<'_>) -> Result<Option<ChallengeKind>, Problem> {
    let Some(value) = policy.annotation("challenge") else {
        return Ok(None);
    };
    if policy.effect() == Effect::Permit {
        return Err(place.problem(
            place.line_of("challenge"),
            "@challenge on a permit",
            "a challenge lifts a forbid; move the condition into a forbid with this annotation",
        ));
    }
    ChallengeKind::parse(value).map(Some).ok_or_else(|| {
        place.problem(
            place.line_of("challenge"),
            format!("@challenge(\"{value}\") is none that the gateway can pose"),
            "use \"mfa\", \"mfa_bound\" or \"approval\"",
        )
    })
}

fn mode(policy: &Policy, place: &Place<'_>) -> Result<bool, Problem> {
    match policy.annotation("mode") {
        None => Ok(false),
        Some("shadow") => Ok(true),
        Some(value) => Err(place.problem(
            place.line_of("mode"),
            format!("@mode(\"{value}\") is unknown"),
            "use \"shadow\", or remove it: a policy without @mode is enforced",
        )),
    }
}
