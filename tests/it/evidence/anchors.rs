//! Damage to anchors: notes that were changed, anchors that were taken away, moved, or signed wrongly.

use rack_gateway::proof::note::Note;
use rack_gateway::proof::trust::AnchorStore;
use rack_gateway_tests::evidence::{Anchor, Key, Log};
use serde_json::json;

use super::corpus::{Case, Given, anchor, check, handed_over, incomplete, plain, replace, tampered, verified};

/// After a change of the notes of anchor 9 (160 records), which nobody signed again.
fn note_9(change: fn(&mut Anchor)) -> Given {
    let mut log = plain();
    change(anchor(&mut log, 9));
    Given::of(&log)
}

/// After a change of what anchor 9 says, signed again by the right key; those after it fit.
fn meta_9(change: fn(&mut Log)) -> Given {
    let mut log = plain();
    change(&mut log);
    for at in 8..log.anchors.len() {
        relink(&mut log, at);
    }
    Given::of(&log)
}

/// Makes the anchor at this place name the one before, and signs it.
fn relink(log: &mut Log, at: usize) {
    let before = log.anchors[at - 1].clone();
    let anchor = &mut log.anchors[at];
    anchor.meta.prev_checkpoint = Some(Note::digest(&before.checkpoint));
    anchor.meta.prev_meta = Some(Note::digest(&before.note));
    anchor.sign();
}

/// After a change of the lines of the anchors.
fn lines(change: fn(&mut Vec<Vec<u8>>)) -> Given {
    Given::changed(&plain(), |bundle| {
        let mut lines = bundle.lines("anchors");
        change(&mut lines);
        bundle.set_lines("anchors", &lines);
    })
}

fn change_text(note: &mut Vec<u8>, change: impl FnOnce(String) -> String) {
    let text = String::from_utf8(note.clone()).expect("a note");
    *note = change(text).into_bytes();
}

/// The note with another text and signatures of these keys over it.
fn sign_text(anchor: &mut Anchor, is_checkpoint: bool, change: impl FnOnce(&str) -> String) {
    let bytes = if is_checkpoint { &mut anchor.checkpoint } else { &mut anchor.note };
    let old = Note::parse(bytes).expect("a note");
    let mut note = Note { text: change(&old.text), signatures: Vec::new() };
    for key in &anchor.keys {
        let signature = key.sign(note.text.as_bytes());
        note.sign(&anchor.meta.origin, key.public(), signature);
    }
    *bytes = note.encode().into_bytes();
}

