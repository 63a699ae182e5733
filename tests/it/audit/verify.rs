//! What an administrator of the database could do to the log, and what the check says to it.

use rack_gateway::audit::verify::Damage::{Begin, Bytes, Chain, Columns, Gap, Head, Known, Number, Profile, Tail};
use rack_gateway::audit::verify::{Damage, Report, Verdict, VerifyOptions, verify};
use rack_gateway::audit::{Outcome, OutcomeResult};
use rack_gateway::proof::chain;
use rack_gateway::store::{Link, Record, Store};
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
        what_a_known_point_shows,
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

async fn check(store: &Store, known: Vec<Link>) -> Report {
    let options = VerifyOptions { origin: Some(ORIGIN.to_owned()), known };
    let mut told = Vec::new();
    let now = OffsetDateTime::now_utc();
    let report = verify(store, options, now, |done, of| told.push((done, of))).await.expect("the check runs");
    assert!(told.iter().all(|(done, of)| done <= of), "{told:?}");
    report
}

/// Does `sql` to a log, and compares what is found; `good` is the last record known good.
async fn expect(db: Db, sql: &str, good: u64, damage: &[(u64, Damage)]) {
    let store = log(&db).await;
    db.execute(sql).await;
    let report = check(&store, Vec::new()).await;
    let found: Vec<_> = report.findings.iter().map(|f| (f.seq, f.damage)).collect();
    assert_eq!(found, damage, "{sql}");
    assert_eq!(report.good_until, good, "{sql}");
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Tampered, 1), "{sql}");
}

/// A statement, the last record known good after it, and what is found.
type Case<'a> = (String, u64, &'a [(u64, Damage)]);

async fn on_copies(db: Db, cases: &[Case<'_>]) {
    for (sql, good, damage) in cases {
        expect(db.sibling().await, sql, *good, damage).await;
    }
}

async fn an_untouched_log(db: Db) {
    let store = log(&db).await;
    let report = check(&store, Vec::new()).await;
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Verified, 0), "{report:?}");
    assert_eq!((report.records, report.last, report.good_until), (LAST, LAST, LAST));
    assert_eq!((report.interrupted_total, report.in_flight), (0, 0));
    let (_, head) = store.head().await.expect("the head").expect("a head");
    assert_eq!(report.chain, hex::encode(head.chain));
}

