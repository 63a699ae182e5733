//! Damage to the files of a bundle, and to its archive.

use serde_json::json;

use super::corpus::{Case, Given, check, incomplete, plain, replace, tampered, unreadable, verified};
use rack_gateway_tests::evidence::Bundle;

/// After a change that the manifest does not know of.
fn silently(change: fn(&mut Bundle)) -> Given {
    let mut given = Given::of(&plain());
    change(&mut given.bundle);
    given
}

/// After a change that the manifest knows of.
fn openly(change: fn(&mut Bundle)) -> Given {
    Given::changed(&plain(), change)
}

fn manifest(change: fn(&mut serde_json::Value)) -> Given {
    let mut given = Given::of(&plain());
    given.bundle.change_manifest(change);
    given
}

/// After a change of the bytes of the archive.
fn archive(change: fn(&mut Vec<u8>)) -> Given {
    let mut given = Given::of(&plain());
    let mut bytes = given.bundle.tar();
    change(&mut bytes);
    given.archive = Some(bytes);
    given
}

const LEAVES: &str = "tile/0/000";
const REST: &str = "tile/0/001.p/44";
const ABOVE: &str = "tile/1/000.p/1";

fn file<'a>(bundle: &'a mut Bundle, name: &str) -> &'a mut Vec<u8> {
    bundle.files.get_mut(name).unwrap_or_else(|| panic!("{name} is not there"))
}

