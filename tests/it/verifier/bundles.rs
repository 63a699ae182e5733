//! What the engine finds in exports; the corpus of damage is checked by both verifiers elsewhere.

use proptest::prelude::*;
use rack_gateway::proof::bundle::{Bundle, BundleError, Since};
use rack_gateway::proof::moment::Moment;
use rack_gateway::proof::verify::Code::{
    Base, Begin, Break, Chain, Empty, File, Future, Gap, Leaf, Link, Manifest, Missing, Note, Number, Outcome, Private,
    Profile, Root, Signature, Stale, Tail, Tile, Unanchored, Unerased, Version,
};
use rack_gateway::proof::verify::{Code, Evidence, Options, Verdict, verify};
use rack_gateway_tests::evidence::{Bundle as Files, Key, Log, Plan, copy_of_bucket, honest};
use time::Duration;

use super::{check, check_path, found, log, plan};

#[test]
fn honest_evidence_is_verified() {
    let whole = log();
    let plans = [
        plan(),
        Plan { records: 1, ..plan() },
        Plan { records: 600, anchor_every: 90, ..plan() },
        Plan { hand_over_at: vec![20, 40], ..plan() },
        Plan { erasures: true, records: 90, ..plan() },
    ];
    for plan in plans {
        let log = honest(&plan);
        let report = check(&log.bundle(), &log);
        assert_eq!((report.verdict, found(&report)), (Verdict::Verified, vec![]), "{plan:?}: {report:?}");
        assert_eq!(report.records, log.records.len() as u64);
    }
    for (first, last) in [(1, 65), (11, 65), (21, 40), (61, 65), (1, 30), (11, 12)] {
        let report = check(&whole.bundle_of(first, last), &whole);
        assert_eq!(found(&report), [], "{first} to {last}: {report:?}");
        assert_eq!((report.first, report.last, report.good_until), (first, last, last), "{report:?}");
    }
}

/// A change of a bundle, and what is found then. The manifest is made anew, as somebody who changes
/// an export would.
type Case = (&'static str, fn(&mut Files), &'static [(Code, Option<u64>)], u64);

fn line(files: &mut Files, seq: usize, change: impl FnOnce(String) -> String) {
    let mut lines = files.lines("records");
    let text = String::from_utf8(lines[seq - 1].clone()).expect("UTF-8");
    lines[seq - 1] = change(text).into_bytes();
    files.set_lines("records", &lines);
}

fn lines(files: &mut Files, kind: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines = files.lines(kind);
    change(&mut lines);
    files.set_lines(kind, &lines);
}

