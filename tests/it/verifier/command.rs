//! The real client, as an auditor runs it: words, JSON, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway_tests::evidence::{Key, Log, Plan, copy_of_bucket, honest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::plan;

const PATH: &str = env!("CARGO_BIN_EXE_client-under-test");

/// An export and a trust file in a folder of their own.
struct Case {
    folder: TempDir,
}

impl Case {
    fn of(log: &Log) -> Self {
        let case = Self { folder: tempfile::tempdir().expect("a folder") };
        case.put(log);
        let trust = serde_json::to_vec(&log.trust()).expect("a trust file");
        std::fs::write(case.path("trust.json"), trust).expect("a file");
        case
    }

    fn put(&self, log: &Log) {
        std::fs::write(self.path("audit.tar"), log.bundle().tar()).expect("a file");
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `rack-gateway audit` there, with no environment at all.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PATH)
            .arg("audit")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .expect("a run")
    }

    fn verify(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["verify", "audit.tar", "--trust", "trust.json", "--json"], arguments].concat());
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().expect("a code"), report)
    }
}

fn said(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().expect("a code"), String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn an_auditor_reads_the_report() {
    let log = honest(&plan());
    let case = Case::of(&log);
    let (code, text) = said(&case.run(&["verify", "audit.tar", "--trust", "trust.json"]));
    assert_eq!(code, 0, "{text}");
    for words in
        ["VERDICT      verified", "65 of the range 1 to 65", "known good until 65", "not checked", "events that the"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("DEVELOPMENT"), "{text}");
    assert_eq!(said(&case.run(&["verify", "audit.tar", "--trust", "trust.json", "--quiet"])), (0, String::new()));
    let (code, report) = case.verify(&["--jobs", "1"]);
    assert_eq!((code, &report["verdict"], &report["good_until"]), (0, &json!("verified"), &json!(65)));
    assert_eq!(report["last_good_anchor"], json!({"epoch": 1, "number": log.anchors.len(), "size": 65}));
    assert_eq!((&report["records"], &report["findings"]), (&json!(65), &json!([])));
    assert!(report.get("first_bad_record").is_none(), "{report}");
}

#[test]
fn each_verdict_has_its_exit_code() {
    let log = honest(&plan());
    let mut edited = log.clone();
    edited.records[29] = [b"{", edited.records[29].as_slice()].concat();
    let mut damaged = log.bundle();
    damaged.set_lines("records", &edited.records);
    damaged.seal();
    let case = Case::of(&log);
    std::fs::write(case.path("audit.tar"), damaged.tar()).expect("a file");
    let (code, report) = case.verify(&[]);
    assert_eq!((code, &report["first_bad_record"], &report["good_until"]), (1, &json!(30), &json!(29)), "{report}");
    let (_, text) = said(&case.run(&["verify", "audit.tar", "--trust", "trust.json"]));
    for words in [
        "FINDING      profile, record 30",
        "VERDICT      tampered",
        "first damaged record is 30",
        "1 to 29 are known good",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut unanchored = log.clone();
    unanchored.anchors.clear();
    case.put(&unanchored);
    assert_eq!(case.verify(&[]).0, 2);
    case.put(&log);
    assert_eq!(case.verify(&["--expect-fresh", "1s"]).0, 2, "made long ago");
    for (arguments, words) in [
        (["verify", "audit.tar", "--trust", "audit.tar"], "no trust file"),
        (["verify", "audit.tar", "--trust", "none.json"], "none.json cannot be read"),
        (["verify", "none.tar", "--trust", "trust.json"], "none.tar cannot be read"),
        (["verify", "trust.json", "--trust", "trust.json"], "no archive that can be trusted"),
    ] {
        let (code, text) = said(&case.run(&arguments));
        assert!(code == 3 && text.contains(words), "{code}: {text}");
    }
}

#[test]
fn development_is_said_loudly() {
    let mut log = honest(&plan());
    log.development = true;
    for anchor in &mut log.anchors {
        anchor.meta.development = true;
    }
    log.sign_again(0);
    let (code, text) = said(&Case::of(&log).run(&["verify", "audit.tar", "--trust", "trust.json"]));
    assert!(code == 0 && text.contains("DEVELOPMENT ANCHORS"), "{text}");
}

#[test]
fn a_later_check_goes_on_where_one_ended() {
    // The last record is an intent.
    let mut log = honest(&Plan { records: 62, anchor_every: 31, ..plan() });
    let case = Case::of(&log);
    let (code, _) = case.verify(&["--resume", "state.json"]);
    assert_eq!(code, 0);
    let state = std::fs::read_to_string(case.path("state.json")).expect("a state");
    assert!(state.contains("\"size\": 62"), "{state}");
    let (code, report) = case.verify(&["--resume", "state.json"]);
    assert_eq!((code, &report["records"], &report["good_until"]), (0, &json!(0), &json!(62)), "nothing new: {report}");
    // A longer log: what was in flight is ended, a value of old is erased.
    log.append(json!({"instance": "one", "intent": 62, "kind": "outcome", "result": "completed"}), &[]);
    let erasure =
        json!({"action": "audit:erase", "erased": {"src_ip": [22, 62]}, "instance": "one", "kind": "erasure"});
    log.append(erasure, &[]);
    log.values.retain(|value| (value.seq != 22 && value.seq != 62) || value.name != "src_ip");
    log.anchor(AnchorReason::Interval, None);
    case.put(&log);
    let (code, report) = case.verify(&["--resume", "state.json"]);
    assert_eq!((code, &report["records"], &report["good_until"]), (0, &json!(2), &json!(64)), "{report}");
    assert!(
        report["not_checked"].to_string().contains("records 1 to 62, which an earlier check went through"),
        "{report}"
    );
    // Another history, anchored by the same key: the anchor that was seen is another one.
    let mut forked = log.clone();
    forked.now += time::Duration::seconds(1);
    forked.records[40] = forked.records[39].clone();
    forked.sign_again(0);
    case.put(&forked);
    let (code, report) = case.verify(&["--resume", "state.json"]);
    assert_eq!((code, &report["first_bad_anchor"]), (1, &json!(4)), "{report}");
    assert!(report["findings"].to_string().contains("not the anchor that an earlier check saw"), "{report}");
    let kept = std::fs::read_to_string(case.path("state.json")).expect("a state");
    assert!(kept.contains("\"size\": 64"), "not replaced: {kept}");
}

#[test]
fn a_check_that_cannot_go_on() {
    let log = honest(&plan());
    let case = Case::of(&log);
    assert_eq!(case.verify(&["--resume", "state.json"]).0, 0);
    let state = std::fs::read_to_string(case.path("state.json")).expect("a state");
    let shorter = honest(&Plan { records: 35, ..plan() });
    let refused = |name: &str, words: &str| {
        let (code, text) = said(&case.run(&["verify", "audit.tar", "--trust", "trust.json", "--resume", "state.json"]));
        assert!(code == 3 && text.contains(words), "{name}: {code}: {text}");
    };
    std::fs::write(case.path("state.json"), state.replace("acme/prod", "acme/test")).expect("a file");
    refused("another log", "about another log");
    std::fs::write(case.path("state.json"), state.replacen('{', "{ \"x\": 1,", 1)).expect("a file");
    refused("damaged", "is damaged");
    std::fs::write(case.path("state.json"), &state).expect("a file");
    case.put(&shorter);
    refused("shorter", "ends before");
    let mut without = log.clone();
    without.anchors.pop();
    case.put(&without);
    refused("no such anchor", "not in this evidence");
}

#[test]
fn a_copy_of_the_bucket_takes_the_place_of_the_anchors() {
    let log = honest(&plan());
    let case = Case::of(&log);
    copy_of_bucket(&log, &case.path("bucket")).expect("the copy");
    assert_eq!(case.verify(&["--anchors", "bucket"]).0, 0);
    let mut files = log.bundle();
    files.files.remove("anchors/000001.jsonl");
    files.seal();
    std::fs::write(case.path("audit.tar"), files.tar()).expect("a file");
    assert_eq!(case.verify(&[]).0, 2);
    assert_eq!(case.verify(&["--anchors", "bucket"]).0, 0);
    assert_eq!(case.verify(&["--anchors", "nowhere"]).0, 3);
}

#[test]
fn a_part_of_an_export() {
    let log = honest(&plan());
    let (code, report) = Case::of(&log).verify(&["--since", "25"]);
    assert_eq!((code, &report["first"], &report["records"]), (0, &json!(21), &json!(45)), "{report}");
}

#[test]
fn one_record_is_proved_and_checked() {
    let log = honest(&plan());
    let case = Case::of(&log);
    let (code, text) = said(&case.run(&["prove", "17", "audit.tar", "-o", "record.proof"]));
    assert_eq!(code, 0, "{text}");
    let check = |name: &str| case.run(&["check-proof", name, "--trust", "trust.json", "--json"]);
    let output = check("record.proof");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &told["good"], &told["seq"]), (Some(0), &json!(true), &json!(17)), "{told}");
    assert_eq!(told["record"]["seq"], 17);
    let (_, text) = said(&case.run(&["check-proof", "record.proof", "--trust", "trust.json"]));
    assert!(text.starts_with("GOOD: record 17 of rack-gateway/acme/prod"), "{text}");
    let proof = std::fs::read_to_string(case.path("record.proof")).expect("a proof");
    std::fs::write(case.path("changed.proof"), proof.replace("index 16", "index 17")).expect("a file");
    let (code, text) = said(&case.run(&["check-proof", "changed.proof", "--trust", "trust.json"]));
    assert!(code == 1 && text.starts_with("NOT GOOD: the record has another number"), "{text}");
    assert_eq!(case.run(&["check-proof", "none.proof", "--trust", "trust.json"]).status.code(), Some(3));
    assert_eq!(case.run(&["prove", "99", "audit.tar", "-o", "x"]).status.code(), Some(3));
    assert!(!Path::new(&case.path("x")).exists());
    let mut stranger = log;
    stranger.first_key = Key::generate();
    let trust = serde_json::to_vec(&stranger.trust()).expect("a trust file");
    std::fs::write(case.path("trust.json"), trust).expect("a file");
    assert_eq!(check("record.proof").status.code(), Some(1));
}
