//! What a case consists of, and how both verifiers run over it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use rack_gateway_tests::evidence::{Anchor, Break, Bundle, Log, Plan, copy_of_bucket, honest};
use serde_json::Value as Json;
use tempfile::TempDir;

/// What a verifier is given.
pub struct Given {
    /// The files of the bundle.
    pub bundle: Bundle,
    /// Instead of the folder, these bytes.
    pub archive: Option<Vec<u8>>,
    /// The trust file.
    pub trust: Json,
    /// A log whose bucket was copied.
    pub copy: Option<Log>,
    /// More arguments.
    pub arguments: &'static [&'static str],
}

impl Given {
    /// The bundle of all records of a log, and its trust file.
    pub fn of(log: &Log) -> Self {
        Self::with(log, log.bundle())
    }

    pub fn with(log: &Log, bundle: Bundle) -> Self {
        let trust = serde_json::to_value(log.trust()).expect("a trust file");
        Self { bundle, archive: None, trust, copy: None, arguments: &[] }
    }

    /// After a change of the files that the manifest knows of.
    pub fn changed(log: &Log, change: impl FnOnce(&mut Bundle)) -> Self {
        let mut given = Self::of(log);
        change(&mut given.bundle);
        given.bundle.seal();
        given
    }

    /// After a change of the log.
    pub fn after(mut log: Log, change: impl FnOnce(&mut Log)) -> Self {
        change(&mut log);
        Self::of(&log)
    }
}

/// Codes that are not compared: one change that is seen in many ways.
pub const ANY: &[&str] = &["*"];

/// What must come out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub verdict: &'static str,
    /// Codes that must be among the findings; no other one may be.
    pub codes: &'static [&'static str],
    pub record: Option<u64>,
    pub anchor: Option<u64>,
    pub until: u64,
    /// Epoch, number and size.
    pub last: Option<(u64, u64, u64)>,
}

/// One case.
pub struct Case {
    pub name: &'static str,
    pub given: fn() -> Given,
    pub expected: Expected,
}

pub const fn verified(name: &'static str, given: fn() -> Given) -> Case {
    case(name, given, "verified", &[])
}

pub const fn incomplete(name: &'static str, given: fn() -> Given, codes: &'static [&'static str]) -> Case {
    case(name, given, "incomplete", codes)
}

pub const fn tampered(name: &'static str, given: fn() -> Given, codes: &'static [&'static str]) -> Case {
    case(name, given, "tampered", codes)
}

/// The check cannot be made.
pub const fn unreadable(name: &'static str, given: fn() -> Given) -> Case {
    let mut case = case(name, given, "unreadable", &[]);
    (case.expected.until, case.expected.last) = (0, None);
    case
}

/// As for the plain log, when nothing is wrong.
const fn case(name: &'static str, given: fn() -> Given, verdict: &'static str, codes: &'static [&'static str]) -> Case {
    let expected = Expected { verdict, codes, record: None, anchor: None, until: 300, last: Some((1, 16, 300)) };
    Case { name, given, expected }
}

impl Case {
    /// The first bad record, and up to where they are good.
    pub const fn record(mut self, first: u64, until: u64) -> Self {
        (self.expected.record, self.expected.until) = (Some(first), until);
        self
    }

    /// The first bad anchor.
    pub const fn anchor(mut self, first: u64) -> Self {
        self.expected.anchor = Some(first);
        self
    }

    pub const fn until(mut self, until: u64) -> Self {
        self.expected.until = until;
        self
    }

    /// Epoch, number and size of the last good anchor.
    pub const fn last(mut self, epoch: u64, number: u64, size: u64) -> Self {
        self.expected.last = Some((epoch, number, size));
        self
    }

    pub const fn nothing_matches(mut self) -> Self {
        (self.expected.until, self.expected.last) = (0, None);
        self
    }
}

/// 310 records, an anchor (number n + 1) every 20 (n), the last one of 300.
pub fn plain() -> Log {
    static LOG: LazyLock<Log> =
        LazyLock::new(|| honest(&Plan { records: 310, anchor_every: 20, anchor_at_end: false, ..Plan::default() }));
    LOG.clone()
}

/// The same, but the key changes with the anchors of 100 and 200 records.
pub fn handed_over() -> Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let hand_over_at = vec![100, 200];
        honest(&Plan { records: 310, anchor_every: 20, anchor_at_end: false, hand_over_at, ..Plan::default() })
    });
    LOG.clone()
}

/// 205 records in epoch 1, of which 165 were kept (anchored up to 160; lost up to 200): record 166 begins
/// epoch 2. Its first anchor is of 166 records, and they go on to 300.
pub fn broken() -> Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let broken = Some(Break { at: 205, kept: 165 });
        honest(&Plan { records: 310, anchor_every: 20, anchor_at_end: false, broken, ..Plan::default() })
    });
    LOG.clone()
}

/// The anchor of that number of an unbroken log.
pub fn anchor(log: &mut Log, number: usize) -> &mut Anchor {
    &mut log.anchors[number - 1]
}

/// Replaces a part of a line; it must be there.
pub fn replace(line: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8_lossy(line).into_owned();
    assert!(text.contains(from), "{from} is not in {text}");
    *line = text.replacen(from, to, 1).into_bytes();
}