fn notes() -> Vec<Case> {
    let cases = vec![
        tampered("bytes after a checkpoint", || note_9(|a| a.checkpoint.push(b'x')), &["note", "link"]),
        tampered("a line after a checkpoint", || note_9(|a| a.checkpoint.extend(b"\n")), &["note", "link"]),
        tampered("bytes after metadata", || note_9(|a| a.note.extend(b"{}\n")), &["note", "link"]),
        tampered(
            "a carriage return in a note",
            || note_9(|a| change_text(&mut a.checkpoint, |t| t.replacen('\n', "\r\n", 1))),
            &["note", "link"],
        ),
        tampered(
            "a control character of the upper half",
            || note_9(|a| sign_text(a, false, |t| t.replacen("0.1.0", "0.1.0\u{85}", 1))),
            &["note", "link"],
        ),
        tampered(
            "a note without a signature",
            || {
                note_9(|a| {
                    change_text(&mut a.checkpoint, |t| t.split("\n\n").next().unwrap_or_default().to_owned() + "\n\n")
                })
            },
            &["note", "link"],
        ),
        tampered(
            "a note cut before its end",
            || note_9(|a| a.checkpoint.truncate(a.checkpoint.len() - 1)),
            &["note", "link"],
        ),
        tampered(
            "a hyphen for the dash",
            || note_9(|a| change_text(&mut a.checkpoint, |t| t.replace('\u{2014}', "-"))),
            &["note", "link"],
        ),
        tampered(
            "seventeen signatures",
            || note_9(|a| change_text(&mut a.checkpoint, |t| t + &"\u{2014} witness AQIDBAUG\n".repeat(16))),
            &["note", "link"],
        ),
        tampered(
            "base64 with stray bits",
            || note_9(|a| change_text(&mut a.note, |t| t + "\u{2014} witness AQIDBAV=\n")),
            &["note", "link"],
        ),
        tampered(
            "an extension line, signed",
            || note_9(|a| sign_text(a, true, |t| format!("{t}more\n"))),
            &["note", "link"],
        ),
        tampered(
            "a size with a nought before it, signed",
            || note_9(|a| sign_text(a, true, |t| t.replace("160", "0160"))),
            &["note", "link"],
        ),
        tampered(
            "a root of 31 bytes, signed",
            || {
                note_9(|a| {
                    sign_text(a, true, |t| {
                        let mut lines = t.lines();
                        format!(
                            "{}\n{}\n{}=\n",
                            lines.next().unwrap_or_default(),
                            lines.next().unwrap_or_default(),
                            "AAAA".repeat(10) + "AA="
                        )
                    })
                })
            },
            &["note", "link"],
        ),
        tampered(
            "an unknown field, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen('{', "{\"a\":1,", 1))),
            &["note", "link"],
        ),
        tampered(
            "a field twice, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen("\"anchor\":9", "\"anchor\":9,\"anchor\":9", 1))),
            &["note", "link"],
        ),
        tampered(
            "a field missing, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen(",\"reason\":\"count\"", "", 1))),
            &["note", "link"],
        ),
        tampered(
            "another version of metadata, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen("\"v\":1", "\"v\":2", 1))),
            &["note", "link"],
        ),
        tampered(
            "metadata of something else, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen("\"kind\":\"anchor\"", "\"kind\":\"export\"", 1))),
            &["note", "link"],
        ),
        tampered(
            "a reason that is none, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen("\"count\"", "\"chance\"", 1))),
            &["note", "link"],
        ),
        tampered(
            "a time that is none, signed",
            || note_9(|a| sign_text(a, false, |t| t.replacen("\"next_due\":\"2025-01", "\"next_due\":\"2025-13", 1))),
            &["note", "link"],
        ),
        tampered(
            "a hash in upper case, signed",
            || {
                note_9(|a| {
                    sign_text(a, false, |t| {
                        let at = t.find("\"signer\":\"").expect("a signer") + 10;
                        format!("{}{}{}", &t[..at], t[at..at + 64].to_uppercase(), &t[at + 64..])
                    })
                })
            },
            &["note", "link"],
        ),
        tampered(
            "the size of a checkpoint changed",
            || note_9(|a| change_text(&mut a.checkpoint, |t| t.replacen("\n160\n", "\n161\n", 1))),
            &["anchor", "link"],
        ),
        tampered(
            "a byte of metadata changed",
            || note_9(|a| change_text(&mut a.note, |t| t.replacen("0.1.0", "0.1.1", 1))),
            &["signature", "link"],
        ),
        tampered(
            "a byte of a signature changed",
            || {
                note_9(|a| {
                    let mut note = Note::parse(&a.checkpoint).expect("a note");
                    note.signatures[0].bytes[20] ^= 1;
                    a.checkpoint = note.encode().into_bytes();
                })
            },
            &["signature", "link"],
        ),
        tampered(
            "a second signature of the key, a bad one",
            || {
                note_9(|a| {
                    let mut note = Note::parse(&a.checkpoint).expect("a note");
                    let mut second = note.signatures[0].clone();
                    second.bytes[20] ^= 1;
                    note.signatures.push(second);
                    a.checkpoint = note.encode().into_bytes();
                })
            },
            &["signature", "link"],
        ),
        tampered(
            "only a key that nobody knows",
            || {
                note_9(|a| {
                    a.keys = vec![Key::generate()];
                    a.sign();
                })
            },
            &["signature", "link"],
        ),
        tampered(
            "signatures under another name",
            || {
                note_9(|a| {
                    change_text(&mut a.checkpoint, |t| {
                        t.replace("\u{2014} rack-gateway/acme/prod", "\u{2014} rack-gateway/acme/dev")
                    })
                })
            },
            &["signature", "link"],
        ),
    ];
    let mut cases: Vec<Case> = cases.into_iter().map(|case| case.anchor(9)).collect();
    cases.push(verified("the same signature twice, and those of strangers", || {
        meta_9(|log| {
            // Not that of anchor 9: the notes before and after it must fit.
            let last = log.anchors.len() - 1;
            for at in 8..last {
                relink(log, at);
            }
            relink(log, last);
        })
    }));
    cases.push(verified("the last anchor with the same signature twice, and a stranger's", || {
        let mut log = plain();
        let last = anchor(&mut log, 16);
        change_text(&mut last.checkpoint, |t| {
            let line = t.lines().last().unwrap_or_default().to_owned();
            format!("{t}{line}\n\u{2014} witness.example.com AQIDBAUG\n")
        });
        Given::of(&log)
    }));
    cases
}

