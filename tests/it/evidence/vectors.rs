//! `tests/vectors/audit/`: every definition of the format, by the code that is shipped and by the script.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::proof::anchor::{Checkpoint, Meta};
use rack_gateway::proof::canonical;
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::commitment::commit;
use rack_gateway::proof::key::PublicKey;
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tile::TileId;
use rack_gateway::proof::tree::{Frontier, is_consistent, is_included};
use rack_gateway::proof::trust::Trust;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::corpus::client;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/audit");

fn vectors(name: &str) -> Json {
    let path = Path::new(FOLDER).join(name).with_extension("json");
    serde_json::from_slice(&fs::read(path).expect("vectors")).expect("JSON")
}

fn text<'a>(case: &'a Json, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("no {name} in {case}"))
}

fn number(case: &Json, name: &str) -> u64 {
    case[name].as_u64().unwrap_or_else(|| panic!("no {name} in {case}"))
}

fn decoded(case: &Json, name: &str) -> Vec<u8> {
    STANDARD.decode(text(case, name)).expect("base64")
}

fn hash(hex: &str) -> Hash {
    hex::decode(hex).expect("hex").try_into().expect("32 bytes")
}

fn path(case: &Json) -> Vec<Hash> {
    case["path"].as_array().expect("a path").iter().map(|step| hash(step.as_str().expect("hex"))).collect()
}

/// What is wrong with cases that are good or not.
fn check(cases: &Json, is_good: impl Fn(&Json) -> bool) {
    let cases = cases.as_array().expect("cases");
    assert!(cases.len() > 2, "{cases:?}");
    let wrong = cases.iter().filter(|case| case["good"].as_bool() != Some(is_good(case)));
    let wrong: Vec<&Json> = wrong.map(|case| &case["name"]).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn records_notes_and_files() {
    check(&vectors("records"), |case| canonical::check(&decoded(case, "bytes")).is_ok());
    check(&vectors("checkpoints"), |case| Checkpoint::parse(text(case, "text")).is_some());
    check(&vectors("metadata"), |case| Meta::parse(text(case, "text")).is_some());
    check(&vectors("trust"), |case| Trust::parse(text(case, "text").as_bytes()).is_ok());
    check(&vectors("tiles"), |case| {
        let tile = TileId::parse(text(case, "name"));
        tile.is_some_and(|tile| {
            u64::from(tile.level) == number(case, "level")
                && (tile.index, tile.width) == (number(case, "index"), number(case, "width"))
        })
    });
    for case in vectors("commitments").as_array().expect("cases") {
        let salt = hex::decode(text(case, "salt")).expect("hex").try_into().expect("16 bytes");
        assert_eq!(hex::encode(commit(&salt, text(case, "value"))), text(case, "commitment"));
    }
    let notes = vectors("notes");
    let key = PublicKey::from_spki(&decoded(&notes, "key")).expect("a key");
    for case in notes["cases"].as_array().expect("cases") {
        let note = Note::parse(&decoded(case, "note")).ok();
        assert_eq!(case["parses"].as_bool(), Some(note.is_some()), "{case}");
        let is_signed = note.is_some_and(|note| note.is_signed_by(text(&notes, "name"), &key));
        assert_eq!(case["signed"].as_bool(), Some(is_signed), "{}", case["name"]);
    }
}

#[test]
fn chain_and_tree() {
    let vector = vectors("chain");
    let mut value = chain::genesis(text(&vector, "origin"));
    assert_eq!(hex::encode(value), text(&vector, "begin"));
    for step in vector["records"].as_array().expect("records") {
        let leaf = chain::leaf(text(step, "record").as_bytes());
        value = chain::link(&value, &leaf);
        assert_eq!(
            (hex::encode(leaf).as_str(), hex::encode(value).as_str()),
            (text(step, "leaf"), text(step, "chain"))
        );
    }
    let tree = vectors("tree");
    let leaf = |index: u64| chain::leaf(format!("{{\"seq\":{}}}", index + 1).as_bytes());
    let root = |size: u64| {
        let mut tree = Frontier::default();
        (0..size).for_each(|index| tree.push(leaf(index)));
        tree.root()
    };
    for (size, expected) in tree["roots"].as_object().expect("roots") {
        assert_eq!(hex::encode(root(size.parse().expect("a size"))), expected.as_str().expect("hex"), "{size}");
    }
    check(&tree["inclusion"], |case| {
        let (index, size) = (number(case, "index"), number(case, "size"));
        is_included(&leaf(index), (index, size), &path(case), &root(size))
    });
    check(&tree["consistency"], |case| {
        let (old, new) = (number(case, "old"), number(case, "new"));
        is_consistent((old, &root(old)), (new, &root(new)), &path(case))
    });
}

#[test]
fn proofs_and_bundles_by_the_client() {
    let proofs = vectors("proofs");
    let folder = TempDir::new().expect("a folder");
    let trust = folder.path().join("trust.json");
    fs::write(&trust, text(&proofs, "trust")).expect("a file");
    check(&proofs["cases"], |case| {
        fs::write(folder.path().join("proof"), text(case, "text")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_client-under-test"));
        command.args(["audit", "check-proof", "proof", "--trust", "trust.json"]).current_dir(folder.path());
        command.env_clear().env("HOME", folder.path()).output().expect("the client").status.success()
    });
    for case in vectors("bundles").as_array().expect("bundles") {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("trust.json"), text(case, "trust")).expect("a file");
        for (name, bytes) in case["files"].as_object().expect("files") {
            let path = folder.path().join("bundle").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, STANDARD.decode(bytes.as_str().expect("base64")).expect("base64")).expect("a file");
        }
        let arguments = ["bundle", "--trust", "trust.json", "--json"].map(str::to_owned);
        let mut report = client(folder.path(), &arguments).expect("a report");
        let findings = report["findings"].take();
        let mut codes: Vec<Json> =
            findings.as_array().into_iter().flatten().map(|finding| finding["code"].clone()).collect();
        codes.sort_by_key(|code| code.as_str().map(str::to_owned));
        codes.dedup();
        report["codes"] = codes.into();
        for (name, expected) in case["expected"].as_object().expect("fields") {
            assert_eq!(&report[name], expected, "{}: {name}, of {findings}", case["name"]);
        }
    }
}

/// Runs a script; what it wrote.
fn python(script: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("python3").arg(Path::new(FOLDER).join(script)).args(arguments).output().expect("python3");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_script_finds_the_same() {
    assert_eq!(python("check.py", &[]), (true, String::new()));
}

#[test]
fn the_vectors_are_what_their_generator_makes() {
    assert_eq!(python("make.py", &["--check"]), (true, String::new()));
}
