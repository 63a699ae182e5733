//! What records are found by: words of their texts, and terms, which stand for whole values. Both are made
//! here, so that the databases agree and nothing in a text is syntax of a query.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

/// Longest word, in bytes; a longer one is found by its beginning.
const LONGEST: usize = 64;
/// Most words of one record. Of a record with more, the rest is not found.
const MOST: usize = 512;

/// Bytes of the digest in a term.
const TERM: usize = 12;

/// A value that is matched as a whole. Words have no `_`, so that no text looks like a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Who acted.
    Actor,
    /// What was asked for.
    Action,
    /// On what.
    Resource,
    /// A policy that determined the decision.
    Policy,
    /// The kind of the record.
    Kind,
    /// What was decided.
    Decision,
    /// The person that the record is about.
    Person,
}

impl Term {
    /// The term for a value.
    #[must_use]
    pub fn of(self, value: &str) -> String {
        let letter = match self {
            Self::Actor => 'a',
            Self::Action => 'v',
            Self::Resource => 'r',
            Self::Policy => 'p',
            Self::Kind => 'k',
            Self::Decision => 'd',
            Self::Person => 'u',
        };
        let digest = Sha256::digest(value);
        format!("{letter}_{}", hex::encode(digest.get(..TERM).unwrap_or_default()))
    }
}

/// The words of a text: runs of letters and digits, in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let word = word.to_lowercase();
        // Lower case may add marks that are no letters.
        let word: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        let end = word.floor_char_boundary(LONGEST.min(word.len()));
        word.get(..end).unwrap_or_default().to_owned()
    })
}

/// What one record is found by.
#[derive(Clone, Debug, Default)]
pub struct Words {
    words: BTreeSet<String>,
    terms: BTreeSet<String>,
}

impl Words {
    /// Adds the words of a text.
    pub fn text(&mut self, text: &str) {
        let room = MOST.saturating_sub(self.words.len());
        self.words.extend(words(text).take(room));
    }

    /// Adds a value as a whole.
    pub fn term(&mut self, term: Term, value: &str) {
        self.terms.insert(term.of(value));
    }

    /// All of them, a space between two.
    #[must_use]
    pub fn joined(&self) -> String {
        let all: Vec<&str> = self.words.iter().chain(&self.terms).map(String::as_str).collect();
        all.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Term, Words, words};

    #[test]
    fn words_of_a_text() {
        for (text, expected) in [
            ("", ""),
            ("App::myapp", "app myapp"),
            ("refresh_token a-b", "refresh token a b"),
            ("Zürich ÅÄÖ 東京", "zürich åäö 東京"),
            ("x\" OR * NEAR(a b) 'q' & | !z :*", "x or near a b q z"),
            ("\0\u{1f}%_\\", ""),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>().join(" "), expected, "{text:?}");
        }
        for text in ["İstanbul".repeat(20), "東".repeat(50), "x".repeat(100)] {
            for word in words(&text) {
                assert!(!word.is_empty() && word.len() <= 64, "{word}");
                assert!(word.chars().all(char::is_alphanumeric), "{word}");
                assert_eq!(words(&word).collect::<Vec<_>>().join(" "), word, "a word is its own word");
            }
        }
    }

    #[test]
    fn a_term_is_no_word() {
        let term = Term::Actor.of("user-1");
        assert_ne!(term, Term::Action.of("user-1"));
        assert_ne!(term, Term::Actor.of("user-2"));
        assert!(words(&term).all(|word| word != term));
        let mut all = Words::default();
        all.text(&"word ".repeat(2_000));
        all.term(Term::Actor, "x y");
        assert_eq!(all.joined().split(' ').count(), 2);
    }
}
