//! The table of records written anew, with everything that follows from them: what somebody would do who knows
//! the gateway's code and can change its database.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rack_gateway::proof::chain;
use serde_json::Value as Json;

use super::scene::ORIGIN;
use crate::harness::db::Db;

/// Reads all records, lets `change` change them, and writes them again: numbers without gaps, references,
/// leaves, chain, searchable columns, personal values, head. The tree is left to the keeper.
pub async fn rewrite(db: &Db, change: fn(&mut Vec<Json>)) {
    let store = db.store().await;
    let rows = store.records_after(0, 1_000_000).await.expect("the records");
    store.close().await;
    let mut records: Vec<Json> = rows.iter().map(|row| serde_json::from_slice(&row.canon).expect("JSON")).collect();
    change(&mut records);
    let mut moved = BTreeMap::new();
    for (record, now) in records.iter().zip(1_u64..) {
        moved.entry(record["seq"].as_u64().expect("a number")).or_insert(now);
    }
    let mut sql = "BEGIN; DELETE FROM audit_records; DELETE FROM audit_nodes;\n".to_owned();
    let mut link = chain::genesis(ORIGIN);
    for (record, now) in records.iter_mut().zip(1_u64..) {
        record["seq"] = now.into();
        if let Some(intent) = record.get("intent").and_then(Json::as_u64) {
            record["intent"] = moved.get(&intent).copied().unwrap_or(intent).into();
        }
        let canon = record.to_string();
        let leaf = chain::leaf(canon.as_bytes());
        link = chain::link(&link, &leaf);
        let bytes = [canon.as_bytes(), &leaf, &link].map(|bytes| db.blob(&hex::encode(bytes))).join(", ");
        let columns = columns(record);
        writeln!(
            sql,
            "INSERT INTO audit_records (seq, canon, leaf, chain, ts, kind, request_id, actor, action, resource, \
             decision, instance, intent) VALUES ({now}, {bytes}, {columns});"
        )
        .expect("text");
    }
    let head = db.blob(&hex::encode(link));
    writeln!(sql, "UPDATE audit_head SET seq = {}, chain = {head};", records.len()).expect("text");
    // In two steps, since each number may be another's new one.
    sql.push_str("UPDATE audit_private SET seq = seq + 1000000;\n");
    for (before, now) in &moved {
        writeln!(sql, "UPDATE audit_private SET seq = {now} WHERE seq = {before} + 1000000;").expect("text");
    }
    sql.push_str("DELETE FROM audit_private WHERE seq > 1000000; COMMIT;");
    db.execute(&sql).await;
}

fn columns(record: &Json) -> String {
    let text =
        |value: &Json| value.as_str().map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
    let names = ["ts", "kind", "req", "actor", "action", "resource", "decision", "instance"];
    let mut all: Vec<String> = names
        .iter()
        .map(|name| if *name == "actor" { text(&record["actor"]["id"]) } else { text(&record[*name]) })
        .collect();
    all.push(record["intent"].as_u64().map_or("NULL".to_owned(), |intent| intent.to_string()));
    all.join(", ")
}