const CASES: &[Case] = &[
    ("edited", |b| line(b, 15, |r| r.replace("\"v\":1", "\"v\":1,\"w\":1")), &[(Leaf, Some(15))], 14),
    ("a space", |b| line(b, 15, |r| r.replacen(':', ": ", 1)), &[(Leaf, Some(15)), (Profile, Some(15))], 14),
    (
        "no time",
        |b| line(b, 15, |r| r.replace("\"ts\":\"2", "\"ts\":\"x")),
        &[(Leaf, Some(15)), (Profile, Some(15))],
        14,
    ),
    ("version", |b| line(b, 15, |r| r.replace("\"v\":1", "\"v\":2")), &[(Leaf, Some(15)), (Version, Some(15))], 14),
    ("deleted", |b| lines(b, "records", |l| drop(l.remove(14))), &[(Missing, Some(15))], 14),
    ("three deleted", |b| lines(b, "records", |l| drop(l.drain(14..17))), &[(Missing, Some(15))], 14),
    ("cut", |b| lines(b, "records", |l| l.truncate(58)), &[(Missing, Some(59))], 58),
    ("swapped", |b| lines(b, "records", |l| l.swap(14, 15)), &[(Missing, Some(15)), (Number, Some(15))], 14),
    ("repeated", |b| lines(b, "records", |l| l.insert(15, l[14].clone())), &[(Number, Some(15))], 14),
    (
        "garbage",
        |b| lines(b, "records", |l| l.insert(15, b"x".to_vec())),
        &[(Leaf, Some(16)), (Number, Some(16)), (Profile, Some(16))],
        15,
    ),
    ("garbage behind", |b| lines(b, "records", |l| l.push(b"x".to_vec())), &[(Profile, Some(66))], 65),
    (
        "oversized",
        |b| lines(b, "records", |l| l[14] = vec![b'x'; 70_000]),
        &[(Leaf, Some(15)), (Profile, Some(15))],
        14,
    ),
    ("no records", |b| lines(b, "records", Vec::clear), &[(Missing, Some(1)), (Empty, None)], 0),
    ("no anchors", |b| lines(b, "anchors", Vec::clear), &[(Unanchored, None)], 0),
    ("an anchor less", |b| lines(b, "anchors", |l| drop(l.remove(3))), &[(Gap, Some(4))], 65),
    ("the first anchor less", |b| lines(b, "anchors", |l| drop(l.remove(0))), &[(Gap, Some(1))], 65),
    ("an anchor twice", |b| lines(b, "anchors", |l| l.insert(3, l[3].clone())), &[(Code::Anchor, Some(4))], 65),
    ("no anchor", |b| lines(b, "anchors", |l| l.insert(3, b"{}".to_vec())), &[(Note, None)], 65),
    (
        "a leaf",
        |b| b.files.iter_mut().filter(|(n, _)| n.starts_with("tile/0")).for_each(|(_, t)| t[40] ^= 1),
        &[(Tile, None)],
        65,
    ),
    ("no tiles", |b| b.files.retain(|name, _| !name.starts_with("tile/")), &[(Tile, None)], 65),
    (
        "a value",
        |b| lines(b, "private", |l| l[0] = String::from_utf8_lossy(&l[0]).replace("10.", "11.").into()),
        &[(Private, Some(6))],
        5,
    ),
    ("a value less", |b| lines(b, "private", |l| drop(l.remove(0))), &[(Unerased, Some(6))], 5),
    ("range", |b| b.change_manifest(|m| m["last"] = 70.into()), &[(Missing, Some(66)), (Manifest, None)], 65),
    ("head", |b| b.change_manifest(|m| m["head"]["chain"] = "00".repeat(32).into()), &[(Manifest, None)], 65),
    ("origin", |b| b.change_manifest(|m| m["origin"] = "rack-gateway/acme/prod2".into()), &[(Manifest, None)], 65),
    ("no private", |b| b.change_manifest(|m| m["private"] = false.into()), &[(Manifest, None)], 65),
    ("base", |b| b.change_manifest(|m| m["first"] = 13.into()), &[(Number, Some(1)), (Base, None)], 0),
];

#[test]
fn damage_with_a_manifest_that_fits() {
    let log = log();
    for (name, damage, expected, good) in CASES {
        let mut files = log.bundle();
        damage(&mut files);
        files.seal();
        let report = check(&files, &log);
        let mut all = found(&report);
        all.sort_unstable();
        all.dedup();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        if *name == "base" {
            all.retain(|found| expected.contains(found));
        }
        assert_eq!(all, expected, "{name}: {report:#?}");
        assert_eq!(report.good_until, *good, "{name}: {report:#?}");
        assert_ne!(report.verdict, Verdict::Verified, "{name}");
    }
}

#[test]
fn damage_with_the_old_manifest() {
    let log = log();
    let mut files = log.bundle();
    files.files.get_mut("trust.json").expect("a copy").push(b' ');
    assert_eq!(found(&check(&files, &log)), [(File, None)]);
    files.files.remove("trust.json");
    assert_eq!(found(&check(&files, &log)), [(File, None)]);
    let mut files = log.bundle();
    files.files.insert("notes.txt".to_owned(), Vec::new());
    assert_eq!(found(&check(&files, &log)), [(File, None)]);
    files.seal();
    assert_eq!(found(&check(&files, &log)), [(File, None)], "no file of the table");
}

/// Changes a log, signs what follows again, and compares what is found.
fn expect(name: &str, log: &Log, expected: &[(Code, Option<u64>)]) {
    let report = check(&log.bundle(), log);
    assert_eq!(found(&report), expected, "{name}: {report:#?}");
}

