//! What one record says, without looking at any other: the part of the check that runs on all cores.

use super::Code;
use super::page::{Line, StoredRecord};
use crate::proof::canonical::{self, Raw, Scalar};
use crate::proof::chain::{self, Hash};
use crate::proof::moment::Moment;

/// Version of the format of records.
const VERSION: i64 = 1;
/// Between two searchable columns of a [`StoredRecord`].
const JOIN: char = '\u{1f}';
/// In place of a searchable column that is not there.
const ABSENT: &str = "\u{1e}";

/// What matters about the kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Intent,
    /// The intent that it ends, and whether what became of it is unknown.
    Outcome(u64, bool),
    Other,
}

/// An epoch that a record declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) number: u64,
    pub(super) anchor: u64,
    /// None when it is no hash.
    pub(super) checkpoint: Option<Hash>,
    pub(super) kept: u64,
    pub(super) lost: u64,
}

/// What a record of a known version says.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) ts: Moment,
    pub(super) kind: Kind,
    /// Whether it begins the log of the expected name.
    pub(super) begins: bool,
    /// Commitments by name.
    pub(super) private: Vec<(Box<str>, Option<Hash>)>,
    /// Values that it says were erased: name and record.
    pub(super) erased: Vec<(Box<str>, u64)>,
    /// In a record of kind `epoch`; None inside when it cannot be read.
    pub(super) epoch: Option<Option<Box<Declared>>>,
}

/// What is wrong with a record, so that nothing in it is looked at.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) code: Code,
    pub(super) detail: String,
}

/// All that one record says.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) leaf: Hash,
    /// The number in its bytes, where that can be read.
    pub(super) seq: Option<u64>,
    pub(super) content: Result<Content, Flaw>,
    /// How what is stored beside the bytes differs from them.
    pub(super) column: Option<&'static str>,
}

impl Facts {
    /// Reads a record of the log named `origin`.
    pub(super) fn of(line: &Line<'_>, origin: &str) -> Self {
        let leaf = line.leaf.unwrap_or_else(|| chain::leaf(line.bytes));
        let mut fields = Fields::default();
        let read = match line.flaw {
            Some(flaw) => Err(flaw.to_owned()),
            None => {
                let read = canonical::read(line.bytes, |outer, key, scalar| fields.take(outer, key, scalar));
                read.map_err(|error| error.to_string())
            }
        };
        let column = line.stored.and_then(|stored| fields.compare(stored, &leaf, read.is_ok()));
        let (seq, content) = match read {
            Err(detail) => (None, Err(Flaw { code: Code::Profile, detail })),
            Ok(()) => fields.content(origin),
        };
        Self { leaf, seq, content, column }
    }
}

/// What is read out of the bytes of one record.
#[derive(Default)]
struct Fields<'a> {
    seq: Option<i64>,
    version: Option<i64>,
    ts: Option<Raw<'a>>,
    kind: Option<Raw<'a>>,
    request_id: Option<Raw<'a>>,
    actor: Option<Raw<'a>>,
    action: Option<Raw<'a>>,
    resource: Option<Raw<'a>>,
    decision: Option<Raw<'a>>,
    instance: Option<Raw<'a>>,
    result: Option<Raw<'a>>,
    origin: Option<Raw<'a>>,
    intent: Option<i64>,
    private: Vec<(&'a str, Raw<'a>)>,
    erased: Vec<(&'a str, i64)>,
    epoch: EpochFields<'a>,
}

