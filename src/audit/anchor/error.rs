//! Why no anchor was made, by what must be done about it.

use std::fmt;

use crate::audit::Unavailable;
use crate::store::StoreError;

/// No anchor was made.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The bucket or KMS does not answer, or asks for patience. The next try may succeed.
    #[error("{what} does not answer: {cause}")]
    Unavailable {
        /// Which of them.
        what: &'static str,
        /// Why, as far as it is known.
        cause: String,
    },
    /// The bucket or KMS refuses: credentials or policies have to be changed.
    #[error("{what} refuses: {cause}; `rack-gateway-api audit init` prints the policies that are needed")]
    Refused {
        /// Which of them.
        what: &'static str,
        /// Its own words.
        cause: String,
    },
    /// The bucket, the key or a setting is not as it must be.
    #[error("{0}")]
    Unusable(String),
    /// The log has no record yet: nothing has ever served from this database.
    #[error("the log has not begun: nothing has served from this database yet")]
    NotBegun,
    /// Another process makes an anchor now.
    #[error("another process makes an anchor now")]
    Busy,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record that must be written first cannot be.
    #[error(transparent)]
    Audit(#[from] Unavailable),
    /// Something contradicts what was anchored: nothing is signed until a person has looked.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Something contradicts what was anchored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The database does not hold what was anchored.
    #[error(transparent)]
    Behind(Behind),
    /// An object that was there is not.
    #[error("{key} is no longer in the store of the anchors")]
    Missing {
        /// Its key.
        key: String,
    },
    /// An object is not what it must be: other bytes, or no note.
    #[error("{key} is {what}")]
    Object {
        /// Its key.
        key: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The key that signs is not the one that signed last, and was not handed over to.
    #[error(
        "the last anchor was signed by a key that is not configured ({fingerprint}): set it as the key of the anchors, \
         and the new one as AUDIT_ANCHOR_NEXT_KMS_KEY_ID (or AUDIT_ANCHOR_NEXT_KEY_FILE)"
    )]
    Key {
        /// Fingerprint of the key that signed last, in hex.
        fingerprint: String,
    },
    /// The last anchor was made in the future, by this machine's clock.
    #[error("the clock stands at {now}, and the last anchor was made at {made_at}: set the clock")]
    Clock {
        /// This machine's time.
        now: String,
        /// When the last anchor was made.
        made_at: String,
    },
    /// The clock of the store of the anchors differs.
    #[error("the clock of this machine and that of the bucket are {seconds} seconds apart: set the clock")]
    Skew {
        /// How far.
        seconds: u64,
    },
}

impl Fault {
    /// The word in records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Behind(_) => "behind",
            Self::Missing { .. } => "missing",
            Self::Object { .. } => "object",
            Self::Key { .. } => "key",
            Self::Clock { .. } => "clock",
            Self::Skew { .. } => "skew",
        }
    }
}

/// The database holds less than what was anchored, or something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Epoch of the last anchor.
    pub epoch: u64,
    /// Its number.
    pub anchor: u64,
    /// Records that it covers.
    pub size: u64,
    /// Records of the database.
    pub records: u64,
    /// Records up to this one are as they were anchored: the size of the last anchor that fits.
    pub kept: u64,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, anchor, size, records, kept } = self;
        write!(
            f,
            "the database does not hold what was anchored: anchor {anchor} of epoch {epoch} covers records 1 to \
             {size}, the database ends at {records}, and is as it was anchored up to {kept}. Restore it, or, when \
             the rest is lost, declare that: rack-gateway-api audit epoch --reason '…' --approver '…'"
        )
    }
}

impl std::error::Error for Behind {}

impl From<Behind> for AnchorError {
    fn from(behind: Behind) -> Self {
        Self::Fault(Fault::Behind(behind))
    }
}
