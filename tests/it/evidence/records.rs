//! Damage to records and personal values that leaves the anchors alone.

use super::corpus::{ANY, Case, Given, check, handed_over, incomplete, plain, replace, tampered, verified};

/// Changes the lines of the records; the manifest is made to fit.
fn records(change: fn(&mut Vec<Vec<u8>>)) -> Given {
    lines("records", change)
}

fn lines(kind: &str, change: fn(&mut Vec<Vec<u8>>)) -> Given {
    Given::changed(&plain(), |bundle| {
        let mut lines = bundle.lines(kind);
        change(&mut lines);
        bundle.set_lines(kind, &lines);
    })
}

/// Record 150 in other words.
fn record_150(from: &str, to: &str) -> Given {
    Given::changed(&plain(), |bundle| {
        let mut lines = bundle.lines("records");
        replace(&mut lines[149], from, to);
        bundle.set_lines("records", &lines);
    })
}

fn renumber(line: &mut Vec<u8>, by: i64) {
    let record: serde_json::Value = serde_json::from_slice(line).expect("a record");
    let seq = record["seq"].as_i64().expect("a number");
    replace(line, &format!("\"seq\":{seq}"), &format!("\"seq\":{}", seq + by));
}

/// The end of the log moves with what is there.
fn ends_at(given: &mut Given, last: u64) {
    let log = plain();
    let chain = hex::encode(log.state_at(last.min(310)).1);
    given.bundle.change_manifest(|manifest| {
        manifest["last"] = last.into();
        manifest["head"] = serde_json::json!({"seq": last, "chain": chain});
    });
}

fn moved() -> Vec<Case> {
    vec![
        tampered("a record edited", || record_150("\"role\":\"ops\"", "\"role\":\"adm\""), &["leaf"]).record(150, 149),
        tampered("the first record edited", || records(|r| replace(&mut r[0], "one", "two")), &["leaf"]).record(1, 0),
        tampered(
            "a record after the last anchor edited",
            || records(|r| replace(&mut r[304], "200", "201")),
            &["manifest"],
        ),
        tampered("a record deleted", || records(|r| drop(r.remove(149))), &["missing"]).record(150, 149),
        tampered("the first record deleted", || records(|r| drop(r.remove(0))), &["missing"]).record(1, 0),
        tampered("many records deleted", || records(|r| drop(r.drain(99..199))), &["missing", "unerased"])
            .record(82, 81),
        tampered("two records swapped", || records(|r| r.swap(149, 150)), &["missing", "number"]).record(150, 149),
        tampered("a record twice", || records(|r| r.insert(150, r[149].clone())), &["number"]).record(150, 149),
        tampered("an old record at the end", || records(|r| r.push(r[9].clone())), &["number"]).record(10, 9),
        tampered(
            "a record moved to the end",
            || {
                records(|r| {
                    let line = r.remove(49);
                    r.push(line);
                })
            },
            &["missing", "number"],
        )
        .record(50, 49),
        tampered(
            "a record inserted, those after it with new numbers",
            || {
                let mut given = records(|r| {
                    r.insert(150, r[149].clone());
                    r.iter_mut().skip(150).for_each(|line| renumber(line, 1));
                });
                ends_at(&mut given, 311);
                given
            },
            ANY,
        )
        .record(122, 121),
        tampered(
            "a record deleted, those after it with new numbers",
            || {
                let mut given = records(|r| {
                    r.remove(149);
                    r.iter_mut().skip(149).for_each(|line| renumber(line, -1));
                });
                ends_at(&mut given, 309);
                given
            },
            ANY,
        )
        .record(122, 121),
        tampered("the tail cut, the manifest left", || records(|r| r.truncate(290)), &["missing"]).record(291, 290),
        tampered(
            "the tail cut, and the manifest says so",
            || {
                let mut given = records(|r| r.truncate(290));
                given.bundle.change_manifest(|m| m["private"] = false.into());
                given.bundle.files.retain(|name, _| !name.starts_with("private/"));
                given.bundle.seal();
                ends_at(&mut given, 290);
                given
            },
            &["missing"],
        )
        .record(291, 290),
        verified("records after the last anchor cut", || {
            let mut given = records(|r| r.truncate(305));
            given.bundle.change_manifest(|m| m["private"] = false.into());
            given.bundle.files.retain(|name, _| !name.starts_with("private/"));
            given.bundle.seal();
            ends_at(&mut given, 305);
            given
        }),
        incomplete(
            "no records",
            || {
                let mut given = records(Vec::clear);
                given.bundle.files.retain(|name, _| !name.starts_with("private/"));
                given.bundle.put_anchors(&plain().anchors[..1]);
                given.bundle.files.retain(|name, _| !name.starts_with("tile/"));
                given.bundle.seal();
                ends_at(&mut given, 0);
                given
            },
            &["empty"],
        )
        .until(0)
        .last(1, 1, 0),
    ]
}

