//! Against what Go's standard library does.

use std::time::Duration;

use super::{decode, duration, multipart, query};

#[test]
fn a_query_is_read_as_go_reads_it() {
    for (raw, expected) in [
        ("a=1&b=2", &[("a", "1"), ("b", "2")][..]),
        ("a=1&a=2", &[("a", "1"), ("a", "2")]),
        ("a", &[("a", "")]),
        ("&&=x&", &[("", "x")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a=x+y%2B%20z", &[("a", "x y+ z")]),
        ("a=1;b=2&c=3", &[("c", "3")]),
        ("a=%zz&b=%2&c=3", &[("c", "3")]),
        ("%61=1", &[("a", "1")]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(query(raw.as_bytes()), expected, "{raw}");
    }
    assert_eq!(decode(b"a+b%2fc", false).as_deref(), Some("a+b/c"));
}

#[test]
fn values_of_a_multipart_body_count_and_files_do_not() {
    let body = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
        --x\r\ncontent-disposition: form-data; name=f; filename=\"f\"\r\n\r\nfile\r\n\
        --x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--x--\r\n";
    let expected = vec![("a".to_owned(), "1\r\n2".to_owned()), ("b".to_owned(), String::new())];
    assert_eq!(multipart("multipart/form-data; boundary=\"x\"", body.as_bytes()), expected);
    assert!(multipart("multipart/form-data", body.as_bytes()).is_empty());
}

#[test]
fn durations_are_those_of_go() {
    for (text, seconds) in [
        ("5s", Some(5.0)),
        ("1h0m0s", Some(3600.0)),
        ("10m30s", Some(630.0)),
        ("1.5s", Some(1.5)),
        ("300ms", Some(0.3)),
    ] {
        assert_eq!(duration(text), seconds.map(Duration::from_secs_f64), "{text}");
    }
    for text in ["", "5", "s", "5x", "-5s", "1..2s"] {
        assert_eq!(duration(text), None, "{text}");
    }
}
