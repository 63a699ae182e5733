//! Searches find exactly the records that match, the newest first and none missing, by indexes alone.

use rack_gateway::audit::{Actor, Event, EventKind, Keeper, Outcome, OutcomeResult, Writer, search};
use rack_gateway::proof::chain;
use rack_gateway::store::{Keys, Record, RecordFilter, Store, StoreError};
use serde_json::Value as Json;
use sqlx::{Connection as _, Row as _};

use super::append::{ORIGIN, all, intent, json, writer};
use super::keeper::sealed;
use crate::harness::db::Db;
use crate::identity::plans::scans;

mod both {
    crate::on_both!(what_matches_is_found, hostile_text, the_newest_is_found, times, pages, an_index_that_is_behind);
}

fn event(n: u64) -> Event {
    let pick = |list: &[&'static str]| list[usize::try_from(n).expect("small") % list.len()];
    let kind = if n.is_multiple_of(3) { EventKind::Denial } else { EventKind::Admin };
    let mut event = Event::new(kind, format!("r{}", n % 7), pick(&["app:list", "app:delete", "env:set"]));
    event.actor =
        (!n.is_multiple_of(5)).then(|| Actor { kind: "User".to_owned(), id: pick(&["ada", "bob"]).to_owned() });
    event.resource = Some(pick(&["App::one", "App::two", "App::one two", "User::ada"]).to_owned());
    event.decision = Some(if n.is_multiple_of(3) { "deny" } else { "allow" }.into());
    event.reasons = vec![pick(&["roles.viewer", "roles.admin"]).to_owned(), format!("p{}", n % 4)];
    event.message = Some(format!("Number {n} of \"Straße\" ÉTÉ {}", pick(&["refresh_token", "x-y", "東京"])));
    event.detail.insert("where".to_owned(), format!("/apps/{}/{n}", pick(&["alpha", "beta"])));
    event.source_ip = Some([192, 0, 2, 7].into());
    event
}

async fn log(db: &Db, count: u64) -> (Store, Writer, Keeper) {
    let store = db.store().await;
    let writer = writer(&store, "one").await;
    for n in 1..=count {
        writer.append(event(n)).await.expect("a record");
    }
    (store.clone(), writer, Keeper::new(store))
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

async fn found(keeper: &Keeper, filter: &RecordFilter) -> Vec<u64> {
    numbers(&search(keeper, filter, None, 1_000).await.unwrap_or_else(|error| panic!("{filter:?}: {error}")))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Words as a person would see them.
fn has_words(record: &Json, words: &str) -> bool {
    let parts = ["action", "resource", "message", "reasons", "detail", "actor", "challenges", "errors"];
    let texts: String = parts.iter().map(|name| format!("{} ", record[*name])).collect();
    let texts = texts.to_lowercase();
    let all: Vec<&str> = texts.split(|c: char| !c.is_alphanumeric()).collect();
    words.to_lowercase().split(' ').all(|word| all.contains(&word))
}

fn matches(record: &Json, filter: &RecordFilter) -> bool {
    let is = |pointer: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| record.pointer(pointer).is_some_and(|value| value == wanted.as_str()))
    };
    let reasons = record["reasons"].as_array().cloned().unwrap_or_default();
    is("/actor/id", &filter.actor)
        && is("/action", &filter.action)
        && is("/resource", &filter.resource)
        && is("/decision", &filter.decision)
        && is("/kind", &filter.kind)
        && is("/req", &filter.request)
        && filter.policy.as_ref().is_none_or(|policy| reasons.iter().any(|reason| reason == policy.as_str()))
        && filter.text.as_ref().is_none_or(|text| has_words(record, text))
        && filter.first.is_none_or(|first| record["seq"].as_u64() >= Some(first))
        && filter.last.is_none_or(|last| record["seq"].as_u64() <= Some(last))
}

async fn what_matches_is_found(db: Db) {
    let (store, writer, keeper) = log(&db, 120).await;
    let held = writer.intent(intent("r1")).await.expect("an intent");
    held.complete(Outcome::of(OutcomeResult::Completed));
    assert!(writer.shutdown(std::time::Duration::from_secs(5)).await);
    let records: Vec<Json> = all(&store).await.iter().map(json).collect();
    let none = RecordFilter::default;
    let ada = || RecordFilter { actor: some("ada"), ..none() };
    let filters = [
        none(),
        ada(),
        RecordFilter { action: some("app:delete"), ..none() },
        RecordFilter { action: some("app:delete"), ..ada() },
        RecordFilter { resource: some("App::one"), ..none() },
        RecordFilter { resource: some("App::one two"), ..none() },
        RecordFilter { decision: some("deny"), ..none() },
        RecordFilter { decision: some("deny"), ..ada() },
        RecordFilter { kind: some("outcome"), ..none() },
        RecordFilter { kind: some("intent"), request: some("r1"), ..none() },
        RecordFilter { policy: some("p3"), ..none() },
        RecordFilter { policy: some("roles.viewer"), decision: some("allow"), ..ada() },
        RecordFilter { request: some("r3"), ..none() },
        RecordFilter { request: some("r3"), policy: some("p1"), actor: some("bob"), ..none() },
        RecordFilter { request: some("r3"), text: some("beta"), action: some("env:set"), ..none() },
        RecordFilter { text: some("number 17"), ..none() },
        RecordFilter { text: some("STRASSE"), ..none() },
        RecordFilter { text: some("straße été"), ..none() },
        RecordFilter { text: some("refresh token"), kind: some("denial"), ..none() },
        RecordFilter { text: some("東京"), first: Some(30), last: Some(60), ..none() },
        RecordFilter { first: Some(119), ..none() },
        RecordFilter { last: Some(3), ..ada() },
        RecordFilter { actor: some("nobody"), ..none() },
    ];
    for filter in filters {
        let mut expected: Vec<u64> =
            records.iter().filter(|record| matches(record, &filter)).filter_map(|r| r["seq"].as_u64()).collect();
        expected.reverse();
        assert_eq!(found(&keeper, &filter).await, expected, "{filter:?}");
        let wanted = !matches!((&filter.actor, &filter.text), (Some(actor), _) if actor == "nobody")
            && filter.text.as_deref() != Some("STRASSE");
        assert_eq!(!expected.is_empty(), wanted, "the case says something: {filter:?}");
    }
}

async fn hostile_text(db: Db) {
    let (_, _, keeper) = log(&db, 6).await;
    for text in ["\"", "' OR 1=1 --", "a\" OR \"b", "NOT alpha", "alpha NEAR beta", "words:alpha", "al*"] {
        let filter = RecordFilter { text: some(text), ..RecordFilter::default() };
        match search(&keeper, &filter, None, 10).await {
            Ok(records) => assert_eq!(numbers(&records), [0; 0], "{text}"),
            Err(error) => assert!(matches!(error, StoreError::Invalid(_)), "{text}: {error:?}"),
        }
    }
    for text in ["alpha", "^alpha", "\"alpha\"", "  alpha!", "(alpha)", "alpha:*", "\u{0}alpha\u{1f}", "'alpha' & !"] {
        let filter = RecordFilter { text: some(text), ..RecordFilter::default() };
        assert_eq!(found(&keeper, &filter).await, [7, 5, 3], "{text:?}");
    }
    for text in ["", "  ", "%", "***", "\0", &"x ".repeat(33)] {
        let filter = RecordFilter { text: some(text), ..RecordFilter::default() };
        let refused = search(&keeper, &filter, None, 10).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{text:?}: {refused:?}");
    }
    let long = format!("alpha {}", "é".repeat(100_000));
    for value in ["\0", "x\u{1f}y", "';--", long.as_str()] {
        let all = [
            RecordFilter { actor: some(value), ..RecordFilter::default() },
            RecordFilter { action: some(value), resource: some(value), ..RecordFilter::default() },
            RecordFilter { request: some(value), text: some(&long), ..RecordFilter::default() },
            RecordFilter { policy: some(value), kind: some(value), ..RecordFilter::default() },
            RecordFilter { from: some(value), to: some(value), ..RecordFilter::default() },
        ];
        for filter in all {
            assert_eq!(found(&keeper, &filter).await, [0; 0], "{filter:?}");
        }
    }
}

async fn the_newest_is_found(db: Db) {
    let (_, writer, keeper) = log(&db, 3).await;
    for n in 0..20 {
        let mut event = event(n);
        event.message = Some(format!("needle{n}"));
        let seq = writer.append(event).await.expect("a record").seq;
        let filter = RecordFilter { text: some(&format!("Needle{n}")), ..RecordFilter::default() };
        assert_eq!(found(&keeper, &filter).await, [seq]);
    }
}

/// Records of given times, in that order.
async fn at_times(store: &Store, times: &'static [&'static str]) {
    store.head_init(ORIGIN, chain::genesis(ORIGIN)).await.expect("a head");
    let count = times.len() as u64;
    let made = |seq: u64| {
        let ts = times[usize::try_from(seq).expect("small") - 1].to_owned();
        (format!("{{\"kind\":\"admin\",\"seq\":{seq},\"ts\":\"{ts}\"}}"), Keys { ts, ..Keys::default() })
    };
    store.records_append(move |head| sealed(head, count, made)).await.expect("appended");
}

