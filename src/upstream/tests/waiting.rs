//! Sockets that wait for their permit.

use super::raw::{frame, handshake};
use super::*;
use crate::upstream::Kill;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASK: Option<[u8; 4]> = Some([0xa5, 0x00, 0xff, 0x5a]);
const EMPTY_BINARY: [u8; 2] = [0x82, 0x00];
const SHOWN: &str = "Confirm it first:\r\n  https://gateway/app/c/CODE\r\n\
    The session starts by itself once that is done; Ctrl-C gives up.\r\n";

/// What a client types, masked.
fn typed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = MASK.unwrap();
    let masked: Vec<_> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    frame(first, MASK, &masked)
}

fn exit(code: u8) -> Vec<u8> {
    frame(TEXT, None, format!("F1E49A85-0AD7-4AEF-A618-C249C6E6568D:{code}\n").as_bytes())
}

/// What ends a wait for which the client stays.
fn refusal(why: &str) -> Vec<u8> {
    [frame(TEXT, None, format!("\r\nERROR: {why}\r\n").as_bytes()), exit(126), EMPTY_BINARY.to_vec()].concat()
}

fn done() -> Vec<u8> {
    frame(TEXT, None, b"\r\nDone; the session starts.\r\n")
}

/// A client that was shown what to do.
async fn wait(gateway: &Gateway, first: &[u8]) -> (Conn, Wait) {
    let mut request = handshake("/waiting", "Command: sh\r\n").into_bytes();
    request.extend_from_slice(first);
    let mut client = gateway.send(request).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(client.frame().await, frame(TEXT, None, SHOWN.as_bytes()));
    (client, gateway.wait())
}

/// The rack's side of a wait that was answered.
async fn opened(server: &RawServer, client: &mut Conn, wait: Wait) -> Conn {
    wait.ready.send(Ok(())).unwrap();
    assert_eq!(client.frame().await, done());
    let mut rack = server.accept().await;
    let head = rack.head().await;
    assert_eq!(head.first, "GET /waiting HTTP/1.1");
    assert_eq!(head.get("command"), Some("sh"));
    rack.accept_socket(&head, &frame(TEXT, None, b"# ")).await;
    assert_eq!(client.frame().await, frame(TEXT, None, b"# "));
    rack
}

/// Nothing was asked of the rack, and no permit was taken.
async fn came_to_nothing(server: &RawServer, gateway: &mut Gateway, wait: Wait) {
    let Wait { mut ready, stop } = wait;
    soon("the permit is waited for no more", ready.closed()).await;
    drop(stop);
    assert!(server.is_untouched().await);
    assert!(gateway.outcomes.try_recv().is_err());
}

#[actix_web::test]
async fn a_socket_that_is_permitted_later_is_relayed() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    // Typed before anything was shown.
    let (mut client, wait) = wait(&gateway, &typed(TEXT, b"rm -rf /\r")).await;
    client.send(typed(TEXT, b"too early\r")).await;
    // The answer to the ping says that what was typed before it was read.
    client.send(typed(0x89, b"there?")).await;
    assert_eq!(client.frame().await, frame(0x8a, None, b"there?"));
    assert!(server.is_untouched().await);
    let mut rack = opened(&server, &mut client, wait).await;
    let input = typed(TEXT, b"exit 7\r");
    client.send(&input).await;
    assert_eq!(rack.read_exact(input.len()).await, input);
    let last = [exit(7), EMPTY_BINARY.to_vec()].concat();
    rack.send(&last).await;
    assert_eq!(client.read_exact(last.len()).await, last);
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    let outcome = gateway.ended(OutcomeResult::Completed, 101).await;
    let came = done().len() + frame(TEXT, None, b"# ").len() + last.len();
    assert_eq!((outcome.bytes_in, outcome.bytes_out), (input.len() as u64, came as u64));
    assert!(server.is_untouched().await);
}

