//! From an event to the bytes of a record. Everything is bounded here, so that whatever a client
//! sends, the record can be stored; what was cut says so.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};
use time::{OffsetDateTime, UtcOffset};

use super::event::{ERASED, Epoch, Event, EventKind, Outcome};
use crate::proof::canonical::{MAX_BYTES, MAX_INTEGER, Value, push_text, push_value};
use crate::proof::commitment::{SALT, commit};
pub(crate) use crate::store::column;
use crate::store::{Keys, PrivateValue, SOURCE_IP};

/// Version of the format.
pub(crate) const VERSION: u64 = 1;

/// Room for the number of the record, which is known only under the lock.
const NUMBER: usize = 20;

/// How much of each part is kept.
#[derive(Clone, Copy)]
struct Limits {
    /// Bytes of a string.
    text: usize,
    /// Entries of a list or a map.
    items: usize,
    /// Levels of a nested value.
    depth: u32,
}

const NORMAL: Limits = Limits { text: 512, items: 32, depth: 3 };
/// For an event whose every part is as large as it may be: always far below 64 KiB.
const TIGHT: Limits = Limits { text: 96, items: 8, depth: 1 };

/// A record that lacks only its number.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    /// Where the number belongs.
    number_at: usize,
    /// What it can be found by.
    pub(crate) keys: Arc<Keys>,
    /// What it holds commitments to.
    pub(crate) private: Arc<[PrivateValue]>,
}

/// Why an event cannot become a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    #[error("the operating system has no randomness: {0}")]
    Random(#[from] SysError),
    #[error("the list of an erasure is larger than a record")]
    Erased,
}

impl Draft {
    /// Spells an event.
    pub(crate) fn event(event: &Event, now: OffsetDateTime, instance: &str) -> Result<Self, DraftError> {
        let erased = spell_erased(&event.erased);
        if erased.len() > ERASED {
            return Err(DraftError::Erased);
        }
        let salts = salts(event.private.len() + usize::from(event.source_ip.is_some()))?;
        let (ts, fixed) = (timestamp(now), Fixed { erased: &erased, salts: &salts });
        let draft = spell(|limits| write_event(event, &fixed, &ts, instance, limits));
        // The database would refuse it, and with it everything else in its batch.
        if draft.bytes.len() + NUMBER > MAX_BYTES { Err(DraftError::Erased) } else { Ok(draft) }
    }

    /// The record that begins a chain.
    pub(crate) fn begin(origin: &str, now: OffsetDateTime, instance: &str) -> Self {
        let mut event = Event::new(EventKind::System, "", "chain:begin");
        event.detail.insert("origin".to_owned(), origin.to_owned());
        let ts = timestamp(now);
        spell(|limits| write_event(&event, &Fixed::default(), &ts, instance, limits))
    }

    /// Spells the outcome of intent number `intent`.
    pub(crate) fn outcome(
        outcome: &Outcome,
        (intent, request_id): (u64, &str),
        now: OffsetDateTime,
        instance: &str,
    ) -> Self {
        let ts = timestamp(now);
        spell(|limits| write_outcome(outcome, (intent, request_id), &ts, instance, limits))
    }

    /// The record with its number.
    pub(crate) fn seal(&self, seq: u64) -> Vec<u8> {
        let mut canon = Vec::with_capacity(self.bytes.len() + NUMBER);
        let (before, after) = self.bytes.split_at_checked(self.number_at).unwrap_or((&self.bytes, &[]));
        canon.extend_from_slice(before);
        canon.extend_from_slice(seq.to_string().as_bytes());
        canon.extend_from_slice(after);
        canon
    }
}

/// What is the same however much else is cut.
#[derive(Default)]
struct Fixed<'a> {
    /// The list of an erasure; empty when there is none.
    erased: &'a [u8],
    /// One for each personal value.
    salts: &'a [[u8; SALT]],
}

fn salts(count: usize) -> Result<Vec<[u8; SALT]>, SysError> {
    let mut salts = vec![[0; SALT]; count];
    if count > 0 {
        SysRng.try_fill_bytes(salts.as_flattened_mut())?;
    }
    Ok(salts)
}

fn spell_erased(erased: &BTreeMap<String, Vec<u64>>) -> Vec<u8> {
    // Two names may be the same in their plain form.
    let mut plain: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (name, records) in erased {
        plain.entry(snake(name)).or_default().extend(records);
    }
    if plain.is_empty() {
        return Vec::new();
    }
    let mut out = vec![b'{'];
    for (at, (name, records)) in plain.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_text(&mut out, name);
        let numbers: Vec<String> = records.iter().map(u64::to_string).collect();
        out.extend_from_slice(format!(":[{}]", numbers.join(",")).as_bytes());
    }
    out.push(b'}');
    out
}

