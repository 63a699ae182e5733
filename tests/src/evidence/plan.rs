//! Honest logs.

use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::tree::Frontier;
use serde_json::{Value as Json, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::{Key, Log, ORIGIN, grow};

/// What an honest log is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Records, at least 1.
    pub records: u64,
    /// Records from one anchor to the next.
    pub anchor_every: u64,
    /// Whether an anchor covers the last record.
    pub anchor_at_end: bool,
    /// Numbers of the records after whose anchor the key changes; must be multiples of `anchor_every`.
    pub hand_over_at: Vec<u64>,
    /// A loss of records, declared.
    pub broken: Option<Break>,
    /// Whether some personal values are erased, with a record.
    pub erasures: bool,
    /// The time of the first record.
    pub start: OffsetDateTime,
    /// From one record to the next.
    pub step: Duration,
}

/// A database that was restored from an older backup.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// After how many records it happens.
    pub at: u64,
    /// How many of them are kept.
    pub kept: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            records: 1_000,
            anchor_every: 100,
            anchor_at_end: true,
            hand_over_at: Vec::new(),
            broken: None,
            erasures: true,
            start: datetime!(2025-01-01 08:00 UTC),
            step: Duration::milliseconds(250),
        }
    }
}

/// The log of this plan. Every kind of record is in it from 40 records on.
#[must_use]
pub fn honest(plan: &Plan) -> Log {
    let mut log = Log::new(plan.start, plan.step);
    let mut state = (Frontier::default(), chain::genesis(ORIGIN));
    anchor(&mut log, &state, AnchorReason::Start, None);
    let mut broken = plan.broken;
    while (log.records.len() as u64) < plan.records {
        let (fields, private) = next_record(&log, plan.erasures);
        let private: Vec<(&str, &str)> = private.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let seq = log.append(fields, &private);
        grow(&mut state, &log.records[log.records.len() - 1]);
        let hand_over = plan.hand_over_at.contains(&seq).then(Key::generate);
        if seq.is_multiple_of(plan.anchor_every) || (seq == plan.records && plan.anchor_at_end) {
            anchor(&mut log, &state, AnchorReason::Count, hand_over);
        }
        if let Some(Break { kept, .. }) = broken.filter(|broken| broken.at == seq) {
            broken = None;
            log.lose(kept);
            state = (Frontier::default(), chain::genesis(ORIGIN));
            log.records.iter().for_each(|record| grow(&mut state, record));
            anchor(&mut log, &state, AnchorReason::Start, None);
        }
    }
    if plan.erasures {
        erase_what_was_recorded(&mut log);
    }
    log
}

fn anchor(log: &mut Log, state: &(Frontier, Hash), reason: AnchorReason, next: Option<Key>) {
    log.anchor_with(reason, next, (state.0.root(), state.1));
}

/// Deletes the values that the records of the log erase.
fn erase_what_was_recorded(log: &mut Log) {
    let mut erased = std::collections::BTreeSet::new();
    for record in log.records.iter().filter(|record| record.windows(9).any(|part| part == b"\"erased\":")) {
        let record: Json = serde_json::from_slice(record).unwrap_or_default();
        for (name, seqs) in record["erased"].as_object().into_iter().flatten() {
            erased
                .extend(seqs.as_array().into_iter().flatten().filter_map(Json::as_u64).map(|seq| (seq, name.clone())));
        }
    }
    log.values.retain(|value| !erased.contains(&(value.seq, value.name.clone())));
}

type Private = Vec<(&'static str, String)>;

/// The record that follows: two intents, their outcomes the other way round, a denial, and so on in turns
/// of ten.
fn next_record(log: &Log, erasures: bool) -> (Json, Private) {
    let seq = log.records.len() as u64 + 1;
    let ip = || vec![("src_ip", format!("10.{}.{}.{}", seq >> 16 & 255, seq >> 8 & 255, seq & 255))];
    let person = format!("person-{}", seq % 17);
    let request = |kind: &str, decision: &str| {
        json!({
            "action": "process:list", "actor": {"id": person, "type": "User"}, "bundle": "5f0c".repeat(16),
            "decision": decision, "instance": "one", "kind": kind, "method": "GET", "path": "/apps/shop/processes",
            "reasons": ["app-read"], "req": format!("0193f0e2-{seq:012}"), "resource": "App::shop",
            "route": "/apps/{app}/processes", "via": {"id": format!("session-{}", seq % 5), "type": "session"},
        })
    };
    let outcome = |intent: u64, result: &str| {
        json!({
            "bytes_in": 0, "bytes_out": 512 + seq, "duration_ms": seq % 90, "instance": "one", "intent": intent,
            "kind": "outcome", "req": format!("0193f0e2-{intent:012}"), "result": result, "status": 200,
        })
    };
    if seq == 1 {
        let detail = json!({"origin": ORIGIN});
        let begin = json!({"action": "chain:begin", "detail": detail, "instance": "one", "kind": "system"});
        return (begin, Vec::new());
    }
    let in_chain = |intent: u64| {
        let record = usize::try_from(intent - 1).ok().and_then(|at| log.records.get(at));
        record.is_some_and(|record| record.windows(15).any(|part| part == b"\"kind\":\"intent\""))
    };
    match seq % 10 {
        2 | 3 | 7 => (request("intent", "allow"), ip()),
        4 | 5 if in_chain(if seq % 10 == 4 { seq - 1 } else { seq - 3 }) => {
            (outcome(if seq % 10 == 4 { seq - 1 } else { seq - 3 }, "completed"), Vec::new())
        }
        8 if in_chain(seq - 1) => (outcome(seq - 1, "unknown"), Vec::new()),
        9 if in_chain(seq - 2) => (outcome(seq - 2, "upstream_error"), Vec::new()),
        6 => (request("denial", "deny"), ip()),
        0 if seq.is_multiple_of(40) && seq >= 40 && erasures => {
            let erased: Vec<u64> = [seq - 37, seq - 38].into_iter().filter(|seq| in_chain(*seq)).collect();
            let detail = json!({"approver": "grace@example.com", "basis": "request of the person"});
            let erasure = json!({
                "action": "audit:erase", "detail": detail, "erased": {"src_ip": erased}, "instance": "one",
                "kind": "erasure", "message": "„Zeichen“ \u{1f511} \u{2028} \\ \" \t \u{1} äöü",
            });
            (erasure, Vec::new())
        }
        0 => {
            let detail = json!({"role": "ops", "user": person});
            let admin = json!({
                "action": "user:update", "actor": {"id": "root", "type": "User"}, "detail": detail, "instance": "one",
                "kind": "admin", "resource": format!("User::{person}"),
            });
            (admin, [ip(), vec![("email", format!("{person}@example.com"))]].concat())
        }
        _ => (
            json!({"action": "key:rotated", "detail": {"n": seq.to_string()}, "instance": "one", "kind": "system"}),
            Vec::new(),
        ),
    }
}
