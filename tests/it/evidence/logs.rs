//! Whole logs: honest ones, and dishonest ones that the right keys signed.

use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway_tests::evidence::{Key, Log, Plan, honest};
use serde_json::json;
use time::Duration;
use time::macros::datetime;

use super::corpus::{
    Case, Expected, Given, broken, check, check_one, handed_over, incomplete, plain, replace, tampered, verified,
};

/// A log to which these records were added after record 310, anchored after them (anchor 17).
fn and_then(add: fn(&mut Log)) -> Given {
    let mut log = plain();
    add(&mut log);
    log.anchor(AnchorReason::Stop, None);
    Given::of(&log)
}

fn record(fields: serde_json::Value) -> serde_json::Value {
    let mut record = json!({"action": "process:list", "instance": "one", "kind": "intent", "req": "r"});
    for (name, value) in fields.as_object().expect("fields") {
        record[name] = value.clone();
    }
    record
}

fn outcome(intent: u64, result: &str) -> serde_json::Value {
    record(json!({"kind": "outcome", "intent": intent, "result": result}))
}

fn honest_ones() -> Vec<Case> {
    vec![
        verified("plain", || Given::of(&plain())),
        verified("a copy of the bucket", || {
            let mut given = Given::of(&plain());
            given.copy = Some(plain());
            given
        }),
        verified("a range", || Given::with(&plain(), plain().bundle_of(101, 200))).until(200).last(1, 16, 300),
        verified("a range up to the end", || Given::with(&plain(), plain().bundle_of(261, 310))),
        verified("a range after tile 0", || Given::with(&plain(), plain().bundle_of(281, 300))),
        verified("the first records", || Given::with(&plain(), plain().bundle_of(1, 100))).until(100),
        verified("a range that ends between anchors", || Given::with(&plain(), plain().bundle_of(61, 107))).until(107),
        verified("keys and epochs, a range of the new epoch", || Given::with(&broken(), broken().bundle_of(201, 310)))
            .last(2, 8, 300),
        verified("a break that is accepted", || Given::of(&broken())).last(2, 8, 300),
        verified("a break, with a copy of the bucket", || {
            let mut given = Given::of(&broken());
            given.copy = Some(broken());
            given
        })
        .last(2, 8, 300),
        verified("an idle log", || {
            Given::after(plain(), |log| {
                for _ in 0..3 {
                    log.now += Duration::minutes(1);
                    log.anchor(AnchorReason::Interval, None);
                }
            })
        })
        .until(310)
        .last(1, 19, 310),
        verified("a late anchor", || and_then(|log| log.now += Duration::hours(1))).until(310).last(1, 17, 310),
        verified("a second outcome after an unknown one", || {
            and_then(|log| {
                let intent = log.append(record(json!({})), &[]);
                log.append(outcome(intent, "unknown"), &[]);
                log.append(outcome(intent, "completed"), &[]);
            })
        })
        .until(313)
        .last(1, 17, 313),
        verified("an open intent", || {
            and_then(|log| {
                log.append(record(json!({})), &[]);
            })
        })
        .until(311)
        .last(1, 17, 311),
        verified("a kind and a field that nobody knows", || {
            and_then(|log| {
                log.append(record(json!({"kind": "news", "more": [1]})), &[]);
            })
        })
        .until(311)
        .last(1, 17, 311),
        verified("times of records that go back", || {
            and_then(|log| {
                log.now -= Duration::seconds(30);
                log.append(record(json!({})), &[]);
                log.now += Duration::seconds(60);
            })
        })
        .until(311)
        .last(1, 17, 311),
        verified("records without an anchor, within its promise", || {
            Given::after(plain(), |log| {
                log.append(record(json!({})), &[]);
            })
        }),
        verified("exactly 256 records", || {
            Given::of(&honest(&Plan { records: 256, anchor_every: 64, ..Plan::default() }))
        })
        .until(256)
        .last(1, 5, 256),
        verified("one record", || Given::of(&honest(&Plan { records: 1, ..Plan::default() }))).until(1).last(1, 2, 1),
    ]
}

