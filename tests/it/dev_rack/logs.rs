//! Logs over sockets.

use super::client::{Socket, call, form, get, rack, rack_with};

const APP: &str = "/apps/myapp/logs";

#[test]
fn a_log_that_is_not_followed_ends() {
    let rack = rack();
    let web = get(&rack, "/apps/myapp/processes?service=web").json()[0]["id"].as_str().unwrap().to_owned();
    let of_process = format!("/apps/myapp/processes/{web}/logs");
    for (path, headers, expected) in [
        (APP, &[][..], 5),
        (APP, &[("Tail", "2")], 2),
        (APP, &[("Filter", "process started")], 3),
        (APP, &[("Filter", "process started"), ("Tail", "1")], 1),
        (APP, &[("Since", "1h0m0s")], 5),
        ("/apps/myapp/services/web/logs", &[], 2),
        ("/apps/myapp/services/worker/logs", &[], 1),
        (&of_process, &[], 1),
        ("/system/logs", &[], 1),
    ] {
        let mut headers = headers.to_vec();
        headers.push(("Follow", "false"));
        assert_eq!(Socket::open(&rack, path, &headers).rest().len(), expected, "{path} {headers:?}");
    }
    for (path, error) in [
        ("/apps/nosuch/logs", "app not found: nosuch"),
        ("/apps/myapp/services/nosuch/logs", "no such service: nosuch"),
        ("/apps/myapp/processes/nosuch/logs", "process not found: nosuch"),
        ("/apps/myapp/builds/nosuch/logs", "build not found: nosuch"),
    ] {
        assert_eq!(Socket::open(&rack, path, &[]).rest(), [format!("ERROR: {error}\n")]);
    }
}

#[test]
fn lines_have_a_date_and_a_source_when_asked() {
    let clock = rack_gateway::clock::Clock::from_fn(|| time::macros::datetime!(2026-01-02 03:04:05.678 UTC));
    let rack = rack_with(|options| options.clock = clock);
    let line = |headers: &[(&str, &str)]| Socket::open(&rack, APP, headers).message();
    assert_eq!(line(&[("Prefix", "true")]), "2026-01-02T03:04:05Z system/dev app created\n");
    assert_eq!(line(&[]), "app created\n");
}

#[test]
fn a_followed_log_beats_and_shows_what_happens() {
    let rack = rack();
    let mut socket = Socket::open(&rack, APP, &[("Prefix", "true"), ("Since", "5s")]);
    let mut until = |text: &str| {
        for _ in 0..10_000 {
            let line = socket.message();
            if line.contains(text) {
                return line;
            }
        }
        panic!("no {text:?}");
    };
    until("system/dev heartbeat 1\n");
    until("system/dev heartbeat 2\n");
    form(&rack, "PUT", "/apps/myapp/services/worker", "count=2");
    until("service/worker/worker-");
    let release = form(&rack, "POST", "/apps/myapp/releases", "env=A%3D1").json();
    let id = release["id"].as_str().unwrap();
    call(&rack, "POST", &format!("/apps/myapp/releases/{id}/promote"), &[], b"");
    until(&format!("system/dev promoted {id}\n"));
    Socket::open(&rack, "/apps/myapp/processes/web/exec", &[("Command", "echo hello")]).rest();
    until("exec echo hello\n");
}

#[test]
fn a_build_log_ends_with_the_build() {
    let rack = rack_with(|options| options.build_time = std::time::Duration::from_millis(50));
    call(&rack, "POST", "/apps/myapp/objects/tmp/x.tgz", &[], b"source");
    let build =
        form(&rack, "POST", "/apps/myapp/builds", "url=object%3A%2F%2Fmyapp%2Ftmp%2Fx.tgz&description=d").json();
    assert_eq!((&build["status"], &build["ended"]), (&"running".into(), &"0001-01-01T00:00:00Z".into()));
    let path = format!("/apps/myapp/builds/{}", build["id"].as_str().unwrap());
    let lines = Socket::open(&rack, &format!("{path}/logs"), &[]).rest();
    assert_eq!(lines, ["Building: .\n", "received source 6 bytes\n", "Build complete\n"]);
    let build = get(&rack, &path).json();
    assert_eq!(build["status"], "complete");
    let release = get(&rack, &format!("/apps/myapp/releases/{}", build["release"].as_str().unwrap())).json();
    assert_eq!((&release["description"], &release["build"]), (&"d".into(), &build["id"]));
    assert_eq!(release["env"], "GREETING=hello\nSECRET_KEY=made-up-s3cr3t");
}
