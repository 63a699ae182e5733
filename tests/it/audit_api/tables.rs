//! JSON lines are the bytes of the records; in a table no cell is a formula.

use rack_gateway::audit::{Event, EventKind};
use serde_json::Value;

use super::export::EXPORT;
use super::{Stage, event};
use crate::harness::Db;

async fn json_lines_are_the_bytes_of_the_records(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(600).await;
    let last = stage.add(event("app:delete", 3)).await;
    let store = &stage.gateway.running.gate.store;
    let all = stage.get(&format!("{EXPORT}?format=ndjson&last={last}")).await;
    assert_eq!(all.header("content-type"), Some("application/x-ndjson"));
    let mut expected = Vec::new();
    for record in store.records_after(0, last).await.unwrap() {
        expected.extend(record.canon);
        expected.push(b'\n');
    }
    assert!(all.body == expected, "byte for byte");
    let from = stage.json(&format!("/api/v1/audit/records/{}", last - 5), 200).await["record"]["ts"].clone();
    for (query, count) in [
        ("action=app:update".to_owned(), 600),
        ("actor=u-3&action=app:delete".to_owned(), 1),
        ("q=shop-3&kind=admin".to_owned(), 2),
        (format!("first={}&action=app:update", last - 10), 10),
        (format!("action=app:update&from={}", from.as_str().unwrap()), 5),
        ("to=2000-01-01".to_owned(), 0),
    ] {
        let answer = stage.get(&format!("{EXPORT}?format=ndjson&{query}")).await;
        let text = String::from_utf8(answer.body).unwrap();
        let found: Vec<u64> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect();
        assert_eq!(found.len(), count, "{query}");
        assert!(found.is_sorted(), "oldest first: {query}");
    }
    stage.gateway.stop_and_verify().await;
}

async fn a_table_holds_no_formula(db: Db) {
    let stage = Stage::new(&db).await;
    for start in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\"=1\",\n=2", "＝1"] {
        let hostile = Event {
            message: Some(start.to_owned()),
            path: Some(start.to_owned()),
            resource: Some(start.to_owned()),
            detail: [("said".to_owned(), start.to_owned())].into(),
            private: [("email".to_owned(), start.to_owned())].into(),
            ..event("app:update", 1)
        };
        stage.add(Event { kind: EventKind::Denial, ..hostile }).await;
    }
    let answer = stage.get(&format!("{EXPORT}?format=csv&action=app:update&kind=denial")).await;
    assert!(answer.header("content-type").unwrap().starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(answer.body.as_slice());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 8);
    for cell in rows.iter().flatten() {
        assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '＝', '\t', '\r']), "{cell:?}");
        assert!(!cell.contains(char::is_control), "{cell:?}");
    }
    let at = |row: usize, name: &str| rows[row].get(names.iter().position(|known| known == name).unwrap()).unwrap();
    assert_eq!((at(0, "message"), at(0, "email")), ("'=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"));
    assert_eq!(
        (at(0, "src_ip"), at(0, "actor"), at(0, "detail")),
        ("192.0.2.1", "u-1", r#"{"said":"=cmd|' /C calc'!A0"}"#)
    );
    let without = stage.get(&format!("{EXPORT}?format=csv&private=false")).await;
    let text = String::from_utf8(without.body).unwrap();
    assert!(!text.contains("192.0.2.1") && text.lines().count() > 8);
}

mod both {
    crate::on_both!(json_lines_are_the_bytes_of_the_records, a_table_holds_no_formula);
}