fn bytes() -> Vec<Case> {
    let mut cases = vec![
        tampered("white space after a record", || records(|r| r[149].push(b' ')), &["profile", "leaf"]),
        tampered("a carriage return after a record", || records(|r| r[149].push(b'\r')), &["profile", "leaf"]),
        tampered("white space within a record", || record_150("\"v\":1", "\"v\": 1"), &["profile", "leaf"]),
        tampered("a second object after a record", || records(|r| r[149].extend(b"{}")), &["profile", "leaf"]),
        tampered("a key twice", || record_150("\"v\":1", "\"v\":1,\"v\":1"), &["profile", "leaf"]),
        tampered("a key twice, with another value", || record_150("\"v\":1", "\"v\":2,\"v\":1"), &["profile", "leaf"]),
        tampered("keys out of order", || record_150("{\"action\"", "{\"x\":1,\"action\""), &["profile", "leaf"]),
        tampered("a key in upper case", || record_150("{\"action\"", "{\"Action\""), &["profile", "leaf"]),
        tampered("a float", || record_150("\"v\":1", "\"v\":1.0"), &["profile", "leaf"]),
        tampered("a number with an exponent", || record_150("\"v\":1", "\"v\":1e0"), &["profile", "leaf"]),
        tampered("null", || record_150("\"instance\":\"one\"", "\"instance\":null"), &["profile", "leaf"]),
        tampered("minus nought", || record_150("\"v\":1", "\"n\":-0,\"v\":1"), &["profile", "leaf"]),
        tampered(
            "an integer of 2^53",
            || record_150("\"instance\":\"one\"", "\"instance\":9007199254740992"),
            &["profile", "leaf"],
        ),
        tampered(
            "an integer of a thousand digits",
            || record_150("\"instance\":\"one\"", &format!("\"instance\":{}", "9".repeat(5_000))),
            &["profile", "leaf"],
        ),
        tampered("another spelling of a string", || record_150("one", "\\u006fne"), &["profile", "leaf"]),
        tampered("a slash escaped", || record_150("one", "\\/"), &["profile", "leaf"]),
        tampered("a lone surrogate", || record_150("one", "\\ud800"), &["profile", "leaf"]),
        tampered(
            "bytes that are no UTF-8",
            || {
                records(|r| {
                    let at = r[149].len() - 10;
                    r[149][at] = 0xff;
                })
            },
            &["profile", "leaf"],
        ),
        tampered(
            "a mark of the byte order",
            || records(|r| drop(r[149].splice(0..0, *b"\xef\xbb\xbf"))),
            &["profile", "leaf"],
        ),
        tampered("no object", || records(|r| r[149] = b"[]".to_vec()), &["profile", "leaf"]),
        tampered("an empty line for a record", || records(|r| r[149].clear()), &["profile", "leaf"]),
        tampered(
            "nested too deeply",
            || record_150("\"one\"", &format!("{}{}", "[".repeat(8), "]".repeat(8))),
            &["profile", "leaf"],
        ),
        tampered(
            "nested a hundred thousand times",
            || record_150("\"one\"", &"[".repeat(100_000)),
            &["profile", "leaf"],
        ),
        tampered("a record of more than 64 KiB", || record_150("one", &"x".repeat(65_536)), &["profile", "leaf"]),
        tampered(
            "digits of another script in the time",
            || record_150("\"ts\":\"2025", "\"ts\":\"２０２５"),
            &["profile", "leaf"],
        ),
        tampered("a time with five digits", || record_150("0000Z", "000Z"), &["profile", "leaf"]),
        tampered(
            "a time that no clock shows",
            || record_150("\"ts\":\"2025-01-01", "\"ts\":\"2025-02-30"),
            &["profile", "leaf"],
        ),
        tampered(
            "a time of day that no clock shows",
            || record_150("\"ts\":\"2025-01-01T08", "\"ts\":\"2025-01-01T24"),
            &["profile", "leaf"],
        ),
        tampered("a leap second", || record_150("T08:00:37", "T08:00:60"), &["profile", "leaf"]),
        tampered("no time", || record_150("\"ts\"", "\"tt\""), &["profile", "leaf"]),
        tampered("a number as a string", || record_150("\"seq\":150", "\"seq\":\"150\""), &["number", "leaf"]),
        tampered("the number 0", || record_150("\"seq\":150", "\"seq\":0"), &["number", "leaf"]),
        tampered("a negative number", || record_150("\"seq\":150", "\"seq\":-150"), &["number", "leaf"]),
        tampered("another version", || record_150("\"v\":1", "\"v\":2"), &["version", "leaf"]),
        tampered("a version that is true", || record_150("\"v\":1", "\"v\":true"), &["version", "leaf"]),
        tampered("no version", || record_150(",\"v\":1", ""), &["version", "leaf"]),
    ];
    for case in &mut cases {
        (case.expected.record, case.expected.until) = (Some(150), 149);
    }
    cases.push(
        tampered(
            "the newline after the last record cut",
            || {
                Given::changed(&plain(), |bundle| {
                    let file = bundle.files.get_mut("records/000001.jsonl").expect("records");
                    file.pop();
                })
            },
            &["profile"],
        )
        .record(310, 300),
    );
    cases.push(
        tampered(
            "the last record cut in the middle",
            || {
                Given::changed(&plain(), |bundle| {
                    let file = bundle.files.get_mut("records/000001.jsonl").expect("records");
                    file.truncate(file.len() - 20);
                })
            },
            &["profile", "manifest"],
        )
        .record(310, 300),
    );
    cases.push(
        tampered("an empty line inserted", || records(|r| r.insert(149, Vec::new())), &["profile", "leaf", "number"])
            .record(150, 149),
    );
    cases
}

