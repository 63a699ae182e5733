//! Bucket and KMS at their worst: slow, silent, gone, or answering so that nobody hears it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use rack_gateway::audit::anchor::{AnchorError, Aws, Signer, StartCheck, check_start};
use rack_gateway::audit::tree;
use rack_gateway::config::AnchorKey;
use rack_gateway::proof::anchor::{AnchorReason, Meta, ObjectKey};
use rack_gateway::proof::note::Note;

use super::{ORIGIN, Site};
use crate::harness::db::Db;
use crate::harness::emulator::{self, REGION};
use crate::harness::proxy::{Act, Proxy};

/// A site behind a proxy, with little patience.
async fn site() -> (Site, Proxy) {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let proxy = Proxy::to(emulator::shared().await.port).await;
    site.aws = impatient(proxy.port);
    (site, proxy)
}

fn impatient(port: u16) -> Aws {
    let url = format!("http://127.0.0.1:{port}");
    Aws::endpoint(&url, REGION, ("made-up-id", "made-up-secret"), Duration::from_secs(1))
}

#[tokio::test]
async fn short_troubles_are_passed_over() {
    let (site, proxy) = site().await;
    let anchorer = site.anchorer();
    let cases: &[(&[&str], Act)] = &[
        (&["GET"], Act::Slow),
        (&["PUT", "/tile/"], Act::Slow),
        (&["PUT", "/meta/"], Act::Slow),
        (&["PUT", "/checkpoint/"], Act::Slow),
        (&["GetPublicKey"], Act::Cut),
        (&["Sign"], Act::Cut),
        (&["Sign"], Act::Stall),
        (&["PUT", "/meta/"], Act::Cut),
        (&["PUT", "/meta/"], Act::CutAfter),
        (&["PUT", "/checkpoint/"], Act::CutAfter),
        (&["PUT", "/checkpoint/"], Act::Stall),
        (&["GET", "/checkpoint/"], Act::CutAfter),
    ];
    for (words, act) in cases {
        site.grow("record", 2).await;
        proxy.act(words, 1, *act);
        anchorer.anchor(AnchorReason::Start).await.unwrap_or_else(|error| panic!("{words:?} {act:?}: {error}"));
        proxy.behave();
    }
    assert_eq!(site.check().await.len(), cases.len(), "no number twice, none left out");
}

#[tokio::test]
async fn long_troubles_end_a_try_and_the_next_one_completes_it() {
    let (site, proxy) = site().await;
    let anchorer = site.anchorer();
    anchorer.anchor(AnchorReason::Start).await.unwrap();
    let mut made = 1;
    let cases: &[(&[&str], Act, usize)] = &[
        (&["GET"], Act::Slow, 1),
        (&["Sign"], Act::Stall, 1),
        (&["PUT", "/tile/"], Act::Cut, 1),
        (&["PUT", "/meta/"], Act::Slow, 1),
        (&["PUT", "/meta/"], Act::CutAfter, 2),
        (&["PUT", "/checkpoint/"], Act::Slow, 2),
        (&["PUT", "/checkpoint/"], Act::CutAfter, 2),
    ];
    for (words, act, more) in cases {
        site.grow("record", 2).await;
        proxy.act(words, u32::MAX, *act);
        let asked = Instant::now();
        let error = anchorer.anchor(AnchorReason::Start).await.unwrap_err();
        assert!(matches!(error, AnchorError::Unavailable { .. }), "{words:?} {act:?}: {error}");
        assert!(asked.elapsed() < Duration::from_secs(20), "{words:?} {act:?}: {:?}", asked.elapsed());
        assert!(anchorer.status().borrow().trouble.is_some());
        assert_eq!(anchorer.status().borrow().fault, None);
        proxy.behave();
        anchorer.anchor(AnchorReason::Start).await.unwrap();
        made += more;
        assert_eq!(site.check().await.len(), made, "{words:?} {act:?}");
    }
    assert_eq!(site.records("anchor:fault").await.len(), 0, "a network is no fault");
}

