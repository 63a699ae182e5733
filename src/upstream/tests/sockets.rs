//! Sockets, frame by frame and byte by byte.

use super::raw::{frame, handshake};
use super::*;
use crate::upstream::Kill;
use std::time::Instant;

const FIN_TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASK: Option<[u8; 4]> = Some([0xa5, 0x00, 0xff, 0x5a]);
const EMPTY_BINARY: [u8; 2] = [0x82, 0x00];

/// A socket that is open on both sides, with what either side sent along with its handshake.
async fn open(server: &RawServer, gateway: &Gateway, client_first: &[u8], rack_first: &[u8]) -> (Conn, Conn) {
    let mut request = handshake("/apps/a/processes/p/exec", "Command: sh\r\n").into_bytes();
    request.extend_from_slice(client_first);
    let mut client = gateway.send(request).await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    assert_eq!(head.first, "GET /apps/a/processes/p/exec HTTP/1.1");
    rack.accept_socket(&head, rack_first).await;
    assert_eq!(client.head().await.status(), 101);
    (client, rack)
}

async fn pass(from: &mut Conn, to: &mut Conn, bytes: &[u8]) {
    from.send(bytes).await;
    assert_eq!(to.read_exact(bytes.len()).await, bytes);
}

#[actix_web::test]
async fn bytes_are_the_same_on_both_sides() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    let cases = [
        frame(FIN_TEXT, None, b"plain"),
        frame(FIN_TEXT, None, &[0xff, 0xfe, 0x80, 0x00]),
        [frame(0x01, None, &[0xf0, 0x9f]), frame(0x89, None, b"ping"), frame(0x80, None, &[0x98, 0x80])].concat(),
        frame(BINARY, None, &[0; 70_000]),
        frame(FIN_TEXT, None, &[0xc3; 300]),
        frame(0x8a, None, b""),
        // Not websocket at all.
        vec![0xff; 40],
    ];
    let (mut up, mut down) = (0, 0);
    for bytes in &cases {
        pass(&mut rack, &mut client, bytes).await;
        down += bytes.len();
        let masked = frame(bytes[0], MASK, bytes);
        pass(&mut client, &mut rack, &masked).await;
        up += masked.len();
    }
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    let outcome = gateway.ended(OutcomeResult::ClientGone, 101).await;
    assert_eq!((outcome.bytes_in, outcome.bytes_out), (up as u64, down as u64));
}

#[actix_web::test]
async fn bytes_behind_the_handshakes_are_not_lost() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let hello = frame(FIN_TEXT, MASK, b"hello");
    let banner = [frame(FIN_TEXT, None, b"banner"), frame(0x01, None, b"half")].concat();
    let (mut client, mut rack) = open(&server, &gateway, &hello, &banner).await;
    assert_eq!(client.read_exact(banner.len()).await, banner);
    assert_eq!(rack.read_exact(hello.len()).await, hello);
    pass(&mut rack, &mut client, &frame(0x80, None, b"rest")).await;
}

#[actix_web::test]
async fn the_end_of_the_input_is_not_the_end_of_the_socket() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    pass(&mut client, &mut rack, &frame(BINARY, MASK, b"")).await;
    for _ in 0..3 {
        pass(&mut rack, &mut client, &frame(FIN_TEXT, None, b"output of cat")).await;
        pass(&mut client, &mut rack, &frame(0x89, MASK, b"")).await;
    }
    pass(&mut rack, &mut client, &frame(FIN_TEXT, None, b"F1E49A85-0AD7-4AEF-A618-C249C6E6568D:3\n")).await;
    pass(&mut rack, &mut client, &EMPTY_BINARY).await;
    // The CLI exits.
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    gateway.ended(OutcomeResult::Completed, 101).await;
}

#[actix_web::test]
async fn a_socket_that_the_rack_leaves_open_is_reaped() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    rack.send(frame(FIN_TEXT, None, b"done")).await;
    rack.send(EMPTY_BINARY).await;
    // Nobody closes.
    assert!(rack.read_to_end().await.is_empty());
    assert_eq!(client.read_to_end().await, [frame(FIN_TEXT, None, b"done"), EMPTY_BINARY.to_vec()].concat());
    gateway.ended(OutcomeResult::Completed, 101).await;
}

