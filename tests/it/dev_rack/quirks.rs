//! What a gateway must survive: decoded paths, precedence of parameters, order of checks.

use super::client::{Socket, basic, call, form, get, rack, send};

#[test]
fn the_rack_routes_on_the_decoded_path_without_cleaning_it() {
    let rack = rack();
    for (target, status, contains) in [
        ("/apps%2Fmyapp", 200, "\"name\": \"myapp\""),
        ("/%61pps", 200, "\"name\": \"myapp\""),
        ("/apps/myapp%2Fservices", 200, "\"name\": \"worker\""),
        ("/apps/my%61pp", 200, "\"name\": \"myapp\""),
        ("/apps/..%2Fsystem", 404, ""),
        ("/apps/../system", 404, ""),
        ("/apps/./myapp", 404, ""),
        ("//apps", 404, ""),
        ("/apps/", 404, ""),
        ("/apps/myapp+x", 404, "app not found: myapp+x"),
        ("/apps/my%20app", 404, "app not found: my app"),
        ("/apps/%zz", 400, "400 Bad Request"),
        ("http://elsewhere.test/apps", 200, "\"name\": \"myapp\""),
        ("/nosuch", 404, ""),
    ] {
        let answer = get(&rack, target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(answer.text().contains(contains), "{target}: {}", answer.text());
        assert_eq!(answer.text().is_empty(), contains.is_empty(), "{target}");
    }
    let body = b"x".as_slice();
    assert_eq!(call(&rack, "POST", "/apps/myapp/objects/a%2Fb%2F..%2Fc//d", &[], body).status, 200);
    assert_eq!(get(&rack, "/apps/myapp/objects/a/b/../c//d").text(), "x");
    assert_eq!(get(&rack, "/apps/myapp/objects?prefix=a/").json(), serde_json::json!(["a/b/../c//d"]));
}

#[test]
fn only_a_matched_route_asks_who_is_there() {
    let rack = rack();
    let wrong = basic("convox", "wrong");
    for (method, target, authorization, status) in [
        ("GET", "/nosuch", wrong.as_str(), 404),
        ("PATCH", "/apps", &wrong, 405),
        ("DELETE", "/instances", &wrong, 405),
        ("GET", "/apps/myapp/logs", &wrong, 404),
        ("GET", "/check", &wrong, 200),
        ("GET", "/apps", &wrong, 401),
        ("GET", "/apps", "Basic bm9jb2xvbg==", 401),
        ("GET", "/apps", "Bearer made-up", 401),
        ("GET", "/apps", &basic("anybody", "made-up"), 200),
        ("GET", "/apps", &basic("jwt", "made-up"), 401),
        ("GET", "/auth", &basic("", "made-up"), 200),
    ] {
        let answer = call(&rack, method, target, &[("Authorization", authorization)], b"");
        assert_eq!(answer.status, status, "{method} {target} {authorization}");
    }
    let answer = call(&rack, "GET", "/apps", &[("Authorization", &wrong)], b"");
    assert_eq!(answer.text(), "invalid authentication\n");
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"convox\""));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("request-id").map(str::len), Some(12));
    // Names in Go's case.
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["Content-Type", "Content-Length", "Request-Id", "Www-Authenticate", "X-Frame-Options", "Date"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(get(&rack, "/nosuch").header("request-id"), None);
}

#[test]
fn an_error_is_json_only_for_those_who_ask() {
    let rack = rack();
    for (accept, expected) in [
        ("*/*", "app not found: nosuch\n"),
        ("text/html, application/json;q=0.5", "{\"error\":\"app not found: nosuch\"}\n"),
    ] {
        assert_eq!(call(&rack, "GET", "/apps/nosuch", &[("Accept", accept)], b"").text(), expected);
    }
}

#[test]
fn a_parameter_comes_from_the_body_before_the_query_before_the_header() {
    let rack = rack();
    let name = |answer: super::client::Answer| answer.json()["name"].as_str().unwrap().to_owned();
    assert_eq!(name(form(&rack, "POST", "/apps?name=query", "name=body")), "body");
    assert_eq!(name(call(&rack, "POST", "/apps?name=query", &[("Name", "header")], b"")), "query");
    assert_eq!(name(call(&rack, "POST", "/apps", &[("Name", "header")], b"")), "header");
    // An empty value counts as none.
    assert_eq!(name(call(&rack, "POST", "/apps?name=", &[("Name", "header-2")], b"")), "header-2");
    // Without its type a body is no form.
    assert_eq!(name(call(&rack, "POST", "/apps?name=query-2", &[], b"name=body-2")), "query-2");
    // A multipart body comes after the query.
    let multipart = b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\npart\r\n--b--\r\n";
    let content_type = [("Content-Type", "multipart/form-data; boundary=b")];
    assert_eq!(name(call(&rack, "POST", "/apps", &content_type, multipart)), "part");
    assert_eq!(name(call(&rack, "POST", "/apps?name=before", &content_type, multipart)), "before");
}

