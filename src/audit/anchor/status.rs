//! How anchoring is, for health and logs; and the record of what is wrong, once.

use super::make::Anchorer;
use super::{AnchorError, Fault};
use crate::audit::{Event, EventKind};
use crate::store::{AnchorRow, RecordFilter, StoreError};

/// How anchoring is in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorStatus {
    /// Something contradicts what was anchored: nothing is signed until a person has looked.
    pub fault: Option<Fault>,
    /// Why the last try made no anchor, in words.
    pub trouble: Option<String>,
    /// Tries in a row that made none.
    pub failures: u32,
}

impl AnchorStatus {
    /// After one more try that failed.
    fn after(&self, error: &AnchorError) -> Self {
        let fault = match error {
            AnchorError::Fault(fault) => Some(fault.clone()),
            // What stands in the way now may hide a fault that is still there.
            _ => self.fault.clone(),
        };
        Self { fault, trouble: Some(error.to_string()), failures: self.failures.saturating_add(1) }
    }
}

impl Fault {
    /// What it is about, the same each time it is found.
    fn about(&self) -> String {
        match self {
            Self::Behind(behind) => format!("anchor {} of epoch {}", behind.anchor, behind.epoch),
            Self::Missing { key } | Self::Object { key, .. } => key.clone(),
            Self::Key { fingerprint } => fingerprint.clone(),
            Self::Clock { made_at, .. } => made_at.clone(),
            Self::Skew { .. } => "clock".to_owned(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.code(), self.about()) == (other.code(), other.about())
    }
}

impl Anchorer {
    /// Takes note of how a try ended.
    pub(super) async fn note(&self, done: &Result<AnchorRow, AnchorError>) {
        let error = match done {
            Err(AnchorError::Busy) => return,
            Ok(_) => {
                self.inner.status.send_replace(AnchorStatus::default());
                return;
            }
            Err(error) => error,
        };
        let before = self.inner.status.borrow().clone();
        let after = before.after(error);
        self.inner.status.send_replace(after.clone());
        if before.trouble != after.trouble {
            tracing::warn!(%error, "no anchor was made");
        }
        let AnchorError::Fault(fault) = error else { return };
        if !before.fault.is_some_and(|known| known.is_like(fault)) {
            self.tell(fault).await;
        }
    }

    async fn tell(&self, fault: &Fault) {
        if let Err(error) = self.record(fault).await {
            tracing::error!(%error, "a fault of the anchors could not be recorded");
        }
    }

    /// Records a fault, unless this was done since the last anchor.
    async fn record(&self, fault: &Fault) -> Result<(), AnchorError> {
        if self.is_recorded(fault).await? {
            return Ok(());
        }
        let detail = [("fault", fault.code().to_owned()), ("about", fault.about())];
        let event = Event {
            detail: detail.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            message: Some(fault.to_string()),
            ..Event::new(EventKind::System, "", "anchor:fault")
        };
        self.inner.parts.writer.append(event).await?;
        Ok(())
    }

    async fn is_recorded(&self, fault: &Fault) -> Result<bool, StoreError> {
        let filter = RecordFilter { action: Some("anchor:fault".to_owned()), ..RecordFilter::default() };
        let newest = self.store().records_search(&filter, None, 1).await?;
        let Some(record) = newest.first() else { return Ok(false) };
        let value: serde_json::Value = serde_json::from_slice(&record.canon).unwrap_or_default();
        let text = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
        // A database that is behind ends below the anchors, a clock that is behind before them.
        let is_since = self
            .store()
            .anchor_last()
            .await?
            .is_none_or(|last| record.seq > last.size || text("/ts") > last.made_at.as_str());
        Ok(is_since && text("/detail/fault") == fault.code() && text("/detail/about") == fault.about())
    }
}