#[actix_web::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let last = frame(FIN_TEXT, None, b"last");
    // The rack ends in the middle of a frame; what came is passed on.
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    rack.send(&last[..4]).await;
    drop(rack);
    assert_eq!(client.read_to_end().await, last[..4]);
    gateway.ended(OutcomeResult::Completed, 101).await;
    // The client ends; the rack hears of it.
    let (client, mut rack) = open(&server, &gateway, b"", b"").await;
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    gateway.ended(OutcomeResult::ClientGone, 101).await;
}

#[actix_web::test]
async fn a_refused_upgrade_leaves_no_tunnel() {
    let cases = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret", 403),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 502),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 500),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", 502),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 502),
        ("nonsense\r\n\r\n", 502),
        ("", 502),
    ];
    for (answer, status) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(handshake("/x", "")).await;
        let mut rack = server.accept().await;
        rack.head().await;
        if answer.is_empty() {
            drop(rack);
        } else {
            rack.send(answer).await;
            // A tunnel would carry this to the rack.
            client.try_send(get("/apps/other/processes")).await.ok();
            assert!(rack.read_to_end().await.is_empty(), "{answer}");
        }
        let refused = client.answer().await;
        assert_eq!(refused.status(), status, "{answer}");
        assert!(refused.text().contains("\"error\":") && !refused.text().contains("secret"), "{}", refused.text());
        gateway.ended(OutcomeResult::UpstreamError, status).await;
    }
}

#[actix_web::test]
async fn extras_that_nobody_offered_are_refused() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    for extra in ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat"] {
        let mut client = gateway.send(handshake("/x", "")).await;
        let mut rack = server.accept().await;
        let head = rack.head().await;
        let accept = actix_http::ws::hash_key(head.get("sec-websocket-key").expect("a key").as_bytes());
        let accept = String::from_utf8_lossy(&accept);
        let answer = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n\r\n"
        );
        rack.send(answer).await;
        assert_eq!(client.answer().await.status(), 502);
    }
}

#[actix_web::test]
async fn only_a_whole_handshake_reaches_the_rack() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let whole = handshake("/x", "");
    let cases = [
        whole.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        whole.replace("Sec-WebSocket-Version: 13\r\n", ""),
        whole.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        whole.replace("Connection: Upgrade\r\n", ""),
        whole.replace("GET ", "POST "),
    ];
    for request in cases {
        assert_eq!(gateway.send(&request).await.answer().await.status(), 400, "{request}");
        assert_eq!(gateway.outcome().await.status, Some(400));
    }
    assert!(server.is_untouched().await);
}

#[actix_web::test]
async fn a_rack_that_does_not_answer_the_handshake_is_a_504() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::with(&server, Limits { socket_open: Duration::from_millis(50), ..limits() });
    let mut client = gateway.send(handshake("/x", "")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    assert_eq!(client.answer().await.status(), 504);
    assert!(rack.read_to_end().await.is_empty());
    gateway.ended(OutcomeResult::UpstreamError, 504).await;
}

#[actix_web::test]
async fn silence_ends_a_socket_and_pings_keep_it() {
    let server = RawServer::bind().await;
    let idle = Duration::from_millis(500);
    let mut gateway = Gateway::with(&server, Limits { socket_idle: idle, ..limits() });
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    let start = Instant::now();
    while start.elapsed() < idle * 2 {
        pass(&mut client, &mut rack, &frame(0x89, MASK, b"")).await;
    }
    assert!(client.read_to_end().await.is_empty());
    assert!(rack.read_to_end().await.is_empty());
    let outcome = gateway.ended(OutcomeResult::Completed, 101).await;
    assert!(outcome.message.is_some_and(|message| message.contains("idle")));
}