#[tokio::test]
async fn what_cannot_be_reached_does_not_keep_a_gateway_from_starting() {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    site.aws = impatient(free);
    let checked = check_start(&site.settings, &site.aws, &site.keeper, ORIGIN).await.unwrap();
    assert!(matches!(checked, StartCheck::Unchecked(_)), "{checked:?}");
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(matches!(error, AnchorError::Unavailable { .. }), "{error}");
}

/// Lists come in pages of a thousand; the database knows none of them.
#[tokio::test]
async fn more_than_a_thousand_anchors() {
    const MANY: u64 = 1_010;
    let mut site = Site::bucket(Db::sqlite().await).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    rack_gateway::audit::anchor::make_key_file(&file).unwrap();
    site.settings.key = AnchorKey::File(file);
    let signer = Signer::open(&site.settings.key, &site.aws).await.unwrap();
    site.grow("record", 3).await;
    site.keeper.catch_up(4).await.unwrap();
    let (root, chain) = (tree::root(&site.store, 4).await.unwrap(), tree::chain_at(&site.store, 4).await.unwrap());
    let mut notes = Vec::new();
    let mut digests = (None, None);
    for number in 1..=MANY {
        let at = format!("2026-01-01T00:{:02}:{:02}.000000Z", number / 60, number % 60);
        let meta = Meta {
            account: None,
            anchor: number,
            bucket: site.bucket_name().to_owned(),
            bundle: None,
            chain,
            development: true,
            epoch: 1,
            last_ts: Some(at.clone()),
            made_at: at.clone(),
            next_due: at,
            next_key: None,
            origin: ORIGIN.to_owned(),
            prev_checkpoint: digests.0,
            prev_meta: digests.1,
            reason: AnchorReason::Interval,
            region: Some(REGION.to_owned()),
            root,
            signer: *signer.public().fingerprint(),
            size: 4,
            version: "0.1.0".to_owned(),
        };
        let checkpoint = signed(&signer, meta.checkpoint().text()).await;
        let note = signed(&signer, meta.text()).await;
        digests = (Some(Note::digest(&checkpoint)), Some(Note::digest(&note)));
        notes.push((ObjectKey::Checkpoint(number), checkpoint));
        notes.push((ObjectKey::Meta(number), note));
    }
    let tile = rack_gateway::proof::tile::TileId { level: 0, index: 0, width: 4 };
    notes.push((ObjectKey::Tile(tile), tree::tile(&site.store, tile).await.unwrap()));
    let objects = site.objects().await;
    let now = time::OffsetDateTime::now_utc();
    stream::iter(notes)
        .for_each_concurrent(16, async |(key, bytes)| {
            objects.put_new(&key.path(ORIGIN), bytes.into(), now).await.unwrap();
        })
        .await;
    let made = site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    assert_eq!(made.number, MANY + 1);
    let rows = site.store.anchors_after(0, 0, 2_000).await.unwrap();
    assert_eq!(rows.len() as u64, MANY + 1, "the database has them again");
    assert_eq!(objects.versions(&format!("v1/{ORIGIN}/")).await.unwrap().len() as u64, 2 * (MANY + 1) + 1);
    let again = site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    assert_eq!(again.number, MANY + 2);
}

async fn signed(signer: &Signer, text: String) -> Vec<u8> {
    let mut note = Note { text, signatures: Vec::new() };
    let signature = signer.sign(note.text.as_bytes()).await.unwrap();
    note.sign(ORIGIN, signer.public(), signature);
    note.encode().into_bytes()
}

#[tokio::test]
async fn a_bucket_or_key_that_is_not_there_is_named() {
    let mut site = Site::bucket(Db::sqlite().await).await;
    let good = site.settings.clone();
    let other = emulator::shared().await.key(aws_sdk_kms::types::KeySpec::EccNistP384).await;
    site.settings.key = AnchorKey::Kms(other);
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(error.to_string().contains("ECC_NIST_P256"), "{error}");
    site.settings = good;
    site.settings.place =
        rack_gateway::config::AnchorPlace::S3 { bucket: "no-such-bucket-of-ours".to_owned(), account: None };
    let error = site.anchorer().anchor(AnchorReason::Start).await.unwrap_err();
    assert!(matches!(&error, AnchorError::Unusable(text) if text.contains("no bucket")), "{error}");
}
