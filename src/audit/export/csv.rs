//! Records as a table (RFC 4180, UTF-8, with a line of names).
//!
//! Much of a record was said by strangers, and spreadsheets run what looks like a formula. A cell that begins
//! like one gets an apostrophe before it, and control characters become U+FFFD.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};
use serde_json::{Map, Value};

use super::ExportError;
use crate::audit::record::column;
use crate::audit::values::Values;
use crate::store::Record;

/// What a column shows.
#[derive(Clone, Copy)]
enum Show {
    /// What stands there in the record.
    At(&'static str),
    /// A personal value.
    Private(&'static str),
    /// The other personal values, as JSON.
    Others,
    /// Number of the record in the database.
    Number,
    /// The hash of the record.
    Leaf,
}

/// Name and content of each column.
const COLUMNS: &[(&str, Show)] = &[
    ("seq", Show::Number),
    ("ts", Show::At("/ts")),
    ("kind", Show::At("/kind")),
    ("actor_type", Show::At("/actor/type")),
    ("actor", Show::At("/actor/id")),
    ("email", Show::Private("email")),
    ("src_ip", Show::Private("src_ip")),
    ("private", Show::Others),
    ("via_type", Show::At("/via/type")),
    ("via", Show::At("/via/id")),
    ("action", Show::At("/action")),
    ("resource", Show::At("/resource")),
    ("decision", Show::At("/decision")),
    ("reasons", Show::At("/reasons")),
    ("challenges", Show::At("/challenges")),
    ("method", Show::At("/method")),
    ("path", Show::At("/path")),
    ("status", Show::At("/status")),
    ("message", Show::At("/message")),
    ("detail", Show::At("/detail")),
    ("request", Show::At("/req")),
    ("intent", Show::At("/intent")),
    ("result", Show::At("/result")),
    ("bytes_in", Show::At("/bytes_in")),
    ("bytes_out", Show::At("/bytes_out")),
    ("duration_ms", Show::At("/duration_ms")),
    ("bundle", Show::At("/bundle")),
    ("leaf", Show::Leaf),
];

/// The line of names.
pub(super) fn heading() -> Result<Vec<u8>, ExportError> {
    lines(std::iter::once(COLUMNS.iter().map(|(name, _)| Cow::Borrowed(*name)).collect()))
}

/// A line for each record.
pub(super) fn rows(records: &[Record], values: &Values) -> Result<Vec<u8>, ExportError> {
    lines(records.iter().map(|record| {
        let parsed: Value = serde_json::from_slice(&record.canon).unwrap_or_default();
        COLUMNS.iter().map(|(_, show)| Cow::Owned(harmless(&shown(*show, record, &parsed, values)))).collect()
    }))
}

fn lines<'a>(rows: impl Iterator<Item = Vec<Cow<'a, str>>>) -> Result<Vec<u8>, ExportError> {
    let unwritable = || ExportError::Unwritable("a record cannot be written as a line of a table");
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        if writer.write_record(row.iter().map(|cell| cell.as_bytes())).is_err() {
            return Err(unwritable());
        }
    }
    writer.into_inner().map_err(|_| unwritable())
}

fn shown(show: Show, record: &Record, parsed: &Value, values: &Values) -> String {
    let private = values.get(&record.seq);
    match show {
        Show::Number => record.seq.to_string(),
        Show::Leaf => hex::encode(&record.leaf),
        Show::At(pointer) => parsed.pointer(pointer).map(text).unwrap_or_default(),
        Show::Private(name) => private.and_then(|values| values.get(name)).cloned().unwrap_or_default(),
        Show::Others => {
            let others = private.into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "email" | "src_ip"));
            let others: Map<String, Value> =
                others.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            if others.is_empty() { String::new() } else { Value::Object(others).to_string() }
        }
    }
}

/// A value in a cell: lists of words with spaces between them, anything nested as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// How formulas begin; the wide forms too, which some spreadsheets take for the plain ones.
const FORMULA: &[char] = &['=', '+', '-', '@', '＝', '＋', '－', '＠'];

fn harmless(cell: &str) -> String {
    let cell = column(cell);
    if cell.trim_start().starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Record, Values, harmless, heading, rows};

    #[test]
    fn no_cell_is_a_formula() {
        let cases = [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("＝1", "'＝1"),
            ("\t=1", "\u{fffd}=1"),
            ("\r=1", "\u{fffd}=1"),
            ("a=1", "a=1"),
            ("", ""),
        ];
        for (cell, wanted) in cases {
            assert_eq!(harmless(cell), wanted, "{cell:?}");
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let canon = r#"{"action":"=cmd|' /C calc'!A0","message":"a \"b\",\nc","reasons":["a.b","c.d"],"status":403}"#;
        let record =
            Record { seq: 7, canon: canon.as_bytes().to_vec(), leaf: vec![1], chain: vec![], columns: String::new() };
        let mut values = Values::new();
        values
            .entry(7)
            .or_default()
            .extend([("email".to_owned(), "@evil".to_owned()), ("name".to_owned(), "=x".to_owned())]);
        let mut table = heading().unwrap();
        table.extend(rows(std::slice::from_ref(&record), &values).unwrap());
        let mut reader = csv::Reader::from_reader(table.as_slice());
        assert_eq!(reader.headers().unwrap().len(), COLUMNS.len());
        let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |name: &str| lines[0][COLUMNS.iter().position(|(known, _)| *known == name).unwrap()].to_owned();
        assert_eq!(lines.len(), 1);
        assert_eq!(cell("action"), "'=cmd|' /C calc'!A0");
        assert_eq!(cell("message"), "a \"b\",\u{fffd}c");
        assert_eq!((cell("reasons"), cell("status")), ("a.b c.d".to_owned(), "403".to_owned()));
        assert_eq!((cell("email"), cell("private")), ("'@evil".to_owned(), r#"{"name":"=x"}"#.to_owned()));
        assert_eq!((cell("seq"), cell("leaf"), cell("src_ip")), ("7".to_owned(), "01".to_owned(), String::new()));
    }
}
