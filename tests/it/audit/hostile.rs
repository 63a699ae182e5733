//! Nothing that a client sends can keep a record from being written, or bend its form.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rack_gateway::audit::live;
use rack_gateway::audit::{Actor, Event, EventKind, Outcome, OutcomeResult, Value, Via, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::proof::canonical;
use rack_gateway::proof::verify::{Code, Options};
use rack_gateway::store::Record;
use time::OffsetDateTime;

use super::append::{ORIGIN, all, assert_whole, json, writer};
use crate::harness::db::Db;

mod both {
    crate::on_both!(every_field_takes_every_string, the_copy_is_what_is_stored);
}

fn strings() -> Vec<String> {
    let mut strings: Vec<String> = [
        "",
        "\0",
        "a\0b",
        "\u{1e}\u{1f}",
        "\u{7f}\u{80}\u{9f}",
        "\"\\/\u{8}\t\n\u{c}\r",
        "'; DROP TABLE audit_records; --",
        r#"","seq":1,"v":2,"x":""#,
        "\\u0000\\ud800",
        "\u{2028}\u{2029}\u{202e}\u{feff}",
        "\u{d7ff}\u{e000}\u{fffe}\u{ffff}\u{10ffff}",
        "é\u{301}한국어😀",
        "=cmd|'/c calc'!A1",
    ]
    .map(str::to_owned)
    .into();
    strings.extend(["a", "\u{1}", "\0", "\"", "é", "😀"].map(|unit| unit.repeat(1_000_000)));
    strings.extend([511, 512, 513].map(|length| "x".repeat(length - 2) + "é"));
    // What other rooms make of bytes that are no text, a lone surrogate among them.
    strings.extend([&b"\xff\xfe"[..], b"\xed\xa0\x80", b"a\xc3"].map(|b| String::from_utf8_lossy(b).into_owned()));
    strings
}

/// Every part that a caller could influence, and many that it could not.
fn full(text: &str) -> Event {
    let own = || text.to_owned();
    let mut event = Event::new(EventKind::Denial, own(), own());
    event.actor = Some(Actor { kind: own(), id: own() });
    event.via = Some(Via { credential_kind: own(), credential_id: own() });
    event.source_ip = Some([0, 0, 0, 0, 0, 0, 0, 1].into());
    (event.method, event.route) = (Some(own().into()), Some(own().into()));
    (event.path, event.resource, event.bundle, event.message) = (Some(own()), Some(own()), Some(own()), Some(own()));
    event.decision = Some(own().into());
    event.status = Some(u16::MAX);
    let many = || vec![own(); 40];
    (event.reasons, event.challenges, event.errors) = (many(), many(), many());
    event.detail = (0..40).map(|n| (format!("{n}{}", text.chars().take(99).collect::<String>()), own())).collect();
    event.private = event.detail.clone();
    let deep = (0..9).fold(Value::from(text), |inner, n| {
        if n % 2 == 0 { [inner].into_iter().collect() } else { Value::from([(own(), inner)]) }
    });
    let wide =
        Value::Map(BTreeMap::from([("n".to_owned(), Value::Integer(i64::MIN)), ("deep".to_owned(), deep.clone())]));
    event.hypothetical = Some(wide.clone());
    event.shadow = vec![wide, deep, Value::Flag(true)];
    event
}

async fn every_field_takes_every_string(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for text in strings() {
        let seq = writer.append(full(&text)).await.expect("a record").seq;
        let record = store.record(seq).await.expect("the record");
        assert_eq!(canonical::check(&record.canon), Ok(()), "{record:?}");
        let parsed = json(&record);
        if text.len() <= 96 {
            assert_eq!(parsed["path"], text.as_str(), "nothing is lost");
            assert_eq!(parsed["req"].as_str().unwrap_or_default(), text.as_str());
        } else if text.len() > 600 {
            assert!(parsed["path"].as_str().expect("a path").ends_with(" bytes)"), "what was cut says so");
        }
        let mut outcome = Outcome::of(OutcomeResult::UpstreamError);
        (outcome.bytes_in, outcome.bytes_out, outcome.duration_ms) = (u64::MAX, u64::MAX, u64::MAX);
        outcome.message = Some(text.clone());
        writer.intent(full(&text)).await.expect("an intent").complete(outcome);
    }
    assert!(writer.shutdown(Duration::from_secs(10)).await);
    assert_whole(&all(&store).await);
    let checked = live::verify(&store, None, &Options::new(OffsetDateTime::now_utc()), |_, _| {}).await;
    let findings = checked.expect("the check runs").report.findings;
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::Unanchored], "{findings:?}");
    let found = store.records_by_request("'; DROP TABLE audit_records; --", 10).await.expect("a search");
    assert_eq!(found.len(), 3, "a record, an intent and its outcome");
}