async fn times(db: Db) {
    let store = db.store().await;
    assert_eq!(store.seq_range(None, None).await, Ok((1, 0)), "nothing in an empty log");
    at_times(&store, &["2026-01-01", "2026-01-03", "2026-01-02", "2026-01-03", "2026-02-01"]).await;
    let keeper = Keeper::new(store.clone());
    for (from, to, range, expected) in [
        (None, None, (1, 5), vec![5, 4, 3, 2, 1]),
        (Some("2026-01-02"), None, (2, 5), vec![5, 4, 3, 2]),
        (Some("2026-01-02"), Some("2026-01-03"), (2, 3), vec![3]),
        (Some("2026-01-03"), Some("2026-01-04"), (2, 4), vec![4, 2]),
        (None, Some("2026-01-01"), (1, 0), vec![]),
        (Some("2027"), None, (6, 5), vec![]),
        (Some("2026-01-04"), Some("2026-01-05"), (5, 4), vec![]),
    ] {
        assert_eq!(store.seq_range(from, to).await, Ok(range), "{from:?} {to:?}");
        for kind in [None, some("admin")] {
            let filter = RecordFilter {
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                kind,
                ..RecordFilter::default()
            };
            assert_eq!(found(&keeper, &filter).await, expected, "{filter:?}");
        }
    }
}