fn spell(write: impl Fn(Limits) -> Draft) -> Draft {
    let draft = write(NORMAL);
    if draft.bytes.len() + NUMBER <= MAX_BYTES { draft } else { write(TIGHT) }
}

/// `2026-11-21T10:00:00.123456Z`: always UTC, always six digits, so that text order is time order.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let (date, time) = (at.date(), at.time());
    let (year, month, day) = (date.year().max(0), u8::from(date.month()), date.day());
    let (hour, minute, second, micro) = time.as_hms_micro();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
}

/// The start of a text, with a note of how much is missing.
fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
    Cow::Owned(format!("{kept}…(+{} bytes)", text.len() - kept.len()))
}

/// A key as the profile wants it.
fn snake(key: &str) -> String {
    let mut plain: String =
        key.chars().take(60).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if !plain.starts_with(|c: char| c.is_ascii_lowercase()) {
        plain.insert_str(0, "x_");
    }
    plain
}

fn cut_value(value: &Value, limits: Limits, depth: u32) -> Value {
    match value {
        Value::Text(text) => Value::Text(cut(text, limits.text).into_owned()),
        Value::Integer(_) | Value::Flag(_) => value.clone(),
        Value::List(_) | Value::Map(_) if depth >= limits.depth => Value::from("…"),
        Value::List(items) => cut_list(items.iter().map(|v| cut_value(v, limits, depth + 1)), items.len(), limits),
        Value::Map(map) => {
            let entries = map.iter().take(limits.items);
            Value::Map(entries.map(|(k, v)| (snake(k), cut_value(v, limits, depth + 1))).collect())
        }
    }
}

fn cut_list(items: impl Iterator<Item = Value>, length: usize, limits: Limits) -> Value {
    let mut kept: Vec<Value> = items.take(limits.items).collect();
    if length > kept.len() {
        kept.push(format!("…(+{} more)", length - kept.len()).into());
    }
    Value::List(kept)
}

/// The outer object. Fields must be written in order of their keys.
struct Fields {
    out: Vec<u8>,
    number_at: usize,
    limits: Limits,
    private: Vec<PrivateValue>,
}

impl Fields {
    fn new(limits: Limits) -> Self {
        let mut out = Vec::with_capacity(768);
        out.push(b'{');
        Self { out, number_at: 0, limits, private: Vec::new() }
    }

    fn key(&mut self, key: &str) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        push_text(&mut self.out, key);
        self.out.push(b':');
    }

    fn text(&mut self, key: &str, text: Option<&str>) -> Option<String> {
        let text = cut(text?, self.limits.text);
        self.key(key);
        push_text(&mut self.out, &text);
        Some(column(&text))
    }

    fn number(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.key(key);
            self.out.extend_from_slice(number.min(MAX_INTEGER).to_string().as_bytes());
        }
    }

    fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        push_value(&mut self.out, value);
    }

    fn list(&mut self, key: &str, items: &[String]) {
        if !items.is_empty() {
            let limits = self.limits;
            let texts = items.iter().map(|text| Value::Text(cut(text, limits.text).into_owned()));
            self.value(key, &cut_list(texts, items.len(), limits));
        }
    }

    fn pair(&mut self, key: &str, pair: Option<(&str, &str)>) -> Option<String> {
        let (kind, id) = pair?;
        let id = cut(id, self.limits.text);
        self.key(key);
        self.out.extend_from_slice(b"{\"id\":");
        push_text(&mut self.out, &id);
        self.out.extend_from_slice(b",\"type\":");
        push_text(&mut self.out, &cut(kind, self.limits.text));
        self.out.push(b'}');
        Some(column(&id))
    }

    fn detail(&mut self, detail: &BTreeMap<String, String>) {
        if !detail.is_empty() {
            let map = Value::Map(detail.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect());
            self.value("detail", &cut_value(&map, self.limits, 0));
        }
    }

    /// Bytes of a value that is spelled already; nothing when there are none.
    fn spelled(&mut self, key: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.key(key);
            self.out.extend_from_slice(bytes);
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let value = Value::from([
            ("anchor", number(epoch.anchor)),
            ("checkpoint", Value::from(hex::encode(epoch.checkpoint))),
            ("kept", number(epoch.kept)),
            ("lost", number(epoch.lost)),
            ("number", number(epoch.number)),
        ]);
        self.value("epoch", &value);
    }

    /// Commitments to personal values; the values themselves go beside the record, as far as they are kept.
    fn private(&mut self, event: &Event, salts: &[[u8; SALT]]) {
        let source_ip = event.source_ip.map(|ip| (SOURCE_IP.to_owned(), ip.to_string()));
        let given = event.private.iter().map(|(name, value)| (snake(name), column(&cut(value, self.limits.text))));
        // By name, each once; where somebody came from is never the one that is left out.
        let values: BTreeMap<String, String> = given.take(self.limits.items - 1).chain(source_ip).collect();
        if values.is_empty() {
            return;
        }
        let values = values.into_iter().zip(salts);
        let values: Vec<_> = values.map(|((name, value), salt)| PrivateValue { name, salt: *salt, value }).collect();
        let commitments = values
            .iter()
            .map(|value| (value.name.clone(), Value::from(hex::encode(commit(&value.salt, &value.value)))))
            .collect();
        self.value("private", &Value::Map(commitments));
        self.private = values;
    }

    /// The place of the number of the record.
    fn seq(&mut self) {
        self.key("seq");
        self.number_at = self.out.len();
    }

    fn finish(mut self, keys: Keys) -> Draft {
        self.out.push(b'}');
        Draft { bytes: self.out, number_at: self.number_at, keys: Arc::new(keys), private: self.private.into() }
    }
}

