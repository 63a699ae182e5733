//! What an administrator of the database could do to the log, and what the check says to it.

use std::collections::BTreeMap;

use rack_gateway::audit::anchor::{Loaded, ObjectVersion};
use rack_gateway::audit::live::{self, Anchored};
use rack_gateway::audit::{Keeper, Outcome, OutcomeResult};
use rack_gateway::proof::anchor::{AnchorReason, Meta, ObjectKey};
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tree::Frontier;
use rack_gateway::proof::trust::{AnchorStore, Trust, TrustedKey};
use rack_gateway::proof::verify::Code::{
    self, Begin, Column, Empty, Gap, Head, Missing, Number, Profile, Root, Tile, Unanchored, Versions,
};
use rack_gateway::proof::verify::{Options, Report, Verdict};
use rack_gateway::store::{Record, Store};
use rack_gateway_tests::evidence::{Key, time_text};
use time::{Duration, OffsetDateTime};

use super::append::{ORIGIN, all, intent, writer};
use crate::harness::db::Db;

const LAST: u64 = 41;

mod both {
    crate::on_both!(
        an_untouched_log,
        edits,
        removals,
        the_head,
        rewriting,
        what_anchors_show,
        what_a_bucket_shows,
        the_kept_tree,
        nothing_is_not_verified,
        open_intents,
    );
}

/// A log of twenty requests: intent 2n and outcome 2n+1 of request `rn`.
async fn log(db: &Db) -> Store {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for n in 1..=20 {
        let held = writer.intent(intent(&format!("r{n}"))).await.expect("an intent");
        held.complete(Outcome::of(OutcomeResult::Completed));
    }
    assert!(writer.shutdown(std::time::Duration::from_secs(5)).await);
    db.unlock().await;
    store
}

/// Anchors of the log as it is now, at each of these sizes, in a bucket in memory.
async fn anchors(store: &Store, sizes: &[u64]) -> Anchored {
    use base64::Engine as _;
    let key = Key::generate();
    let public_key = base64::engine::general_purpose::STANDARD.encode(key.public().spki());
    let place = AnchorStore::S3 { bucket: "b".to_owned(), region: "r".to_owned(), account: String::new() };
    let keys = vec![TrustedKey { public_key, name: String::new() }];
    let (origin, breaks) = (ORIGIN.to_owned(), Vec::new());
    let trust = Trust { v: 1, origin, keys, store: place, development: false, breaks };
    let mut anchored = Anchored { trust, loaded: Loaded::default() };
    let (mut tree, mut value, records) = (Frontier::default(), chain::genesis(ORIGIN), all(store).await);
    let mut before: Option<[Vec<u8>; 2]> = None;
    for (number, size) in (1..).zip(sizes) {
        for record in &records[tree.size() as usize..*size as usize] {
            let leaf = chain::leaf(&record.canon);
            tree.push(leaf);
            value = chain::link(&value, &leaf);
        }
        let meta = meta(number, (&tree, value), &key, before.as_ref());
        let notes = [meta.checkpoint().text(), meta.text()].map(|text| {
            let mut note = Note { text, signatures: Vec::new() };
            let signature = key.sign(note.text.as_bytes());
            note.sign(ORIGIN, key.public(), signature);
            note.encode().into_bytes()
        });
        for (kind, note) in [ObjectKey::Checkpoint(number), ObjectKey::Meta(number)].into_iter().zip(&notes) {
            let key = kind.path(ORIGIN);
            let written = Some(OffsetDateTime::now_utc());
            anchored.loaded.objects.insert(key.clone(), note.clone().into());
            let version = "1".to_owned();
            let version = ObjectVersion { key, version, is_marker: false, is_latest: true, last_modified: written };
            anchored.loaded.versions.push(version);
        }
        before = Some(notes);
    }
    anchored
}