#[derive(Default)]
struct EpochFields<'a> {
    number: Option<i64>,
    anchor: Option<i64>,
    checkpoint: Option<Raw<'a>>,
    kept: Option<i64>,
    lost: Option<i64>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, outer: &'a str, key: &'a str, scalar: Scalar<'a>) {
        match (outer, scalar) {
            ("", Scalar::Integer(number)) => self.take_number(key, number),
            ("", Scalar::Text(text)) => self.take_text(key, text),
            ("private", Scalar::Text(text)) => self.private.push((key, text)),
            ("erased", Scalar::Listed(seq)) => self.erased.push((key, seq)),
            ("epoch", scalar) => self.epoch.take(key, scalar),
            ("actor", Scalar::Text(text)) if key == "id" => self.actor = Some(text),
            ("detail", Scalar::Text(text)) if key == "origin" => self.origin = Some(text),
            _ => {}
        }
    }

    fn take_number(&mut self, key: &str, number: i64) {
        match key {
            "seq" => self.seq = Some(number),
            "v" => self.version = Some(number),
            "intent" => self.intent = Some(number),
            _ => {}
        }
    }

    fn take_text(&mut self, key: &str, text: Raw<'a>) {
        match key {
            "ts" => self.ts = Some(text),
            "kind" => self.kind = Some(text),
            "req" => self.request_id = Some(text),
            "action" => self.action = Some(text),
            "resource" => self.resource = Some(text),
            "decision" => self.decision = Some(text),
            "instance" => self.instance = Some(text),
            "result" => self.result = Some(text),
            _ => {}
        }
    }

    fn is_kind(&self, kind: &str) -> bool {
        self.kind.is_some_and(|raw| raw.text() == kind)
    }

    fn content(self, origin: &str) -> (Option<u64>, Result<Content, Flaw>) {
        let flaw = |code, detail: &str| Err(Flaw { code, detail: detail.to_owned() });
        if self.version != Some(VERSION) {
            return (None, flaw(Code::Version, "the record's version is not known to this program"));
        }
        let seq = self.seq.and_then(|seq| u64::try_from(seq).ok()).filter(|seq| *seq > 0);
        if seq.is_none() {
            return (None, flaw(Code::Number, "the record has no number"));
        }
        let Some(ts) = self.ts.and_then(|raw| Moment::parse(&raw.text())) else {
            return (None, flaw(Code::Profile, "the record has no time"));
        };
        let is = |raw: Option<Raw<'_>>, text: &str| raw.is_some_and(|raw| raw.text() == text);
        let kind = if self.is_kind("intent") {
            Kind::Intent
        } else if self.is_kind("outcome") {
            let intent = self.intent.and_then(|intent| u64::try_from(intent).ok()).unwrap_or_default();
            Kind::Outcome(intent, is(self.result, "unknown"))
        } else {
            Kind::Other
        };
        let private = |(name, raw): &(&str, Raw<'_>)| (Box::from(*name), digest(&raw.text()));
        let erased = |(name, seq): &(&str, i64)| Some((Box::from(*name), u64::try_from(*seq).ok()?));
        let erased = self.erased.iter().filter(|_| self.is_kind("erasure")).filter_map(erased);
        let content = Content {
            ts,
            kind,
            begins: is(self.action, "chain:begin") && is(self.origin, origin),
            private: self.private.iter().map(private).collect(),
            erased: erased.collect(),
            epoch: self.is_kind("epoch").then(|| self.epoch.declared()),
        };
        (seq, Ok(content))
    }

    /// How what is stored differs from the bytes.
    fn compare(&self, stored: &StoredRecord, leaf: &Hash, is_read: bool) -> Option<&'static str> {
        if stored.leaf != leaf {
            return Some("the record's bytes do not match their stored hash");
        }
        (is_read && !self.match_columns(&stored.columns)).then_some("a searchable column differs from the record")
    }

    /// Whether the stored columns are those of the bytes.
    fn match_columns(&self, stored: &str) -> bool {
        let texts =
            [self.ts, self.kind, self.request_id, self.actor, self.action, self.resource, self.decision, self.instance];
        let mut columns = stored.split(JOIN);
        texts.into_iter().all(|text| columns.next().is_some_and(|stored| match_text(text, stored)))
            && columns.next().is_some_and(|stored| match self.intent {
                Some(seq) => stored == seq.to_string(),
                None => stored == ABSENT,
            })
            && columns.next().is_none()
    }
}

impl<'a> EpochFields<'a> {
    fn take(&mut self, key: &str, scalar: Scalar<'a>) {
        match (key, scalar) {
            ("number", Scalar::Integer(number)) => self.number = Some(number),
            ("anchor", Scalar::Integer(number)) => self.anchor = Some(number),
            ("kept", Scalar::Integer(number)) => self.kept = Some(number),
            ("lost", Scalar::Integer(number)) => self.lost = Some(number),
            ("checkpoint", Scalar::Text(text)) => self.checkpoint = Some(text),
            _ => {}
        }
    }

    fn declared(&self) -> Option<Box<Declared>> {
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        Some(Box::new(Declared {
            number: number(self.number)?,
            anchor: number(self.anchor)?,
            checkpoint: digest(&self.checkpoint?.text()),
            kept: number(self.kept)?,
            lost: number(self.lost)?,
        }))
    }
}

/// A hash in lower-case hex.
pub(super) fn digest(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    (!text.bytes().any(|b| b.is_ascii_uppercase())).then_some(hash)
}

/// A column holds U+FFFD in place of control characters.
fn match_text(text: Option<Raw<'_>>, stored: &str) -> bool {
    match text {
        None => stored == ABSENT,
        Some(raw) => {
            let is_control = |c: char| c.is_control();
            raw.is(stored) || raw.text().replace(is_control, "\u{fffd}") == stored
        }
    }
}
