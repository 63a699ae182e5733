//! Several anchorers at once: each number is made once.

use rack_gateway::audit::anchor::{AnchorError, Anchorer};
use rack_gateway::proof::anchor::AnchorReason;

use super::Site;
use crate::harness::db::Db;
use crate::harness::emulator::{self, Emulator};
use crate::harness::postgres;
use crate::harness::proxy::{Act, Proxy};

mod both {
    crate::on_both!(anchorers_take_turns, the_last_guard_is_the_bucket);
}

async fn anchorers_take_turns(db: Db) {
    let site = Site::bucket(db).await;
    // As two processes would be.
    let mut other = site.parts();
    other.keeper = rack_gateway::audit::Keeper::new(site.db.store().await);
    let anchorers = [site.anchorer(), site.anchorer(), Anchorer::new(other)];
    let tasks = anchorers.map(|anchorer| {
        tokio::spawn(async move {
            let (mut made, mut busy) = (0, 0);
            while made < 3 {
                match anchorer.anchor(AnchorReason::Start).await {
                    Ok(_) => made += 1,
                    Err(AnchorError::Busy) => busy += 1,
                    Err(error) => panic!("{error}"),
                }
                tokio::task::yield_now().await;
            }
            busy
        })
    });
    let mut busy = 0;
    for task in tasks {
        busy += task.await.unwrap();
    }
    assert!(busy > 0, "nobody had to wait");
    assert_eq!(site.check().await.len(), 9);
    assert_eq!(site.store.anchors_after(0, 0, 100).await.unwrap().len(), 9);
    site.close().await;
}

/// Takes the turn away from whoever has it, as a lost session would.
async fn steal_turn(db: &Db) {
    match db {
        Db::Sqlite(_) => {
            let lock = format!("{}.anchor.lock", db.file().unwrap().display());
            std::fs::remove_file(lock).unwrap();
        }
        Db::Postgres(name) => postgres::shared().await.execute("postgres", &postgres::cut(name)).await,
    }
}

async fn the_last_guard_is_the_bucket(db: Db) {
    let mut site = Site::bucket(db).await;
    let proxy = Proxy::to(emulator::shared().await.port).await;
    let direct = site.anchorer();
    site.aws = Emulator::aws(proxy.port);
    direct.anchor(AnchorReason::Start).await.unwrap();
    for place in ["/meta/", "/checkpoint/"] {
        let before = site.check().await.len();
        proxy.act(&["PUT", place], 1, Act::HoldBefore);
        let late = site.anchorer();
        let late = tokio::spawn(async move { late.anchor(AnchorReason::Start).await });
        proxy.held().await;
        steal_turn(&site.db).await;
        let quick = super::persist_with(&direct, AnchorReason::Start).await;
        proxy.release();
        // It found another one in its place, and made its own after it; or lost its database.
        let late = late.await.unwrap();
        let all = site.check().await;
        assert!(all.len() > before && quick.number > before as u64, "{place}");
        if let Ok(late) = late {
            assert_ne!((late.number, &late.checkpoint), (quick.number, &quick.checkpoint), "{place}");
        }
        site.aws = Emulator::aws(proxy.port);
    }
    super::persist(&site, AnchorReason::Start).await;
    let all = site.check().await;
    assert_eq!(site.store.anchors_after(0, 0, 100).await.unwrap().len(), all.len());
}
