//! Words of strangers, made safe to look at.

use std::borrow::Borrow;
use std::fmt;

use time::OffsetDateTime;

/// Most characters of a stranger's words that are shown.
const MOST: usize = 120;

/// What somebody else has written, such as the name of a device: cut, and with a mark in place of
/// whatever would not be seen or would turn the text around (UAX #9 §2). The template escapes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(MOST) {
            write!(f, "{}", if is_hidden(character) { char::REPLACEMENT_CHARACTER } else { character })?;
        }
        if self.0.chars().nth(MOST).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// The same, for templates.
pub(super) fn shown<T: AsRef<str> + ?Sized>(text: &T) -> Shown<'_> {
    Shown(text.as_ref())
}

/// A time, to the minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) OffsetDateTime);

impl Moment {
    /// For machines (HTML, `datetime`).
    pub(super) fn iso(self) -> String {
        let at = self.0.to_utc();
        format!("{:04}-{:02}-{:02}T{:02}:{:02}Z", at.year(), u8::from(at.month()), at.day(), at.hour(), at.minute())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.to_utc();
        let month: String = at.month().to_string().chars().take(3).collect();
        write!(f, "{} {month} {}, {:02}:{:02} UTC", at.day(), at.year(), at.hour(), at.minute())
    }
}

/// The same, for templates.
pub(super) fn moment(at: impl Borrow<OffsetDateTime>) -> Moment {
    Moment(*at.borrow())
}

/// Browsers by what only they say of themselves; those that others pretend to be come last.
const BROWSERS: [(&str, &str); 5] =
    [("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
/// Systems, in the same way.
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// What people call the browser that says this of itself.
pub(super) fn agent(user_agent: &str) -> String {
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => "Browser".to_owned(),
    }
}

/// Controls, marks of direction and of joining, and fillers.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_have_the_names_that_people_know() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1";
        for (said, name) in [(chrome, "Chrome on Linux"), (safari, "Safari on iPhone"), ("curl/8", "Browser")] {
            assert_eq!(agent(said), name);
        }
    }

    #[test]
    fn times_are_in_utc() {
        let at = time::macros::datetime!(2026-11-02 01:05:09 +2);
        assert_eq!(Moment(at).to_string(), "1 Nov 2026, 23:05 UTC");
        assert_eq!(Moment(at).iso(), "2026-11-01T23:05Z");
    }

    #[test]
    fn what_cannot_be_seen_is_marked() {
        for (given, shown) in [
            ("Ada's laptop", "Ada's laptop"),
            ("شركة", "شركة"),
            ("safe\u{202e}cod.exe", "safe\u{fffd}cod.exe"),
            ("a\u{2066}b\u{2069}\u{200f}\u{200b}", "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}"),
            ("a\nb\u{1b}[31m\0", "a\u{fffd}b\u{fffd}[31m\u{fffd}"),
            ("<script>", "<script>"),
        ] {
            assert_eq!(Shown(given).to_string(), shown);
        }
        let long = Shown(&"ä".repeat(500)).to_string();
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
    }
}