fn places() -> Vec<Case> {
    let cases = vec![
        tampered("another bucket", || meta_9(|log| anchor(log, 9).meta.bucket = "other".to_owned()), &["anchor"]),
        tampered(
            "another region",
            || meta_9(|log| anchor(log, 9).meta.region = Some("us-east-1".to_owned())),
            &["anchor"],
        ),
        tampered("no region", || meta_9(|log| anchor(log, 9).meta.region = None), &["anchor"]),
        tampered(
            "another account",
            || meta_9(|log| anchor(log, 9).meta.account = Some("210987654321".to_owned())),
            &["anchor"],
        ),
        tampered("no account", || meta_9(|log| anchor(log, 9).meta.account = None), &["anchor"]),
        tampered("a development key", || meta_9(|log| anchor(log, 9).meta.development = true), &["anchor"]),
        tampered(
            "another origin",
            || meta_9(|log| anchor(log, 9).meta.origin = "rack-gateway/acme/dev".to_owned()),
            &["anchor"],
        ),
        tampered(
            "the wrong epoch",
            || {
                let mut given = meta_9(|log| anchor(log, 9).meta.epoch = 2);
                let mut lines = given.bundle.lines("anchors");
                replace(&mut lines[8], "\"epoch\":2,\"meta\"", "\"epoch\":1,\"meta\"");
                given.bundle.set_lines("anchors", &lines);
                given.bundle.seal();
                given
            },
            &["anchor"],
        ),
        tampered(
            "another size than the checkpoint",
            || {
                let mut log = plain();
                let a = anchor(&mut log, 9);
                a.meta.size = 170;
                a.sign();
                let meta = a.note.clone();
                a.meta.size = 160;
                a.sign();
                a.note = meta;
                for at in 9..log.anchors.len() {
                    relink(&mut log, at);
                }
                Given::of(&log)
            },
            &["anchor"],
        ),
        tampered("another signer than signed", || meta_9(|log| anchor(log, 9).meta.signer = [7; 32]), &["signature"]),
        tampered(
            "the anchor before in its place",
            || {
                lines(|l| {
                    l[8] = l[7].clone();
                    replace(&mut l[8], "\"number\":8", "\"number\":9");
                })
            },
            &["anchor", "link"],
        ),
        tampered(
            "another anchor before it",
            || {
                let mut log = plain();
                anchor(&mut log, 9).meta.prev_meta = Some([7; 32]);
                anchor(&mut log, 9).sign();
                for at in 9..log.anchors.len() {
                    relink(&mut log, at);
                }
                Given::of(&log)
            },
            &["link"],
        ),
        tampered(
            "no anchor before it",
            || {
                let mut log = plain();
                (anchor(&mut log, 9).meta.prev_meta, anchor(&mut log, 9).meta.prev_checkpoint) = (None, None);
                anchor(&mut log, 9).sign();
                for at in 9..log.anchors.len() {
                    relink(&mut log, at);
                }
                Given::of(&log)
            },
            &["link"],
        ),
        tampered(
            "time goes back",
            || meta_9(|log| anchor(log, 9).meta.made_at = "2025-01-01T08:00:00.000000Z".to_owned()),
            &["backwards"],
        ),
        incomplete("an anchor taken away", || lines(|l| drop(l.remove(8))), &["gap"]),
        incomplete("seven anchors taken away", || lines(|l| drop(l.drain(8..15))), &["gap"]),
        tampered("two anchors swapped", || lines(|l| l.swap(8, 9)), &["gap", "anchor"]),
        tampered("an anchor twice", || lines(|l| l.insert(9, l[8].clone())), &["anchor"]),
    ];
    let mut cases: Vec<Case> = cases.into_iter().map(|case| case.anchor(9)).collect();
    cases.extend([
        incomplete("the first anchor taken away", || lines(|l| drop(l.remove(0))), &["gap"]).anchor(1),
        verified("the last anchor taken away", || lines(|l| drop(l.pop()))).until(280).last(1, 15, 280),
        incomplete("all anchors taken away", || lines(Vec::clear), &["unanchored"]).nothing_matches(),
        tampered(
            "a line that is no anchor",
            || lines(|l| replace(&mut l[8], "\"number\":9", "\"number\":\"9\"")),
            &["note", "gap"],
        )
        .anchor(9),
        tampered(
            "anchors of another bucket",
            || {
                Given::after_all(AnchorStore::S3 {
                    bucket: "other".to_owned(),
                    region: "eu-central-1".to_owned(),
                    account: "123456789012".to_owned(),
                })
            },
            &["anchor", "unanchored"],
        )
        .anchor(1)
        .nothing_matches(),
        tampered(
            "size goes back",
            || {
                let mut log = plain();
                let all = log.records.clone();
                log.records.truncate(200);
                log.anchor(rack_gateway::proof::anchor::AnchorReason::Interval, None);
                log.records = all;
                let (before, last) = (log.anchors[15].meta.clone(), &mut log.anchors[16].meta);
                (last.made_at, last.next_due) = (before.made_at, before.next_due);
                log.anchors[16].sign();
                Given::of(&log)
            },
            &["backwards"],
        )
        .anchor(17)
        .until(300)
        .last(1, 17, 200),
    ]);
    cases
}

