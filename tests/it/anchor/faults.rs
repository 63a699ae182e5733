//! What contradicts is not signed: it is recorded once, and anchoring goes on when it is gone.

use std::sync::atomic::Ordering;

use aws_sdk_s3::primitives::ByteStream;
use rack_gateway::audit::anchor::{AnchorError, Fault, Objects};
use rack_gateway::proof::anchor::{AnchorReason, ObjectKey};

use super::{ORIGIN, Site};
use crate::harness::db::Db;
use crate::harness::emulator::{self, Emulator};
use crate::harness::proxy::Proxy;

mod both {
    crate::on_both!(a_fault_is_recorded_once);
}

/// Tries to make an anchor, which must be a fault of that code; the number of objects stays.
async fn faulty(site: &Site, objects: &Objects, code: &str) {
    let before = objects.versions("v1/").await.unwrap().len();
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    let AnchorError::Fault(fault) = &error else { panic!("{code}: {error}") };
    assert_eq!(fault.code(), code, "{error}");
    assert_eq!(objects.versions("v1/").await.unwrap().len(), before, "{code}: nothing is put");
}

async fn a_fault_is_recorded_once(db: Db) {
    let site = Site::folder(db).await;
    let objects = site.objects().await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    site.ahead.store(-3_600, Ordering::SeqCst);
    let anchorer = site.anchorer();
    for _ in 0..2 {
        assert!(matches!(anchorer.anchor(AnchorReason::Start).await, Err(AnchorError::Fault(Fault::Clock { .. }))));
    }
    assert!(anchorer.status().borrow().fault.is_some());
    // Another process finds the same.
    faulty(&site, &objects, "clock").await;
    let told = site.records("anchor:fault").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["kind"], &told[0]["detail"]["fault"]), (&"system".into(), &"clock".into()));
    site.ahead.store(0, Ordering::SeqCst);
    anchorer.anchor(AnchorReason::Start).await.unwrap();
    assert_eq!(*anchorer.status().borrow(), Default::default());
    assert_eq!(site.check().await.len(), 2);
    // The same again, after an anchor, is another one.
    site.ahead.store(-3_600, Ordering::SeqCst);
    faulty(&site, &objects, "clock").await;
    assert_eq!(site.records("anchor:fault").await.len(), 2);
    site.close().await;
}

#[tokio::test]
async fn the_clock_of_the_bucket_is_another() {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let objects = site.objects().await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let proxy = Proxy::to(emulator::shared().await.port).await;
    site.aws = Emulator::aws(proxy.port);
    proxy.skew(-600);
    faulty(&site, &objects, "skew").await;
    proxy.skew(600);
    faulty(&site, &objects, "skew").await;
    proxy.behave();
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    assert_eq!(site.check().await.len(), 2);
}

#[tokio::test]
async fn another_log_is_not_signed_in_the_place_of_this_one() {
    let site = Site::folder(Db::sqlite().await).await;
    let objects = site.objects().await;
    site.grow("one", 5).await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let behind = site.with(Db::sqlite().await).await;
    behind.grow("two", 2).await;
    faulty(&behind, &objects, "behind").await;
    // More records make it no better, nor does the record of the fault.
    behind.grow("two", 20).await;
    faulty(&behind, &objects, "behind").await;
    assert_eq!(behind.records("anchor:fault").await.len(), 1);
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    assert_eq!(site.check().await.len(), 2);
}

#[tokio::test]
async fn objects_that_are_none_of_ours() {
    let site = Site::bucket(Db::sqlite().await).await;
    let objects = site.objects().await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let s3 = emulator::shared().await.s3();
    let put = async |key: ObjectKey, bytes: Vec<u8>| {
        let put = s3.put_object().bucket(site.bucket_name()).key(key.path(ORIGIN));
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    };
    // Metadata under the next number: the anchor would complete it.
    put(ObjectKey::Meta(2), b"nothing".to_vec()).await;
    faulty(&site, &objects, "object").await;
    // That of another key, well-formed.
    let other = Site::bucket(Db::sqlite().await).await;
    other.anchorer().anchor(AnchorReason::Start).await.unwrap();
    let theirs = other.objects().await.get(&ObjectKey::Meta(1).path(ORIGIN)).await.unwrap().unwrap();
    put(ObjectKey::Meta(2), theirs.to_vec()).await;
    faulty(&site, &objects, "object").await;
    // A checkpoint that nobody made.
    put(ObjectKey::Checkpoint(3), b"nothing".to_vec()).await;
    faulty(&site, &objects, "missing").await;
}