fn values() -> Vec<Case> {
    vec![
        tampered(
            "a personal value changed",
            || lines("private", |v| replace(&mut v[60], "10.0", "10.9")),
            &["private"],
        )
        .record(126, 125),
        tampered(
            "the salt of a value changed",
            || lines("private", |v| replace(&mut v[60], "\"salt\":\"", "\"salt\":\"00")),
            &["private", "unerased"],
        )
        .record(126, 125),
        tampered(
            "a personal value deleted without a record",
            || lines("private", |v| drop(v.remove(60))),
            &["unerased"],
        )
        .record(126, 125),
        tampered(
            "all personal values deleted",
            || Given::changed(&plain(), |bundle| bundle.set_lines("private", &[])),
            &["unerased"],
        )
        .record(6, 5),
        verified("personal values not exported", || {
            let mut given = Given::changed(&handed_over(), |b| b.files.retain(|name, _| !name.starts_with("private/")));
            given.bundle.change_manifest(|m| m["private"] = false.into());
            given
        }),
        tampered(
            "a value that no record commits to",
            || {
                lines("private", |v| {
                    let mut line = v[60].clone();
                    replace(&mut line, "\"name\":\"src_ip\"", "\"name\":\"src_iq\"");
                    v.insert(61, line);
                })
            },
            &["private"],
        )
        .record(126, 125),
        tampered(
            "a value of no record",
            || {
                lines("private", |v| {
                    let mut line = v[v.len() - 1].clone();
                    let record: serde_json::Value = serde_json::from_slice(&line).expect("a value");
                    replace(&mut line, &format!("\"seq\":{}", record["seq"]), "\"seq\":900");
                    v.push(line);
                })
            },
            &["private"],
        )
        .record(900, 300),
        tampered("a value twice", || lines("private", |v| v.insert(60, v[60].clone())), &["private"]).record(126, 125),
        tampered("values out of order", || lines("private", |v| v.swap(60, 61)), &["private", "unerased"])
            .record(126, 125),
        tampered(
            "a value with a key twice",
            || lines("private", |v| replace(&mut v[60], "{", "{\"name\":\"email\",")),
            &["private", "unerased"],
        )
        .record(126, 125),
        tampered(
            "the record of an erasure edited",
            || records(|r| replace(&mut r[119], "\"src_ip\":[83,82]", "\"src_ip\":[83]")),
            &["leaf", "unerased"],
        )
        .record(82, 81),
        tampered(
            "a commitment changed",
            || records(|r| replace(&mut r[111], "\"private\":{\"src_ip\":\"", "\"private\":{\"src_ip\":\"00")),
            &["leaf"],
        )
        .record(112, 111),
    ]
}

#[test]
fn records_that_were_moved_or_changed() {
    check(moved());
}

#[test]
fn bytes_that_are_no_record() {
    check(bytes());
}

#[test]
fn personal_values() {
    check(values());
}