fn meta(number: u64, (tree, value): (&Frontier, Hash), key: &Key, before: Option<&[Vec<u8>; 2]>) -> Meta {
    let now = OffsetDateTime::now_utc();
    Meta {
        account: None,
        anchor: number,
        bucket: "b".to_owned(),
        bundle: None,
        chain: value,
        development: false,
        epoch: 1,
        last_ts: (tree.size() > 0).then(|| time_text(now)),
        made_at: time_text(now),
        next_due: time_text(now + Duration::minutes(2)),
        next_key: None,
        origin: ORIGIN.to_owned(),
        prev_checkpoint: before.map(|notes| Note::digest(&notes[0])),
        prev_meta: before.map(|notes| Note::digest(&notes[1])),
        reason: AnchorReason::Interval,
        region: Some("r".to_owned()),
        root: tree.root(),
        signer: *key.public().fingerprint(),
        size: tree.size(),
        version: "0.1.0".to_owned(),
    }
}

async fn check(store: &Store, anchored: Option<&Anchored>) -> Report {
    let mut told = Vec::new();
    let options = Options::new(OffsetDateTime::now_utc());
    let outcome = live::verify(store, anchored, &options, |done, of| told.push((done, of))).await;
    assert!(told.iter().all(|(done, of)| done <= of), "{told:?}");
    outcome.expect("the check runs").report
}

/// The findings about records, which are there whether or not there are anchors.
fn about_records(report: &Report) -> Vec<(u64, Code)> {
    report.findings.iter().filter_map(|finding| Some((finding.record?, finding.code))).collect()
}

/// Does `sql` to a log, and compares what is found.
async fn expect(db: Db, sql: &str, found: &[(u64, Code)]) {
    let store = log(&db).await;
    db.execute(sql).await;
    let report = check(&store, None).await;
    assert_eq!(about_records(&report), found, "{sql}");
    assert_eq!(report.first_bad_record, found.iter().map(|(record, _)| *record).min(), "{sql}");
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Tampered, 1), "{sql}");
}

/// A statement, and what is found.
type Case<'a> = (String, &'a [(u64, Code)]);

async fn on_copies(db: Db, cases: &[Case<'_>]) {
    for (sql, found) in cases {
        expect(db.sibling().await, sql, found).await;
    }
}

async fn an_untouched_log(db: Db) {
    let store = log(&db).await;
    let report = check(&store, None).await;
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Incomplete, 2), "{report:?}");
    assert_eq!(report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Unanchored]);
    assert_eq!((report.records, report.last, report.good_until), (LAST, LAST, 0));
    assert_eq!((report.interrupted_total, report.in_flight), (0, 0));
    let (_, head) = store.head().await.expect("the head").expect("a head");
    assert_eq!(report.chain, Some(hex::encode(head.chain)));
    let report = check(&store, Some(&anchors(&store, &[0, 7, 30]).await)).await;
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Verified, 0), "{report:?}");
    assert_eq!((report.anchors, report.good_until, report.tail.records), (3, 30, 11));
    assert_eq!(report.anchoring.clock_s, Some(0));
}