async fn pages(db: Db) {
    let (store, _, keeper) = log(&db, 50).await;
    for filter in [RecordFilter::default(), RecordFilter { decision: some("allow"), ..RecordFilter::default() }] {
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = numbers(&search(&keeper, &filter, before, 7).await.expect("a page"));
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 7);
            before = Some(*last);
            seen.extend(page);
        }
        assert_eq!(seen, found(&keeper, &filter).await);
    }
    assert_eq!(numbers(&store.records_search(&RecordFilter::default(), Some(3), 9).await.expect("a page")), [2, 1]);
    assert_eq!(numbers(&store.records_search(&RecordFilter::default(), Some(1), 9).await.expect("a page")), [0; 0]);
    assert_eq!(numbers(&store.records_search(&RecordFilter::default(), None, 0).await.expect("a page")), [0; 0]);
}

async fn an_index_that_is_behind(db: Db) {
    let (store, _, keeper) = log(&db, 30).await;
    let by_column = RecordFilter { actor: some("ada"), ..RecordFilter::default() };
    assert!(!by_column.needs_words() && !found(&keeper, &by_column).await.is_empty());
    assert_eq!(store.indexed().await, Ok(0), "what columns answer needs no index");
    let by_words = RecordFilter { decision: some("deny"), ..RecordFilter::default() };
    assert!(by_words.needs_words());
    assert_eq!(numbers(&store.records_search(&by_words, None, 99).await.expect("a search")), [0; 0]);
    assert!(!search(&keeper, &by_words, Some(20), 99).await.expect("a search").is_empty());
    assert_eq!(store.indexed().await, Ok(31));
}