fn write_event(event: &Event, fixed: &Fixed<'_>, ts: &str, instance: &str, limits: Limits) -> Draft {
    let mut f = Fields::new(limits);
    let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let action = f.text("action", some(&event.action).as_deref());
    let actor = f.pair("actor", event.actor.as_ref().map(|a| (a.kind.as_str(), a.id.as_str())));
    f.text("bundle", event.bundle.as_deref());
    f.list("challenges", &event.challenges);
    let decision = f.text("decision", event.decision.as_deref());
    f.detail(&event.detail);
    if let Some(epoch) = &event.epoch {
        f.epoch(epoch);
    }
    f.spelled("erased", fixed.erased);
    f.list("errors", &event.errors);
    if let Some(hypothetical) = &event.hypothetical {
        f.value("hypothetical", &cut_value(hypothetical, limits, 0));
    }
    let instance = f.text("instance", Some(instance)).unwrap_or_default();
    f.text("kind", Some(event.kind.as_str()));
    f.text("message", event.message.as_deref());
    f.text("method", event.method.as_deref());
    f.text("path", event.path.as_deref());
    f.private(event, fixed.salts);
    f.list("reasons", &event.reasons);
    let request_id = f.text("req", some(&event.request_id).as_deref());
    let resource = f.text("resource", event.resource.as_deref());
    f.text("route", event.route.as_deref());
    f.seq();
    if !event.shadow.is_empty() {
        let values = event.shadow.iter().map(|v| cut_value(v, limits, 1));
        f.value("shadow", &cut_list(values, event.shadow.len(), limits));
    }
    f.number("status", event.status.map(u64::from));
    f.text("ts", Some(ts));
    f.number("v", Some(VERSION));
    f.pair("via", event.via.as_ref().map(|v| (v.credential_kind.as_str(), v.credential_id.as_str())));
    let kind = event.kind.as_str().to_owned();
    f.finish(Keys { ts: ts.to_owned(), kind, request_id, actor, action, resource, decision, instance, intent: None })
}

fn write_outcome(
    outcome: &Outcome,
    (intent, request_id): (u64, &str),
    ts: &str,
    instance: &str,
    limits: Limits,
) -> Draft {
    let mut f = Fields::new(limits);
    f.number("bytes_in", Some(outcome.bytes_in));
    f.number("bytes_out", Some(outcome.bytes_out));
    f.number("duration_ms", Some(outcome.duration_ms));
    let instance = f.text("instance", Some(instance)).unwrap_or_default();
    f.number("intent", Some(intent));
    f.text("kind", Some("outcome"));
    f.text("message", outcome.message.as_deref());
    let request_id = f.text("req", (!request_id.is_empty()).then_some(request_id));
    f.text("result", Some(outcome.result.as_str()));
    f.seq();
    f.number("status", outcome.status.map(u64::from));
    f.text("ts", Some(ts));
    f.number("v", Some(VERSION));
    let (ts, kind) = (ts.to_owned(), "outcome".to_owned());
    f.finish(Keys { ts, kind, request_id, instance, intent: Some(intent), ..Keys::default() })
}
