//! The anchorer dies (`kill -9`) at every step: no number is made twice, nothing is anchored that was not
//! written, and the next run completes what was begun.

use rack_gateway::config::{AnchorKey, AnchorPlace};

use super::Site;
use crate::harness::binary::{Started, command};
use crate::harness::db::Db;
use crate::harness::emulator::{self, Emulator};
use crate::harness::proxy::{Act, Proxy};
use crate::harness::until;

mod both {
    crate::on_both!(killed_at_every_step);
}

/// What the binary needs to make anchors of that site.
pub async fn environment(site: &Site, port: u16) -> Vec<(&'static str, String)> {
    let mut env = vec![("RGW_DATABASE_URL", site.db.url().await), ("RACK", "acme/dev".to_owned())];
    match &site.settings.place {
        AnchorPlace::S3 { bucket, .. } => env.push(("AUDIT_ANCHOR_BUCKET", bucket.clone())),
        AnchorPlace::Folder(path) => env.push(("AUDIT_ANCHOR_BUCKET", format!("file://{}", path.display()))),
    }
    match &site.settings.key {
        AnchorKey::Kms(id) => env.push(("AUDIT_ANCHOR_KMS_KEY_ID", id.clone())),
        AnchorKey::File(path) => env.push(("AUDIT_ANCHOR_KEY_FILE", path.display().to_string())),
    }
    env.extend(Emulator::environment(port));
    env
}

pub fn start(arguments: &[&str], env: &[(&'static str, String)]) -> Started {
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Started::new(command(arguments, &env))
}

async fn killed_at_every_step(db: Db) {
    let site = Site::bucket(db).await;
    let emulator = emulator::shared().await;
    let proxy = Proxy::to(emulator.port).await;
    let (through, direct) = (environment(&site, proxy.port).await, environment(&site, emulator.port).await);
    let steps: &[(&[&str], Act)] = &[
        (&["PUT", "/tile/"], Act::HoldBefore),
        (&["PUT", "/tile/"], Act::HoldAfter),
        (&["TrentService.Sign"], Act::HoldAfter),
        (&["PUT", "/meta/"], Act::HoldBefore),
        (&["PUT", "/meta/"], Act::HoldAfter),
        (&["PUT", "/checkpoint/"], Act::HoldBefore),
        (&["PUT", "/checkpoint/"], Act::HoldAfter),
        (&["GET", "/checkpoint/NEXT"], Act::HoldAfter),
    ];
    for (words, act) in steps {
        site.grow("record", 3).await;
        let before = site.check().await.len();
        let next = format!("/checkpoint/{:012}", before + 1);
        let words: Vec<_> = words.iter().map(|word| if word.ends_with("NEXT") { &next } else { *word }).collect();
        proxy.act(&words, 1, *act);
        let mut dying = start(&["anchor", "--once"], &through);
        proxy.held().await;
        dying.child.kill().await.unwrap();
        proxy.behave();
        let between = site.check().await;
        let size = site.size().await;
        assert!(between.iter().all(|meta| meta.size <= size), "{words:?} {act:?}");
        // A turn ends a moment after the process.
        let said = until("the next run completes it", || async {
            let (status, out, err) = start(&["anchor", "--once"], &direct).ended().await;
            if status.success() {
                Some(out)
            } else {
                err.contains("another process").then_some(()).map_or_else(|| panic!("{err}"), |()| None)
            }
        })
        .await;
        let all = site.check().await;
        assert!(all.len() > between.len(), "{words:?} {act:?}");
        assert!(said.starts_with(&format!("anchor {} of epoch 1: {size} records", all.len())), "{said}");
        let rows = site.store.anchors_after(0, 0, 1_000).await.unwrap();
        assert_eq!(rows.len(), all.len(), "{words:?} {act:?}: the database knows them all");
    }
    site.close().await;
}
