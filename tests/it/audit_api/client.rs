//! The programs of people and operators, end to end.

use rack_gateway::audit::anchor::make_key_file;
use serde_json::Value;

use super::export::Bundle;
use super::{Stage, event};
use crate::client::Machine;
use crate::harness::Db;
use crate::harness::binary::run;

/// An auditor's machine.
fn machine(stage: &Stage) -> Machine {
    let mut machine = Machine::new();
    machine.set("RACK_GATEWAY_URL", &format!("http://{}", stage.gateway.addr()));
    machine.set("RACK_GATEWAY_API_TOKEN", stage.gateway.token("auditor"));
    machine
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_searches_and_exports() {
    let db = Db::sqlite().await;
    let stage = Stage::new(&db).await;
    stage.fill(60).await;
    let seq = stage.add(event("app:delete", 5)).await;
    stage.anchor().await;
    let machine = machine(&stage);
    let text = machine.run(&["audit", "search", "shop", "number", "--action", "app:delete"]).await.ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("RECORD") && lines[1].starts_with(&seq.to_string()), "{text}");
    assert!(lines[1].contains("u-5") && lines[1].contains("192.0.2.1") && lines[1].contains("App::shop-5"), "{text}");
    // More than one page of the gateway.
    let found = machine.run(&["audit", "search", "--action", "app:update", "-n", "57", "--json"]).await.json();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["more"]), (57, &Value::Bool(true)));
    machine.run(&["audit", "search", "--from", "yesterday"]).await.failed(1, &["from must be a time"]);

    let file = stage.path().join("export.tar");
    let file = file.to_str().unwrap();
    let said = machine.run(&["audit", "export", "-o", file]).await.ok();
    assert!(said.contains("audit verify") && said.contains(file), "{said}");
    let whole = Bundle::read(&std::fs::read(file).unwrap());
    assert_eq!(whole.anchors().len(), 1);
    machine.run(&["audit", "export", "-o", file]).await.failed(3, &["is there already"]);
    let trust = stage.path().join("trust.json");
    std::fs::write(&trust, stage.trust().to_string()).unwrap();
    let trust = trust.to_str().unwrap();
    machine.run(&["audit", "verify", file, "--trust", trust]).await.ok();
    let part = stage.path().join("part.tar");
    let part = part.to_str().unwrap();
    machine.run(&["audit", "export", "-o", part, "--first", "9", "--last", "12", "--no-private"]).await.ok();
    machine.run(&["audit", "verify", part, "--trust", trust]).await.ok();
    let proof = stage.path().join("record.proof");
    std::fs::write(&proof, stage.get(&format!("/api/v1/audit/records/{seq}/proof")).await.body).unwrap();
    machine.run(&["audit", "check-proof", proof.to_str().unwrap(), "--trust", trust]).await.ok();
    let table =
        machine.run(&["audit", "export", "-o", "-", "--format", "csv", "--kind", "admin", "--no-private"]).await;
    let table = table.ok();
    assert!(table.starts_with("seq,ts,kind,") && !table.contains("192.0.2.1"), "{table}");
    machine.run(&["audit", "export", "-o", "/nowhere/x.tar"]).await.failed(3, &[]);
    let left: Vec<_> = std::fs::read_dir(stage.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().ends_with(".part")), "{left:?}");

    // Others may not.
    let mut viewer = Machine::new();
    viewer.set("RACK_GATEWAY_URL", &format!("http://{}", stage.gateway.addr()));
    viewer.set("RACK_GATEWAY_API_TOKEN", stage.gateway.token("viewer"));
    let other = stage.path().join("other.tar");
    viewer.run(&["audit", "export", "-o", other.to_str().unwrap()]).await.failed(1, &["audit:export"]);
    assert!(!other.exists());
    stage.gateway.stop_and_verify().await;
}

async fn an_operator_searches_and_exports(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(30).await;
    let seq = stage.add(event("app:delete", 5)).await;
    stage.anchor().await;
    let url = db.url().await;
    let env = [("RGW_DATABASE_URL", url.as_str())];
    let found = run(&["audit", "search", "shop", "--action", "app:delete", "--json"], &env).await;
    let found: Value = serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"));
    assert_eq!(found["seq"], seq);
    let file = stage.path().join("export.tar");
    let file = file.to_str().unwrap();
    let exported = run(&["audit", "export", "-o", file, "--first", "3"], &env).await;
    assert!(exported.status.success(), "{exported:?}");
    let bundle = Bundle::read(&std::fs::read(file).unwrap());
    assert_eq!((bundle.anchors().len(), bundle.files.contains_key("manifest.note")), (1, false));
    sealed(&stage, &url).await;
    for (arguments, code) in [
        (&["audit", "export", "-o", file][..], 3),
        (&["audit", "export", "-o", "-", "--from", "then"], 2),
        (&["audit", "search", "--kind", "x"], 2),
        (&["audit", "export", "-o", "-", "--actor", "u-1"], 3),
    ] {
        assert_eq!(run(arguments, &env).await.status.code(), Some(code), "{arguments:?}");
    }
    stage.gateway.stop_and_verify().await;
}

/// With the settings of the anchors, the export is signed; with another key it is not, which is told.
async fn sealed(stage: &Stage, url: &str) {
    let place = format!("file://{}", stage.path().join("anchors").display());
    let other = stage.path().join("other.pem");
    make_key_file(&other).unwrap();
    let none = stage.path().join("none.pem");
    let cases = [
        (stage.path().join("key.pem"), true, true, ""),
        (other, false, true, "the manifest of the export is not signed"),
        (none, false, false, "the export is not signed"),
    ];
    for (number, (key, is_signed, is_known, told)) in cases.iter().enumerate() {
        let env = [
            ("RGW_DATABASE_URL", url),
            ("AUDIT_ANCHOR_BUCKET", place.as_str()),
            ("AUDIT_ANCHOR_KEY_FILE", key.to_str().unwrap()),
        ];
        let file = stage.path().join(format!("sealed-{number}.tar"));
        let exported = run(&["audit", "export", "-o", file.to_str().unwrap()], &env).await;
        let said = String::from_utf8_lossy(&exported.stderr);
        assert!(exported.status.success() && said.contains(told), "{key:?}: {said}");
        let files = Bundle::read(&std::fs::read(file).unwrap()).files;
        let has = |name: &str| files.contains_key(name);
        assert_eq!((has("manifest.note"), has("trust.json")), (*is_signed, *is_known), "{key:?}: {said}");
    }
}

mod both {
    crate::on_both!(an_operator_searches_and_exports);
}