#[actix_web::test]
async fn what_is_typed_around_the_permit_begins_at_a_frame() {
    let before = [typed(TEXT, b"before"), typed(0x89, b"p")].concat();
    let input = [typed(TEXT, b"after"), typed(0x89, b"")].concat();
    // So much of the input comes before the permit.
    for early in 0..typed(TEXT, b"after").len() {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let (mut client, wait) = wait(&gateway, b"").await;
        for byte in &before {
            client.send([*byte]).await;
        }
        assert_eq!(client.frame().await, frame(0x8a, None, b"p"));
        client.send(&input[..early]).await;
        let mut rack = opened(&server, &mut client, wait).await;
        client.send(&input[early..]).await;
        assert_eq!(rack.read_exact(input.len()).await, input, "{early} bytes early");
        drop(client);
        assert_eq!(gateway.ended(OutcomeResult::ClientGone, 101).await.bytes_in, input.len() as u64);
    }
}

#[actix_web::test]
async fn frames_behind_the_permit_are_the_racks() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, wait) = wait(&gateway, b"").await;
    wait.ready.send(Ok(())).unwrap();
    assert_eq!(client.frame().await, done());
    // The socket at the rack is not open yet. Ctrl-C is the command's now.
    let input = [typed(TEXT, b"ls\r"), typed(TEXT, b"\x03"), typed(0x89, b"")].concat();
    client.send(&input).await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    rack.accept_socket(&head, b"").await;
    assert_eq!(rack.read_exact(input.len()).await, input);
    rack.send(EMPTY_BINARY).await;
    assert_eq!(client.frame().await, EMPTY_BINARY);
    drop(client);
    gateway.ended(OutcomeResult::Completed, 101).await;
}

#[actix_web::test]
async fn whoever_gives_up_runs_nothing() {
    let given_up = "nothing was run: you gave up waiting";
    let unreadable = "nothing was run: what this client sends cannot be read while waiting";
    let cases = [
        ("ctrl-c", typed(TEXT, b"\x03"), given_up),
        ("ctrl-d", typed(BINARY, b"\x04"), given_up),
        ("the end of the input", typed(BINARY, b""), given_up),
        ("close", typed(0x88, &[3, 232]), given_up),
        ("a message in pieces", typed(0x01, b"a"), unreadable),
        ("not frames", vec![0xff; 40], unreadable),
        ("megabytes", typed(TEXT, &[b'a'; 1000]).repeat(300), "nothing was run: too much was typed while waiting"),
    ];
    for (case, bytes, why) in cases {
        for chunk in [1, bytes.len()] {
            if chunk == 1 && bytes.len() > 100 {
                continue;
            }
            let server = RawServer::bind().await;
            let mut gateway = Gateway::before(&server);
            let (mut client, wait) = wait(&gateway, b"").await;
            for piece in bytes.chunks(chunk) {
                client.try_send(piece).await.ok();
            }
            let expected = refusal(why);
            assert_eq!(client.read_exact(expected.len()).await, expected, "{case}");
            came_to_nothing(&server, &mut gateway, wait).await;
            if matches!(case, "ctrl-c" | "megabytes") {
                // Cut off, though it would stay.
                assert!(client.read_to_end().await.is_empty(), "{case}");
            }
        }
    }
}

#[actix_web::test]
async fn a_client_that_leaves_runs_nothing() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    for half in [&b""[..], &typed(TEXT, b"half")[..6]] {
        let (mut client, wait) = wait(&gateway, b"").await;
        client.send(half).await;
        drop(client);
        came_to_nothing(&server, &mut gateway, wait).await;
    }
}

#[actix_web::test]
async fn a_refusal_is_shown() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, wait) = wait(&gateway, b"").await;
    wait.ready.send(Err("nobody confirmed it in time\nrun the command again".to_owned())).unwrap();
    let expected = refusal("nobody confirmed it in time\r\nrun the command again");
    assert_eq!(client.read_exact(expected.len()).await, expected);
    assert!(server.is_untouched().await);
    assert!(gateway.outcomes.try_recv().is_err());
}