/// Many records that differ, in the index.
async fn crowd(db: &Db, count: u64) -> Store {
    let store = db.store().await;
    store.head_init(ORIGIN, chain::genesis(ORIGIN)).await.expect("a head");
    let made = |seq: u64| {
        let (ts, actor, request) = (format!("2026-01-01T{seq:09}"), format!("u{}", seq % 500), format!("r{seq}"));
        let decision = if seq.is_multiple_of(100) { "deny" } else { "allow" };
        let canon = format!(
            "{{\"action\":\"app:list\",\"actor\":{{\"id\":\"{actor}\",\"type\":\"User\"}},\"decision\":\"{decision}\",\
             \"kind\":\"intent\",\"message\":\"word{} all\",\"reasons\":[\"p{}\"],\"resource\":\"App::a{}\",\
             \"seq\":{seq},\"ts\":\"{ts}\",\"v\":1}}",
            seq % 1_000,
            seq % 90,
            seq % 300
        );
        let action = if seq.is_multiple_of(200) { "app:delete" } else { "app:list" };
        let (request_id, actor, action) = (Some(request), Some(actor), Some(action.to_owned()));
        (canon, Keys { ts, request_id, actor, action, decision: some(decision), ..Keys::default() })
    };
    for _ in 0..count / 1_000 {
        store.records_append(move |head| sealed(head, 1_000, made)).await.expect("appended");
    }
    let keeper = Keeper::new(store.clone());
    keeper.catch_up(count).await.expect("a tree");
    keeper.index(count).await.expect("an index");
    store
}

fn questions() -> Vec<RecordFilter> {
    let none = RecordFilter::default;
    let (from, to) = (some("2026-01-01T000004000"), some("2026-01-01T000004500"));
    vec![
        none(),
        RecordFilter { actor: some("u7"), ..none() },
        RecordFilter { action: some("app:delete"), ..none() },
        RecordFilter { resource: some("App::a7"), ..none() },
        RecordFilter { decision: some("deny"), ..none() },
        RecordFilter { policy: some("p7"), ..none() },
        RecordFilter { request: some("r777"), ..none() },
        RecordFilter { text: some("word77 all"), ..none() },
        RecordFilter { actor: some("u7"), decision: some("allow"), text: some("all"), ..none() },
        RecordFilter { from, to, ..none() },
        RecordFilter { first: Some(1_000), last: Some(2_000), ..none() },
    ]
}