/// A place for lines that a test can look at.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn the_copy_is_what_is_stored(db: Db) {
    let store = db.store().await;
    let lines = Lines::default();
    let mut options = WriterOptions::new("one", ORIGIN);
    options.sink = Some(Box::new(lines.clone()));
    let writer = Writer::start(store.clone(), Clock::system(), options).await.expect("start");
    for text in ["a", "\n", "b\r\n{}"] {
        drop(writer.intent(full(text)).await.expect("an intent"));
    }
    assert!(writer.shutdown(Duration::from_secs(5)).await);
    let copied = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let stored: Vec<u8> = all(&store).await.into_iter().flat_map(|r| r.canon.into_iter().chain([b'\n'])).collect();
    assert_eq!(String::from_utf8_lossy(&copied), String::from_utf8_lossy(&stored));
}

/// What Python makes of each line of hex: `same`, `differs`, or `no` if it is no JSON to it.
const PYTHON: &str = r#"
import json, sys
def once(pairs):
    if len({k for k, _ in pairs}) != len(pairs): raise ValueError("twice")
    return dict(pairs)
for line in sys.stdin:
    raw = bytes.fromhex(line.strip())
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
        again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        print("same" if again == raw else "differs")
    except Exception:
        print("no")
"#;

fn python(records: &[Vec<u8>]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs: install it with `apt-get install python3`");
    let input: String = records.iter().map(|r| hex::encode(r) + "\n").collect();
    let mut stdin = child.stdin.take().expect("its input");
    let feed = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    feed.join().expect("a thread").expect("it reads everything");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Records with a byte changed, put in or taken out, always the same ones.
fn mutants(records: &[Record]) -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("small")
    };
    let bytes = b"\"\\{}[]:,0159-+.eEtfn u\0\x1f\x7f\xc3\xff aA_";
    let mut mutants = Vec::new();
    for record in records.iter().filter(|r| r.canon.len() < 2_000).cycle().take(6_000) {
        let mut bent = record.canon.clone();
        for _ in 0..=random(2) {
            let at = random(bent.len());
            match random(4) {
                0 => bent[at] = bytes[random(bytes.len())],
                1 => bent.insert(at, bytes[random(bytes.len())]),
                2 => drop(bent.remove(at)),
                _ => bent.swap(at, at.saturating_sub(1)),
            }
        }
        mutants.push(bent);
    }
    mutants
}

#[tokio::test]
async fn python_agrees_on_the_canonical_form() {
    let db = Db::sqlite().await;
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for text in strings() {
        writer.append(full(&text)).await.expect("a record");
        let mut small = Event::new(EventKind::Denial, "r", "app:list");
        small.path = Some(text);
        small.detail.insert("n".to_owned(), "1.0".to_owned());
        writer.append(small).await.expect("a record");
    }
    assert!(writer.shutdown(Duration::from_secs(10)).await);
    let records = all(&store).await;
    let own: Vec<Vec<u8>> = records.iter().map(|r| r.canon.clone()).collect();
    for (said, record) in python(&own).iter().zip(&records) {
        assert_eq!(said, "same", "{record:?}");
    }
    let mutants = mutants(&records);
    let said = python(&mutants);
    assert_eq!(said.len(), mutants.len());
    let mut accepted = 0;
    for (said, mutant) in said.iter().zip(&mutants) {
        if canonical::check(mutant).is_ok() {
            accepted += 1;
            assert_eq!(said, "same", "accepted, but Python spells it otherwise: {}", String::from_utf8_lossy(mutant));
        }
    }
    assert!(accepted > 100, "changed text inside strings stays canonical: {accepted}");
}
