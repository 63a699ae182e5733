//! Bodies on the way to the rack.

use super::*;

fn post(headers: &str) -> String {
    format!("POST /objects HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/octet-stream\r\n{headers}\r\n")
}

/// Bytes that no encoding would leave alone.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| u8::try_from((place * 31 + place / 251) % 256).expect("a byte")).collect()
}

/// So much of a body at least; awc sends on what it has in pieces of 8 KiB.
const PART: usize = 20_000;

fn chunk(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

#[actix_web::test]
async fn a_body_streams_with_its_length_or_in_chunks() {
    let (first, second) = (vec![b'1'; PART], vec![b'2'; PART]);
    let length = (2 * PART).to_string();
    let cases = [
        (format!("Content-Length: {length}\r\n"), first.clone(), second.clone(), Some(length.as_str())),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            chunk(&first),
            [chunk(&second).as_slice(), b"0\r\n\r\n"].concat(),
            None,
        ),
    ];
    for (framing, sent_first, sent_second, length) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(post(&framing)).await;
        client.send(sent_first).await;
        let mut rack = server.accept().await;
        let head = rack.head().await;
        assert_eq!(head.get("content-length"), length);
        assert_eq!(head.get("transfer-encoding"), length.is_none().then_some("chunked"));
        // The rack has some of the first part before the client sends the second.
        rack.wait_for(b"111").await;
        client.send(sent_second).await;
        let body = rack.body(&head).await;
        assert_eq!(body, Some([first.as_slice(), second.as_slice()].concat()));
        rack.send(OK).await;
        assert_eq!(client.answer().await.text(), "ok");
        assert_eq!(gateway.ended(OutcomeResult::Completed, 200).await.bytes_in, 2 * PART as u64);
    }
}

#[actix_web::test]
async fn a_large_body_arrives_as_it_was_sent() {
    let body = noise(16 << 20);
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.send(post(&format!("Content-Length: {}\r\n", body.len()))).await;
    let mut rack = server.accept().await;
    let (_, head) = tokio::join!(client.send(&body), async {
        let head = rack.head().await;
        assert_eq!(rack.body(&head).await.as_deref(), Some(body.as_slice()));
        head
    });
    assert_eq!(head.get("transfer-encoding"), None);
    rack.send(OK).await;
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(gateway.ended(OutcomeResult::Completed, 200).await.bytes_in, 16 << 20);
}

#[actix_web::test]
async fn empty_and_prepared_bodies_have_a_length() {
    let cases = [
        ("POST", "Content-Length: 0\r\n", Some("0"), ""),
        ("POST", "Transfer-Encoding: chunked\r\n", Some("0"), ""),
        ("POST", "X-Body: a=1&b=2\r\n", Some("7"), "a=1&b=2"),
        ("DELETE", "", None, ""),
        ("GET", "", None, ""),
    ];
    for (method, headers, length, body) in cases {
        let server = RawServer::bind().await;
        let gateway = Gateway::before(&server);
        let end = if headers.contains("chunked") { "0\r\n\r\n" } else { "" };
        let mut client = gateway.send(format!("{method} /x HTTP/1.1\r\nHost: g\r\n{headers}\r\n{end}")).await;
        let mut rack = server.accept().await;
        let head = rack.head().await;
        assert_eq!(head.get("content-length"), length, "{method} {headers}");
        assert_eq!(rack.body(&head).await.as_deref(), Some(body.as_bytes()));
        rack.send(OK).await;
        assert_eq!(client.answer().await.text(), "ok");
    }
}

#[actix_web::test]
async fn an_upload_that_breaks_off_is_not_whole_at_the_rack() {
    let part = vec![b'1'; PART];
    for (framing, sent) in
        [("Content-Length: 90000\r\n", part.clone()), ("Transfer-Encoding: chunked\r\n", chunk(&part))]
    {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(post(framing)).await;
        client.send(sent).await;
        let mut rack = server.accept().await;
        let head = rack.head().await;
        rack.wait_for(b"111").await;
        drop(client);
        assert_eq!(rack.body(&head).await, None);
        assert_eq!(gateway.outcome().await.result, OutcomeResult::ClientGone, "{framing}");
    }
}

#[actix_web::test]
async fn an_upload_that_stands_still_is_ended() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::with(&server, Limits { idle: Duration::from_millis(50), ..limits() });
    let mut client = gateway.send(post("Content-Length: 9\r\n")).await;
    client.send("part").await;
    let mut rack = server.accept().await;
    assert_eq!(client.answer().await.status(), 408);
    gateway.ended(OutcomeResult::ClientGone, 408).await;
    assert!(!rack.read_to_end().await.ends_with(b"rest"));
    // The same if it is the rack that stands still.
    let mut gateway = Gateway::with(&server, Limits { idle: Duration::from_millis(500), ..limits() });
    let body = vec![0; 64 << 20];
    let mut client = gateway.send(post("Content-Length: 90000000\r\n")).await;
    client.try_send(body).await.ok();
    let rack = server.accept().await;
    assert_eq!(client.answer().await.status(), 504);
    gateway.ended(OutcomeResult::UpstreamError, 504).await;
    drop(rack);
}

#[actix_web::test]
async fn an_early_refusal_is_the_answer() {
    // The rack reads nothing of the body; it closes with bytes unread, which resets the connection,
    // or it stays and would take the rest for a request.
    for (connection, closes) in [("close", true), ("keep-alive", false)] {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let body = noise(24 << 20);
        let mut client = gateway.send(post(&format!("Content-Length: {}\r\n", body.len()))).await;
        let mut rack = server.accept().await;
        let (_, kept) = tokio::join!(client.send(&body), async {
            rack.head().await;
            let head = format!("HTTP/1.1 413 Too Large\r\nConnection: {connection}\r\nContent-Length: 9\r\n\r\n");
            rack.send(head + "too large").await;
            (!closes).then_some(rack)
        });
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text().as_str()), (413, "too large"), "{connection}");
        gateway.ended(OutcomeResult::Completed, 413).await;
        // Whatever the rack says, this connection holds half a request.
        let mut client = gateway.send(get("/next")).await;
        let mut next = server.accept().await;
        assert_eq!(next.head().await.first, "GET /next HTTP/1.1");
        next.send(OK).await;
        assert_eq!(client.answer().await.text(), "ok");
        drop(kept);
    }
}

#[actix_web::test]
async fn an_early_success_does_not_stop_the_upload() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let body = noise(8 << 20);
    let mut client = gateway.send(post(&format!("Content-Length: {}\r\n", body.len()))).await;
    let mut rack = server.accept().await;
    let (_, received) = tokio::join!(client.send(&body), async {
        let head = rack.head().await;
        rack.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
        rack.body(&head).await
    });
    assert_eq!(received.as_deref(), Some(body.as_slice()));
    rack.send("ok").await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[actix_web::test]
async fn a_rack_that_closes_without_a_word_is_a_502() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.send(post("Content-Length: 50000000\r\n")).await;
    let rack = server.accept().await;
    drop(rack);
    // The gateway stops reading when it has answered.
    client.try_send(noise(24 << 20)).await.ok();
    let answer = client.answer().await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("whole request"), "{}", answer.text());
    gateway.ended(OutcomeResult::UpstreamError, 502).await;
}
