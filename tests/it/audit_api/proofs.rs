//! Checkpoints and proofs hold against what was signed, and none is handed out that would not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::proof::anchor::{Checkpoint, Meta};
use rack_gateway::proof::chain::leaf;
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tree::{is_consistent, is_included};
use serde_json::Value;

use super::Stage;
use crate::harness::Db;

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<[u8; 32]> {
    lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect()
}

async fn proofs_lead_to_what_was_signed(db: Db) {
    let stage = Stage::new(&db).await;
    let checkpoint = "/api/v1/audit/checkpoint";
    assert_eq!(stage.json(checkpoint, 404).await["type"], "/problems/unanchored");
    stage.fill(300).await;
    let one = stage.anchor().await;
    stage.fill(250).await;
    let two = stage.anchor().await;
    let newest = stage.json(checkpoint, 200).await;
    let note = Note::parse(newest["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    let meta = Note::parse(newest["meta"].as_str().unwrap().as_bytes()).unwrap();
    assert!([&note, &meta].iter().all(|note| note.is_signed_by("rack-gateway/acme/dev", &stage.key)));
    assert_eq!(Meta::parse(&meta.text).unwrap().checkpoint(), Checkpoint::parse(&note.text).unwrap());
    assert_eq!(
        (&newest["number"], &newest["size"], &newest["development"]),
        (&2.into(), &two.size.into(), &true.into())
    );
    assert_eq!(newest["next_due"], two.next_due);
    let first = stage.json(&format!("{checkpoint}?epoch=1&number=1"), 200).await;
    assert_eq!(first["root"], hex::encode(one.root));
    for (query, status) in [("epoch=1", 400), ("number=1", 400), ("epoch=1&number=x", 400), ("epoch=1&number=3", 404)] {
        stage.json(&format!("{checkpoint}?{query}"), status).await;
    }

    for seq in [1, 2, 256, 257, one.size, two.size] {
        let answer = stage.get(&format!("/api/v1/audit/records/{seq}/proof")).await;
        assert_eq!(answer.status(), 200);
        let text = String::from_utf8(answer.body).unwrap();
        let (head, signed) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        let canon = STANDARD.decode(lines.next().unwrap().strip_prefix("extra ").unwrap()).unwrap();
        assert_eq!(lines.next(), Some(format!("index {}", seq - 1).as_str()));
        assert_eq!(serde_json::from_slice::<Value>(&canon).unwrap()["seq"], seq);
        let signed = Note::parse(signed.as_bytes()).unwrap();
        assert!(signed.is_signed_by("rack-gateway/acme/dev", &stage.key));
        let signed = Checkpoint::parse(&signed.text).unwrap();
        assert!(is_included(&leaf(&canon), (seq - 1, signed.size), &hashes(lines), &signed.root), "record {seq}");
    }
    // The records of these requests themselves are not anchored yet.
    let late = stage.json(&format!("/api/v1/audit/records/{}/proof", two.size + 1), 404).await;
    assert!(late["error"].as_str().unwrap().contains(&format!("records 1 to {}", two.size)), "{late}");

    let path = format!("/api/v1/audit/consistency?old={}&new={}", one.size, two.size);
    let proof = stage.json(&path, 200).await;
    let path = hashes(proof["path"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()));
    assert!(is_consistent((one.size, &one.root), (two.size, &two.root), &path));
    for (query, status) in [
        ("old=0&new=0", 200),
        ("old=1&new=1", 200),
        ("old=2&new=1", 400),
        ("old=1", 400),
        ("new=1", 400),
        ("old=1&new=9007199254740991", 400),
        ("old=-1&new=1", 400),
        ("old=01&new=1", 400),
    ] {
        stage.json(&format!("/api/v1/audit/consistency?{query}"), status).await;
    }
    stage.gateway.stop_and_verify().await;
}

/// Somebody has rewritten a record that was anchored.
async fn no_proof_of_a_log_that_does_not_fit_its_anchor(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(10).await;
    stage.anchor().await;
    assert_eq!(stage.get("/api/v1/audit/records/5/proof").await.status(), 200);
    db.unlock().await;
    db.execute(&db.set_blob("audit_records", "leaf", &"ab".repeat(32), "seq = 4")).await;
    let refused = stage.json("/api/v1/audit/records/5/proof", 503).await;
    assert_eq!(refused["type"], "/problems/unprovable");
}

mod both {
    crate::on_both!(proofs_lead_to_what_was_signed, no_proof_of_a_log_that_does_not_fit_its_anchor);
}
