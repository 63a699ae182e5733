//! Tests of policies: questions with the answer that reviewers agreed on.
//!
//! An answer is compared exactly: the decision, the ids of all policies that determined it, the
//! challenges. A suite that leaves a policy untried fails, and so does one without tests.

use super::bundle::Bundle;
use super::case::{self, Asked, Cast, Posed, ShadowCase};
use super::decision::{Decision, Verdict};
use super::problem::{Problem, line_of};
use super::sources::{SourceFile, Sources};
use cedar_policy::Effect;
use std::collections::BTreeSet;
use std::fmt;

const CASE_SHAPE: &str =
    "[{\"name\": .., \"principal\": .., \"action\": .., \"resource\": .., \"decision\": .., \"reasons\": [..]}]";
const QUESTION_SHAPE: &str = "{\"name\": .., \"principal\": .., \"action\": .., \"resource\": .., \"context\": {..}}";
const CANARY_SHAPE: &str = "[{\"name\": .., \"principal\": {\"kind\": .., ..}, \"action\": .., \"resource\": ..}]";
const CAST_SHAPE: &str = "{\"principals\": {NAME: {\"kind\": .., \"roles\": [..]}}, \"apps\": [..]}";

/// A case that was not answered as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its file.
    pub file: String,
    /// Line of its name, where it was found.
    pub line: Option<usize>,
    /// Its name.
    pub name: String,
    /// What was expected.
    pub expected: String,
    /// What was answered.
    pub got: String,
}

/// What became of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuiteReport {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that did not.
    pub failures: Vec<Failure>,
    /// Files that could not be read as cases.
    pub problems: Vec<Problem>,
    /// Policies that determined the answer of no passing case.
    pub uncovered: Vec<String>,
    /// Forbids without a near miss: two passing cases that differ in one fact, of which the
    /// forbid determines one and not the other.
    pub without_near_miss: Vec<String>,
}

impl SuiteReport {
    /// Whether everything passed and everything was tried. No tests is a failure.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.passed > 0
            && self.failures.is_empty()
            && self.problems.is_empty()
            && self.uncovered.is_empty()
            && self.without_near_miss.is_empty()
    }
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for failure in &self.failures {
            let line = failure.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(f, "{}{line}: {}", failure.file, failure.name)?;
            writeln!(f, "  expected {}", failure.expected)?;
            writeln!(f, "  got      {}", failure.got)?;
        }
        for id in &self.uncovered {
            writeln!(f, "{id}: determines the answer of no passing test; add a case that names it in reasons")?;
        }
        for id in &self.without_near_miss {
            writeln!(f, "{id}: no near miss; add a case that differs in one fact and that this forbid spares")?;
        }
        if self.passed == 0 && self.failures.is_empty() {
            writeln!(f, "there are no tests; add cases to policies/tests/")?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failures.len())
    }
}

/// Run the cases of all `policies/tests/*.json` but `canaries.json`, with the cast of `cast.json`.
#[must_use]
pub fn run_suite(bundle: &Bundle, files: &[SourceFile]) -> SuiteReport {
    let mut report = SuiteReport::default();
    let (bundle, cast) = match staged(bundle, files) {
        Ok(staged) => staged,
        Err(problem) => {
            report.problems.push(problem);
            return report;
        }
    };
    let mut answers = Vec::new();
    let cases = files.iter().filter(|file| file.name.ends_with(".json"));
    for file in cases.filter(|file| !is(file, "cast.json") && !is(file, "canaries.json")) {
        match case::parse::<Vec<Asked>>(file, CASE_SHAPE) {
            Ok(cases) => cases.iter().for_each(|case| run(&bundle, &cast, file, case, &mut report, &mut answers)),
            Err(problem) => report.problems.push(problem),
        }
    }
    coverage(&bundle, &answers, &mut report);
    report
}

/// Decide one question, written as a case of the tests (its answer may be left out), and tell
/// everything that is known about the decision, one thing a line. For people who write policies.
///
/// # Errors
/// The question cannot be read, or names what neither cast nor route table knows.
pub fn explain(bundle: &Bundle, tests: &[SourceFile], question: &str) -> Result<String, Problem> {
    let (bundle, cast) = staged(bundle, tests)?;
    let file = SourceFile::new("question", question);
    let asked: Asked = case::parse(&file, QUESTION_SHAPE)?;
    let posed = asked
        .pose(&bundle, &cast)
        .map_err(|message| Problem::new(&file.name, None, message, format!("write {QUESTION_SHAPE}")))?;
    Ok(told(&bundle.decide(&posed.question())))
}

fn told(decision: &Decision) -> String {
    let mut lines = vec![format!("{}: {}", decision.verdict(), decision.explain())];
    lines.extend(decision.reasons().iter().map(|reason| format!("  by {}: {}", reason.id, reason.why)));
    lines.extend(decision.errors().iter().map(|error| format!("  error: {error}")));
    if let Some(second) = decision.hypothetical() {
        let assumed: Vec<&str> = second.assumed.iter().map(|challenge| challenge.as_str()).collect();
        lines.push(format!(
            "  with {} it would be {}",
            assumed.join(" and "),
            describe(second.verdict.as_str(), second.reasons.iter().map(|id| &**id), &[], &[])
        ));
    }
    if decision.shadow().is_some() {
        lines.push(format!("  with shadow policies enforced it would be {}", shadow_answer(decision)));
    }
    lines.push(format!("  bundle {}", decision.bundle()));
    lines.join("\n")
}

