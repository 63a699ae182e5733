//! What is put: signed, linked, locked; and what can be done to it afterwards.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectLockRetentionMode;
use rack_gateway::audit::anchor::{AnchorError, Fault};
use rack_gateway::config::AnchorKey;
use rack_gateway::proof::anchor::{AnchorReason, ObjectKey};
use rack_gateway::proof::tree::is_included;
use rack_gateway::store::AnchorRow;

use super::{ORIGIN, Site};
use crate::harness::db::Db;
use crate::harness::emulator::{self, Emulator};
use crate::harness::proxy::Proxy;

mod both {
    crate::on_both!(anchors_follow_the_log, a_folder_does_the_same, the_key_is_handed_over);
}

async fn follow(site: &Site) -> Vec<AnchorRow> {
    let anchorer = site.anchorer();
    let mut rows = Vec::new();
    for count in [3, 0, 300, 1] {
        site.grow("record", count).await;
        rows.push(anchorer.anchor(AnchorReason::Count).await.unwrap());
    }
    assert_eq!(site.store.anchors_after(0, 0, 100).await.unwrap(), rows);
    rows
}

async fn anchors_follow_the_log(db: Db) {
    let site = Site::bucket(db).await;
    let mut site = site;
    site.settings.records = 1;
    site.settings.interval = std::time::Duration::ZERO;
    let rows = follow(&site).await;
    let all = site.check().await;
    // The first record names the log.
    assert_eq!(all.iter().map(|meta| meta.size).collect::<Vec<_>>(), [4, 4, 304, 305]);
    assert!(all.iter().all(|meta| !meta.development && meta.epoch == 1 && meta.bundle.as_deref() == Some("digest")));
    assert_eq!(all[0].region.as_deref(), Some(emulator::REGION));
    let last = site.store.record(305).await.unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last.canon).unwrap();
    assert_eq!(all[3].last_ts.as_deref(), last["ts"].as_str());
    assert_eq!(rows[3].number, 4);
    let objects = site.objects().await;
    let keys = objects.list(&format!("v1/{ORIGIN}/tile/"), None).await.unwrap();
    let tiles: Vec<_> = keys.iter().map(|key| key.split("/tile/").last().unwrap()).collect();
    assert_eq!(tiles, ["0/000", "0/000.p/4", "0/001.p/48", "0/001.p/49", "1/000.p/1"]);
    included(&site, &rows[3]).await;
    let retention = emulator::shared().await.s3().get_object_retention().bucket(site.bucket_name());
    let retention = retention.key(ObjectKey::Checkpoint(4).path(ORIGIN)).send().await.unwrap();
    let retention = retention.retention().unwrap();
    assert_eq!(retention.mode(), Some(&ObjectLockRetentionMode::Compliance));
    let days =
        (retention.retain_until_date().unwrap().secs() - time::OffsetDateTime::now_utc().unix_timestamp()) / 86_400;
    assert!((399..=400).contains(&days), "{days}");
    site.close().await;
}

/// Any record is proved with the tiles of the bucket alone.
async fn included(site: &Site, row: &AnchorRow) {
    let objects = site.objects().await;
    let mut tiles = rack_gateway::proof::tile::Tiles::default();
    for id in rack_gateway::proof::tile::needed(row.size, &[17]) {
        let bytes = objects.get(&ObjectKey::Tile(id).path(ORIGIN)).await.unwrap().expect("a tile");
        tiles.insert(id, bytes.chunks(32).map(|hash| hash.try_into().unwrap()).collect());
    }
    let record = site.store.record(18).await.unwrap();
    let leaf = rack_gateway::proof::chain::leaf(&record.canon);
    let path = tiles.inclusion(17, row.size).unwrap();
    assert!(is_included(&leaf, (17, row.size), &path, &row.root));
}

async fn a_folder_does_the_same(db: Db) {
    let mut site = Site::folder(db).await;
    site.settings.interval = std::time::Duration::ZERO;
    follow(&site).await;
    let all = site.check().await;
    assert_eq!(all.iter().map(|meta| meta.size).collect::<Vec<_>>(), [4, 4, 304, 305]);
    assert!(all.iter().all(|meta| meta.development && meta.region.is_none()));
    site.close().await;
}