#[test]
fn what_signatures_show() {
    let honest = log();
    let mut log = honest.clone();
    log.records[14] =
        String::from_utf8(log.records[14].clone()).expect("UTF-8").replace("\"v\":1", "\"v\":1,\"w\":1").into();
    expect("edited, tiles made anew", &log, &[(Tile, None), (Root, Some(3)), (Chain, Some(3))]);
    let thief = Key::generate();
    for anchor in &mut log.anchors {
        anchor.keys = vec![thief.clone()];
        anchor.meta.signer = *thief.public().fingerprint();
    }
    log.sign_again(0);
    let report = check(&log.bundle(), &log);
    assert_eq!((report.verdict, report.first_bad_anchor, report.good_until), (Verdict::Tampered, Some(1), 0));
    assert!(found(&report).iter().all(|(code, _)| [Signature, Unanchored].contains(code)), "{report:?}");
    let mut log = honest.clone();
    log.anchors[2].meta.prev_meta = Some([0; 32]);
    log.anchors[2].sign();
    expect("links", &log, &[(Link, Some(3)), (Link, Some(4))]);
}

#[test]
fn the_rules_of_pairs() {
    let mut log = log();
    let intents: Vec<u64> = (1..=65).filter(|seq| text(&log, *seq).contains("\"kind\":\"intent\"")).collect();
    let outcome = |intent: u64| {
        let (kind, result) = ("outcome", "completed");
        serde_json::json!({"instance": "one", "intent": intent, "kind": kind, "result": result})
    };
    let first = log.append(outcome(intents[0]), &[]);
    let second = log.append(outcome(4), &[]);
    log.anchor(rack_gateway::proof::anchor::AnchorReason::Stop, None);
    expect("outcomes", &log, &[(Outcome, Some(first)), (Outcome, Some(second))]);
}

fn text(log: &Log, seq: u64) -> String {
    String::from_utf8(log.records[seq as usize - 1].clone()).expect("UTF-8")
}

#[test]
fn time_and_promises() {
    let log = log();
    let folder = tempfile::tempdir().expect("a folder");
    log.bundle().write_folder(folder.path()).expect("the files");
    let check = |now, fresh| {
        let options = Options { expect_fresh: fresh, ..Options::new(now) };
        found(&check_path(folder.path(), None, &log.trust(), &options).expect("a check"))
    };
    assert_eq!(check(log.now + Duration::days(9), None), []);
    let last = log.anchors.len() as u64;
    assert_eq!(check(log.now + Duration::days(9), Some(Duration::days(8))), [(Stale, None), (Stale, Some(last))]);
    assert_eq!(check(log.now - Duration::hours(1), None), [(Future, Some(1))]);
    let mut log = honest(&Plan { anchor_at_end: false, ..plan() });
    expect("a tail within the promise", &log, &[]);
    log.now += Duration::hours(2);
    let late = log.append(serde_json::json!({"action": "x:y", "instance": "one", "kind": "system"}), &[]);
    expect("a tail behind the promise", &log, &[(Tail, Some(late))]);
}

#[test]
fn a_first_record_of_another_log() {
    let mut log = log();
    log.records[0] = text(&log, 1).replace("chain:begin", "chain:bogus").into_bytes();
    log.sign_again(0);
    expect("begin", &log, &[(Begin, Some(1))]);
}

