//! Search: every filter, cursors while the log grows, values that no record can have, and what is recorded.

use std::collections::BTreeSet;

use rack_gateway::audit::{Event, EventKind};
use serde_json::{Value, json};

use super::{Stage, event, numbers};
use crate::harness::Db;

const SEARCH: &str = "/api/v1/audit/records";

/// A denial that only this test makes.
fn denial() -> Event {
    Event {
        kind: EventKind::Denial,
        decision: Some("deny".into()),
        reasons: vec!["roles.nobody".to_owned(), "guardrails.locked".to_owned()],
        message: Some("Zwölf Boxkämpfer jagen quer".to_owned()),
        ..event("app:delete", 7)
    }
}

async fn each_filter_finds_its_records(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(20).await;
    let seq = stage.add(denial()).await;
    stage.fill(20).await;
    let found = stage.json(&format!("{SEARCH}/{seq}"), 200).await;
    let ts = found["record"]["ts"].as_str().unwrap().to_owned();
    let day = ts.split('T').next().unwrap();
    let only = [
        "action=app:delete".to_owned(),
        "kind=denial&actor=u-7".to_owned(),
        "policy=guardrails.locked".to_owned(),
        "decision=deny&resource=App::shop-7".to_owned(),
        "q=boxk%C3%A4mpfer".to_owned(),
        "q=ZW%C3%96LF+quer".to_owned(),
        "request=r-7&action=app:delete".to_owned(),
        format!("action=app:delete&from={ts}"),
        format!("action=app:delete&from={day}"),
        "actor=u-7&action=app:delete&resource=App::shop-7&decision=deny&kind=denial&q=jagen&policy=roles.nobody"
            .to_owned(),
    ];
    for query in &only {
        let found = stage.json(&format!("{SEARCH}?{query}"), 200).await;
        assert_eq!((numbers(&found), &found["next"]), (vec![seq], &Value::Null), "{query}: {found}");
    }
    let none = [
        "action=app:delete&decision=allow".to_owned(),
        "policy=roles".to_owned(),
        "actor=u-70".to_owned(),
        "q=boxk".to_owned(),
        format!("action=app:delete&to={ts}"),
        format!("action=app:delete&to={day}"),
        "q=192.0.2.1+u-7".to_owned(),
    ];
    for query in &none {
        assert_eq!(numbers(&stage.json(&format!("{SEARCH}?{query}"), 200).await), Vec::<u64>::new(), "{query}");
    }
    let many = stage.json(&format!("{SEARCH}?action=app:update&limit=200"), 200).await;
    let found = numbers(&many);
    assert_eq!(found.len(), 40);
    assert!(found.is_sorted_by(|one, next| one > next), "newest first: {found:?}");
    stage.gateway.stop_and_verify().await;
}

async fn a_record_is_shown_with_the_values_that_are_still_there(db: Db) {
    let stage = Stage::new(&db).await;
    let seq = stage.add(event("app:update", 1)).await;
    let stored = stage.gateway.running.gate.store.record(seq).await.unwrap();
    let shown = stage.json(&format!("{SEARCH}/{seq}"), 200).await;
    let expected = json!({
        "seq": seq,
        "leaf": hex::encode(&stored.leaf),
        "chain": hex::encode(&stored.chain),
        "record": crate::harness::parse_record(&stored),
        "private": { "src_ip": "192.0.2.1" },
    });
    assert_eq!(shown, expected);
    assert!(!shown["record"].to_string().contains("192.0.2.1"), "{shown}");
    assert_eq!(stage.json(&format!("{SEARCH}?action=app:update"), 200).await["items"][0], expected);
    stage.gateway.running.gate.store.private_erase(&[(seq, "src_ip".to_owned())]).await.unwrap();
    assert_eq!(stage.json(&format!("{SEARCH}/{seq}"), 200).await["private"], json!({}));
    for (target, status) in [("9007199254740991", 404), ("0", 400), ("x", 400)] {
        stage.json(&format!("{SEARCH}/{target}"), status).await;
    }
}