async fn the_key_is_handed_over(db: Db) {
    let mut site = Site::bucket(db).await;
    let emulator = emulator::shared().await;
    let first = site.settings.key.clone();
    let second = AnchorKey::Kms(emulator.key(aws_sdk_kms::types::KeySpec::EccNistP256).await);
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    // Without telling, another key is refused.
    site.settings.key = second.clone();
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(matches!(error, AnchorError::Fault(Fault::Key { .. })), "{error}");
    // Told, the old key hands over, once; then the new one signs, whichever way it is configured.
    site.settings.key = first.clone();
    site.settings.next_key = Some(second.clone());
    let anchorer = site.anchorer();
    for _ in 0..2 {
        anchorer.anchor(AnchorReason::Start).await.unwrap();
    }
    (site.settings.key, site.settings.next_key) = (second, None);
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let told = site.records("anchor:key").await;
    assert_eq!(told.len(), 1);
    // An auditor who trusts the first key alone follows.
    let settings = rack_gateway::config::AnchorSettings { key: first, ..site.settings.clone() };
    let trust = rack_gateway::audit::anchor::trust(&settings, &site.aws, ORIGIN).await.unwrap();
    let all = super::check(&site.objects().await, &trust, ORIGIN).await;
    assert_eq!(all.iter().map(|meta| meta.next_key.is_some()).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(all[1].signer, all[0].signer);
    assert_eq!((all[2].signer, all[3].signer), (all[3].signer, all[2].signer));
    assert_ne!(all[2].signer, all[1].signer);
    assert_eq!(told[0]["detail"]["to"].as_str(), Some(hex::encode(all[2].signer).as_str()));
    site.close().await;
}

#[tokio::test]
async fn what_was_put_can_be_hidden_but_not_taken_away() {
    let site = Site::bucket(Db::sqlite().await).await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let s3 = emulator::shared().await.s3();
    let (bucket, key) = (site.bucket_name(), ObjectKey::Checkpoint(1).path(ORIGIN));
    let objects = site.objects().await;
    let version = objects.versions(&key).await.unwrap().pop().unwrap().version;
    for bypass in [false, true] {
        let delete = s3.delete_object().bucket(bucket).key(&key).version_id(&version);
        let denied = delete.bypass_governance_retention(bypass).send().await.unwrap_err();
        assert_eq!(denied.raw_response().unwrap().status().as_u16(), 403);
    }
    let shorter = aws_sdk_s3::types::ObjectLockRetention::builder()
        .mode(ObjectLockRetentionMode::Governance)
        .retain_until_date(aws_sdk_s3::primitives::DateTime::from_secs(0));
    let shorten = s3.put_object_retention().bucket(bucket).key(&key).version_id(&version);
    assert!(shorten.retention(shorter.build()).send().await.is_err());
    // A marker hides it, and shows.
    s3.delete_object().bucket(bucket).key(&key).send().await.unwrap();
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(matches!(&error, AnchorError::Fault(Fault::Missing { key: gone }) if *gone == key), "{error}");
    let versions = objects.versions(&key).await.unwrap();
    assert!(versions.iter().any(|version| version.is_marker && version.is_latest));
    assert!(versions.iter().any(|kept| kept.version == version));
}

#[tokio::test]
async fn what_was_put_is_not_written_over_unnoticed() {
    let site = Site::bucket(Db::sqlite().await).await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let s3 = emulator::shared().await.s3();
    let (bucket, key) = (site.bucket_name(), ObjectKey::Checkpoint(1).path(ORIGIN));
    let put = || s3.put_object().bucket(bucket).key(&key).body(ByteStream::from_static(b"other"));
    let refused = put().if_none_match("*").send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 412);
    put().send().await.expect("only the policy of the bucket keeps it from being hidden");
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(matches!(error, AnchorError::Fault(Fault::Object { .. })), "{error}");
    assert_eq!(site.objects().await.versions(&key).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_there_is_not_put_again() {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let proxy = Proxy::to(emulator::shared().await.port).await;
    site.aws = Emulator::aws(proxy.port);
    let anchorer = site.anchorer();
    for (count, tiles) in [(600, 4), (0, 0), (1, 1), (200, 3)] {
        site.grow("record", count).await;
        let before = proxy.seen().len();
        anchorer.anchor(AnchorReason::Start).await.unwrap();
        let seen = proxy.seen().split_off(before);
        let puts = |what: &str| seen.iter().filter(|line| line.starts_with("PUT") && line.contains(what)).count();
        assert_eq!((puts("/tile/"), puts("/meta/"), puts("/checkpoint/")), (tiles, 1, 1), "{count} more: {seen:?}");
    }
    site.check().await;
}