#[test]
fn copies_of_the_bucket() {
    let log = log();
    let (bundle, bucket) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    log.bundle().write_folder(bundle.path()).expect("the files");
    copy_of_bucket(&log, bucket.path()).expect("the copy");
    let options = Options::new(log.now);
    let check = |log: &Log, trust: &Log| {
        copy_of_bucket(log, bucket.path()).expect("the copy");
        check_path(bundle.path(), Some(bucket.path()), &trust.trust(), &options).expect("a check")
    };
    assert_eq!(found(&check(&log, &log)), []);
    // The log went on after the export.
    let mut longer = log.clone();
    longer.now += Duration::minutes(1);
    longer.append(serde_json::json!({"action": "x:y", "instance": "one", "kind": "system"}), &[]);
    longer.anchor(rack_gateway::proof::anchor::AnchorReason::Interval, None);
    let report = check(&longer, &log);
    assert_eq!((report.verdict, found(&report)), (Verdict::Verified, vec![]), "{report:?}");
    assert_eq!((report.anchoring.later_size, report.good_until), (Some(66), 65));
    let object = format!("v1/{}/checkpoint/{:012}", log.origin, 3);
    std::fs::remove_file(bucket.path().join(object)).expect("an object");
    let report = check_path(bundle.path(), Some(bucket.path()), &log.trust(), &options).expect("a check");
    assert!(found(&report).contains(&(Gap, Some(3))), "{report:?}");
    let other = tempfile::tempdir().expect("a folder");
    let error = check_path(bundle.path(), Some(other.path()), &log.trust(), &options).expect_err("no copy");
    assert!(matches!(error, BundleError::NoBucket { .. }), "{error}");
}

#[test]
fn breaks_of_the_log() {
    let broken = rack_gateway_tests::evidence::Break { at: 45, kept: 33 };
    let log = honest(&Plan { broken: Some(broken), ..plan() });
    expect("an accepted break", &log, &[]);
    let mut refused = log.clone();
    refused.breaks.clear();
    let report = check(&log.bundle(), &refused);
    assert_eq!((report.verdict, found(&report)), (Verdict::Incomplete, vec![(Break, None)]), "{report:?}");
    assert_eq!(
        report.breaks.iter().map(|broken| (broken.epoch, broken.kept, broken.lost)).collect::<Vec<_>>(),
        [(2, 30, 40)]
    );
}

#[test]
fn beginning_within_an_export() {
    let log = log();
    let folder = tempfile::tempdir().expect("a folder");
    log.bundle().write_folder(folder.path()).expect("the files");
    let time = serde_json::from_slice::<serde_json::Value>(&log.records[24]).expect("a record")["ts"].clone();
    let time = Moment::parse(time.as_str().expect("a time")).expect("a time");
    for (since, first) in
        [(Since::Record(25), 21), (Since::Record(21), 21), (Since::Time(time), 21), (Since::Record(1), 1)]
    {
        let mut bundle = Bundle::open(folder.path(), None).expect("an export");
        let begin = bundle.begin_for(since).expect("anchors");
        assert_eq!(begin, first, "{since:?}");
        let options = Options { since: Some(begin), ..Options::new(log.now) };
        let report = verify(&mut bundle, &log.trust(), &options, &mut |_, _| {}).expect("a check").report;
        assert_eq!(
            (report.verdict, report.first, report.records),
            (Verdict::Verified, first, 66 - first),
            "{report:?}"
        );
    }
}

#[test]
fn hostile_archives() {
    let log = log();
    let good = log.bundle().tar();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.tar");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        check_path(&path, None, &log.trust(), &Options::new(log.now))
    };
    assert_eq!(found(&open(&good).expect("a check")), []);
    let header = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = good.clone();
        change(&mut bytes[..512]);
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let named = |name: &'static str| {
        header(&move |h: &mut [u8]| {
            h[..100].fill(0);
            h[..name.len()].copy_from_slice(name.as_bytes());
        })
    };
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("something behind", [good.as_slice(), b"x"].concat()),
        ("cut", good[..good.len() - 1024].to_vec()),
        ("one block of zeros", good[..good.len() - 512].to_vec()),
        ("absolute", named("/etc/passwd")),
        ("upwards", named("../records/000001.jsonl")),
        ("upwards within", named("records/../x")),
        ("twice", named("trust.json")),
        ("empty part", named("records//x")),
        ("control", named("records/\u{1}")),
        ("nothing", Vec::new()),
        ("checksum", {
            let mut bytes = good.clone();
            bytes[0] ^= 1;
            bytes
        }),
        ("not ustar", header(&|h| h[257..263].fill(b'x'))),
        ("size", header(&|h| h[124..136].copy_from_slice(b"77777777777\0"))),
        ("base 256", header(&|h| h[124] = 0x80)),
    ];
    for (name, kind) in
        [("link", b'1'), ("symlink", b'2'), ("device", b'3'), ("long name", b'L'), ("sparse", b'S'), ("global", b'g')]
    {
        cases.push((name, header(&move |h: &mut [u8]| h[156] = kind)));
    }
    for (name, bytes) in cases {
        let error = open(&bytes).expect_err(name);
        assert!(matches!(error, BundleError::Archive { .. } | BundleError::NoManifest(_)), "{name}: {error}");
    }
    let zeros = [good.as_slice(), &[0; 9_216]].concat();
    assert_eq!(found(&open(&zeros).expect("a check")), [], "what tar adds");
}