#[tokio::test]
async fn postgres_reads_no_whole_table() {
    let db = Db::postgres().await;
    let store = crowd(&db, 23_000).await;
    db.execute("ANALYZE; SELECT gin_clean_pending_list('audit_words_by_word')").await;
    store.close().await;
    let tables = ["audit_records", "audit_words", "audit_nodes", "audit_private"];
    let before = crate::harness::until("statistics", || async {
        let numbers = scans(&mut sqlx::PgConnection::connect(&db.url().await).await.expect("connect"), &tables).await;
        (numbers.1 > 0).then_some(numbers)
    })
    .await;
    let store = db.store().await;
    for filter in questions() {
        assert!(!store.records_search(&filter, Some(22_000), 20).await.expect("a search").is_empty(), "{filter:?}");
    }
    store.close().await;
    let after = crate::harness::until("statistics", || async {
        let numbers = scans(&mut sqlx::PgConnection::connect(&db.url().await).await.expect("connect"), &tables).await;
        (numbers.1 >= before.1 + 15).then_some(numbers)
    })
    .await;
    assert_eq!(after.0, before.0, "a table was read whole");
    // Some of these are read in order, the others found by the index.
    let store = db.store().await;
    let mut expected: Vec<u64> = (0..23).map(|n| n * 1_000 + 77).collect();
    let filter = RecordFilter { text: some("word77"), ..RecordFilter::default() };
    assert_eq!(numbers(&store.records_search_up(&filter, 0, 99).await.expect("a search")), expected);
    assert_eq!(numbers(&store.records_search_up(&filter, 77, 21).await.expect("a search")), expected[1..22]);
    expected.reverse();
    assert_eq!(numbers(&store.records_search(&filter, None, 99).await.expect("a search")), expected);
    assert_eq!(numbers(&store.records_search(&filter, Some(22_077), 22).await.expect("a search")), expected[1..]);
    let early = RecordFilter { last: Some(2_000), ..filter };
    assert_eq!(numbers(&store.records_search(&early, None, 99).await.expect("a search")), [1_077, 77]);
}

#[tokio::test]
async fn sqlite_reads_no_whole_table() {
    let db = Db::sqlite().await;
    let store = crowd(&db, 5_000).await;
    for filter in questions() {
        assert!(!store.records_search(&filter, Some(4_900), 20).await.expect("a search").is_empty(), "{filter:?}");
    }
    store.close().await;
    let mut connection = sqlx::SqliteConnection::connect(&db.url().await).await.expect("connect");
    let range = "r.seq >= 1 AND r.seq <= 900 ORDER BY r.seq DESC LIMIT 20";
    for sql in [
        format!("SELECT r.seq FROM audit_records r WHERE r.seq IS NOT NULL AND {range}"),
        format!("SELECT r.seq FROM audit_records r WHERE r.seq IS NOT NULL AND r.actor = 'u7' AND {range}"),
        format!("SELECT r.seq FROM audit_records r WHERE r.seq IS NOT NULL AND r.action = 'x' AND {range}"),
        format!("SELECT r.seq FROM audit_records r WHERE r.seq IS NOT NULL AND r.request_id = 'x' AND {range}"),
        "SELECT min(seq) FROM (SELECT seq FROM audit_records WHERE ts >= '2' ORDER BY ts LIMIT 9) AS near".to_owned(),
        "SELECT w.rowid FROM audit_words w CROSS JOIN audit_records r WHERE r.seq = w.rowid AND w.audit_words MATCH \
         '\"x\"' AND w.rowid >= 1 AND w.rowid <= 900 ORDER BY w.rowid DESC LIMIT 20"
            .to_owned(),
        "SELECT p.seq, p.name FROM audit_records r JOIN audit_private p ON p.seq = r.seq WHERE r.actor = 'x' AND \
         p.name = 'src_ip' AND r.seq >= 1 AND (r.seq > 1 OR p.name > 'x') ORDER BY r.seq, p.name LIMIT 9"
            .to_owned(),
        // What records about one person hold is little enough to be sorted.
        "SELECT p.seq, p.name FROM audit_words w CROSS JOIN audit_private p CROSS JOIN audit_records r WHERE \
         w.audit_words MATCH '\"x\"' AND p.seq = w.rowid AND r.seq = w.rowid AND (p.name <> 'src_ip' OR r.actor IS \
         NULL) AND w.rowid >= 1 AND (w.rowid > 1 OR p.name > 'x')"
            .to_owned(),
    ] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut connection);
        let plan: Vec<String> = rows.await.expect("a plan").iter().map(|row| row.get("detail")).collect();
        let is_whole = |step: &String| {
            (step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE INDEX") && !step.contains("near"))
                || (step.contains("TEMP B-TREE") && !step.contains("LAST TERM"))
        };
        assert!(!plan.is_empty() && !plan.iter().any(is_whole), "{sql}: {plan:?}");
    }
}