async fn edits(db: Db) {
    let canon = |seq: u64, from: &str, to: &str| db.edit_canon(seq, from, to);
    let blank = "00".repeat(32);
    on_copies(
        db.sibling().await,
        &[
            (canon(10, r#""req":"r5""#, r#""req":"r6""#), 9, &[(10, Bytes), (10, Columns)]),
            (canon(10, "app:list", "app:load"), 9, &[(10, Bytes), (10, Columns)]),
            (canon(10, r#""seq":10"#, r#""seq":12"#), 9, &[(10, Bytes), (10, Number)]),
            (canon(10, "{", "{ "), 9, &[(10, Bytes), (10, Profile)]),
            (canon(10, r#""v":1"#, r#""v":null"#), 9, &[(10, Bytes), (10, Profile)]),
            (canon(10, "{", "{\n"), 9, &[(10, Bytes), (10, Profile)]),
            ("UPDATE audit_records SET request_id = 'r6' WHERE seq = 10".to_owned(), 9, &[(10, Columns)]),
            ("UPDATE audit_records SET request_id = NULL WHERE seq = 10".to_owned(), 9, &[(10, Columns)]),
            ("UPDATE audit_records SET intent = 4 WHERE seq = 11".to_owned(), 10, &[(11, Columns)]),
            ("UPDATE audit_records SET ts = '2020' WHERE seq = 10".to_owned(), 9, &[(10, Columns)]),
            (db.set_blob("audit_records", "leaf", &blank, "seq = 10"), 9, &[(10, Bytes), (10, Chain)]),
            // The next value follows from this one, so it breaks twice.
            (db.set_blob("audit_records", "chain", &blank, "seq = 10"), 9, &[(10, Chain), (11, Chain)]),
        ],
    )
    .await;
}

async fn removals(db: Db) {
    let delete = |what: &str| format!("DELETE FROM audit_records WHERE {what}");
    on_copies(
        db,
        &[
            (delete("seq = 10"), 9, &[(10, Gap)]),
            (delete("seq IN (10, 11)"), 9, &[(10, Gap)]),
            (delete("seq > 39"), 39, &[(40, Tail)]),
            (delete("seq = 1"), 0, &[(1, Gap)]),
            (delete("seq > 0"), 0, &[(1, Tail)]),
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
            ("UPDATE audit_head SET seq = 43".to_owned(), LAST, &[(42, Tail)]),
            ("UPDATE audit_head SET seq = 39".to_owned(), 39, &[(40, Head)]),
            (db.set_blob("audit_head", "chain", &blank, "id = 1"), 40, &[(LAST, Head)]),
            ("DELETE FROM audit_head".to_owned(), 40, &[(LAST, Head)]),
            (copied.to_owned(), LAST, &[(42, Chain), (42, Number), (42, Damage::Outcome), (42, Head)]),
            ("UPDATE audit_head SET origin = 'other'".to_owned(), 0, &[(1, Chain), (1, Begin), (1, Known)]),
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
    let report = check(&store, Vec::new()).await;
    assert_eq!(report.findings.iter().map(|f| (f.seq, f.damage)).collect::<Vec<_>>(), [(10, Profile)]);
}

async fn what_a_known_point_shows(db: Db) {
    let store = log(&db).await;
    let before = all(&store).await;
    let point =
        |seq: usize| Link { seq: seq as u64, chain: before[seq - 1].chain.clone().try_into().expect("32 bytes") };
    assert_eq!(check(&store, vec![point(41), point(20), point(1)]).await.verdict, Verdict::Verified);
    // A clean rewrite is invisible from inside; so is a clean cut at the end.
    rechain(&db, &store, 30, |record| {
        String::from_utf8(record.canon.clone()).expect("UTF-8").replace("completed", "abandoned").into_bytes()
    })
    .await;
    assert_eq!(check(&store, Vec::new()).await.verdict, Verdict::Verified);
    assert_eq!(check(&store, vec![point(20)]).await.verdict, Verdict::Verified);
    let report = check(&store, vec![point(20), point(40)]).await;
    assert_eq!(report.findings.iter().map(|f| (f.seq, f.damage)).collect::<Vec<_>>(), [(40, Known)]);
    let end = all(&store).await[34].chain.clone();
    db.execute("DELETE FROM audit_records WHERE seq > 35; UPDATE audit_head SET seq = 35").await;
    db.execute(&db.set_blob("audit_head", "chain", &hex::encode(end), "id = 1")).await;
    assert_eq!(check(&store, Vec::new()).await.verdict, Verdict::Verified);
    let report = check(&store, vec![point(41)]).await;
    assert_eq!(report.findings.iter().map(|f| (f.seq, f.damage)).collect::<Vec<_>>(), [(41, Known)]);
    assert_eq!(report.good_until, 35);
}

async fn nothing_is_not_verified(db: Db) {
    let store = db.store().await;
    let report = check(&store, Vec::new()).await;
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Incomplete, 2));
    db.unlock().await;
    db.execute("DROP TABLE audit_records").await;
    let now = OffsetDateTime::now_utc();
    verify(&store, VerifyOptions::default(), now, |_, _| {}).await.expect_err("the check cannot be made");
}

async fn open_intents(db: Db) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    let held = writer.intent(intent("r1")).await.expect("an intent");
    let at = |minutes| OffsetDateTime::now_utc() + Duration::minutes(minutes);
    for (minutes, interrupted, in_flight) in [(0, vec![], 1), (6, vec![2], 0)] {
        let report = verify(&store, VerifyOptions::default(), at(minutes), |_, _| {}).await.expect("the check runs");
        assert_eq!((report.interrupted, report.in_flight), (interrupted, in_flight));
        assert_eq!(report.verdict, Verdict::Verified, "a crash is no tampering");
    }
    held.complete(Outcome::of(OutcomeResult::Completed));
}
