//! Words of strangers, made safe to look at.

use std::fmt;

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