#[test]
fn hostile_folders() {
    let log = log();
    let folder = tempfile::tempdir().expect("a folder");
    log.bundle().write_folder(folder.path()).expect("the files");
    let open = || check_path(folder.path(), None, &log.trust(), &Options::new(log.now));
    let link = folder.path().join("records/000002.jsonl");
    std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
    assert!(matches!(open(), Err(BundleError::Odd(_))));
    std::fs::remove_file(link).expect("gone");
    let manifest = folder.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    for wrong in [
        "",
        "{}",
        "[]",
        &text.replacen('{', "{\"v\":1,", 1),
        &text.replace("\"export\"", "\"other\""),
        &text.replace("\"first\":1", "\"first\":1.0"),
    ] {
        std::fs::write(&manifest, wrong).expect("a file");
        assert!(matches!(open(), Err(BundleError::Manifest(_))), "{wrong}");
    }
    std::fs::remove_file(manifest).expect("gone");
    assert!(matches!(open(), Err(BundleError::NoManifest(_))));
}

/// The evidence, read whole: what a proof or a page needs does not depend on the form.
#[test]
fn a_folder_and_an_archive_say_the_same() {
    let log = log();
    let folder = tempfile::tempdir().expect("a folder");
    let files = log.bundle();
    files.write_folder(&folder.path().join("a")).expect("the files");
    std::fs::write(folder.path().join("a.tar"), files.tar()).expect("a file");
    let mut claims = ["a", "a.tar"].map(|name| Bundle::open(&folder.path().join(name), None).expect("an export"));
    let [a, b] = &mut claims;
    assert_eq!(a.claim(), b.claim());
    assert_eq!(a.tile(0, 0).expect("a tile"), b.tile(0, 0).expect("a tile"));
    assert_eq!(a.tree_size().expect("a size"), 65);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever single byte is changed, in whatever file: it is noticed.
    #[test]
    fn no_flipped_byte_goes_unnoticed(at in 0.0..1.0_f64, bit in 0..8_u8, is_sealed: bool) {
        static LOG: std::sync::OnceLock<(Log, Files)> = std::sync::OnceLock::new();
        let (log, files) = LOG.get_or_init(|| {
            let log = super::log();
            let files = log.bundle();
            (log, files)
        });
        let mut files = files.clone();
        let counted = |name: &str| name != "trust.json" && (!is_sealed || !name.starts_with("manifest."));
        let total: usize = files.files.iter().filter(|(name, _)| counted(name)).map(|(_, bytes)| bytes.len()).sum();
        let mut place = (at * total as f64) as usize;
        for (name, bytes) in files.files.iter_mut().filter(|(name, _)| counted(name)) {
            if place < bytes.len() {
                // What a manifest says of its own making proves nothing, whatever it is.
                let own = [&b"made_at"[..], b"version"];
                let window = &bytes[place.saturating_sub(45)..bytes.len().min(place + 45)];
                let is_own = own.iter().any(|word| window.windows(word.len()).any(|w| w == *word));
                prop_assume!(name != "manifest.json" || !is_own);
                bytes[place] ^= 1 << bit;
                break;
            }
            place -= bytes.len();
        }
        if is_sealed {
            files.seal();
        }
        let folder = tempfile::tempdir().expect("a folder");
        files.write_folder(folder.path()).expect("the files");
        if let Ok(report) = check_path(folder.path(), None, &log.trust(), &Options::new(log.now)) {
            prop_assert_ne!(report.verdict, Verdict::Verified);
        }
    }
}