fn unknown() -> Vec<Case> {
    vec![
        verified("anchors after the export", || {
            let mut given = Given::of(&plain());
            let mut later = plain();
            later.append(record(json!({})), &[]);
            later.now += Duration::minutes(1);
            later.anchor(AnchorReason::Interval, None);
            given.copy = Some(later);
            given
        }),
        verified("a change of the key after a signed export", || {
            let mut later = plain();
            let mut given = Given::of(&later);
            given.bundle.sign_manifest(&later);
            later.append(record(json!({})), &[]);
            later.now += Duration::minutes(1);
            later.anchor(AnchorReason::Interval, Some(Key::generate()));
            given.copy = Some(later);
            given
        }),
        incomplete(
            "a break that nobody accepted",
            || {
                let mut given = Given::of(&broken());
                given.trust["breaks"] = json!([]);
                given
            },
            &["break"],
        )
        .last(2, 8, 300),
        incomplete(
            "another break than was accepted",
            || {
                let mut given = Given::of(&broken());
                given.trust["breaks"][0]["kept"] = 140.into();
                given
            },
            &["break"],
        )
        .last(2, 8, 300),
        incomplete(
            "a record long after the last anchor",
            || {
                Given::after(plain(), |log| {
                    log.now += Duration::hours(1);
                    log.append(record(json!({})), &[]);
                    log.append(record(json!({})), &[]);
                })
            },
            &["tail"],
        )
        .record(311, 300),
        incomplete(
            "a record of another version",
            || {
                and_then(|log| {
                    log.append(record(json!({})), &[]);
                    replace(&mut log.records[310], "\"v\":1", "\"v\":2");
                })
            },
            &["version"],
        )
        .record(311, 310)
        .last(1, 17, 311),
        incomplete(
            "an intent of another version",
            || {
                and_then(|log| {
                    let intent = log.append(record(json!({})), &[]);
                    replace(&mut log.records[310], "\"v\":1", "\"v\":2");
                    log.append(outcome(intent, "completed"), &[]);
                })
            },
            &["version"],
        )
        .record(311, 310)
        .last(1, 17, 312),
        incomplete(
            "anchors of the future",
            || {
                let plan =
                    Plan { records: 40, anchor_every: 20, start: datetime!(2100-01-01 00:00 UTC), ..Plan::default() };
                Given::of(&honest(&plan))
            },
            &["future"],
        )
        .anchor(1)
        .until(40)
        .last(1, 3, 40),
        incomplete("a range without a base", || Given::with(&plain(), plain().bundle_of(102, 200)), &["base"])
            .until(200),
        incomplete(
            "a stale log",
            || {
                let mut given = Given::of(&plain());
                given.arguments = &["--expect-fresh", "86400"];
                given
            },
            &["stale"],
        )
        .anchor(16),
    ]
}