/// What a verifier said; None if the check could not be made.
type Said = Option<Json>;

/// Runs `docs/verify.py`.
fn script(folder: &Path, arguments: &[String]) -> Said {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.py")).args(arguments);
    said(command.current_dir(folder))
}

/// Runs the client.
pub fn client(folder: &Path, arguments: &[String]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client-under-test"));
    said(command.args(["audit", "verify"]).args(arguments).current_dir(folder).env_clear().env("HOME", folder))
}

fn said(command: &mut Command) -> Said {
    let output = command.output().expect("a verifier");
    let code = output.status.code();
    if code == Some(3) {
        return None;
    }
    let report: Json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let verdict = report["verdict"].as_str().unwrap_or_default();
    let expected = ["verified", "tampered", "incomplete"].iter().position(|known| *known == verdict);
    assert_eq!(code.and_then(|code| usize::try_from(code).ok()), expected, "code and verdict: {report}");
    Some(report)
}

fn compare(expected: &Expected, said: &Said) -> Vec<String> {
    let Some(report) = said else {
        return if expected.verdict == "unreadable" { vec![] } else { vec!["the check could not be made".to_owned()] };
    };
    let number = |name: &str| report[name].as_u64();
    let last = report["last_good_anchor"].as_object().map(|last| {
        let part = |name: &str| last[name].as_u64().unwrap_or_default();
        (part("epoch"), part("number"), part("size"))
    });
    let mut wrong = Vec::new();
    let mut same = |what: &str, given: String, wanted: String| {
        if given != wanted {
            wrong.push(format!("{what}: {given}, not {wanted}"));
        }
    };
    same("verdict", report["verdict"].as_str().unwrap_or_default().to_owned(), expected.verdict.to_owned());
    same("first_bad_record", format!("{:?}", number("first_bad_record")), format!("{:?}", expected.record));
    same("first_bad_anchor", format!("{:?}", number("first_bad_anchor")), format!("{:?}", expected.anchor));
    same("good_until", format!("{:?}", number("good_until")), format!("{:?}", Some(expected.until)));
    same("last_good_anchor", format!("{last:?}"), format!("{:?}", expected.last));
    let mut codes: Vec<&str> =
        report["findings"].as_array().into_iter().flatten().filter_map(|finding| finding["code"].as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let mut wanted = expected.codes.to_vec();
    wanted.sort_unstable();
    if wanted != ANY {
        same("codes", format!("{codes:?}"), format!("{wanted:?}"));
    }
    if !wrong.is_empty() {
        wrong.push(report.to_string().chars().take(2000).collect());
    }
    wrong
}

/// Writes what is given below a folder; the arguments for a verifier.
pub fn write(given: &Given, folder: &Path) -> Vec<String> {
    let bundle = folder.join("bundle");
    match &given.archive {
        Some(archive) => fs::write(&bundle, archive),
        None => given.bundle.write_folder(&bundle),
    }
    .expect("a bundle");
    fs::write(folder.join("trust.json"), given.trust.to_string()).expect("a trust file");
    let mut arguments = vec!["bundle".to_owned(), "--trust".to_owned(), "trust.json".to_owned(), "--json".to_owned()];
    if let Some(log) = &given.copy {
        copy_of_bucket(log, &folder.join("bucket")).expect("a copy of the bucket");
        arguments.extend(["--anchors".to_owned(), "bucket".to_owned()]);
    }
    arguments.extend(given.arguments.iter().map(|argument| (*argument).to_owned()));
    arguments
}

fn keep(name: &str, expected: &Expected, folder: &Path, arguments: &[String]) {
    if let Some(kept) = std::env::var_os("KEEP_EVIDENCE") {
        let to = Path::new(&kept).join(name.replace([' ', ',', '^'], "_"));
        fs::create_dir_all(&kept).expect("a folder");
        Command::new("cp").arg("-r").arg(folder).arg(&to).status().expect("cp");
        let e = expected;
        let json = serde_json::json!({"verdict": e.verdict, "codes": e.codes, "record": e.record, "anchor": e.anchor,
            "until": e.until, "last": e.last, "arguments": arguments});
        fs::write(to.join("expected.json"), json.to_string()).expect("a file");
    }
}

/// Runs both verifiers over one case; what is wrong.
pub fn check_one(name: &str, expected: &Expected, given: &Given) -> String {
    let folder = TempDir::new().expect("a folder");
    let arguments = write(given, folder.path());
    keep(name, expected, folder.path(), &arguments);
    let mut wrong = String::new();
    let script = ("verify.py", script(folder.path(), &arguments));
    for (verifier, said) in [script, ("the client", client(folder.path(), &arguments))] {
        for problem in compare(expected, &said) {
            writeln!(wrong, "{name}, by {verifier}: {problem}").expect("a line");
        }
    }
    wrong
}

/// Runs both verifiers over all cases.
pub fn check(cases: Vec<Case>) {
    let cases = Mutex::new(cases.into_iter());
    let wrong = Mutex::new(String::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = cases.lock().expect("the cases").next();
                    let Some(Case { name, given, expected }) = next else { return };
                    let problems = check_one(name, &expected, &given());
                    wrong.lock().expect("the problems").push_str(&problems);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the problems");
    assert!(wrong.is_empty(), "\n{wrong}");
}
