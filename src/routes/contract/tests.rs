//! The contract, case by case.

use super::super::{Found, Kind, Target, find};
use super::*;

const FORM_HEADERS: [(&str, &[u8]); 2] =
    [("content-type", b"application/x-www-form-urlencoded"), ("content-length", b"9")];

fn matched(kind: Kind, raw: &str) -> Matched {
    match find(kind, Target::parse(raw).expect(raw)) {
        Found::Row(matched) => matched,
        other => panic!("{raw}: {other:?}"),
    }
}

fn request(kind: Kind, raw: &str, headers: &[(&str, &[u8])]) -> Result<Outgoing, &'static str> {
    matched(kind, raw).request(headers).map_err(|error| {
        assert!(!error.to_string().contains('%'), "{error}");
        error.slug()
    })
}

fn names(outgoing: &Outgoing) -> Vec<&str> {
    outgoing.headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn targets_are_written_anew() {
    let cases = [
        (Kind::Get, "/apps?", "/apps?"),
        (Kind::Get, "/apps", "/apps"),
        (Kind::Get, "/%61pps?", "/apps?"),
        (Kind::Get, "/system/processes?all=true", "/system/processes?all=true"),
        (Kind::Get, "/apps/a/processes/p/files?file=%2Ftmp%2Fx", "/apps/a/processes/p/files?file=%2Ftmp%2Fx"),
        (Kind::Get, "/apps/a/processes/p/files?file=/tmp/a+b", "/apps/a/processes/p/files?file=%2Ftmp%2Fa+b"),
        (Kind::Get, "/apps/a/metrics?metrics=cpu?", "/apps/a/metrics?metrics=cpu%3F"),
        (Kind::Get, "/apps/a/processes?service=web&release=R1", "/apps/a/processes?service=web&release=R1"),
        (Kind::Get, "/apps/a/processes?%73ervice", "/apps/a/processes?service="),
        (Kind::Delete, "/registries/index.docker.io/v1/?", "/registries/index.docker.io/v1/?"),
    ];
    for (kind, raw, target) in cases {
        assert_eq!(request(kind, raw, &[]).expect(raw).target, target);
    }
}

#[test]
fn queries_have_known_keys_once() {
    let cases = [
        ("/apps?x=1", "query-unknown-key"),
        ("/apps/a/releases?limit=1&limit=2", "query-duplicate-key"),
        ("/apps/a/releases?limit=1&%6cimit=2", "query-duplicate-key"),
        ("/apps/a/releases?Limit=1", "query-unknown-key"),
        ("/apps/a/releases?limit[]=1", "query-unknown-key"),
        ("/apps/a/releases?=1", "query-empty-key"),
        ("/apps/a/releases?&", "query-empty-key"),
        ("/apps/a/releases?limit=1&", "query-empty-key"),
        ("/apps/a/releases?limit=1;limit=2", "query-semicolon"),
        ("/apps/a/releases?limit=%", "query-escape"),
        ("/apps/a/releases?limit=%ff", "query-utf8"),
        ("/apps/a/releases?limit=%00", "query-control"),
        ("/apps/a/releases?limit=%0a", "query-control"),
    ];
    for (raw, slug) in cases {
        assert_eq!(request(Kind::Get, raw, &[]), Err(slug), "{raw}");
    }
}

/// On the rack a query beats the header, and a query does for a form key.
#[test]
fn a_name_comes_from_its_place_only() {
    let cases = [
        (Kind::Socket, "/apps/a/processes/p/exec?command=sh"),
        (Kind::Post, "/apps/a/releases?env=A=1"),
        (Kind::Post, "/apps/a/builds?manifest=other.yml"),
        (Kind::Post, "/apps/a/releases/R1/promote?force=true"),
        (Kind::Post, "/apps?name=x"),
    ];
    for (kind, raw) in cases {
        assert_eq!(request(kind, raw, &[]), Err("query-unknown-key"), "{raw}");
    }
    assert_eq!(request(Kind::Post, "/apps/a/releases", &[("env", b"A=1")]).map(|out| out.headers), Ok(vec![]));
    assert_eq!(
        request(Kind::Get, "/apps/a/processes", &[("release", b"R1")]),
        Err("header-foreign"),
        "a query key may be an option header elsewhere"
    );
}

#[test]
fn only_listed_headers_pass() {
    let sent: &[(&str, &[u8])] = &[
        ("Host", b"gateway.example"),
        ("user-agent", b"convox.go/dev"),
        ("version", b"dev"),
        ("authorization", b"Basic x"),
        ("session", b""),
        ("rack", b"acme/prod"),
        ("cookie", b"a=b"),
        ("origin", b"https://gateway.example"),
        ("connection", b"Upgrade, Convox-Actor"),
        ("upgrade", b"websocket"),
        ("sec-websocket-key", b"x"),
        ("sec-websocket-version", b"13"),
        ("convox-actor", b"root"),
        ("x-convox-actor", b"root"),
        ("x_convox_actor", b"root"),
        ("convox_actor", b"root"),
        ("convox-tid", b"1"),
        ("x-convox-tid", b"1"),
        ("x-forwarded-for", b"1.2.3.4"),
        ("x-anything", b"1"),
        ("command", b"echo h\xc3\xa9 \xff"),
        ("Tty", b"false"),
        ("challenge", b"x"),
    ];
    let out = request(Kind::Socket, "/apps/a/processes/p/exec", sent).expect("the CLI's headers");
    assert_eq!(names(&out), ["user-agent", "version", "command", "tty"]);
    assert_eq!(out.headers[2].1, b"echo h\xc3\xa9 \xff");
    assert_eq!(out.method, "GET");
    assert_eq!(out.body, Body::None);
}

#[test]
fn option_headers_belong_to_rows() {
    let cases: [(Kind, &str, &str, &[u8]); 8] = [
        (Kind::Socket, "/apps/a/processes/p/exec", "image", b"evil"),
        (Kind::Socket, "/apps/a/processes/p/exec", "private-key", b"x"),
        (Kind::Socket, "/apps/a/processes/p/exec", "Environment", b"A=1"),
        (Kind::Get, "/apps", "command", b"sh"),
        (Kind::Post, "/apps/a/services/web/restart", "command", b"sh"),
        (Kind::Get, "/apps/a/objects/tmp/x", "public", b"true"),
        (Kind::Post, "/apps/a/services/web/processes", "private-key", b"x"),
        (Kind::Socket, "/apps/a/logs", "command", b"sh"),
    ];
    for (kind, raw, name, value) in cases {
        assert_eq!(request(kind, raw, &[(name, value)]), Err("header-foreign"), "{raw} {name}");
    }
}

#[test]
fn header_values_and_doubles() {
    let exec = |headers: &[(&str, &[u8])]| request(Kind::Socket, "/apps/a/processes/p/exec", headers);
    assert_eq!(exec(&[("command", b"a"), ("command", b"b")]), Err("header-duplicate"));
    assert_eq!(exec(&[("command", b"a"), ("Command", b"a")]), Err("header-duplicate"));
    assert_eq!(exec(&[("version", b"a"), ("version", b"b")]), Err("header-duplicate"));
    assert_eq!(exec(&[("host", b"a"), ("host", b"b")]), Err("header-duplicate"));
    assert_eq!(exec(&[("authorization", b"a"), ("authorization", b"b")]), Err("header-duplicate"));
    for value in [b"a\0b".as_slice(), b"a\r\nImage: x", b"a\nb", b"a\x7f"] {
        assert_eq!(exec(&[("command", value)]), Err("header-value"));
    }
    assert!(exec(&[("command", b"a\tb")]).is_ok());
    assert!(exec(&[("command", b"")]).is_ok());
    assert_eq!(exec(&[("expect", b"100-continue")]).map(|out| out.headers), Ok(vec![]));
    assert_eq!(exec(&[("expect", b"200-ok")]), Err("header-expect"));
    let encodings: [(&[u8], &[&str]); 4] =
        [(b"gzip", &["accept-encoding"]), (b"identity", &["accept-encoding"]), (b"gzip, br", &[]), (b"br", &[])];
    for (value, kept) in encodings {
        assert_eq!(names(&exec(&[("accept-encoding", value)]).expect("dropped at most")), kept);
    }
}

/// Method, target, headers; the forwarded content type or the refusal.
type BodyCase<'a> = (Kind, &'a str, &'a [(&'a str, &'a [u8])], Result<Option<&'a [u8]>, &'a str>);

#[test]
fn bodies_are_of_the_rows_kind() {
    let (form, none, stream, inspect) =
        ("/apps/a/releases", "/apps/a/cancel", "/apps/a/builds/import", "/letsencrypt/config");
    let cases: [BodyCase<'_>; 20] = [
        (Kind::Post, form, &FORM_HEADERS, Ok(Some(b"application/x-www-form-urlencoded"))),
        (
            Kind::Post,
            form,
            &[("content-type", b"Application/X-WWW-Form-Urlencoded ; charset=UTF-8"), ("content-length", b"9")],
            Ok(Some(b"application/x-www-form-urlencoded")),
        ),
        (
            Kind::Post,
            form,
            &[("content-type", b"application/octet-stream"), ("content-length", b"0")],
            Ok(Some(b"application/octet-stream")),
        ),
        (Kind::Post, form, &[], Ok(None)),
        (
            Kind::Post,
            form,
            &[("content-type", b"application/octet-stream"), ("content-length", b"9")],
            Err("content-type"),
        ),
        (Kind::Post, form, &[("content-length", b"9")], Err("content-type")),
        (Kind::Post, form, &[("transfer-encoding", b"chunked")], Err("content-type")),
        (Kind::Post, form, &[("content-type", b"application/json"), ("content-length", b"2")], Err("content-type")),
        (Kind::Post, form, &[("content-type", b"multipart/form-data; boundary=x")], Err("content-type-multipart")),
        (Kind::Post, none, &[("content-type", b"multipart/form-data; boundary=x")], Err("content-type-multipart")),
        (Kind::Post, none, &[("content-length", b"1")], Err("body-not-allowed")),
        (Kind::Post, none, &[("transfer-encoding", b"chunked")], Err("body-not-allowed")),
        (Kind::Post, none, &[("content-length", b"0")], Ok(None)),
        (Kind::Post, none, &[("content-type", b"application/x-www-form-urlencoded")], Err("content-type")),
        (
            Kind::Post,
            stream,
            &[("content-type", b"application/octet-stream"), ("transfer-encoding", b"chunked")],
            Ok(Some(b"application/octet-stream")),
        ),
        (Kind::Post, stream, &[("content-type", b"application/x-www-form-urlencoded")], Err("content-type")),
        (Kind::Post, stream, &[("content-type", b"Multipart/Mixed")], Err("content-type-multipart")),
        (Kind::Post, stream, &[("content-encoding", b"gzip")], Err("content-encoding")),
        (
            Kind::Put,
            inspect,
            &[("content-type", b"application/json"), ("content-length", b"2")],
            Ok(Some(b"application/json")),
        ),
        (Kind::Post, stream, &[("content-length", b"1"), ("transfer-encoding", b"chunked")], Err("body-two-lengths")),
    ];
    for (kind, raw, headers, expected) in cases {
        let got = request(kind, raw, headers);
        let got = got.as_ref().map(|out| out.headers.first().map(|(_, value)| value.as_slice())).map_err(|slug| *slug);
        assert_eq!(got, expected, "{raw} {headers:?}");
    }
}

#[test]
fn statuses_tell_media_types_apart() {
    let cases = [
        (ContractError::Multipart { expected: FORM }, 415),
        (ContractError::ContentEncoding, 415),
        (ContractError::TooLarge { max: 1 }, 413),
        (ContractError::Expect, 400),
    ];
    for (error, status) in cases {
        assert_eq!(error.status(), status);
    }
}

const FORM: &str = headers::FORM_TYPE;

#[test]
fn forms_have_known_keys_once() {
    let keys = ["env", "build", "description"];
    let cases: [(&[u8], &str); 12] = [
        (b"env=a&other=b", "form-unknown-key"),
        (b"env=a&env=b", "form-duplicate-key"),
        (b"env=a&%65nv=b", "form-duplicate-key"),
        (b"ENV=a", "form-unknown-key"),
        (b"=a", "form-empty-key"),
        (b"env=a&&build=b", "form-empty-key"),
        (b"env=a;build=b", "form-semicolon"),
        (b"env=%zz", "form-escape"),
        (b"env=%ff", "form-utf8"),
        (b"env=\xff", "form-utf8"),
        (b"env=a%00", "form-control"),
        (b"--x\r\nContent-Disposition: form-data; name=\"env\"", "form-semicolon"),
    ];
    for (raw, slug) in cases {
        let error = form(&keys, raw).expect_err(slug);
        assert_eq!(error.slug(), slug);
        assert!(!error.to_string().contains('%'), "{error}");
    }
    assert_eq!(form(&keys, b"").map(|form| form.pairs), Ok(vec![]));
    let read = form(&keys, b"env=A%3D1%0aB%3D+2&build=").expect("a form");
    assert_eq!((read.get("env"), read.get("build"), read.get("description")), (Some("A=1\nB= 2"), Some(""), None));
    assert_eq!(read.encode(), "env=A%3D1%0AB%3D+2&build=");
}

/// Bodies that the stock CLI sent.
#[test]
fn forms_of_the_cli_come_out_byte_for_byte() {
    let bodies = [
        "parameters=idle_timeout%3D120",
        "force=false&version=3.24.10",
        "password=p%40ss+word%26x&server=index.docker.io%2Fv1%2F&username=user1",
        "description=first+build&url=object%3A%2F%2Fapp1%2Ftmp%2F1b2399aa66f0580582a1dfd50db318.tgz",
        "env=A%3D1%0AGREETING%3Dhello%0ASECRET%3Ds3cr3t",
        "env=SECRET%3Da+b%26c%3Dd%2520EDITED%3D1",
        "build=BTWTPUOVZVQ&description=Created+from+build+release%3A+RAVUYHNASLL&env=P%3D1",
        "domains=www.example.test%2Ca.example.test",
        "build=BTWTPUOVZVQ&env=",
        "opts=%7B%22min%22%3A1%2C%22max%22%3A3%2C%22triggers%22%3A%5B%7B%22type%22%3A%22cpu%22%7D%5D%7D",
        "ack_by=cli&alert-threshold-percent=80&at-cap-action=alert-only&monthly-cap-usd=100",
        "key=-----BEGIN+PRIVATE+KEY-----%0AMIGHAgEA%2BkML%2F%0A-----END+PRIVATE+KEY-----%0A&pub=x",
    ];
    for body in bodies {
        let keys: Vec<&str> = body.split('&').filter_map(|pair| pair.split('=').next()).collect();
        assert_eq!(form(&keys, body.as_bytes()).expect(body).encode(), body);
    }
}

#[test]
fn outgoing_reads_its_own_form() {
    let out = request(Kind::Post, "/apps/a/releases", &FORM_HEADERS).expect("a form row");
    assert_eq!(out.form(b"env=A%3D1").map(|form| form.encode()), Ok("env=A%3D1".to_owned()));
    let Body::Form { max, .. } = out.body else { panic!("a form row") };
    assert_eq!(out.form(&vec![b'a'; max + 1]), Err(ContractError::TooLarge { max }));
    let undeclared = request(Kind::Post, "/apps/a/releases", &[]).expect("no body declared");
    assert_eq!(undeclared.form(b"env=A"), Err(ContractError::ContentType { expected: FORM }));
    assert_eq!(undeclared.form(b"").map(|form| form.pairs), Ok(vec![]));
    let bodyless = request(Kind::Get, "/apps", &[]).expect("a row without body");
    assert_eq!(bodyless.form(b"a=b"), Err(ContractError::BodyNotAllowed));
}

#[test]
fn secrets_stay_out_of_debug() {
    let out = request(Kind::Socket, "/instances/i-1/shell", &[("private-key", b"s3cr3t")]).expect("a shell");
    let shown = format!("{out:?}");
    assert!(shown.contains("private-key") && !shown.contains("s3cr3t") && !shown.contains("115, 51"), "{shown}");
    let read = form(&["env"], b"env=s3cr3t").expect("a form");
    assert!(!format!("{read:?}").contains("s3cr3t"));
}
