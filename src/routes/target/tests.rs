//! One case per cause, and the spellings that the CLI sends.

use super::*;

fn error(raw: &str) -> TargetError {
    Target::parse(raw).expect_err(raw)
}

#[test]
fn what_the_cli_sends_is_kept() {
    let cases = [
        ("/apps?", "/apps", Some("")),
        ("/apps", "/apps", None),
        ("/apps/myapp/processes/web-1/exec", "/apps/myapp/processes/web-1/exec", None),
        ("/registries/index.docker.io/v1/?", "/registries/index.docker.io/v1/", Some("")),
        ("/apps/a/metrics?metrics=cpu?", "/apps/a/metrics", Some("metrics=cpu?")),
        ("/apps/a/processes/p/files?file=%2Ftmp%2Fx", "/apps/a/processes/p/files", Some("file=%2Ftmp%2Fx")),
        ("/proxy/2001:db8::1/80", "/proxy/2001:db8::1/80", None),
        ("/", "/", None),
    ];
    for (raw, path, query) in cases {
        let target = Target::parse(raw).expect(raw);
        assert_eq!((target.path(), target.query()), (path, query), "{raw}");
        assert_eq!(target.canonical(), raw);
    }
}

#[test]
fn harmless_encodings_get_one_spelling() {
    let cases = [
        ("/%61pps", "/apps"),
        ("/apps/%6d%79app", "/apps/myapp"),
        ("/apps/a%20b", "/apps/a%20b"),
        ("/apps/%c3%a9", "/apps/%C3%A9"),
        ("/apps/a%3ab", "/apps/a:b"),
        ("/apps/a!b", "/apps/a%21b"),
        ("/apps/a<b", "/apps/a%3Cb"),
    ];
    for (raw, path) in cases {
        assert_eq!(Target::parse(raw).expect(raw).path(), path);
    }
}

#[test]
fn every_cause_has_its_error() {
    let cases = [
        ("", TargetError::NoSlash),
        ("apps", TargetError::NoSlash),
        ("?x=/apps", TargetError::NoSlash),
        ("rack.example:443", TargetError::NoSlash),
        ("http://rack.example/apps", TargetError::Absolute),
        ("HTTPS://rack.example/apps", TargetError::Absolute),
        ("*", TargetError::Asterisk),
        ("//rack.example/apps", TargetError::EmptySegment),
        ("/apps//myapp", TargetError::EmptySegment),
        ("/apps//", TargetError::EmptySegment),
        ("//", TargetError::EmptySegment),
        ("/apps/é", TargetError::NotAscii),
        ("/apps/a b", TargetError::Space),
        ("/apps/a\tb", TargetError::Control),
        ("/apps/a\0", TargetError::Control),
        ("/apps/a\r\nX: y", TargetError::Control),
        ("/apps/a\u{7f}", TargetError::Control),
        ("/apps#x", TargetError::Fragment),
        ("/apps?a=1#x", TargetError::Fragment),
        ("/apps\\myapp", TargetError::Backslash),
        ("/apps/a;v=1", TargetError::Semicolon),
        ("/apps/..;/system", TargetError::Semicolon),
        ("/apps/a%3bv=1", TargetError::Semicolon),
        ("/apps/./a", TargetError::DotSegment),
        ("/apps/../system", TargetError::DotSegment),
        ("/apps/..", TargetError::DotSegment),
        ("/apps/%2e%2e/system", TargetError::EncodedDelimiter),
        ("/apps/.%2E/system", TargetError::EncodedDelimiter),
        ("/apps%2Fa", TargetError::EncodedDelimiter),
        ("/apps%2fa", TargetError::EncodedDelimiter),
        ("/apps%5ca", TargetError::EncodedDelimiter),
        ("/apps/a%3Fb", TargetError::EncodedDelimiter),
        ("/apps/a%23b", TargetError::EncodedDelimiter),
        ("/apps/a%252Fb", TargetError::EncodedDelimiter),
        ("/apps/a%00", TargetError::EncodedControl),
        ("/apps/a%0d%0a", TargetError::EncodedControl),
        ("/apps/a%7f", TargetError::EncodedControl),
        ("/apps/a%c2%85", TargetError::EncodedControl),
        ("/apps/a%", TargetError::Escape),
        ("/apps/a%4", TargetError::Escape),
        ("/apps/a%zz", TargetError::Escape),
        ("/apps/a%u0041", TargetError::Escape),
        ("/apps/a%ff", TargetError::Utf8),
        ("/apps/..%c0%af", TargetError::Utf8),
        ("/apps/%ed%a0%80", TargetError::Utf8),
    ];
    for (raw, expected) in cases {
        assert_eq!(error(raw), expected, "{raw:?}");
    }
}

#[test]
fn limits_are_exact() {
    let segments = |count: usize| "/a".repeat(count);
    assert!(Target::parse(&segments(MAX_SEGMENTS)).is_ok());
    assert_eq!(error(&segments(MAX_SEGMENTS + 1)), TargetError::TooManySegments);
    let long = |length: usize| format!("/{}", "a".repeat(length - 1));
    assert!(Target::parse(&long(MAX_TARGET)).is_ok());
    assert_eq!(error(&long(MAX_TARGET + 1)), TargetError::TooLong);
}

#[test]
fn messages_suit_a_printf() {
    let all = [
        TargetError::TooLong,
        TargetError::TooManySegments,
        TargetError::Absolute,
        TargetError::Asterisk,
        TargetError::NoSlash,
        TargetError::NotAscii,
        TargetError::Space,
        TargetError::Control,
        TargetError::Fragment,
        TargetError::Backslash,
        TargetError::Semicolon,
        TargetError::DotSegment,
        TargetError::EmptySegment,
        TargetError::EncodedDelimiter,
        TargetError::EncodedControl,
        TargetError::Escape,
        TargetError::Utf8,
    ];
    let slugs: std::collections::BTreeSet<_> = all.iter().map(|error| error.slug()).collect();
    assert_eq!(slugs.len(), all.len());
    for error in all {
        assert!(!error.to_string().contains('%'), "{error}");
    }
    assert!(TargetError::TooLong.to_string().contains(&MAX_TARGET.to_string()));
    assert!(TargetError::TooManySegments.to_string().contains(&MAX_SEGMENTS.to_string()));
}