fn keys() -> Vec<Case> {
    vec![
        verified("keys change", || Given::of(&handed_over())).last(1, 16, 300),
        tampered(
            "a new key that did not sign",
            || {
                let mut log = handed_over();
                anchor(&mut log, 6).keys.truncate(1);
                anchor(&mut log, 6).sign();
                Given::of(&log)
            },
            &["signature"],
        )
        .anchor(6)
        .until(80)
        .last(1, 5, 80),
        tampered(
            "the old key after the change",
            || {
                let mut log = handed_over();
                let old = log.first_key.clone();
                let a = anchor(&mut log, 9);
                (a.meta.signer, a.keys) = (*old.public().fingerprint(), vec![old]);
                for at in 8..log.anchors.len() {
                    relink(&mut log, at);
                }
                Given::of(&log)
            },
            &["signature"],
        )
        .anchor(9),
        tampered(
            "the change taken away",
            || {
                let mut log = handed_over();
                log.anchors.remove(5);
                Given::of(&log)
            },
            &["gap", "signature"],
        )
        .anchor(6)
        .until(80)
        .last(1, 5, 80),
        tampered(
            "a key that nobody trusts",
            || {
                let mut given = Given::of(&plain());
                given.trust["keys"] = json!([{"public_key": trusted(&Key::generate())}]);
                given
            },
            &["signature", "unanchored"],
        )
        .anchor(1)
        .nothing_matches(),
        tampered(
            "all rewritten, signed by another key",
            || {
                let mut log = plain();
                replace(&mut log.records[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                let other = Key::generate();
                for a in &mut log.anchors {
                    (a.meta.signer, a.keys) = (*other.public().fingerprint(), vec![other.clone()]);
                }
                log.sign_again(0);
                Given::of(&log)
            },
            &["signature", "unanchored"],
        )
        .anchor(1)
        .nothing_matches(),
    ]
}

fn trusted(key: &Key) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(key.public().spki())
}

impl Given {
    /// The plain log, anchored in another place than the auditor trusts.
    fn after_all(store: AnchorStore) -> Self {
        let mut log = plain();
        if let AnchorStore::S3 { bucket, region, account } = store {
            for a in &mut log.anchors {
                a.meta.bucket.clone_from(&bucket);
                a.meta.region = Some(region.clone());
                a.meta.account = Some(account.clone());
            }
        }
        log.sign_again(0);
        Self::of(&log)
    }
}

#[test]
fn notes_that_were_changed() {
    check(notes());
}

#[test]
fn anchors_that_say_something_else_or_are_not_there() {
    check(places());
}

#[test]
fn keys_that_change() {
    check(keys());
}