fn dishonest() -> Vec<Case> {
    vec![
        tampered(
            "rewritten and signed, beside a copy of the bucket",
            || {
                let mut log = plain();
                replace(&mut log.records[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                log.sign_again(0);
                let mut given = Given::of(&log);
                given.copy = Some(plain());
                given
            },
            &["tile", "root", "chain"],
        )
        .anchor(9)
        .until(140)
        .last(1, 8, 140),
        tampered(
            "an anchor of another history",
            || {
                let mut log = plain();
                let mut fork = log.clone();
                replace(&mut fork.records[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                fork.sign_again(0);
                log.anchors[8].meta.root = fork.anchors[8].meta.root;
                log.anchors[8].meta.chain = fork.anchors[8].meta.chain;
                let after = log.anchors.split_off(9);
                log.anchors[8].sign();
                log.anchors.extend(after);
                for at in 9..log.anchors.len() {
                    log.anchors[at].meta.prev_checkpoint = Some(digest(&log.anchors[at - 1].checkpoint));
                    log.anchors[at].meta.prev_meta = Some(digest(&log.anchors[at - 1].note));
                    log.anchors[at].sign();
                }
                Given::of(&log)
            },
            &["root", "chain"],
        )
        .anchor(9),
        tampered(
            "anchors of another history from one on",
            || {
                let mut fork = plain();
                replace(&mut fork.records[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                fork.sign_again(8);
                fork.records = plain().records;
                Given::of(&fork)
            },
            &["tile", "root", "chain"],
        )
        .anchor(9)
        .until(140)
        .last(1, 8, 140),
        tampered(
            "records rolled back beside a copy of the bucket",
            || {
                let mut log = plain();
                log.records.truncate(205);
                log.values.retain(|value| value.seq <= 205);
                log.anchors.truncate(11);
                let mut given = Given::of(&log);
                given.copy = Some(plain());
                given
            },
            &["missing", "unerased"],
        )
        .record(202, 200)
        .last(1, 11, 200),
        tampered(
            "another begin of the log",
            || {
                let mut log = plain();
                replace(&mut log.records[0], "chain:begin", "chain:start");
                log.sign_again(0);
                Given::of(&log)
            },
            &["begin"],
        )
        .record(1, 0),
        tampered(
            "the begin of another log",
            || {
                let mut log = plain();
                replace(&mut log.records[0], "acme/prod", "acme/dev");
                log.sign_again(0);
                Given::of(&log)
            },
            &["begin"],
        )
        .record(1, 0),
        tampered(
            "an outcome of no intent",
            || {
                and_then(|log| {
                    log.append(outcome(310, "completed"), &[]);
                })
            },
            &["outcome"],
        )
        .record(311, 310)
        .last(1, 17, 311),
        tampered(
            "an outcome of a later intent",
            || {
                and_then(|log| {
                    log.append(outcome(312, "completed"), &[]);
                    log.append(record(json!({})), &[]);
                })
            },
            &["outcome"],
        )
        .record(311, 310)
        .last(1, 17, 312),
        tampered(
            "an outcome that names no intent",
            || {
                and_then(|log| {
                    log.append(record(json!({"kind": "outcome"})), &[]);
                })
            },
            &["outcome"],
        )
        .record(311, 310)
        .last(1, 17, 311),
        tampered(
            "two outcomes",
            || {
                and_then(|log| {
                    let intent = log.append(record(json!({})), &[]);
                    log.append(outcome(intent, "completed"), &[]);
                    log.append(outcome(intent, "completed"), &[]);
                })
            },
            &["outcome"],
        )
        .record(313, 312)
        .last(1, 17, 313),
        tampered(
            "an outcome after one that is known",
            || {
                and_then(|log| {
                    let intent = log.append(record(json!({})), &[]);
                    log.append(outcome(intent, "unknown"), &[]);
                    log.append(outcome(intent, "completed"), &[]);
                    log.append(outcome(intent, "unknown"), &[]);
                })
            },
            &["outcome"],
        )
        .record(314, 313)
        .last(1, 17, 314),
        tampered(
            "a record outside the profile, signed",
            || {
                and_then(|log| {
                    log.append(record(json!({})), &[]);
                    replace(&mut log.records[310], "\"v\":1", "\"v\":1.0");
                })
            },
            &["profile"],
        )
        .record(311, 310)
        .last(1, 17, 311),
        tampered(
            "an erasure that names another record",
            || {
                and_then(|log| {
                    log.append(record(json!({"kind": "erasure", "erased": {"src_ip": [302]}})), &[]);
                    log.values.retain(|value| value.seq != 303);
                })
            },
            &["unerased"],
        )
        .record(303, 302)
        .last(1, 17, 311),
        verified("an erasure of all names of a record", || {
            and_then(|log| {
                log.append(record(json!({"kind": "erasure", "erased": {"src_ip": [310], "email": [310]}})), &[]);
                log.values.retain(|value| value.seq != 310);
            })
        })
        .until(311)
        .last(1, 17, 311),
    ]
}

fn epochs() -> Vec<Case> {
    vec![
        tampered(
            "an epoch that no record declares",
            || {
                let mut log = plain();
                log.epoch = 2;
                log.anchor(AnchorReason::Start, None);
                Given::of(&log)
            },
            &["epoch"],
        )
        .anchor(1)
        .until(310)
        .last(2, 1, 310),
        tampered(
            "a break that keeps more",
            || {
                let mut log = broken();
                replace(&mut log.records[165], "\"kept\":160", "\"kept\":161");
                log.breaks[0].kept = 161;
                log.sign_again(11);
                Given::of(&log)
            },
            &["epoch"],
        )
        .record(166, 165)
        .last(2, 8, 300),
        tampered(
            "a break with another checkpoint",
            || {
                let mut log = broken();
                let last = hex::encode(digest(&log.anchors[10].checkpoint));
                replace(&mut log.records[165], &last, &"00".repeat(32));
                log.sign_again(11);
                Given::of(&log)
            },
            &["epoch"],
        )
        .record(166, 165)
        .last(2, 8, 300),
        tampered(
            "a break that lost less",
            || {
                let mut log = broken();
                replace(&mut log.records[165], "\"lost\":200", "\"lost\":180");
                log.breaks[0].lost = 180;
                log.sign_again(11);
                Given::of(&log)
            },
            &["epoch"],
        )
        .record(166, 165)
        .last(2, 8, 300),
        tampered(
            "records rewritten before a break",
            || {
                let mut log = broken();
                replace(&mut log.records[9], "\"role\":\"ops\"", "\"role\":\"adm\"");
                log.sign_again(11);
                Given::of(&log)
            },
            &["root", "chain"],
        )
        .anchor(2)
        .last(2, 8, 300),
        tampered(
            "the last anchor before a break taken away",
            || {
                let mut log = broken();
                log.anchors.remove(10);
                Given::of(&log)
            },
            &["epoch"],
        )
        .record(166, 165)
        .last(2, 8, 300),
        tampered(
            "an anchor of the new epoch that ends before it",
            || {
                let mut log = broken();
                let (all, now) = (log.records.clone(), log.now);
                log.records.truncate(160);
                let after = log.anchors.split_off(11);
                let first = after[0].meta.clone();
                log.anchor(AnchorReason::Start, None);
                (log.anchors[11].meta.made_at, log.anchors[11].meta.next_due) = (first.made_at, first.next_due);
                log.anchors[11].sign();
                log.anchors.extend(after.into_iter().skip(1));
                (log.records, log.now) = (all, now);
                log.sign_again(12);
                Given::of(&log)
            },
            &["epoch"],
        )
        .anchor(1)
        .last(2, 8, 300),
        verified("keys change and records are lost", || {
            let mut log = handed_over();
            log.lose(285);
            log.anchor(AnchorReason::Start, None);
            Given::of(&log)
        })
        .until(286)
        .last(2, 1, 286),
    ]
}

fn digest(note: &[u8]) -> [u8; 32] {
    rack_gateway::proof::note::Note::digest(note)
}

#[test]
fn honest_logs() {
    check(honest_ones());
}

#[test]
fn what_is_not_known() {
    check(unknown());
}

#[test]
fn logs_that_lie() {
    check(dishonest());
}

#[test]
fn breaks_of_the_log() {
    check(epochs());
}

/// The size that both verifiers must take in their stride.
#[test]
fn a_large_log() {
    let log =
        honest(&Plan { records: 50_000, anchor_every: 2_000, step: Duration::milliseconds(5), ..Plan::default() });
    let expected = Expected { verdict: "verified", until: 50_000, last: Some((1, 26, 50_000)), ..Expected::default() };
    let wrong = check_one("50,000 records", &expected, &Given::of(&log));
    assert!(wrong.is_empty(), "{wrong}");
}
