//! What the rack reads, what the CLI writes, and that nothing is lost between the two.

use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::{Changes, Environment, EnvironmentError, LINE};

fn env(text: &str) -> Environment {
    Environment::parse(text).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A text, its variables, and the text that is written of them.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// `Load` and `String` of convox `pkg/structs/environment.go`.
#[test]
fn texts_are_read_as_the_rack_reads_them() {
    let cases: &[Case] = &[
        ("", &[], ""),
        ("\n\n", &[], ""),
        ("A=1", &[("A", "1")], "A=1"),
        ("A=1\n", &[("A", "1")], "A=1"),
        ("B=2\nA=1", &[("A", "1"), ("B", "2")], "A=1\nB=2"),
        ("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")], "A=1\nB=2"),
        ("A=1=2==", &[("A", "1=2==")], "A=1=2=="),
        ("A=", &[("A", "")], "A="),
        ("=1", &[], ""),
        ("  =1", &[], ""),
        ("no variable\nA=1", &[("A", "1")], "A=1"),
        ("# A=1", &[("# A", "1")], "# A=1"),
        (" A\t= 1 ", &[("A", " 1 ")], "A= 1 "),
        ("\u{a0}A\u{85}=1", &[("A", "1")], "A=1"),
        ("A='1'\nB=\"2\"", &[("A", "'1'"), ("B", "\"2\"")], "A='1'\nB=\"2\""),
        ("A=1\nA=2", &[("A", "2")], "A=2"),
        ("A=1\n A=2", &[("A", "2")], "A=2"),
        ("a=1\nA=2", &[("A", "2"), ("a", "1")], "A=2\na=1"),
        // Go sorts the lines, not the names: '-' is before '=', '_' behind it.
        ("A=1\nA-B=2\nA_B=3", &[("A", "1"), ("A-B", "2"), ("A_B", "3")], "A-B=2\nA=1\nA_B=3"),
        ("SECRET=a b&c=d%20EDITED=1", &[("SECRET", "a b&c=d%20EDITED=1")], "SECRET=a b&c=d%20EDITED=1"),
    ];
    for (text, variables, written) in cases {
        let read = env(text);
        assert_eq!(read.iter().collect::<Vec<_>>(), *variables, "{text:?}");
        assert_eq!(read.to_text(), *written, "{text:?}");
    }
}

#[test]
fn a_line_that_the_rack_cannot_read_is_refused() {
    let longest = format!("A={}", "x".repeat(LINE - 3));
    assert_eq!(env(&longest).get("A").map(str::len), Some(LINE - 3));
    assert_eq!(Environment::parse(&format!("{longest}x")), Err(EnvironmentError::Long));
    assert_eq!(Environment::parse(&"x".repeat(LINE)), Err(EnvironmentError::Long), "even where it is no variable");
}

#[test]
fn differences_are_names() {
    let cases = [
        ("", "", names(&[]), names(&[])),
        ("A=1", "A=1", names(&[]), names(&[])),
        ("A=1", "A=2", names(&["A"]), names(&[])),
        ("A=1", "A=1\nB=", names(&["B"]), names(&[])),
        ("A=1\nB=2", "A=1", names(&[]), names(&["B"])),
        ("A=1", "a=1", names(&["a"]), names(&["A"])),
        ("A=1", "", names(&[]), names(&["A"])),
        ("A=1", "A=1 ", names(&["A"]), names(&[])),
    ];
    for (before, after, set, unset) in cases {
        let changes = env(before).diff(&env(after));
        assert_eq!(changes.is_empty(), set.is_empty() && unset.is_empty());
        assert_eq!(changes, Changes { set, unset }, "{before:?} to {after:?}");
    }
}

#[test]
fn what_would_not_come_back_is_not_written() {
    let set = |name: &str, value: &str| {
        let mut env = env("odd name=1");
        env.set(name, value);
        env.check(&names(&[name]))
    };
    assert_eq!(set("A_b-1.c", "x = y"), Ok(()), "a name that was there before may be odd");
    for name in ["", " A", "A B", "A+B/c", "é", "A\nB", "A:", &"A".repeat(257)] {
        assert_eq!(set(name, "1"), Err(EnvironmentError::Name), "{name:?}");
    }
    for value in ["a\nb", "a\r", "\n", "a\r\n", "-----BEGIN PRIVATE KEY-----"] {
        assert_eq!(set("A", value), Err(EnvironmentError::Break("A".to_owned())), "{value:?}");
    }
    assert_eq!(set("A", "a\rb"), Ok(()));
    assert_eq!(set("A", "-----BEGIN X-----\\nabc=\\n-----END X-----"), Ok(()));
    assert_eq!(set("A", &"x".repeat(LINE - 2)), Err(EnvironmentError::Long));
    assert_eq!(set("A", &"x".repeat(LINE - 3)), Ok(()));
}

#[test]
fn values_are_not_shown() {
    let shown = format!("{:?}", env("A=s3cr3t\nB=hunter2"));
    assert_eq!(shown, r#"{"A", "B"}"#);
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[A-Za-z_][A-Za-z0-9_.-]{0,8}", "[^\\r\\n]{0,20}"), 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(variables in variables()) {
        let mut made = Environment::default();
        for (name, value) in &variables {
            made.set(name, value);
        }
        let changed = variables.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(made.check(&changed), Ok(()));
        let text = made.to_text();
        prop_assert_eq!(&env(&text), &made);
        prop_assert_eq!(env(&text).to_text(), text);
    }

    #[test]
    fn any_text_that_passes_the_check_is_written_once(text in any::<String>()) {
        let read = env(&text);
        if read.check(&BTreeSet::new()).is_ok() {
            prop_assert_eq!(env(&read.to_text()), read);
        }
    }

    #[test]
    fn masked_and_kept_is_what_it_was(variables in variables(), secret in "[A-Z]") {
        let mut before = Environment::default();
        for (name, value) in &variables {
            before.set(name, value);
        }
        let mask = "********@RABCDEFGHIJ";
        let is_secret = |name: &str| name.to_ascii_uppercase().contains(&secret);
        let masked = before.clone().replace(|name, _| Ok::<_, Infallible>(is_secret(name).then(|| mask.to_owned())));
        let sent = env(&masked.unwrap().to_text());
        let kept = sent.replace(|name, value| {
            Ok::<_, Infallible>((value == mask).then(|| before.get(name).unwrap().to_owned()))
        });
        prop_assert_eq!(kept.unwrap(), before);
    }
}