async fn edits(db: Db) {
    let canon = |seq: u64, from: &str, to: &str| db.edit_canon(seq, from, to);
    let blank = "00".repeat(32);
    on_copies(
        db.sibling().await,
        &[
            (canon(10, r#""req":"r5""#, r#""req":"r6""#), &[(10, Column)]),
            (canon(10, "app:list", "app:load"), &[(10, Column)]),
            (canon(10, r#""seq":10"#, r#""seq":12"#), &[(10, Column), (10, Number)]),
            (canon(10, "{", "{ "), &[(10, Column), (10, Profile)]),
            (canon(10, r#""v":1"#, r#""v":null"#), &[(10, Column), (10, Profile)]),
            (canon(10, "{", "{\n"), &[(10, Column), (10, Profile)]),
            ("UPDATE audit_records SET request_id = 'r6' WHERE seq = 10".to_owned(), &[(10, Column)]),
            ("UPDATE audit_records SET request_id = NULL WHERE seq = 10".to_owned(), &[(10, Column)]),
            ("UPDATE audit_records SET intent = 4 WHERE seq = 11".to_owned(), &[(11, Column)]),
            ("UPDATE audit_records SET ts = '2020' WHERE seq = 10".to_owned(), &[(10, Column)]),
            (db.set_blob("audit_records", "leaf", &blank, "seq = 10"), &[(10, Column), (10, Column)]),
            // The next value follows from this one, so it breaks twice.
            (db.set_blob("audit_records", "chain", &blank, "seq = 10"), &[(10, Column), (11, Column)]),
        ],
    )
    .await;
}

async fn removals(db: Db) {
    let delete = |what: &str| format!("DELETE FROM audit_records WHERE {what}");
    on_copies(
        db,
        &[
            (delete("seq = 10"), &[(10, Missing)]),
            (delete("seq IN (10, 11)"), &[(10, Missing)]),
            (delete("seq > 39"), &[(40, Missing)]),
            (delete("seq = 1"), &[(1, Missing)]),
            (delete("seq > 0"), &[(1, Missing)]),
        ],
    )
    .await;
}

async fn the_head(db: Db) {
    let blank = "00".repeat(32);
    let copied = "INSERT INTO audit_records SELECT 42, canon, leaf, chain, ts, kind, request_id, actor, action, \
         resource, decision, instance, intent FROM audit_records WHERE seq = 41";
    on_copies(
        db.sibling().await,
        &[
            ("UPDATE audit_head SET seq = 43".to_owned(), &[(42, Missing)]),
            ("UPDATE audit_head SET seq = 39".to_owned(), &[(40, Head)]),
            (db.set_blob("audit_head", "chain", &blank, "id = 1"), &[(LAST, Head)]),
            ("DELETE FROM audit_head".to_owned(), &[(1, Begin), (LAST, Head)]),
            (copied.to_owned(), &[(42, Column), (42, Number), (42, Head)]),
            ("UPDATE audit_head SET origin = 'other'".to_owned(), &[(1, Column), (1, Begin)]),
        ],
    )
    .await;
}

/// Recomputes every hash from record `from` on, as somebody with the database and this program could.
async fn rechain(db: &Db, store: &Store, from: u64, edit: impl Fn(&Record) -> Vec<u8>) {
    let mut link = chain::genesis(ORIGIN);
    for record in all(store).await {
        let canon = if record.seq >= from { edit(&record) } else { record.canon };
        let leaf = chain::leaf(&canon);
        link = chain::link(&link, &leaf);
        let at = format!("seq = {}", record.seq);
        for (column, value) in [("canon", canon.as_slice()), ("leaf", &leaf), ("chain", &link)] {
            db.execute(&db.set_blob("audit_records", column, &hex::encode(value), &at)).await;
        }
    }
    db.execute(&db.set_blob("audit_head", "chain", &hex::encode(link), "id = 1")).await;
}

async fn rewriting(db: Db) {
    // Recomputing the hashes does not help when the record itself is impossible.
    let store = log(&db).await;
    rechain(&db, &store, 10, |record| {
        let text = String::from_utf8(record.canon.clone()).expect("UTF-8");
        if record.seq == 10 { text.replace('{', "{ ").into_bytes() } else { record.canon.clone() }
    })
    .await;
    assert_eq!(about_records(&check(&store, None).await), [(10, Profile)]);
}

fn renamed(record: &Record) -> Vec<u8> {
    String::from_utf8(record.canon.clone()).expect("UTF-8").replace("completed", "abandoned").into_bytes()
}

async fn what_anchors_show(db: Db) {
    let store = log(&db).await;
    let (early, late) = (anchors(&store, &[0, 20]).await, anchors(&store, &[0, 20, 35, 41]).await);
    // A clean rewrite is invisible from inside; so is a clean cut at the end.
    rechain(&db, &store, 30, renamed).await;
    assert_eq!(check(&store, Some(&early)).await.verdict, Verdict::Verified);
    let report = check(&store, Some(&late)).await;
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.code, finding.anchor)).collect();
    assert_eq!(found, [(Tile, None), (Root, Some(3)), (Code::Chain, Some(3))]);
    assert_eq!((report.first_bad_anchor, report.good_until), (Some(3), 20));
    assert_eq!(report.last_good_anchor.map(|anchor| anchor.number), Some(2));
    let end = all(&store).await[27].chain.clone();
    db.execute("DELETE FROM audit_records WHERE seq > 28; UPDATE audit_head SET seq = 28").await;
    db.execute(&db.set_blob("audit_head", "chain", &hex::encode(end), "id = 1")).await;
    assert_eq!(check(&store, Some(&early)).await.verdict, Verdict::Verified);
    let report = check(&store, Some(&late)).await;
    assert_eq!(about_records(&report), [(29, Missing)]);
    assert_eq!((report.verdict, report.good_until), (Verdict::Tampered, 20));
}

async fn what_a_bucket_shows(db: Db) {
    let store = log(&db).await;
    let good = anchors(&store, &[0, 20, 41]).await;
    let codes =
        |report: &Report| -> Vec<_> { report.findings.iter().map(|finding| (finding.code, finding.anchor)).collect() };
    let mut second = good.clone();
    second.loaded.versions.push(second.loaded.versions[3].clone());
    assert_eq!(codes(&check(&store, Some(&second)).await), [(Versions, Some(2))]);
    let mut marked = good.clone();
    let key = ObjectKey::Checkpoint(2).path(ORIGIN);
    marked.loaded.objects.remove(&key);
    marked.loaded.versions.push(ObjectVersion {
        key,
        version: "2".to_owned(),
        is_marker: true,
        is_latest: true,
        last_modified: None,
    });
    assert_eq!(codes(&check(&store, Some(&marked)).await), [(Versions, Some(2)), (Gap, Some(2))]);
    let mut slow = good;
    slow.loaded.versions[1].last_modified = Some(OffsetDateTime::now_utc() + Duration::hours(1));
    let report = check(&store, Some(&slow)).await;
    assert_eq!(report.verdict, Verdict::Verified, "{report:?}");
    assert!(report.anchoring.clock_s.is_some_and(|seconds| (3_590..3_610).contains(&seconds)), "{report:?}");
}

async fn the_kept_tree(db: Db) {
    // The tree names the record that was changed, together with its hashes.
    let store = log(&db).await;
    let anchored = anchors(&store, &[0, 41]).await;
    Keeper::new(store.clone()).catch_up(LAST).await.expect("the tree");
    db.execute(&db.edit_canon(10, "app:list", "app:load")).await;
    let report = check(&store, Some(&anchored)).await;
    assert_eq!(about_records(&report), [(10, Column), (10, Code::Leaf)]);
    assert_eq!((report.good_until, report.last_good_anchor.map(|anchor| anchor.number)), (9, Some(2)));
}

async fn nothing_is_not_verified(db: Db) {
    let store = db.store().await;
    let report = check(&store, None).await;
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Incomplete, 2));
    let found: BTreeMap<_, _> = report.findings.iter().map(|finding| (finding.code, finding.record)).collect();
    assert_eq!(found, BTreeMap::from([(Empty, None), (Unanchored, None)]));
    db.unlock().await;
    db.execute("DROP TABLE audit_records").await;
    let options = Options::new(OffsetDateTime::now_utc());
    live::verify(&store, None, &options, |_, _| {}).await.expect_err("the check cannot be made");
}

async fn open_intents(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let held = writer.intent(intent("r1")).await.expect("an intent");
    let at = |minutes| OffsetDateTime::now_utc() + Duration::minutes(minutes);
    for (minutes, interrupted, in_flight) in [(0, vec![], 1), (6, vec![2], 0)] {
        let checked = live::verify(&store, None, &Options::new(at(minutes)), |_, _| {}).await;
        let report = checked.expect("the check runs").report;
        assert_eq!((&report.interrupted, report.in_flight), (&interrupted, in_flight));
        assert_eq!(report.verdict, Verdict::Incomplete, "a crash is no tampering");
    }
    held.complete(Outcome::of(OutcomeResult::Completed));
}
