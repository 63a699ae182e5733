//! Exports of a gateway that makes anchors say whom they are from.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::audit::anchor::make_key_file;
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings};
use rack_gateway::http::Launch;
use rack_gateway::proof::note::Note;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use super::export::{Bundle, EXPORT};
use crate::api::with;
use crate::client::Machine;
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway, until};
use crate::rows::CountingRack;
use crate::sign_in::Send;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.py");

/// Writes a bundle as a folder.
fn unpack(bundle: &Bundle, into: &Path) {
    for (name, content) in &bundle.files {
        let path = into.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// What both verifiers say of a folder: exit code and codes of findings.
async fn verdicts(folder: &Path, trust: &Path, more: &[&str]) -> [(i32, Vec<String>); 2] {
    let arguments = [&[folder.to_str().unwrap(), "--trust", trust.to_str().unwrap(), "--json"], more].concat();
    let mut script = Command::new("python3");
    script.arg(SCRIPT).args(&arguments);
    let mut said = Vec::new();
    for mut command in [Machine::new().command(&[&["audit", "verify"], arguments.as_slice()].concat()), script] {
        let output = command.output().await.unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let findings = report["findings"].as_array().unwrap().iter();
        let codes = findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
        said.push((output.status.code().unwrap(), codes));
    }
    said.try_into().unwrap()
}

async fn an_export_says_whom_it_is_from(db: Db) {
    let folder = TempDir::new().unwrap();
    let (key, anchors) = (folder.path().join("key.pem"), folder.path().join("anchors"));
    let public = make_key_file(&key).unwrap();
    fs::create_dir(&anchors).unwrap();
    let settings = AnchorSettings::new(AnchorPlace::Folder(anchors.clone()), AnchorKey::File(key.clone()));
    let rack = CountingRack::start().await;
    let running = launch_with(&db, rack.addr, |launch| Launch { anchors: Some(settings), ..launch }).await;
    let gateway = Gateway::of(running).await;
    let store = gateway.running.gate.store.clone();
    until("an anchor", async || store.anchor_last().await.unwrap()).await;
    let export = async || {
        let answer = with(gateway.token("auditor"), Send::get(EXPORT)).to(gateway.addr()).await;
        assert_eq!(answer.status(), 200);
        Bundle::read(&answer.body)
    };
    let bundle = export().await;
    let note = Note::parse(&bundle.files["manifest.note"]).unwrap();
    let digest = hex::encode(Sha256::digest(&bundle.files["manifest.json"]));
    assert_eq!(note.text, format!("rack-gateway-audit-export/v1\n{digest}\n"));
    assert!(note.is_signed_by("rack-gateway/acme/dev", &public));
    let trusted = json!({
        "v": 1,
        "origin": "rack-gateway/acme/dev",
        "keys": [{ "public_key": STANDARD.encode(public.spki()), "name": format!("file:{}", key.display()) }],
        "store": { "kind": "file", "path": anchors },
        "development": true,
    });
    let copy: Value = serde_json::from_slice(&bundle.files["trust.json"]).unwrap();
    assert_eq!(copy, trusted);

    let (trust, files) = (folder.path().join("trust.json"), folder.path().join("bundle"));
    fs::write(&trust, trusted.to_string()).unwrap();
    unpack(&bundle, &files);
    let with_bucket = ["--anchors", anchors.to_str().unwrap()];
    for more in [&[][..], &with_bucket] {
        for said in verdicts(&files, &trust, more).await {
            assert_eq!(said, (0, Vec::new()), "{more:?}");
        }
    }
    let mut manifest = bundle.manifest.clone();
    manifest["version"] = json!("9.9.9");
    fs::write(files.join("manifest.json"), manifest.to_string()).unwrap();
    for said in verdicts(&files, &trust, &[]).await {
        assert_eq!(said, (1, vec!["manifest".to_owned()]));
    }
    // The key was opened before; who makes the next exports needs no file for it.
    fs::remove_file(&key).unwrap();
    assert!(export().await.files.contains_key("manifest.note"));
    gateway.stop_and_verify().await;
}

/// Where another process makes the anchors, this one has no key.
async fn a_gateway_without_a_key_exports(db: Db) {
    let folder = TempDir::new().unwrap();
    let place = AnchorPlace::Folder(folder.path().to_owned());
    let settings = AnchorSettings::new(place, AnchorKey::File(folder.path().join("none.pem")));
    let rack = CountingRack::start().await;
    for in_server in [false, true] {
        let settings = AnchorSettings { in_server, ..settings.clone() };
        let running = launch_with(&db, rack.addr, |launch| Launch { anchors: Some(settings), ..launch }).await;
        let gateway = Gateway::of(running).await;
        let answer = with(gateway.token("auditor"), Send::get(EXPORT)).to(gateway.addr()).await;
        assert_eq!(answer.status(), 200);
        let files = Bundle::read(&answer.body).files;
        assert!(!files.contains_key("manifest.note") && !files.contains_key("trust.json"), "{in_server}");
        gateway.stop_and_verify().await;
    }
}

mod both {
    crate::on_both!(an_export_says_whom_it_is_from, a_gateway_without_a_key_exports);
}