fn listed() -> Vec<Case> {
    vec![
        tampered(
            "a record edited, the manifest left",
            || {
                silently(|b| {
                    let mut lines = b.lines("records");
                    replace(&mut lines[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                    b.set_lines("records", &lines);
                })
            },
            &["file", "leaf"],
        )
        .record(150, 149),
        tampered(
            "a file too many",
            || silently(|b| drop(b.files.insert("records/000002.jsonl".to_owned(), Vec::new()))),
            &["file"],
        ),
        tampered(
            "a file of another kind",
            || openly(|b| drop(b.files.insert("README.txt".to_owned(), b"hello".to_vec()))),
            &["file"],
        ),
        tampered("a file that is not there", || silently(|b| drop(b.files.remove("trust.json"))), &["file"]),
        tampered(
            "the records not there",
            || silently(|b| drop(b.files.remove("records/000001.jsonl"))),
            &["file", "missing", "empty"],
        )
        .record(1, 0),
        tampered("another length in the manifest", || manifest(|m| m["files"][0]["bytes"] = 1.into()), &["file"]),
        tampered(
            "a file twice in the manifest",
            || {
                manifest(|m| {
                    let first = m["files"][0].clone();
                    m["files"].as_array_mut().expect("files").push(first);
                })
            },
            &["manifest"],
        ),
        tampered(
            "another origin in the manifest",
            || manifest(|m| m["origin"] = "rack-gateway/acme/dev".into()),
            &["manifest"],
        ),
        tampered(
            "values, although the manifest says none",
            || manifest(|m| m["private"] = false.into()),
            &["manifest"],
        ),
        tampered("a range that begins at 0", || manifest(|m| m["first"] = 0.into()), &["manifest"]),
        tampered("a range that ends above the head", || manifest(|m| m["head"]["seq"] = 309.into()), &["manifest"]),
        tampered(
            "another chain value at the head",
            || manifest(|m| m["head"]["chain"] = "00".repeat(32).into()),
            &["manifest"],
        ),
        tampered(
            "a range that is longer than the records",
            || {
                manifest(|m| {
                    m["last"] = 320.into();
                    m["head"]["seq"] = 330.into();
                })
            },
            &["missing"],
        )
        .record(311, 300),
        tampered(
            "a range that is shorter than the records",
            || manifest(|m| m["last"] = 305.into()),
            &["number", "private"],
        )
        .record(306, 300),
        tampered("a range that begins later", || manifest(|m| m["first"] = 21.into()), &["number", "private"])
            .record(1, 0),
        tampered(
            "a manifest note that is none",
            || silently(|b| drop(b.files.insert("manifest.note".to_owned(), b"good\n".to_vec()))),
            &["manifest"],
        ),
        verified("a manifest that is signed", || {
            let log = plain();
            let mut given = Given::of(&log);
            given.bundle.sign_manifest(&log);
            given
        }),
        tampered(
            "a manifest changed after it was signed",
            || {
                let log = plain();
                let mut given = Given::of(&log);
                given.bundle.sign_manifest(&log);
                given.bundle.change_manifest(|m| m["version"] = "0.2.0".into());
                given
            },
            &["manifest"],
        ),
        unreadable("no manifest", || silently(|b| drop(b.files.remove("manifest.json")))),
        unreadable("a manifest with a key twice", || silently(|b| replace(file(b, "manifest.json"), "{", "{\"v\":1,"))),
        unreadable("a manifest cut", || silently(|b| file(b, "manifest.json").truncate(100))),
        unreadable("a manifest of another version", || manifest(|m| m["v"] = 2.into())),
        unreadable("a manifest without a head", || {
            manifest(|m| drop(m.as_object_mut().expect("an object").remove("head")))
        }),
        unreadable("a trust file with an unknown field", || {
            let mut given = Given::of(&plain());
            given.trust["also"] = true.into();
            given
        }),
        unreadable("a trust file of another version", || {
            let mut given = Given::of(&plain());
            given.trust["v"] = 2.into();
            given
        }),
        unreadable("a trust file without keys", || {
            let mut given = Given::of(&plain());
            given.trust["keys"] = json!([]);
            given
        }),
        unreadable("a trust file with a key that is none", || {
            let mut given = Given::of(&plain());
            given.trust["keys"][0]["public_key"] = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE".into();
            given
        }),
        tampered(
            "the trust file of another log",
            || {
                let mut given = Given::of(&plain());
                given.trust["origin"] = "rack-gateway/acme/dev".into();
                given
            },
            &["manifest", "anchor", "unanchored", "begin"],
        )
        .record(1, 0)
        .anchor(1)
        .nothing_matches(),
    ]
}

fn tiles() -> Vec<Case> {
    vec![
        tampered("a leaf in a tile changed", || openly(|b| file(b, LEAVES)[32 * 149] ^= 1), &["tile"]),
        tampered("a leaf in the last tile changed", || openly(|b| file(b, REST)[0] ^= 1), &["tile"]),
        tampered("a hash above changed", || openly(|b| file(b, ABOVE)[0] ^= 1), &["tile"]),
        tampered("a tile cut", || openly(|b| file(b, REST).truncate(32 * 20)), &["tile"]),
        tampered("a tile cut within a hash", || openly(|b| file(b, REST).truncate(32 * 44 - 1)), &["tile"]),
        tampered(
            "a tile cut, and named so",
            || {
                openly(|b| {
                    let bytes = b.files.remove(REST).expect("the tile");
                    b.files.insert("tile/0/001.p/20".to_owned(), bytes[..32 * 20].to_vec());
                })
            },
            &["tile"],
        ),
        tampered("a tile not there", || openly(|b| drop(b.files.remove(LEAVES))), &["tile"]),
        tampered("the tile above not there", || openly(|b| drop(b.files.remove(ABOVE))), &["tile"]),
        tampered("no tiles", || openly(|b| b.files.retain(|name, _| !name.starts_with("tile/"))), &["tile"]),
        tampered(
            "a tile changed so that it fits an edited record",
            || {
                openly(|b| {
                    let mut lines = b.lines("records");
                    replace(&mut lines[149], "\"role\":\"ops\"", "\"role\":\"adm\"");
                    let leaf = rack_gateway::proof::chain::leaf(&lines[149]);
                    file(b, LEAVES)[32 * 149..32 * 150].copy_from_slice(&leaf);
                    b.set_lines("records", &lines);
                })
            },
            &["tile", "root", "chain", "manifest"],
        )
        .anchor(9)
        .until(140)
        .last(1, 8, 140),
    ]
}

fn archives() -> Vec<Case> {
    const END: usize = 1024;
    vec![
        verified("an archive", || archive(|_| {})),
        verified("an archive with more noughts", || archive(|bytes| bytes.resize(bytes.len() + 8192, 0))),
        unreadable("bytes after the archive", || archive(|bytes| bytes.extend(b"more"))),
        unreadable("a file after the end of the archive", || {
            archive(|bytes| bytes.extend(Bundle::default().with("records/000009.jsonl", b"x").tar()))
        }),
        unreadable("an archive without its end", || archive(|bytes| bytes.truncate(bytes.len() - END))),
        unreadable("half of the end of an archive", || archive(|bytes| bytes.truncate(bytes.len() - END / 2))),
        unreadable("an archive cut", || archive(|bytes| bytes.truncate(bytes.len() / 2))),
        unreadable("a broken entry", || archive(|bytes| bytes[148] ^= 1)),
        unreadable("no archive", || archive(|bytes| *bytes = b"no archive at all".repeat(100))),
        unreadable("a file twice in the archive", || {
            archive(|bytes| {
                bytes.truncate(bytes.len() - END);
                let again = bytes.clone();
                bytes.extend(again);
                bytes.resize(bytes.len() + END, 0);
            })
        }),
        unreadable("a link in the archive", || {
            let mut given = Given::of(&plain());
            let bytes = given.bundle.clone().with("trust.json", b"").tar();
            given.archive = Some(entry(bytes, "trust.json", |header| header[156] = b'2'));
            given
        }),
        unreadable("a name that leads outside", || {
            let mut given = Given::of(&plain());
            given.archive = Some(given.bundle.clone().with("../evil", b"x").tar());
            given
        }),
        unreadable("a name from the root", || {
            let mut given = Given::of(&plain());
            given.archive = Some(given.bundle.clone().with("/evil", b"x").tar());
            given
        }),
        incomplete(
            "an archive, stale",
            || {
                let mut given = archive(|_| {});
                given.arguments = &["--expect-fresh", "600"];
                given
            },
            &["stale"],
        )
        .anchor(16),
    ]
}

/// Changes the header of an entry, and its sum.
fn entry(mut bytes: Vec<u8>, name: &str, change: fn(&mut [u8])) -> Vec<u8> {
    let headers = (0..bytes.len()).step_by(512);
    let at = headers.into_iter().find(|at| bytes[*at..].starts_with(name.as_bytes())).expect("the entry");
    let header = &mut bytes[at..at + 512];
    change(header);
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[test]
fn files_and_manifests() {
    check(listed());
}

#[test]
fn tiles_that_were_changed() {
    check(tiles());
}

#[test]
fn archives_that_are_read() {
    check(archives());
}
