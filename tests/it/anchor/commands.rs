//! The commands about anchors, as an operator runs them.

use rack_gateway::audit::anchor::Aws;
use rack_gateway::proof::anchor::{AnchorReason, Meta};
use rack_gateway::proof::note::Note;
use rack_gateway::proof::trust::Trust;
use serde_json::Value as Json;
use time::OffsetDateTime;

use super::crash::{environment, start};
use super::{ORIGIN, Site};
use crate::harness::db::Db;
use crate::harness::emulator;
use crate::harness::until;

async fn run(arguments: &[&str], env: &[(&'static str, String)]) -> (Option<i32>, String, String) {
    let (status, out, err) = start(arguments, env).ended().await;
    (status.code(), out, err)
}

#[tokio::test]
async fn a_bucket_is_looked_at_before_it_is_used() {
    let site = Site::bucket(Db::sqlite().await).await;
    let emulator = emulator::shared().await;
    let env = environment(&site, emulator.port).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trust.json");
    let (code, out, err) = run(&["audit", "init", "--json", "--trust", file.to_str().unwrap()], &env).await;
    assert_eq!(code, Some(0), "{err}");
    let told: Json = serde_json::from_str(&out).unwrap();
    assert_eq!(told["usable"], true);
    let weak = |told: &Json, name: &str| {
        let checks = told["checks"].as_array().unwrap().clone();
        checks.iter().find(|check| check["name"] == name).unwrap()["result"].as_str().unwrap().to_owned()
    };
    assert_eq!((weak(&told, "object lock"), weak(&told, "default retention")), ("good".into(), "weak".into()));
    emulator.lock_by_default(site.bucket_name(), 400).await;
    let (_, out, _) = run(&["audit", "init", "--json"], &env).await;
    assert_eq!(weak(&serde_json::from_str(&out).unwrap(), "default retention"), "good");
    // The same trust file by both ways, and it is that of the library.
    let (_, printed, _) = run(&["audit", "trust"], &env).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    let trust = Trust::parse(printed.as_bytes()).unwrap();
    assert_eq!(trust, rack_gateway::audit::anchor::trust(&site.settings, &site.aws, ORIGIN).await.unwrap());
    assert!(!trust.is_development());
    // In words: every policy, with the names of this bucket and key.
    let (_, out, _) = run(&["audit", "init"], &env).await;
    for part in [
        "s3:if-none-match",
        "aws:SecureTransport",
        "s3:DeleteObjectVersion",
        "s3:PutObjectLegalHold",
        "s3:BypassGovernanceRetention",
        "COMPLIANCE",
        "kms:Sign",
        "s3:object-lock-remaining-retention-days",
        site.bucket_name(),
        &format!("v1/{ORIGIN}/"),
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[tokio::test]
async fn a_bucket_without_object_lock_is_refused() {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let emulator = emulator::shared().await;
    let bucket = emulator.bucket(false).await;
    site.settings.place = rack_gateway::config::AnchorPlace::S3 { bucket, account: None };
    let (code, out, err) = run(&["audit", "init"], &environment(&site, emulator.port).await).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("BAD   object lock") && err.contains("would prove nothing"), "{out}{err}");
}

#[tokio::test]
async fn a_folder_and_a_key_file_are_called_what_they_are() {
    let site = Site::folder(Db::sqlite().await).await;
    let env = environment(&site, 1).await;
    let (code, out, _) = run(&["anchor", "--once"], &env).await;
    assert_eq!(code, Some(0));
    assert!(out.starts_with("development anchor 1 of epoch 1"), "{out}");
    let (code, out, _) = run(&["audit", "init"], &env).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("weak  place") && out.contains("weak  key"), "{out}");
    let (_, printed, _) = run(&["audit", "trust"], &env).await;
    let trust = Trust::parse(printed.as_bytes()).unwrap();
    assert!(trust.is_development());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.pem");
    for (code, expected) in [(Some(0), "a key for development anchors"), (Some(1), "exists")] {
        let (done, out, err) = run(&["audit", "key", file.to_str().unwrap()], &[]).await;
        assert_eq!(done, code);
        assert!(format!("{out}{err}").contains(expected), "{out}{err}");
    }
    let key = rack_gateway::config::AnchorKey::File(file);
    assert!(rack_gateway::audit::anchor::Signer::open(&key, &Aws::environment()).await.is_ok());
}

#[tokio::test]
async fn anchors_that_are_off_or_cannot_be_made() {
    let site = Site::folder(Db::sqlite().await).await;
    let env = environment(&site, 1).await;
    let without: Vec<_> = env.iter().filter(|(name, _)| !name.starts_with("AUDIT_")).cloned().collect();
    for arguments in [&["anchor", "--once"][..], &["audit", "init"], &["audit", "trust"]] {
        let (code, _, err) = run(arguments, &without).await;
        assert_eq!(code, Some(3));
        assert!(err.contains("AUDIT_ANCHOR_BUCKET is not set"), "{err}");
    }
    let arguments = ["audit", "epoch", "--reason", "the disk died", "--approver", "ada"];
    let (code, _, err) = run(&arguments, &env).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing was anchored"), "{err}");
    let empty = Db::sqlite().await;
    let mut elsewhere = env.clone();
    elsewhere[0].1 = empty.url().await;
    let (code, _, err) = run(&["anchor", "--once"], &elsewhere).await;
    assert_eq!(code, Some(3));
    assert!(err.contains("the log has not begun"), "{err}");
}

/// What `docs/deploy.md` grants to the role of a separate anchorer is enough, for faults too, and no more.
#[tokio::test]
async fn a_database_role_of_its_own() {
    let db = Db::postgres().await;
    let Db::Postgres(name) = &db else { panic!("no PostgreSQL") };
    let role = format!("anchorer_{name}");
    let guide = std::fs::read_to_string(crate::tidy::root().join("docs/deploy.md")).unwrap();
    let grants: Vec<_> = guide.lines().filter(|line| line.ends_with(" TO rack_gateway_anchorer;")).collect();
    assert!(!grants.is_empty(), "docs/deploy.md: no grants");
    let grants = grants.join("\n").replace("rack_gateway_anchorer", &role);
    db.execute(&format!("CREATE ROLE {role} LOGIN; {grants}")).await;
    let site = Site::folder(db).await;
    let mut env = environment(&site, 1).await;
    env[0].1 = env[0].1.replace("postgres@", &format!("{role}@"));
    site.grow("record", 600).await;
    let (code, _, err) = run(&["anchor", "--once"], &env).await;
    assert_eq!(code, Some(0), "{err}");
    let objects = site.objects().await;
    assert_eq!(site.check().await.len(), 1);
    objects
        .put_new(&format!("v1/{ORIGIN}/meta/000000000002"), "none of ours".into(), OffsetDateTime::now_utc())
        .await
        .unwrap();
    let (code, _, err) = run(&["anchor", "--once"], &env).await;
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(site.records("anchor:fault").await.len(), 1);
    for sql in ["SELECT 1 FROM audit_private", "SELECT 1 FROM users", "DELETE FROM audit_nodes"] {
        let denied = site.db.try_execute(&format!("SET ROLE {role}; {sql}")).await;
        assert!(denied.unwrap_err().to_string().contains("permission denied"), "{sql}");
    }
    site.close().await;
}

mod both {
    crate::on_both!(a_process_of_its_own);
}

async fn a_process_of_its_own(db: Db) {
    let site = Site::bucket(db).await;
    let env = environment(&site, emulator::shared().await.port).await;
    let running = start(&["anchor"], &env);
    until("it makes an anchor", || async { site.store.anchor_last().await.ok().flatten() }).await;
    site.grow("record", 3).await;
    running.signal("TERM").await;
    let (status, _, err) = running.ended().await;
    assert!(status.success(), "{err}");
    let last = site.store.anchor_last().await.unwrap().unwrap();
    let meta = Meta::parse(&Note::parse(&last.meta).unwrap().text).unwrap();
    assert_eq!((meta.reason, meta.size), (AnchorReason::Stop, 4));
    site.check().await;
    site.close().await;
}