#[actix_web::test]
async fn a_wait_is_stopped_from_outside() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, mut wait) = wait(&gateway, b"").await;
    let stop = wait.stop.take().unwrap();
    stop.send("the gateway stops; run the command again".to_owned()).unwrap();
    let expected = refusal("the gateway stops; run the command again");
    assert_eq!(client.read_exact(expected.len()).await, expected);
    came_to_nothing(&server, &mut gateway, wait).await;
}

#[actix_web::test]
async fn signs_show_that_it_still_waits() {
    let server = RawServer::bind().await;
    let limits = Limits { socket_sign: Duration::from_millis(20), socket_idle: Duration::from_millis(1), ..limits() };
    let mut gateway = Gateway::with(&server, limits);
    let (mut client, wait) = wait(&gateway, b"").await;
    for _ in 0..3 {
        assert_eq!(client.frame().await, frame(TEXT, None, b"."));
    }
    wait.ready.send(Err("nobody confirmed it in time".to_owned())).unwrap();
    client.read_until(&refusal("nobody confirmed it in time")).await;
    assert!(server.is_untouched().await);
    assert!(gateway.outcomes.try_recv().is_err());
}

#[actix_web::test]
async fn a_rack_that_does_not_open_it_is_told_in_the_terminal() {
    let cases = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret", "the rack refused to open this connection"),
        ("", "the rack closed the connection without an answer; look whether it was done before you repeat it"),
    ];
    for (answer, why) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let (mut client, wait) = wait(&gateway, b"").await;
        wait.ready.send(Ok(())).unwrap();
        assert_eq!(client.frame().await, done());
        let mut rack = server.accept().await;
        rack.head().await;
        client.send(typed(TEXT, b"rm -rf /\r")).await;
        rack.send(answer).await;
        if !answer.is_empty() {
            assert!(rack.read_to_end().await.is_empty(), "{answer}");
        }
        drop(rack);
        let expected = refusal(why);
        assert_eq!(client.read_exact(expected.len()).await, expected, "{answer}");
        let outcome = gateway.ended(OutcomeResult::UpstreamError, 101).await;
        assert_eq!((outcome.bytes_in, outcome.bytes_out), (0, (done().len() + expected.len()) as u64));
        assert!(server.is_untouched().await);
    }
}

#[actix_web::test]
async fn a_kill_or_a_client_that_leaves_ends_the_dial() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let (mut client, wait) = wait(&gateway, b"").await;
    wait.ready.send(Ok(())).unwrap();
    assert_eq!(client.frame().await, done());
    let mut rack = server.accept().await;
    rack.head().await;
    gateway.switch().kill(Kill { reason: "the role was taken away".to_owned(), exit: Some(137) });
    let expected = [exit(137), EMPTY_BINARY.to_vec()].concat();
    assert_eq!(client.read_exact(expected.len()).await, expected);
    assert!(rack.read_to_end().await.is_empty());
    let outcome = gateway.ended(OutcomeResult::Completed, 101).await;
    assert_eq!(outcome.message.as_deref(), Some("ended by the gateway: the role was taken away"));

    let (mut client, wait) = self::wait(&gateway, b"").await;
    wait.ready.send(Ok(())).unwrap();
    assert_eq!(client.frame().await, done());
    let mut rack = server.accept().await;
    rack.head().await;
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    gateway.ended(OutcomeResult::ClientGone, 101).await;
}

#[actix_web::test]
async fn only_a_whole_handshake_waits() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let broken = handshake("/waiting", "").replace("Version: 13", "Version: 7");
    assert_eq!(gateway.send(broken).await.answer().await.status(), 400);
    assert!(gateway.wait().ready.is_closed());
    assert!(server.is_untouched().await);
}