/// Whoever reads on finds every record that was there at the start, once, however many come meanwhile.
async fn a_cursor_holds_while_the_log_grows(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(60).await;
    let first = stage.json(&format!("{SEARCH}?action=app:update&limit=7"), 200).await;
    let there: BTreeSet<u64> = {
        let all = stage.json(&format!("{SEARCH}?action=app:update&limit=200"), 200).await;
        numbers(&all).into_iter().collect()
    };
    let mut seen = numbers(&first);
    let mut next = first["next"].clone();
    while let Some(cursor) = next.as_str() {
        stage.fill(5).await;
        let page = stage.json(&format!("{SEARCH}?action=app:update&limit=7&cursor={cursor}"), 200).await;
        seen.extend(numbers(&page));
        next = page["next"].clone();
    }
    assert!(seen.is_sorted_by(|one, next| one > next), "{seen:?}");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), there);
    let cursor = first["next"].as_str().unwrap();
    for query in [format!("action=app:delete&cursor={cursor}"), format!("cursor={cursor}"), "cursor=x".to_owned()] {
        stage.json(&format!("{SEARCH}?{query}"), 400).await;
    }
}

async fn values_that_no_record_has_are_refused(db: Db) {
    let stage = Stage::new(&db).await;
    let bad = [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "from=yesterday",
        "from=2026-13-01",
        "to=1",
        "from=2026-11-22&to=2026-11-21",
        "kind=intents",
        "decision=Allow",
        "action=a%20b",
        "policy=a'b",
        "actor=",
        "q=",
        "q=%20%20",
        "q=...",
        "colour=red",
        "action=a&action=b",
        "q=a%00b",
        "actor=a%0Ab",
    ];
    for query in bad {
        let answer = stage.get(&format!("{SEARCH}?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}: {}", String::from_utf8_lossy(&answer.body));
    }
    // No syntax of any language.
    let harmless = [
        "q=%22%20OR%201%3D1%20--",
        "q=a*%20NEAR%20b",
        "q=%27%29%3B%20DROP%20TABLE%20audit_records%3B--",
        "q=-x%20%7C%20%21y",
        "q=NOT%20AND%20OR",
        "q=words:x",
        "actor=%25",
        "actor=%27%20OR%20%27%27%3D%27",
        "resource=App::%5C",
        "actor=%F0%9F%A6%80",
        "q=%E2%80%AE%F0%9F%A6%80zebra",
    ];
    for query in harmless {
        assert_eq!(numbers(&stage.json(&format!("{SEARCH}?{query}"), 200).await), Vec::<u64>::new(), "{query}");
    }
    let long = format!("{SEARCH}?q={}", "a+".repeat(40));
    stage.json(&long, 400).await;
    stage.gateway.stop_and_verify().await;
}

async fn a_search_is_itself_on_the_record(db: Db) {
    let stage = Stage::new(&db).await;
    let answer = stage.get(&format!("{SEARCH}?actor=u-1&from=2026-11-21&q=secret+words&limit=3")).await;
    let id = answer.header("rack-gateway-request-id").unwrap();
    let records = stage.gateway.records_until(id, 3).await;
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record["kind"].as_str().unwrap(), record["action"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(told, [("intent", "audit:search"), ("admin", "audit:search"), ("outcome", "")]);
    assert_eq!(records[1]["detail"], json!({ "actor": "u-1", "from": "2026-11-21T00:00:00.000000Z" }));
    // Words may be about people: the record has a commitment.
    assert!(records[1]["private"]["q"].is_string() && !records[1].to_string().contains("words"), "{}", records[1]);
    let shown = stage.json(&format!("{SEARCH}?request={id}&kind=admin"), 200).await;
    assert_eq!(shown["items"][0]["private"]["q"], "secret words");
    stage.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        each_filter_finds_its_records,
        a_record_is_shown_with_the_values_that_are_still_there,
        a_cursor_holds_while_the_log_grows,
        values_that_no_record_has_are_refused,
        a_search_is_itself_on_the_record,
    );
}
