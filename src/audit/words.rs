//! What a record is found by: the words of its texts, and terms for what searches match as a whole.

use serde_json::Value;

use crate::store::{Term, Words};

/// Fields without words: numbers that nobody looks for by heart, what has a column of its own, and
/// commitments.
const WORDLESS: [&str; 8] = ["bundle", "decision", "instance", "kind", "private", "req", "ts", "erased"];

/// The words of a record. Bytes that are no record have none.
pub(super) fn words(canon: &[u8]) -> Words {
    let mut words = Words::default();
    let Ok(Value::Object(record)) = serde_json::from_slice(canon) else { return words };
    for (name, value) in &record {
        if !WORDLESS.contains(&name.as_str()) {
            add(&mut words, value);
        }
    }
    let text = |pointer: &[&str]| {
        let mut names = pointer.iter();
        let outer = names.next().and_then(|name| record.get(*name));
        names.try_fold(outer?, |value, name| value.get(name))?.as_str()
    };
    let single = [
        (Term::Actor, text(&["actor", "id"])),
        (Term::Action, text(&["action"])),
        (Term::Resource, text(&["resource"])),
        (Term::Kind, text(&["kind"])),
        (Term::Decision, text(&["decision"])),
        (Term::Person, text(&["detail", "user"])),
        (Term::Person, text(&["resource"]).and_then(|resource| resource.strip_prefix("User::"))),
    ];
    for (term, value) in single {
        if let Some(value) = value {
            words.term(term, value);
        }
    }
    let reasons = record.get("reasons").and_then(Value::as_array).into_iter().flatten();
    reasons.filter_map(Value::as_str).for_each(|policy| words.term(Term::Policy, policy));
    words
}

fn add(words: &mut Words, value: &Value) {
    match value {
        Value::String(text) => words.text(text),
        Value::Array(items) => items.iter().for_each(|item| add(words, item)),
        Value::Object(map) => map.values().for_each(|item| add(words, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::words;
    use crate::store::Term;

    #[test]
    fn what_a_record_is_found_by() {
        let canon = br#"{"action":"user:update","actor":{"id":"u-1","type":"User"},"bundle":"3c","decision":"deny",
            "detail":{"user":"u-2"},"kind":"denial","message":"No \"way\"","private":{"email":"0123abcd"},
            "reasons":["roles.a","mfa.b"],"req":"0199","resource":"User::u-3","seq":7,"ts":"2026-01-01","v":1}"#;
        let words = words(canon).joined();
        let has = |word: &str| words.split(' ').any(|other| other == word);
        for word in ["user", "update", "u", "1", "no", "way", "roles", "mfa", "3"] {
            assert!(has(word), "{word}: {words}");
        }
        for word in ["0123abcd", "0199", "3c", "2026", "deny", "7"] {
            assert!(!has(word), "{word}: {words}");
        }
        for (term, value) in [
            (Term::Actor, "u-1"),
            (Term::Action, "user:update"),
            (Term::Resource, "User::u-3"),
            (Term::Kind, "denial"),
            (Term::Decision, "deny"),
            (Term::Policy, "roles.a"),
            (Term::Policy, "mfa.b"),
            (Term::Person, "u-2"),
            (Term::Person, "u-3"),
        ] {
            assert!(has(&term.of(value)), "{term:?} {value}: {words}");
        }
        assert_eq!(super::words(b"\xff{").joined(), "");
        assert_eq!(super::words(b"[]").joined(), "");
    }
}
