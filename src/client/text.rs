//! Text for people: what a stranger sent made harmless, times, columns.

use std::io::{self, Write};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Longest text of somebody else that is shown.
const LONGEST: usize = 2000;

/// A text of somebody else as it may go to a terminal: without anything that moves the cursor, changes
/// colours or turns the direction of writing.
pub(super) fn plain(text: &str) -> String {
    let is_hostile = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().take(LONGEST).map(|c| if is_hostile(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Reads a time as the gateway writes it (RFC 3339).
pub(super) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A time for people, in UTC. What is no time is shown as it came.
pub(super) fn show_time(text: &str) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let shown = parse_time(text).map(|time| time.to_offset(time::UtcOffset::UTC));
    shown.and_then(|time| time.format(&format).ok()).unwrap_or_else(|| plain(text))
}

/// Writes rows in columns, the first row being the head.
pub(super) fn columns(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    for row in rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_write_on_the_terminal() {
        let cases = [
            ("denied: ask an admin", "denied: ask an admin"),
            ("\u{1b}]0;title\u{7}\u{1b}[2Jhello", "]0;title  [2Jhello"),
            ("one\r\ntwo", "one  two"),
            ("a\u{202e}b\u{9b}c", "a b c"),
            ("Änne Müller", "Änne Müller"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text:?}");
        }
        assert_eq!(plain(&"x".repeat(LONGEST + 1)).len(), LONGEST);
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(show_time("2026-12-01T10:30:59.123+02:00"), "2026-12-01 08:30 UTC");
        assert_eq!(show_time("soon\u{1b}"), "soon");
    }

    #[test]
    fn columns_line_up() {
        let mut out = Vec::new();
        let rows = [["NAME", "URL"], ["äö", "https://a"], ["longer", ""]];
        columns(&mut out, &rows.map(|row| row.map(str::to_owned).to_vec())).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    URL\näö      https://a\nlonger\n");
    }
}
