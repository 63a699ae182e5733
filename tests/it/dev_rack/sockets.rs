//! Handshakes, pings and ends of sockets.

use std::io::ErrorKind;
use std::time::Duration;

use super::client::{Socket, basic, rack};

const EXEC: &str = "/apps/myapp/processes/web/exec";

#[test]
fn a_socket_is_upgraded_before_anybody_asks_who_is_there() {
    let rack = rack();
    for path in [EXEC, "/apps/myapp/logs", "/system/logs", "/proxy/db.internal/5432"] {
        let wrong = basic("convox", "wrong");
        let mut socket = Socket::open(&rack, path, &[("Authorization", &wrong), ("Command", "ls")]);
        assert_eq!(socket.message(), "ERROR: invalid authentication\n");
        assert_eq!(socket.frame(), (true, 2, Vec::new()));
    }
}

#[test]
fn a_handshake_is_checked_as_gorilla_checks_it() {
    let rack = rack();
    for (headers, status, contains) in [
        (&[("Origin", "http://RACK.test")][..], 101, ""),
        (&[("Origin", "https://gateway.test")], 403, "Forbidden\nERROR: websocket: request origin not allowed"),
        (&[("Origin", "null")], 403, "Forbidden\n"),
    ] {
        let (_, answer) = Socket::dial(&rack, "/apps/myapp/logs", headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(answer.text().starts_with(contains), "{}", answer.text());
    }
    let plain = |headers: &[(&str, &str)]| super::client::call(&rack, "GET", EXEC, headers, b"");
    // `Headers("Upgrade", "websocket")` compares exactly.
    assert_eq!(plain(&[("Upgrade", "WebSocket"), ("Connection", "Upgrade")]).status, 404);
    let answer = plain(&[("Upgrade", "websocket"), ("Connection", "close")]);
    assert_eq!((answer.status, answer.header("sec-websocket-version")), (400, Some("13")));
    assert_eq!(
        plain(&[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "8")]).status,
        400
    );
    let keyless = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")];
    assert_eq!(plain(&keyless).status, 400);
}

#[test]
fn pings_are_answered_while_the_rack_reads() {
    let rack = rack();
    let mut socket = Socket::open(&rack, EXEC, &[("Command", "cat"), ("Tty", "false")]);
    socket.send(9, b"1");
    assert_eq!(socket.frame(), (true, 10, b"1".to_vec()));
    socket.text("x");
    assert_eq!(socket.message(), "x");
    // A log is only written, so nobody reads the ping before the heartbeats go on.
    let mut socket = Socket::open(&rack, "/system/logs", &[]);
    socket.send(9, b"");
    for _ in 0..10 {
        assert_eq!(socket.frame().1, 1);
    }
    let received = rack.state.received();
    assert_eq!(received.last().unwrap().frames[0].opcode, 9);
}

#[test]
fn any_binary_message_ends_the_input() {
    let rack = rack();
    let mut socket = Socket::open(&rack, EXEC, &[("Command", "cat"), ("Tty", "false")]);
    socket.text("a");
    assert_eq!(socket.message(), "a");
    socket.send(2, b"not empty");
    assert_eq!(socket.rest().len(), 1);
}

#[test]
fn the_rack_leaves_a_finished_socket_open() {
    let rack = rack();
    let mut socket = Socket::open(&rack, EXEC, &[("Command", "true"), ("Tty", "false")]);
    socket.rest();
    socket.wire.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut piece = [0; 1];
    let error = std::io::Read::read(&mut socket.wire.stream, &mut piece).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert!(!rack.state.received()[0].gone);
    drop(socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gone = rack.state.until(|received| received[0].gone);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), gone).await }).unwrap();
}

#[test]
fn the_console_of_a_resource_repeats() {
    let rack = rack();
    let mut socket = Socket::open(&rack, "/apps/myapp/resources/database/console", &[]);
    assert_eq!(socket.message(), "dev console for myapp/database\n");
    socket.text("select 1;\n");
    assert_eq!(socket.message(), "=> select 1;\n");
    socket.text("\\q\n");
    assert_eq!(socket.rest(), ["bye\n"]);
    let nosuch = Socket::open(&rack, "/apps/myapp/resources/nosuch/console", &[]).rest();
    assert_eq!(nosuch, ["ERROR: no such resource: nosuch\n"]);
}

#[test]
fn the_proxy_reaches_known_hosts_only() {
    let rack = rack();
    for target in [
        "resource-database.dev-myapp.svc.cluster.local/5432",
        "shared-redis.resources.example.test/6379",
        "db.internal/5432",
        "10.0.0.1/22",
    ] {
        let mut socket = Socket::open(&rack, &format!("/proxy/{target}"), &[]);
        let bytes: Vec<u8> = (0..=255).collect();
        socket.send(1, &bytes);
        assert_eq!(socket.frame(), (true, 1, bytes), "{target}");
        socket.end();
        assert_eq!(socket.frame(), (true, 2, Vec::new()));
    }
    for (target, error) in [
        ("localhost/80", "invalid proxy host"),
        ("127.0.0.1/80", "invalid proxy host"),
        ("127.1/80", "invalid proxy host"),
        ("2130706433/80", "invalid proxy host"),
        ("0x7f000001/80", "invalid proxy host"),
        ("169.254.169.254/80", "invalid proxy host"),
        ("[::1]/80", "invalid proxy host"),
        ("[::ffff:127.0.0.1]/80", "invalid proxy host"),
        ("[fd00::1]/80", "invalid proxy host"),
        ("db.internal/0", "invalid proxy port"),
        ("db.internal/65536", "invalid proxy port"),
        ("db.internal/x", "strconv.Atoi: parsing \"x\": invalid syntax"),
        ("db.internal/5433", "dial tcp: lookup db.internal: no such host"),
        ("example.test/443", "dial tcp: lookup example.test: no such host"),
    ] {
        let frames = Socket::open(&rack, &format!("/proxy/{target}"), &[]).rest();
        assert_eq!(frames, [format!("ERROR: {error}\n")], "{target}");
    }
}
