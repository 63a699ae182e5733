//! Declaring a break of the log: what was anchored is lost, an operator says so, and the log goes on in
//! the next epoch. The record comes first.

use super::found::Shelf;
use super::log::Log;
use super::make::AnchorParts;
use super::session::Session;
use super::start::newest;
use super::{AnchorError, Fault};
use crate::audit::{Actor, Epoch, Event, EventKind};
use crate::proof::note::Note;
use crate::store::{EpochRow, RecordFilter};

/// Shortest and longest reason and name, in bytes.
const WORDS: std::ops::RangeInclusive<usize> = 3..=500;

/// Declares that the records after the last anchor that the database holds are lost. `reason` says
/// why, `approver` who agreed.
///
/// # Errors
/// [`AnchorError::Unusable`] when nothing is lost, or reason or approver say nothing; see
/// [`AnchorError`] for the rest. When the record was written and not noted, the same call notes it.
pub async fn declare_epoch(parts: &AnchorParts, reason: &str, approver: &str) -> Result<EpochRow, AnchorError> {
    let (reason, approver) = (reason.trim(), approver.trim());
    if !WORDS.contains(&reason.len()) || !WORDS.contains(&approver.len()) {
        let text = "say why the records are lost, and who agreed, in 3 to 500 bytes each";
        return Err(AnchorError::Unusable(text.to_owned()));
    }
    let log = Log::read(&parts.keeper).await?.ok_or(AnchorError::NotBegun)?;
    if let Some(row) = unnoted(&log).await? {
        log.store().epoch_add(row).await?;
        return Ok(row);
    }
    let session = Session::open(&parts.settings, &parts.aws).await?;
    let last = newest(&session.objects, &log).await?;
    let last = last.ok_or_else(|| AnchorError::Unusable("nothing was anchored, so nothing is lost".to_owned()))?;
    if !last.is_signed_by(session.in_force(&last)?.public()) {
        let key = crate::proof::anchor::ObjectKey::Checkpoint(last.meta.anchor).path(&last.meta.origin);
        return Err(Fault::Object { key, what: "not signed by our key" }.into());
    }
    if last.meta.epoch < log.epoch || (last.meta.epoch == log.epoch && log.holds(&last.meta).await?) {
        let text = "the database holds what was anchored: nothing is lost, and no break is declared";
        return Err(AnchorError::Unusable(text.to_owned()));
    }
    let kept = log.kept(&session.objects, &last.meta).await?.map_or(0, |found| found.meta.size);
    // Whoever exports the log needs the anchors of the lost branch too.
    let known = log.store().anchor_last().await?.filter(|row| row.epoch == last.meta.epoch);
    let shelf = Shelf::new(&session.objects, &log.origin, last.meta.epoch);
    shelf.note_rows(log.store(), known.map_or(0, |row| row.number), &last).await?;
    let epoch = Epoch {
        number: last.meta.epoch + 1,
        anchor: last.meta.anchor,
        checkpoint: Note::digest(&last.checkpoint),
        kept,
        lost: last.meta.size,
    };
    let detail = [("reason", reason), ("approver", approver)];
    let event = Event {
        actor: Some(Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() }),
        detail: detail.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        message: Some(format!(
            "records {} to {} as they were anchored are not (all) in this log",
            kept + 1,
            epoch.lost
        )),
        epoch: Some(epoch.clone()),
        ..Event::new(EventKind::Epoch, "", "audit:epoch")
    };
    let seq = parts.writer.append(event).await?.seq;
    let row = EpochRow { number: epoch.number, seq, kept };
    log.store().epoch_add(row).await?;
    Ok(row)
}

/// An epoch whose record is there and whose row is not: its declaration was interrupted.
async fn unnoted(log: &Log) -> Result<Option<EpochRow>, AnchorError> {
    let filter = RecordFilter { action: Some("audit:epoch".to_owned()), ..RecordFilter::default() };
    let found = log.store().records_search(&filter, None, 1).await?;
    let Some(record) = found.first() else { return Ok(None) };
    let value: serde_json::Value = serde_json::from_slice(&record.canon).unwrap_or_default();
    let number = |name: &str| value.pointer(&format!("/epoch/{name}")).and_then(serde_json::Value::as_u64);
    let row = number("number").zip(number("kept")).map(|(number, kept)| EpochRow { number, seq: record.seq, kept });
    Ok(row.filter(|row| row.number > log.epoch && value.pointer("/kind").is_some_and(|kind| kind == "epoch")))
}
