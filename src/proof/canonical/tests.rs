//! The profile, case by case.

use super::ProfileError::{Depth, Escape, Key, NotUtf8, Number, Order, Syntax, TooLarge};
use super::{MAX_BYTES, Scalar, Value, check, push_value, read};

#[test]
fn what_is_canonical() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(7), "]".repeat(7));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES - 8));
    for text in [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":"","a1":[],"a_":{},"b":[1,"x",true,false,{"k":-1}]}"#,
        r#"{"a":9007199254740991,"b":-9007199254740991,"c":0}"#,
        r#"{"a":"\b\t\n\f\r\"\\/\u0000\u001f\u000b"}"#,
        "{\"a\":\"é \u{7f}\u{80}\u{2028}😀\"}",
        deep.as_str(),
        large.as_str(),
    ] {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn what_is_not() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(8), "]".repeat(8));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES - 7));
    let long = format!("{{\"{}\":1}}", "k".repeat(65));
    for (text, error) in [
        ("", Syntax(0)),
        ("[]", Syntax(0)),
        ("1", Syntax(0)),
        ("{", Syntax(1)),
        ("{}{}", Syntax(2)),
        ("{}\n", Syntax(2)),
        (" {}", Syntax(0)),
        ("{ }", Syntax(1)),
        (r#"{"a": 1}"#, Syntax(5)),
        (r#"{"a":1,}"#, Syntax(7)),
        (r#"{"a":[1,]}"#, Syntax(8)),
        (r#"{"a" :1}"#, Syntax(4)),
        (r#"{"a":null}"#, Syntax(5)),
        (r#"{"a":NaN}"#, Syntax(5)),
        (r#"{"a":tru}"#, Syntax(5)),
        (r#"{"a":1.0}"#, Number(5)),
        (r#"{"a":1e3}"#, Number(5)),
        (r#"{"a":-0}"#, Number(5)),
        (r#"{"a":01}"#, Number(5)),
        (r#"{"a":-}"#, Number(5)),
        (r#"{"a":+1}"#, Syntax(5)),
        (r#"{"a":9007199254740992}"#, Number(5)),
        (r#"{"a":-9007199254740992}"#, Number(5)),
        (r#"{"a":99999999999999999999999}"#, Number(5)),
        (r#"{"A":1}"#, Key(1)),
        (r#"{"é":1}"#, Key(1)),
        (r#"{"1a":1}"#, Key(1)),
        (r#"{"":1}"#, Key(1)),
        (r#"{"a-b":1}"#, Key(1)),
        (r#"{"\u0061":1}"#, Key(1)),
        (long.as_str(), Key(1)),
        (r#"{"b":1,"a":1}"#, Order(7)),
        (r#"{"a":1,"a":1}"#, Order(7)),
        (r#"{"a":{"b":1,"b":2}}"#, Order(12)),
        (r#"{"a":"\/"}"#, Escape(6)),
        (r#"{"a":"\u0041"}"#, Escape(6)),
        (r#"{"a":"\u000a"}"#, Escape(6)),
        (r#"{"a":"\u001F"}"#, Escape(6)),
        (r#"{"a":"\u007f"}"#, Escape(6)),
        (r#"{"a":"\ud800"}"#, Escape(6)),
        (r#"{"a":"\x"}"#, Escape(6)),
        ("{\"a\":\"\n\"}", Escape(6)),
        ("{\"a\":\"\0\"}", Escape(6)),
        (r#"{"a":"b"#, Syntax(7)),
        (deep.as_str(), Depth(12)),
        (large.as_str(), TooLarge),
    ] {
        assert_eq!(check(text.as_bytes()), Err(error), "{text}");
    }
    for bytes in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xed\xa0\x80\"}", b"\xef\xbb\xbf{}\xff"] {
        assert_eq!(check(bytes), Err(NotUtf8));
    }
}

#[test]
fn what_is_written_is_canonical_and_reads_back() {
    let every: String =
        (0..=0x2ff).chain([0x2028, 0xd7ff, 0xe000, 0xffff, 0x1_0000]).filter_map(char::from_u32).collect();
    let value = Value::from([
        ("text", Value::from(every.as_str())),
        ("big", Value::Integer(i64::MAX)),
        ("small", Value::Integer(i64::MIN)),
        ("flag", Value::Flag(true)),
        ("list", ["a", "b"].into_iter().collect()),
        ("map", Value::from([("text", every.as_str())])),
    ]);
    let mut bytes = Vec::new();
    push_value(&mut bytes, &value);
    let mut found = Vec::new();
    read(&bytes, |outer, key, scalar| found.push((outer, key, scalar))).expect("canonical");
    let texts = found.iter().filter_map(|(outer, key, scalar)| match scalar {
        Scalar::Text(raw) => Some((*outer, *key, raw.text().into_owned())),
        Scalar::Integer(_) | Scalar::Flag | Scalar::Listed(_) => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), [("map", "text", every.clone()), ("", "text", every)]);
    let numbers =
        found.iter().filter(|(_, _, scalar)| matches!(scalar, Scalar::Integer(n) if n.abs() == (1 << 53) - 1));
    assert_eq!(numbers.count(), 2, "brought within the profile");
}

#[test]
fn only_the_outer_two_levels_are_shown() {
    let mut found = Vec::new();
    let text = br#"{"a":1,"b":{"c":2,"d":{"e":3,"e1":[4]}},"f":[4,{"g":5}],"h":{"i":[6,"j",{"k":[7]},-8,[9]]}}"#;
    read(text, |outer, key, _| found.push(format!("{outer}.{key}"))).expect("canonical");
    assert_eq!(found, [".a", "b.c", "h.i", "h.i"]);
}
