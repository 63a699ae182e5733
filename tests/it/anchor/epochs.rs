//! A database that was restored from an older backup: nothing is served from it before an operator
//! declares what is lost, and then the log goes on under another name.

use rack_gateway::audit::anchor::{AnchorError, Fault, StartCheck, check_start, declare_epoch};
use rack_gateway::proof::anchor::{AnchorReason, epoch_origin};

use super::{ORIGIN, Site, check};
use crate::harness::db::Db;

mod both {
    crate::on_both!(a_break_is_declared, a_log_that_is_whole_starts);
}

async fn start(site: &Site) -> Result<StartCheck, AnchorError> {
    check_start(&site.settings, &site.aws, &site.keeper, ORIGIN).await
}

/// What the last anchor covers, how many records there are, and how many of them are as anchored.
async fn behind(site: &Site) -> (u64, u64, u64, u64) {
    match start(site).await {
        Err(AnchorError::Fault(Fault::Behind(behind))) => {
            let text = behind.to_string();
            assert!(text.contains("rack-gateway-api audit epoch --reason"), "{text}");
            (behind.anchor, behind.size, behind.records, behind.kept)
        }
        other => panic!("{other:?}"),
    }
}

async fn a_log_that_is_whole_starts(db: Db) {
    let site = Site::folder(db).await;
    assert_eq!(start(&site).await.unwrap(), StartCheck::Holds(None));
    site.grow("record", 5).await;
    site.anchorer().anchor(AnchorReason::Start).await.unwrap();
    site.grow("record", 5).await;
    assert_eq!(start(&site).await.unwrap(), StartCheck::Holds(Some(6)));
    let error = declare_epoch(&site.parts(), "a whim", "ada@example.com").await.unwrap_err();
    assert!(error.to_string().contains("nothing is lost"), "{error}");
    site.close().await;
}

async fn a_break_is_declared(db: Db) {
    let site = Site::bucket(db).await;
    let copy = {
        for _ in 0..3 {
            site.grow("record", 5).await;
            site.anchorer().anchor(AnchorReason::Start).await.unwrap();
        }
        site.db.copy().await
    };
    for _ in 0..4 {
        site.grow("lost", 5).await;
        super::persist(&site, AnchorReason::Start).await;
    }
    let restored = site.with(copy).await;
    assert_eq!(behind(&restored).await, (7, 36, 16, 16));
    restored.grow("other", 40).await;
    assert_eq!(behind(&restored).await, (7, 36, 56, 16));
    for (reason, approver) in [("", "ada"), ("lost", " ")] {
        assert!(matches!(declare_epoch(&restored.parts(), reason, approver).await, Err(AnchorError::Unusable(_))));
    }
    let row = declare_epoch(&restored.parts(), "the disk died", "ada@example.com").await.unwrap();
    assert_eq!((row.number, row.seq, row.kept), (2, 57, 16));
    let told = restored.records("audit:epoch").await;
    assert_eq!((told.len(), told[0]["kind"].as_str()), (1, Some("epoch")));
    let declared = &told[0]["epoch"];
    assert_eq!((&declared["anchor"], &declared["kept"], &declared["lost"]), (&7.into(), &16.into(), &36.into()));
    assert_eq!(told[0]["detail"]["approver"], "ada@example.com");
    assert!(matches!(start(&restored).await.unwrap(), StartCheck::Holds(_)));
    let made = restored.anchorer().anchor(AnchorReason::Start).await.unwrap();
    assert_eq!((made.epoch, made.number), (2, 1));
    assert!(made.size >= row.seq);
    assert!(declare_epoch(&restored.parts(), "again", "ada@example.com").await.is_err());
    let trust = rack_gateway::audit::anchor::trust(&site.settings, &site.aws, ORIGIN).await.unwrap();
    let objects = site.objects().await;
    assert_eq!(check(&objects, &trust, ORIGIN).await.len(), 7, "what was anchored stays");
    assert_eq!(check(&objects, &trust, &epoch_origin(ORIGIN, 2)).await.len(), 1);
    // Whoever exports the log has the anchors of the lost branch as well.
    let rows = restored.store.anchors_after(0, 0, 100).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.epoch, row.number)).collect::<Vec<_>>().len(), 8);
    // The lost branch, found again, is no longer this log.
    assert_eq!(site.anchorer().anchor(AnchorReason::Start).await.map(|row| row.epoch).ok(), Some(1));
    restored.close().await;
}