#[actix_web::test]
async fn a_kill_is_said_at_the_next_place_for_a_frame() {
    const SENTINEL: &[u8] = b"F1E49A85-0AD7-4AEF-A618-C249C6E6568D:137\n";
    let sentinel = [frame(FIN_TEXT, None, SENTINEL), EMPTY_BINARY.to_vec()].concat();
    let whole = frame(FIN_TEXT, None, b"some output");
    let start = frame(0x01, None, b"begin");
    // What the rack sent before, what it sends after, and what the client sees at the end.
    type Case<'a> = (&'a str, Vec<u8>, &'a [u8], Option<u8>, Vec<u8>);
    let cases: [Case<'_>; 5] = [
        ("between frames", whole.clone(), b"", Some(137), sentinel.clone()),
        ("no exit code", whole.clone(), b"", None, EMPTY_BINARY.to_vec()),
        ("in a frame", whole[..5].to_vec(), &whole[5..], Some(137), [&whole[5..], &sentinel].concat()),
        ("in a message", start.clone(), b"", Some(137), [&[0x80, 0][..], &sentinel].concat()),
        (
            "in a frame with more behind",
            whole[..5].to_vec(),
            &[&whole[5..], &start].concat(),
            Some(137),
            [&whole[5..], &sentinel].concat(),
        ),
    ];
    for (case, before, after, exit, expected) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
        pass(&mut rack, &mut client, &before).await;
        let switch = gateway.switch();
        assert!(!switch.is_over());
        switch.kill(Kill { reason: "the role was taken away".to_owned(), exit });
        switch.kill(Kill { reason: "again".to_owned(), exit: Some(1) });
        rack.try_send(after).await.ok();
        assert_eq!(client.read_exact(expected.len()).await, expected, "{case}");
        assert!(rack.read_to_end().await.is_empty(), "{case}");
        drop(client);
        let outcome = gateway.ended(OutcomeResult::Completed, 101).await;
        assert_eq!(outcome.message.as_deref(), Some("ended by the gateway: the role was taken away"), "{case}");
        soon("over", switch.over()).await;
    }
}

#[actix_web::test]
async fn nothing_more_reaches_the_rack_after_a_kill() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::with(&server, Limits { socket_grace: Duration::from_secs(5), ..limits() });
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    gateway.switch().kill(Kill { reason: "r".to_owned(), exit: Some(137) });
    assert!(rack.read_to_end().await.is_empty());
    client.send(frame(FIN_TEXT, MASK, b"rm -rf /")).await;
    assert_eq!(client.frame().await.len(), 43);
    assert_eq!(client.frame().await, EMPTY_BINARY);
    drop(client);
    assert_eq!(gateway.ended(OutcomeResult::Completed, 101).await.bytes_in, 0);
    assert!(server.is_untouched().await);
}

#[actix_web::test]
async fn a_switch_that_is_dropped_ends_nothing() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let (mut client, mut rack) = open(&server, &gateway, b"", b"").await;
    drop(gateway.switch());
    pass(&mut rack, &mut client, &frame(FIN_TEXT, None, b"still here")).await;
    pass(&mut client, &mut rack, &frame(FIN_TEXT, MASK, b"still here")).await;
}

#[actix_web::test]
async fn a_denial_is_said_in_the_socket() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    // The client has already typed something, which must not take the answer away from it.
    let mut request = handshake("/denied", "").into_bytes();
    request.extend(frame(FIN_TEXT, MASK, b"ls\n"));
    let mut client = gateway.send(request).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(client.frame().await, frame(FIN_TEXT, None, b"ERROR: denied: 100% sure\n"));
    assert_eq!(client.frame().await, frame(FIN_TEXT, None, b"F1E49A85-0AD7-4AEF-A618-C249C6E6568D:126\n"));
    assert_eq!(client.frame().await, EMPTY_BINARY);
    assert!(server.is_untouched().await);
    let broken = handshake("/denied", "").replace("Version: 13", "Version: 7");
    assert_eq!(gateway.send(broken).await.answer().await.status(), 400);
}

#[actix_web::test]
async fn sockets_run_over_tls_too() {
    let identity = Identity::new("localhost");
    let server = RawServer::bind().await;
    let mut gateway = Gateway::start(&identity.config(&server, &Trust::authority(identity.ca.as_str()), limits()));
    let mut client = gateway.send(handshake("/x", "")).await;
    let mut rack = identity.conn(&server).await;
    let head = rack.head().await;
    let banner = frame(FIN_TEXT, None, &[0xff; 40_000]);
    rack.accept_socket(&head, &banner).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(client.read_exact(banner.len()).await, banner);
    pass(&mut client, &mut rack, &frame(FIN_TEXT, MASK, b"typed")).await;
    rack.send(EMPTY_BINARY).await;
    assert_eq!(client.frame().await, EMPTY_BINARY);
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    gateway.ended(OutcomeResult::Completed, 101).await;
}

#[actix_web::test]
async fn many_sockets_need_no_place_in_the_pool() {
    let server = RawServer::bind().await;
    let gateway = Gateway::with(&server, Limits { exchanges: 1, ..limits() });
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(open(&server, &gateway, b"", b"").await);
    }
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    rack.send(OK).await;
    assert_eq!(client.answer().await.text(), "ok");
    for (client, rack) in &mut sockets {
        pass(rack, client, &frame(FIN_TEXT, None, b"alive")).await;
    }
}
