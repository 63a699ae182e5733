//! The damages, and what is said to each.

use serde_json::{Value as Json, json};

use super::folder::Folder;
use rack_gateway::proof::anchor::Meta;

/// One thing that is done.
pub enum Step {
    /// Statements.
    Sql(&'static str),
    /// Other bytes in one record, and nothing else.
    Canon(u64, &'static str, &'static str),
    /// Zeros in a column of hashes, where.
    Blank(&'static str, &'static str, &'static str),
    /// The leaf of a record made to fit its bytes.
    Leaf(u64),
    /// The records changed, and everything made to fit that follows from them.
    Rewrite(fn(&mut Vec<Json>)),
    /// The whole database as it was after anchor 2.
    Restore,
    /// So many requests more, by the gateway's own code.
    Append(u64),
    /// The folder of the anchors.
    Folder(fn(&Folder<'_>)),
    /// Anchors from this one on made again over the records as they are, signed by the true key.
    SignAgain(u64, fn(&mut Meta)),
    /// The same, signed by another key.
    SignAgainByAnother(u64),
    /// One anchor more, signed by another key.
    AddByAnother,
}
use Step::{
    AddByAnother, Append, Blank, Canon, Folder as InFolder, Leaf, Restore, Rewrite, SignAgain, SignAgainByAnother, Sql,
};

/// A damage. What is seen: verdict, codes of the findings, first bad record and anchor, last record known good.
pub struct Case {
    pub name: &'static str,
    pub steps: &'static [Step],
    /// `rack-gateway-api audit verify`, over the database and the folder.
    pub live: &'static str,
    /// A verifier with an export and a copy of the folder.
    pub bucket: &'static str,
    /// A verifier with an export alone.
    pub bundle: &'static str,
    /// Why somebody does not see it; empty when all do.
    pub why: &'static str,
}

const fn case(name: &'static str, steps: &'static [Step], seen: [&'static str; 3], why: &'static str) -> Case {
    let [live, bucket, bundle] = seen;
    Case { name, steps, live, bucket, bundle, why }
}

const fn all(name: &'static str, steps: &'static [Step], seen: &'static str) -> Case {
    case(name, steps, [seen, seen, seen], "")
}

const GOOD: &str = "verified; good until 304";
const NO_EXPORT: &str = "no export";
const COPIES: &str = "columns are copies for searching: they are not exported";
const TAIL: &str = "no anchor covers it yet: the next one, a minute later, does";
const ALONE: &str = "an export has the anchors that the database gives: a copy of the bucket has all";
const BUCKET: &str = "anchors in the database are copies: the bucket's are read";
const PROMISE: &str =
    "none is late before the next was due: `--expect-fresh` asks for more, and Object Lock keeps it from happening";
const REST: &str = "the export is made of what is there, and that fits";

/// A forged request.
fn forged() -> Json {
    json!({ "action": "app:list", "instance": "one", "kind": "denial", "req": "r0", "seq": 9999,
            "ts": "2026-11-22T10:00:00.000000Z", "v": 1 })
}

pub const CASES: &[Case] = &[
    all("nothing", &[], GOOD),
    // Records
    case(
        "bytes of a record",
        &[Canon(50, "app:list", "app:load")],
        [
            "tampered: column, leaf; record 50; good until 49",
            "tampered: leaf; record 50; good until 49",
            "tampered: leaf; record 50; good until 49",
        ],
        "",
    ),
    case(
        "bytes of a record and its leaf",
        &[Canon(50, "app:list", "app:load"), Leaf(50)],
        [
            "tampered: chain, column, root, tile; record 50; anchor 2; good until 0",
            "tampered: chain, manifest, root, tile; anchor 2; good until 0",
            "tampered: chain, manifest, root, tile; anchor 2; good until 0",
        ],
        "",
    ),
    all(
        "a record, and everything that follows from it",
        &[Rewrite(|log| log[49]["action"] = "app:load".into())],
        "tampered: chain, root, tile; anchor 2; good until 0",
    ),
    case(
        "white space in a record",
        &[Canon(50, "{", "{ ")],
        [
            "tampered: column, leaf, profile; record 50; good until 49",
            "tampered: leaf, profile; record 50; good until 49",
            "tampered: leaf, profile; record 50; good until 49",
        ],
        "",
    ),
    all(
        "the time of a record",
        &[Rewrite(|log| log[49]["ts"] = "2026-11-22T00:00:00.000000Z".into())],
        "tampered: chain, root, tile; anchor 2; good until 0",
    ),
    all(
        "who did it",
        &[Rewrite(|log| log[49]["actor"]["id"] = "bob".into())],
        "tampered: chain, root, tile; anchor 2; good until 0",
    ),
    case(
        "a denial made an allow",
        &[Rewrite(|log| log[302]["decision"] = "challenge".into())],
        [
            "tampered: chain, root; anchor 4; good until 301",
            "tampered: chain, root, tile; anchor 4; good until 301",
            "tampered: chain, root, tile; anchor 4; good until 301",
        ],
        "",
    ),
    case(
        "a record deleted",
        &[Sql("DELETE FROM audit_records WHERE seq = 50")],
        ["tampered: missing, tile; record 50; good until 0", NO_EXPORT, NO_EXPORT],
        "",
    ),
    all(
        "a request deleted, all renumbered",
        &[Rewrite(|log| drop(log.drain(49..51)))],
        "tampered: chain, root, tile; anchor 2; good until 0",
    ),
    case(
        "the first record deleted",
        &[Sql("DELETE FROM audit_records WHERE seq = 1")],
        ["tampered: missing, tile; record 1; good until 0", NO_EXPORT, NO_EXPORT],
        "",
    ),
    all(
        "the first record deleted, all renumbered",
        &[Rewrite(|log| drop(log.remove(0)))],
        "tampered: begin, chain, root, tile, unerased; record 1; anchor 2; good until 0",
    ),
    all(
        "a record inserted, all renumbered",
        &[Rewrite(|log| log.insert(49, forged()))],
        "tampered: chain, root, tile; anchor 2; good until 0",
    ),
    all(
        "two records swapped, all renumbered",
        &[Rewrite(|log| log.swap(49, 51))],
        "tampered: chain, outcome, root, tile; record 51; anchor 2; good until 0",
    ),
    case(
        "two records swapped",
        &[Sql(
            "UPDATE audit_records SET seq = 1000 WHERE seq = 50; UPDATE audit_records SET seq = 50 WHERE seq = 52; \
               UPDATE audit_records SET seq = 52 WHERE seq = 1000",
        )],
        [
            "tampered: chain, column, number, root, tile; record 50; anchor 2; good until 0",
            "tampered: missing, number, tile; record 50; good until 0",
            "tampered: missing, number, tile; record 50; good until 0",
        ],
        "",
    ),
    case(
        "a record repeated at the end",
        &[Sql("INSERT INTO audit_records SELECT 311, canon, leaf, chain, ts, kind, request_id, actor, action, \
               resource, decision, instance, intent FROM audit_records WHERE seq = 50; \
               UPDATE audit_head SET seq = 311")],
        [
            "tampered: column, head, number; record 311; good until 304",
            "tampered: missing, number; record 50; good until 49",
            "tampered: missing, number; record 50; good until 49",
        ],
        "",
    ),
    all(
        "an outcome twice",
        &[Rewrite(|log| {
            let again = log[309].clone();
            log.push(again);
        })],
        "tampered: outcome; record 311; good until 304",
    ),
    all(
        "an outcome without an intent",
        &[Rewrite(|log| drop(log.remove(308)))],
        "tampered: outcome; record 309; good until 304",
    ),
    all(
        "the last records",
        &[Sql("DELETE FROM audit_records WHERE seq > 308")],
        "tampered: missing; record 309; good until 304",
    ),
    case(
        "the last request that no anchor covers, and the head",
        &[Rewrite(|log| log.truncate(308))],
        [GOOD, GOOD, GOOD],
        TAIL,
    ),
    case(
        "a record that no anchor covers",
        &[Rewrite(|log| log[308]["resource"] = "App::other".into())],
        [GOOD, GOOD, GOOD],
        TAIL,
    ),
    case("a forged record at the end", &[Rewrite(|log| log.push(forged()))], [GOOD, GOOD, GOOD], TAIL),
    case(
        "records that anchors cover, and the head",
        &[Rewrite(|log| log.truncate(201))],
        [
            "tampered: missing, unerased; record 4; good until 3",
            "tampered: missing, unerased; record 4; good until 3",
            "tampered: unerased; record 4; good until 3",
        ],
        "",
    ),
    case(
        "the same, and the anchors in the database",
        &[Rewrite(|log| log.truncate(201)), Sql("DELETE FROM audit_anchors WHERE number > 2")],
        [
            "tampered: missing, unerased; record 4; good until 3",
            "tampered: missing, unerased; record 4; good until 3",
            "tampered: unerased; record 4; good until 3",
        ],
        "",
    ),
    case(
        "all records",
        &[Sql("DELETE FROM audit_records")],
        ["tampered: empty, missing; record 1; good until 0", NO_EXPORT, NO_EXPORT],
        "",
    ),
    case(
        "all records and the head",
        &[Sql("DELETE FROM audit_records; DELETE FROM audit_head")],
        [
            "tampered: empty, missing; record 1; good until 0",
            "tampered: empty, manifest, missing; record 1; good until 0",
            "tampered: empty, manifest; good until 0",
        ],
        "",
    ),
    // What is stored beside the bytes
    case(
        "a leaf",
        &[Blank("audit_records", "leaf", "seq = 50")],
        [
            "tampered: column, tile; record 50; good until 49",
            "tampered: tile; good until 304",
            "tampered: tile; good until 304",
        ],
        "",
    ),
    case(
        "a chain value",
        &[Blank("audit_records", "chain", "seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        REST,
    ),
    case(
        "column ts",
        &[Sql("UPDATE audit_records SET ts = '2020' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column kind",
        &[Sql("UPDATE audit_records SET kind = 'admin' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column request_id",
        &[Sql("UPDATE audit_records SET request_id = NULL WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column actor",
        &[Sql("UPDATE audit_records SET actor = 'bob' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column action",
        &[Sql("UPDATE audit_records SET action = 'x' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column resource",
        &[Sql("UPDATE audit_records SET resource = 'x' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column decision",
        &[Sql("UPDATE audit_records SET decision = 'deny' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column instance",
        &[Sql("UPDATE audit_records SET instance = 'x' WHERE seq = 50")],
        ["tampered: column; record 50; good until 49", GOOD, GOOD],
        COPIES,
    ),
    case(
        "column intent",
        &[Sql("UPDATE audit_records SET intent = 4 WHERE seq = 51")],
        ["tampered: column; record 51; good until 50", GOOD, GOOD],
        COPIES,
    ),
    all(
        "the head moved on",
        &[Sql("UPDATE audit_head SET seq = 311")],
        "tampered: missing; record 311; good until 304",
    ),
    case(
        "the head moved back",
        &[Sql("UPDATE audit_head SET seq = 308")],
        [
            "tampered: head; record 309; good until 304",
            "tampered: manifest; good until 304",
            "tampered: manifest; good until 304",
        ],
        "",
    ),
    case(
        "the chain value of the head",
        &[Blank("audit_head", "chain", "id = 1")],
        [
            "tampered: head; record 310; good until 304",
            "tampered: manifest; good until 304",
            "tampered: manifest; good until 304",
        ],
        "",
    ),
    all(
        "the name of the log",
        &[Sql("UPDATE audit_head SET origin = 'rack-gateway/acme/other'")],
        "tampered: manifest; good until 304",
    ),
    all(
        "a node of the tree",
        &[Blank("audit_nodes", "hash", "level = 1 AND idx = 0")],
        "tampered: tile; good until 304",
    ),
    case(
        "all nodes of the tree",
        &[Sql("DELETE FROM audit_nodes")],
        [GOOD, GOOD, GOOD],
        "the tree is made again from the records",
    ),
    // Personal values
    all(
        "a personal value changed",
        &[Sql("UPDATE audit_private SET value = '203.0.113.9' WHERE seq = 50")],
        "tampered: private; record 50; good until 49",
    ),
    all(
        "a personal value removed",
        &[Sql("DELETE FROM audit_private WHERE seq = 50")],
        "tampered: unerased; record 50; good until 49",
    ),
    all(
        "a personal value added",
        &[Sql("INSERT INTO audit_private SELECT 51, name, salt, value FROM audit_private WHERE seq = 50")],
        "tampered: private; record 51; good until 50",
    ),
    all(
        "a personal value at another record",
        &[Sql("UPDATE audit_private SET seq = 4 WHERE seq = 50")],
        "tampered: private, unerased; record 4; good until 3",
    ),
    case(
        "an erasure made to speak of another record",
        &[Canon(304, "[4]", "[6]")],
        [
            "tampered: column, leaf, unerased; record 4; good until 3",
            "tampered: leaf, unerased; record 4; good until 3",
            "tampered: leaf, unerased; record 4; good until 3",
        ],
        "",
    ),
    case(
        "an erasure removed, all renumbered",
        &[Rewrite(|log| drop(log.remove(303)))],
        [
            "tampered: chain, root, unerased; record 4; anchor 4; good until 3",
            "tampered: chain, root, tile, unerased; record 4; anchor 4; good until 3",
            "tampered: chain, root, tile, unerased; record 4; anchor 4; good until 3",
        ],
        "",
    ),
    // Anchors in the database
    case(
        "the size of an anchor in the database",
        &[Sql("UPDATE audit_anchors SET size = 200 WHERE number = 3")],
        [GOOD, GOOD, GOOD],
        "the notes count, and they say another size",
    ),
    case(
        "an anchor removed from the database",
        &[Sql("DELETE FROM audit_anchors WHERE number = 3")],
        [GOOD, GOOD, "incomplete: gap; anchor 3; good until 304"],
        BUCKET,
    ),
    case(
        "all anchors removed from the database",
        &[Sql("DELETE FROM audit_anchors")],
        [GOOD, GOOD, "incomplete: unanchored; good until 0"],
        BUCKET,
    ),
    case(
        "a note in the database",
        &[Blank("audit_anchors", "checkpoint", "number = 3")],
        [GOOD, GOOD, "tampered: link, note; anchor 3; good until 304"],
        BUCKET,
    ),
    // Anchors in their place
    case(
        "a checkpoint removed",
        &[InFolder(|folder| std::fs::remove_file(folder.path("checkpoint", 3)).expect("removed"))],
        ["incomplete: gap; anchor 3; good until 304", "incomplete: gap; anchor 3; good until 304", GOOD],
        ALONE,
    ),
    case(
        "an anchor removed",
        &[InFolder(|folder| folder.remove(3))],
        ["incomplete: gap; anchor 3; good until 304", "incomplete: gap; anchor 3; good until 304", GOOD],
        ALONE,
    ),
    case(
        "the first anchor removed",
        &[InFolder(|folder| folder.remove(1))],
        ["incomplete: gap; anchor 1; good until 304", "incomplete: gap; anchor 1; good until 304", GOOD],
        ALONE,
    ),
    case(
        "the last anchor removed",
        &[InFolder(|folder| folder.remove(4))],
        ["verified; good until 301", "verified; good until 301", GOOD],
        PROMISE,
    ),
    case(
        "all anchors removed",
        &[InFolder(|folder| (1..=4).for_each(|n| folder.remove(n)))],
        ["incomplete: unanchored; good until 0", "incomplete: unanchored; good until 0", GOOD],
        ALONE,
    ),
    case(
        "a checkpoint of another size",
        &[InFolder(|folder| folder.edit("checkpoint", 3, "\n301\n", "\n300\n"))],
        ["tampered: anchor, link; anchor 3; good until 304", "tampered: anchor, link; anchor 3; good until 304", GOOD],
        ALONE,
    ),
    case(
        "metadata of another time",
        &[InFolder(|folder| folder.edit("meta", 3, "\"made_at\":\"20", "\"made_at\":\"19"))],
        [
            "tampered: link, signature; anchor 3; good until 304",
            "tampered: link, signature; anchor 3; good until 304",
            GOOD,
        ],
        ALONE,
    ),
    case(
        "something behind a note",
        &[InFolder(|folder| folder.edit("checkpoint", 3, "\n\n", "\n\n\n"))],
        ["tampered: link, note; anchor 3; good until 304", "tampered: link, note; anchor 3; good until 304", GOOD],
        ALONE,
    ),
    case(
        "an anchor in the place of the next",
        &[InFolder(|folder| {
            for kind in ["checkpoint", "meta"] {
                folder.write(kind, 3, &folder.read(kind, 2));
            }
        })],
        ["tampered: anchor, link; anchor 3; good until 304", "tampered: anchor, link; anchor 3; good until 304", GOOD],
        ALONE,
    ),
    case(
        "two anchors swapped",
        &[InFolder(|folder| {
            for kind in ["checkpoint", "meta"] {
                let (third, fourth) = (folder.read(kind, 3), folder.read(kind, 4));
                folder.write(kind, 3, &fourth);
                folder.write(kind, 4, &third);
            }
        })],
        ["tampered: anchor; anchor 3; good until 101", "tampered: anchor; anchor 3; good until 101", GOOD],
        ALONE,
    ),
    all("one anchor more by another key", &[AddByAnother], "tampered: signature; anchor 5; good until 304"),
    all(
        "all anchors signed by another key",
        &[SignAgainByAnother(1)],
        "tampered: signature, unanchored; anchor 1; good until 0",
    ),
    all(
        "a record rewritten, and anchors signed by another key",
        &[Rewrite(|log| log[49]["action"] = "app:load".into()), SignAgainByAnother(2)],
        "tampered: signature; anchor 2; good until 0",
    ),
    case(
        "a tile in the folder",
        &[InFolder(|folder| std::fs::write(folder.0.join(super::cases::TILE), b"").expect("written"))],
        [GOOD, GOOD, GOOD],
        "tiles in the bucket are for proofs without the gateway; a verifier has those of the log or the export",
    ),
    // The key
    all(
        "the time of an anchor moved back, by the key",
        &[SignAgain(3, |meta| {
            if meta.anchor == 3 {
                meta.made_at = "2020-01-01T00:00:00.000000Z".to_owned();
            }
        })],
        "tampered: backwards; anchor 3; good until 304",
    ),
    all(
        "another bucket, by the key",
        &[SignAgain(4, |meta| meta.bucket = "/elsewhere".to_owned())],
        "tampered: anchor; anchor 4; good until 301",
    ),
    all(
        "a chain value, by the key",
        &[SignAgain(4, |meta| meta.chain = [0; 32])],
        "tampered: chain; anchor 4; good until 301",
    ),
    case(
        "a record rewritten, and all anchors signed again by the key",
        &[Rewrite(|log| log[49]["action"] = "app:load".into()), SignAgain(2, |_| {})],
        [GOOD, GOOD, GOOD],
        "who has the key and can change what is anchored makes another history: Object Lock is what keeps the first, \
         and an earlier checkpoint that the auditor kept shows it",
    ),
    // The whole database
    case(
        "an old copy of the database",
        &[Restore],
        [
            "tampered: missing; record 102; good until 101",
            "tampered: missing; record 102; good until 101",
            "verified; good until 101",
        ],
        ALONE,
    ),
    case(
        "an old copy, and less than what is lost written anew",
        &[Restore, Append(20)],
        [
            "tampered: missing; record 142; good until 101",
            "tampered: missing; record 142; good until 101",
            "verified; good until 101",
        ],
        ALONE,
    ),
    case(
        "an old copy, and more than what is lost written anew",
        &[Restore, Append(120)],
        [
            "tampered: chain, root; anchor 3; good until 101",
            "tampered: chain, root; anchor 3; good until 101",
            "verified; good until 101",
        ],
        ALONE,
    ),
];

/// A tile that the folder has.
pub const TILE: &str = "v1/rack-gateway/acme/dev/tile/0/000";
