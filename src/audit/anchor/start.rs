//! Before anything is served: does the database hold what was anchored? Only the store of the anchors is
//! read, so that a process that serves needs no more than that.

use std::time::Duration;

use super::aws::Aws;
use super::found::{Found, Shelf};
use super::log::Log;
use super::objects::Objects;
use super::{AnchorError, Fault};
use crate::audit::Keeper;
use crate::config::AnchorSettings;

/// How long a start waits for the store of the anchors.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the check at the start showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartCheck {
    /// The database holds what was anchored; nothing was, if none.
    Holds(Option<u64>),
    /// It could not be checked; why.
    Unchecked(String),
}

/// Compares the database with the last anchor. `origin` is the name that a log which has not begun
/// would get.
///
/// # Errors
/// [`Fault::Behind`] when it holds less than what was anchored, or something else: nothing may be
/// served then. [`AnchorError::Store`].
pub async fn check_start(
    settings: &AnchorSettings,
    aws: &Aws,
    keeper: &Keeper,
    origin: &str,
) -> Result<StartCheck, AnchorError> {
    let check = async {
        let objects = Objects::open(settings, aws).await?;
        let log = Log::read(keeper).await?.unwrap_or_else(|| Log::empty(keeper, origin));
        compare(&objects, &log).await
    };
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(last)) => Ok(StartCheck::Holds(last)),
        Ok(Err(error @ (AnchorError::Store(_) | AnchorError::Fault(Fault::Behind(_))))) => Err(error),
        Ok(Err(error)) => Ok(StartCheck::Unchecked(error.to_string())),
        Err(_) => Ok(StartCheck::Unchecked("the store of the anchors does not answer in time".to_owned())),
    }
}

/// The size of the last anchor, if the log holds what it covers.
async fn compare(objects: &Objects, log: &Log) -> Result<Option<u64>, AnchorError> {
    let Some(last) = newest(objects, log).await? else { return Ok(None) };
    if last.meta.epoch < log.epoch || log.holds(&last.meta).await? {
        return Ok(Some(last.meta.size));
    }
    Err(log.behind(objects, &last.meta, Some(&last.meta)).await?.into())
}

/// The last anchor of the log, in whatever epoch: a database that is behind may lack the last ones.
pub(super) async fn newest(objects: &Objects, log: &Log) -> Result<Option<Found>, AnchorError> {
    let mut epoch = log.epoch;
    while Shelf::new(objects, &log.origin, epoch + 1).is_begun().await? {
        epoch += 1;
    }
    let known = log.store().anchor_last().await?.filter(|row| row.epoch == epoch).map_or(0, |row| row.number);
    for epoch in (1..=epoch).rev() {
        let known = if epoch == log.epoch { known } else { 0 };
        if let Some(found) = Shelf::new(objects, &log.origin, epoch).last(known).await?.whole {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
