//! The real binary: what it measures, and a database that holds less than what was anchored.

use serde_json::{Value, json};

use super::Place;
use crate::harness::binary::{Serving, create_token, run};
use crate::harness::{Db, basic, parse_record, until};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json as parsed};

const ADMIN: &[&str] = &["--user", "admin@example.com", "--role", "admin", "--name", "test"];

/// `serve` with anchors in the folder.
async fn serve(db: &Db, rack: &CountingRack, place: &Place) -> Result<Serving, String> {
    let environment = place.environment();
    let more: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Serving::start(&db.url().await, rack.addr, &more).await
}

async fn ready(serving: &Serving) -> Value {
    parsed(&Send::get("/api/v1/ready").to(serving.addr).await)["anchors"].clone()
}

/// Once there is an anchor of that number at least.
async fn anchored(serving: &Serving, number: u64) -> Value {
    until("an anchor", async || {
        Some(ready(serving).await).filter(|said| said["last"]["number"].as_u64().is_some_and(|last| last >= number))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_measured() {
    let (db, rack, place) = (Db::sqlite().await, CountingRack::start().await, Place::new());
    let serving = serve(&db, &rack, &place).await.unwrap();
    let said = anchored(&serving, 1).await;
    assert_eq!((&said["state"], &said["development"]), (&json!("green"), &json!(true)), "{said}");
    let metrics = until("the metrics", async || {
        let answer = Send::get("/metrics").to(serving.metrics).await;
        Some(String::from_utf8(answer.body.to_vec()).unwrap()).filter(|text| text.contains("audit_anchor_age_seconds "))
    })
    .await;
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!((value("audit_anchor_state") - 1.0).abs() < f64::EPSILON);
    assert!((0.0..60.0).contains(&value("audit_anchor_age_seconds")));
    assert!((-60.0..=2.0).contains(&value("audit_anchor_next_due_seconds")));
    assert!(value("audit_unanchored_records") < 100.0);
    assert!(value("audit_anchors_total") >= 1.0);
    serving.process.signal("TERM").await;
    let (status, _, said) = serving.process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("development anchors"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_anchors_says_so() {
    let (db, rack) = (Db::sqlite().await, CountingRack::start().await);
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    assert_eq!(ready(&serving).await["state"], "off");
    serving.process.signal("TERM").await;
    let (_, _, said) = serving.process.ended().await;
    assert!(said.contains("anchors are off"), "{said}");
}

/// Puts the database back to an older state, as a restored backup does: the end of the log is gone.
async fn lose(db: &Db, backup: Option<&std::path::Path>, kept: u64) {
    match (db.file(), backup) {
        (Some(file), Some(backup)) => {
            for end in ["-wal", "-shm"] {
                let mut beside = file.clone().into_os_string();
                beside.push(end);
                if std::path::Path::new(&beside).exists() {
                    std::fs::remove_file(&beside).unwrap();
                }
            }
            std::fs::copy(backup, file).unwrap();
        }
        _ => {
            db.unlock().await;
            db.execute(&format!(
                "ALTER TABLE audit_anchors DISABLE TRIGGER USER; ALTER TABLE audit_nodes DISABLE TRIGGER USER; \
                 UPDATE audit_head SET seq = {kept}, chain = (SELECT chain FROM audit_records WHERE seq = {kept}); \
                 DELETE FROM audit_records WHERE seq > {kept}; DELETE FROM audit_private WHERE seq > {kept}; \
                 DELETE FROM audit_anchors WHERE size > {kept}; DELETE FROM audit_nodes; \
                 DELETE FROM audit_words WHERE seq > {kept}; \
                 UPDATE audit_indexed SET seq = LEAST(seq, {kept})"
            ))
            .await;
        }
    }
}

async fn head(db: &Db) -> u64 {
    let store = db.store().await;
    let head = store.head().await.unwrap().unwrap().1.seq;
    store.close().await;
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_a_backup_is_refused_until_the_loss_is_declared() {
    for db in Db::each().await {
        let (rack, place) = (CountingRack::start().await, Place::new());
        let authorization = basic(&create_token(&db.url().await, ADMIN).await);
        assert!(serve(&db, &rack, &place).await.unwrap().terminate().await.success());
        let kept = head(&db).await;
        let backup = db.file().map(|file| {
            let backup = place.0.path().join("backup.sqlite");
            std::fs::copy(file, &backup).unwrap();
            backup
        });
        let serving = serve(&db, &rack, &place).await.unwrap();
        let before = anchored(&serving, 1).await["last"]["number"].as_u64().unwrap();
        let get = Send::get("/apps?").header("Authorization", authorization.clone());
        assert_eq!(get.to(serving.addr).await.status(), 200);
        anchored(&serving, before + 1).await;
        assert!(serving.terminate().await.success());
        let lost = head(&db).await;
        assert!(lost > kept);
        lose(&db, backup.as_deref(), kept).await;

        let said = serve(&db, &rack, &place).await.err().expect("it must not serve");
        for part in ["rack-gateway-api audit epoch", &format!("records 1 to {lost}"), &format!("up to {kept}")] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(head(&db).await, kept, "nothing was written");

        let environment = place.environment();
        let url = db.url().await;
        let mut env: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        env.extend([("RGW_DATABASE_URL", url.as_str()), ("RACK", "acme/dev")]);
        let declared = ["audit", "epoch", "--reason", "the disk failed", "--approver", "ada@example.com"];
        let output = run(&declared, &env).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let serving = serve(&db, &rack, &place).await.unwrap();
        let said = until("the next epoch", async || {
            Some(ready(&serving).await).filter(|said| said["last"]["epoch"] == json!(2))
        })
        .await;
        assert_eq!(said["state"], json!("green"), "{said}");
        let get = Send::get("/apps?").header("Authorization", authorization);
        assert_eq!(get.to(serving.addr).await.status(), 200);
        assert!(serving.terminate().await.success());
        let store = db.store().await;
        let records = store.records_after(kept, 1).await.unwrap();
        let declared = parse_record(&records[0]);
        assert_eq!(declared["kind"], "epoch", "{declared}");
        assert_eq!(
            (&declared["epoch"]["kept"], &declared["epoch"]["lost"]),
            (&json!(kept), &json!(lost)),
            "{declared}"
        );
        store.close().await;
    }
}
