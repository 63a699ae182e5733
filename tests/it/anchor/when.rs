//! When anchors are made.

use std::time::Duration;

use rack_gateway::proof::anchor::{AnchorReason, Meta};
use rack_gateway::proof::note::Note;
use rack_gateway::store::AnchorRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::Site;
use crate::harness::db::Db;
use crate::harness::until;

mod both {
    crate::on_both!(at_the_start_when_it_is_time_and_at_the_end, when_there_are_enough_records);
}

fn meta(row: &AnchorRow) -> Meta {
    Meta::parse(&Note::parse(&row.meta).unwrap().text).unwrap()
}

/// Waits until there are so many anchors.
async fn anchors(site: &Site, count: usize) -> Vec<Meta> {
    let rows = until("anchors are made", || async {
        let rows = site.store.anchors_after(0, 0, 100).await.ok()?;
        (rows.len() >= count).then_some(rows)
    });
    rows.await.iter().map(meta).collect()
}

fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

async fn at_the_start_when_it_is_time_and_at_the_end(db: Db) {
    let mut site = Site::folder(db).await;
    site.settings.interval = Duration::from_secs(1);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(site.anchorer().run(stopped));
    let made = anchors(&site, 3).await;
    // Nothing was added, and still the promise is kept.
    let reasons: Vec<_> = made.iter().take(3).map(|meta| meta.reason).collect();
    assert_eq!(reasons, [AnchorReason::Start, AnchorReason::Interval, AnchorReason::Interval]);
    for pair in made.windows(2) {
        assert_eq!(at(&pair[0].next_due) - at(&pair[0].made_at), time::Duration::seconds(2));
        assert!(at(&pair[1].made_at) - at(&pair[0].made_at) >= time::Duration::seconds(1));
    }
    site.grow("last", 1).await;
    stop.send_replace(true);
    running.await.unwrap();
    let last = site.store.anchor_last().await.unwrap().unwrap();
    assert_eq!((meta(&last).reason, last.size), (AnchorReason::Stop, site.size().await));
    site.check().await;
    site.close().await;
}

async fn when_there_are_enough_records(db: Db) {
    let mut site = Site::folder(db).await;
    site.settings.interval = Duration::from_secs(3_600);
    site.settings.records = 5;
    let (stop, stopped) = watch::channel(false);
    let replicas = [site.anchorer(), site.anchorer()].map(|anchorer| tokio::spawn(anchorer.run(stopped.clone())));
    // One at the start of each.
    anchors(&site, 2).await;
    site.grow("record", 7).await;
    let made = anchors(&site, 3).await;
    assert_eq!((made[2].reason, made[2].size), (AnchorReason::Count, 8));
    site.grow("record", 4).await;
    site.grow("record", 1).await;
    let made = anchors(&site, 4).await;
    assert_eq!((made[3].reason, made[3].size), (AnchorReason::Count, 13));
    stop.send_replace(true);
    for replica in replicas {
        replica.await.unwrap();
    }
    assert!(site.check().await.len() >= 5);
    site.close().await;
}
