//! Records on their way into the check: many in one buffer.

use crate::proof::chain::Hash;

/// Some records in order.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    start: usize,
    end: usize,
    leaf: Option<Hash>,
    flaw: Option<&'static str>,
    stored: Option<StoredRecord>,
}

/// What a database says of a record besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub seq: u64,
    /// The hash of its bytes.
    pub leaf: Vec<u8>,
    /// The chain value after it.
    pub chain: Vec<u8>,
    /// `ts`, `kind`, `req`, `actor.id`, `action`, `resource`, `decision`, `instance` and `intent` as they
    /// are stored for searching, joined by U+001F, an absent one as U+001E.
    pub columns: String,
}

/// One record of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// Its hash, where not all bytes are here.
    pub(super) leaf: Option<Hash>,
    /// What is wrong with it already.
    pub(super) flaw: Option<&'static str>,
    pub(super) stored: Option<&'a StoredRecord>,
}

impl Page {
    /// Takes all records out.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Adds a record.
    pub fn push(&mut self, bytes: &[u8]) {
        self.add(bytes, None, None, None);
    }

    /// Adds a record that is in itself not as it must be.
    pub fn push_flawed(&mut self, bytes: &[u8], flaw: &'static str) {
        self.add(bytes, None, Some(flaw), None);
    }

    /// Adds a record that is larger than any may be: its hash is enough.
    pub fn push_oversized(&mut self, leaf: Hash) {
        self.add(&[], Some(leaf), Some("larger than 64 KiB"), None);
    }

    /// Adds a record of a database.
    pub fn push_stored(&mut self, bytes: &[u8], stored: StoredRecord) {
        self.add(bytes, None, None, Some(stored));
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of all.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, bytes: &[u8], leaf: Option<Hash>, flaw: Option<&'static str>, stored: Option<StoredRecord>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.places.push(Place { start, end: self.bytes.len(), leaf, flaw, stored });
    }

    /// The records.
    pub(super) fn lines(&self) -> Vec<Line<'_>> {
        let lines = self.places.iter().map(|place| {
            let bytes = self.bytes.get(place.start..place.end).unwrap_or_default();
            Line { bytes, leaf: place.leaf, flaw: place.flaw, stored: place.stored.as_ref() }
        });
        lines.collect()
    }
}