/// The bundle with the apps of the cast, and the cast.
fn staged(bundle: &Bundle, files: &[SourceFile]) -> Result<(Bundle, Cast), Problem> {
    let cast = match files.iter().find(|file| is(file, "cast.json")) {
        Some(file) => case::parse(file, CAST_SHAPE)?,
        None => Cast::default(),
    };
    Ok((bundle.with_apps(&cast.apps)?, cast))
}

fn is(file: &SourceFile, name: &str) -> bool {
    file.name.rsplit('/').next() == Some(name)
}

/// A passing case: the question, and the policies that determined the answer.
struct Answer {
    posed: Posed,
    ids: BTreeSet<String>,
}

fn run(
    bundle: &Bundle,
    cast: &Cast,
    file: &SourceFile,
    case: &Asked,
    report: &mut SuiteReport,
    answers: &mut Vec<Answer>,
) {
    let expected = expected(case);
    let mut fail = |got: String| {
        report.failures.push(Failure {
            file: file.name.clone(),
            line: line_of(&file.text, &format!("\"{}\"", case.name)),
            name: case.name.clone(),
            expected: expected.clone().unwrap_or_else(|| "a decision and its reasons".to_owned()),
            got,
        });
    };
    let posed = match case.pose(bundle, cast) {
        Ok(posed) => posed,
        Err(error) => return fail(error),
    };
    let decision = bundle.decide(&posed.question());
    let got = answer(&decision);
    if expected.as_ref() != Some(&got) {
        return fail(got);
    }
    let shadow = shadow_answer(&decision);
    if let Some(expected) = case.shadow.as_ref().map(expected_shadow)
        && expected != shadow
    {
        return fail(format!("{got}, in shadow {shadow}, not {expected}"));
    }
    let live = decision.reasons().iter().map(|reason| reason.id.to_string());
    let shadows = decision.shadow().into_iter().flat_map(|shadow| shadow.reasons.iter().map(ToString::to_string));
    answers.push(Answer { ids: live.chain(shadows).collect(), posed });
    report.passed += 1;
}

/// The answer of a case in one line; nothing where the case lacks it.
fn expected(case: &Asked) -> Option<String> {
    let reasons = case.reasons.as_ref()?.iter().map(String::as_str);
    Some(describe(case.decision.as_deref()?, reasons, &case.challenges, &[]))
}

fn expected_shadow(case: &ShadowCase) -> String {
    describe(&case.decision, case.reasons.iter().map(String::as_str), &[], &[])
}

fn answer(decision: &Decision) -> String {
    let challenges: Vec<String> = decision.challenges().iter().map(ToString::to_string).collect();
    let reasons = decision.reasons().iter().map(|reason| &*reason.id);
    describe(decision.verdict().as_str(), reasons, &challenges, decision.errors())
}

fn shadow_answer(decision: &Decision) -> String {
    decision.shadow().map_or_else(
        || "no difference".to_owned(),
        |shadow| describe(shadow.verdict.as_str(), shadow.reasons.iter().map(|id| &**id), &[], &shadow.errors),
    )
}

/// An answer in one line, which is also what is compared.
fn describe<'a>(
    decision: &str,
    reasons: impl Iterator<Item = &'a str>,
    challenges: &[String],
    errors: &[String],
) -> String {
    let mut line = format!("{decision} by [{}]", reasons.collect::<Vec<_>>().join(", "));
    if !challenges.is_empty() {
        line.push_str(&format!(" asking for [{}]", challenges.join(", ")));
    }
    if !errors.is_empty() {
        line.push_str(&format!(" with errors [{}]", errors.join("; ")));
    }
    line
}

fn coverage(bundle: &Bundle, answers: &[Answer], report: &mut SuiteReport) {
    for id in bundle.policy_ids() {
        let hits: Vec<&Answer> = answers.iter().filter(|answer| answer.ids.contains(id)).collect();
        if hits.is_empty() {
            report.uncovered.push(id.to_owned());
        } else if bundle.effect(id) == Some(Effect::Forbid) {
            let misses = || answers.iter().filter(|answer| !answer.ids.contains(id));
            let is_near = hits.iter().any(|hit| misses().any(|miss| hit.posed.distance(&miss.posed) == 1));
            if !is_near {
                report.without_near_miss.push(id.to_owned());
            }
        }
    }
}

/// Canaries of the bundle's own file that were not denied, and what is wrong with the file.
pub(super) fn failed_canaries(bundle: &Bundle, sources: &Sources) -> Vec<Problem> {
    let Some(file) = sources.test_file("canaries.json") else {
        return Vec::new();
    };
    let canaries: Vec<Asked> = match case::parse(file, CANARY_SHAPE) {
        Ok(canaries) => canaries,
        Err(problem) => return vec![problem],
    };
    canaries
        .iter()
        .filter_map(|canary| {
            let line = line_of(&file.text, &format!("\"{}\"", canary.name));
            let got = match canary.pose(bundle, &Cast::default()) {
                Ok(posed) => {
                    let decision = bundle.decide(&posed.question());
                    if is_silent(canary, &decision) {
                        return None;
                    }
                    answer(&decision)
                }
                Err(error) => error,
            };
            let message = format!("the canary \"{}\" must be denied, and is not: {got}", canary.name);
            Some(Problem::new(&file.name, line, message, "correct the policies, or the canary if it sings wrongly"))
        })
        .collect()
}

/// Whether a canary has nothing to sing about: it was denied, or challenged where it says so.
fn is_silent(canary: &Asked, decision: &Decision) -> bool {
    let stopped = match canary.decision.as_deref() {
        None | Some("deny") => decision.verdict() == Verdict::Deny,
        Some("challenge") => decision.verdict() != Verdict::Allow,
        Some(_) => false,
    };
    stopped && decision.errors().is_empty()
}