#[test]
fn options_of_a_kind_come_from_their_place_only() {
    let rack = rack();
    // `command` of an exec is read by all means; the options of an exec from headers only.
    let exec = |target: &str, headers: &[(&str, &str)]| Socket::open(&rack, target, headers).rest().concat();
    let evil = exec("/apps/myapp/processes/web/exec?command=echo+evil", &[("Command", "echo good"), ("Tty", "false")]);
    assert!(evil.starts_with("evil\n"), "{evil}");
    let tty = exec("/apps/myapp/processes/web/exec?tty=true&height=9", &[("Command", "stty size"), ("Tty", "false")]);
    assert!(tty.starts_with("stty:"), "{tty}");
    // Those of a run come from headers, those of a list from the query.
    let process = call(&rack, "POST", "/apps/myapp/services/web/processes?command=evil", &[("Command", "good")], b"");
    assert_eq!(process.json()["command"], "good");
    let listed = call(&rack, "GET", "/apps/myapp/processes?service=worker", &[("Service", "web")], b"").json();
    assert!(listed.as_array().unwrap().iter().all(|process| process["service"] == "worker"));
    // A form body of a method that has none in Go does not count.
    let answer = form(&rack, "DELETE", "/apps/myapp/processes/web/files?files=a", "files=b");
    assert_eq!(answer.text(), "process not found: web\n");
    assert_eq!(form(&rack, "GET", "/apps/myapp/objects", "prefix=nothing").status, 200);
}

#[test]
fn a_promotion_can_be_forced_from_the_query() {
    let rack = super::client::rack_with(|options| options.promote_time = std::time::Duration::from_secs(3600));
    let promote = |query: &str| {
        let release = form(&rack, "POST", "/apps/myapp/releases", "env=A%3D1").json();
        let path = format!("/apps/myapp/releases/{}/promote{query}", release["id"].as_str().unwrap());
        let answer = call(&rack, "POST", &path, &[], b"");
        (answer.status, answer.text())
    };
    assert_eq!(promote(""), (200, "ok\n".to_owned()));
    assert_eq!(promote(""), (403, "app is currently updating\n".to_owned()));
    assert_eq!(promote("?force=true"), (200, "ok\n".to_owned()));
    assert_eq!(call(&rack, "POST", "/apps/myapp/cancel", &[], b"").status, 200);
    assert_eq!(promote(""), (200, "ok\n".to_owned()));
}

#[test]
fn a_build_takes_its_source_from_the_app_that_its_url_names() {
    let rack = rack();
    form(&rack, "POST", "/apps", "name=other");
    call(&rack, "POST", "/apps/other/objects/tmp/x.tgz", &[], b"12345");
    let build = |url: &str| form(&rack, "POST", "/apps/myapp/builds", &format!("url={url}")).json();
    let logs = |build: &serde_json::Value| {
        Socket::open(&rack, &format!("/apps/myapp/builds/{}/logs", build["id"].as_str().unwrap()), &[]).rest()
    };
    let good = build("object://other/tmp/x.tgz");
    assert_eq!(logs(&good), ["Building: .\n", "received source 5 bytes\n", "Build complete\n"]);
    let bad = build("object://myapp/tmp/x.tgz");
    assert_eq!(logs(&bad), ["Building: .\n", "ERROR: no such key: tmp/x.tgz\n", "ERROR: build failed\n"]);
    let bad = get(&rack, &format!("/apps/myapp/builds/{}", bad["id"].as_str().unwrap()));
    assert_eq!(bad.json()["status"], "failed");
}

#[test]
fn long_answers_are_chunked_and_html_is_escaped() {
    let rack = rack();
    assert_eq!(get(&rack, "/system").header("transfer-encoding"), None);
    let short = get(&rack, "/apps/myapp/processes");
    assert_eq!(short.header("content-length"), Some(short.body.len().to_string().as_str()));
    form(&rack, "PUT", "/apps/myapp/services/web", "count=10");
    let answer = get(&rack, "/apps/myapp/processes");
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, Some("chunked")));
    assert_eq!(answer.json().as_array().map(Vec::len), Some(11));
    let release = form(&rack, "POST", "/apps/myapp/releases", "env=A%3D%3Ca%26b%3E");
    assert!(release.text().contains(r"A=\u003ca\u0026b\u003e"), "{}", release.text());
    assert_eq!(release.json()["env"], "A=<a&b>");
}

#[test]
fn what_is_no_http_is_refused_and_still_seen() {
    let rack = rack();
    let answer = send(&rack, b"GET /apps HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false);
    assert_eq!(answer.status, 400);
    let received = rack.state.received();
    assert_eq!(received[0].header("content-length").collect::<Vec<_>>(), [b"1", b"2"]);
}
