//! Requests and answers in good order, and the errors between.

use super::*;

#[actix_web::test]
async fn an_answer_is_passed_on_and_its_connection_is_used_again() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.client().await;
    client.send(get("/apps?")).await;
    let mut rack = server.accept().await;
    for round in 0..3 {
        let request = rack.head().await;
        assert_eq!(request.first, "GET /apps? HTTP/1.1");
        rack.send(OK).await;
        assert_eq!(client.answer().await.text(), "ok");
        let outcome = gateway.ended(OutcomeResult::Completed, 200).await;
        assert_eq!((outcome.bytes_in, outcome.bytes_out, outcome.message), (0, 2, None));
        if round < 2 {
            client.send(get("/apps?")).await;
        }
    }
    assert!(server.is_untouched().await);
}

#[actix_web::test]
async fn errors_of_the_rack_are_its_own() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.send(get("/apps/x")).await;
    let mut rack = server.accept().await;
    for status in [400, 403, 404, 409, 422, 500, 503] {
        rack.head().await;
        rack.send(format!("HTTP/1.1 {status} No\r\nContent-Length: 11\r\n\r\nno such app")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text().as_str()), (status, "no such app"));
        gateway.ended(OutcomeResult::Completed, status).await;
        client.send(get("/apps/x")).await;
    }
}

#[actix_web::test]
async fn answers_that_would_lead_astray_are_replaced() {
    let elsewhere = RawServer::bind().await;
    let cases = [
        (301, format!("Location: http://{}/\r\n", elsewhere.addr()), "redirect"),
        (302, format!("Location: http://{}/\r\n", elsewhere.addr()), "redirect"),
        (307, format!("Location: http://{}/\r\n", elsewhere.addr()), "redirect"),
        (308, "Location: /apps\r\n".to_owned(), "redirect"),
        (401, "WWW-Authenticate: Session path=\"/x\", token=\"true\"\r\n".to_owned(), "credential"),
    ];
    for (status, header, word) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(get("/apps")).await;
        let mut rack = server.accept().await;
        rack.head().await;
        rack.send(format!("HTTP/1.1 {status} X\r\n{header}Content-Length: 6\r\n\r\nsecret")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 502);
        let body: serde_json::Value = serde_json::from_str(&answer.text()).expect("json");
        let error = body["error"].as_str().expect("a text");
        assert!(error.contains(word) && !error.contains('%') && !error.contains("secret"), "{error}");
        assert_eq!(answer.head.get("location"), None);
        assert_eq!(answer.head.get("www-authenticate"), None);
        gateway.ended(OutcomeResult::UpstreamError, 502).await;
        assert!(server.is_untouched().await && elsewhere.is_untouched().await);
    }
}

#[actix_web::test]
async fn bodiless_answers_end_at_their_head() {
    let cases: [(&str, &str, u16, Option<&str>); 5] = [
        ("GET", "204 No Content\r\n", 204, None),
        ("GET", "304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 700\r\n", 304, None),
        ("HEAD", "200 OK\r\nContent-Length: 700\r\n", 200, Some("700")),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n", 200, None),
        ("HEAD", "404 Not Found\r\nContent-Length: 9\r\n", 404, Some("9")),
    ];
    for (method, answer, status, length) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(format!("{method} /x HTTP/1.1\r\nHost: gateway\r\n\r\n")).await;
        let mut rack = server.accept().await;
        rack.head().await;
        rack.send(format!("HTTP/1.1 {answer}\r\n")).await;
        let head = client.head().await;
        assert_eq!((head.status(), head.get("content-length")), (status, length), "{method} {answer}");
        assert_eq!(head.get("content-type"), None, "{method} {answer}");
        assert_eq!(head.get("transfer-encoding"), None, "{method} {answer}");
        assert_eq!(gateway.ended(OutcomeResult::Completed, status).await.bytes_out, 0);
        // The client's connection is still in step, whatever became of the rack's.
        client.send(get("/next")).await;
        let next = async {
            tokio::select! {
                first = rack.next_head() => { rack.send(OK).await; first }
                mut second = server.accept() => { let head = second.head().await; second.send(OK).await; head }
            }
        };
        assert_eq!(soon("the next request", next).await.first, "GET /next HTTP/1.1");
        assert_eq!(client.answer().await.text(), "ok");
    }
}

#[actix_web::test]
async fn a_compressed_answer_stays_as_it_is() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let gzip = [0x1f, 0x8b, 0x08, 0x00, 0xff, 0x00, 0x80];
    let mut client = gateway.send("GET /x HTTP/1.1\r\nHost: g\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let mut rack = server.accept().await;
    assert_eq!(rack.head().await.get("accept-encoding"), Some("gzip"));
    rack.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\n").await;
    rack.send(gzip).await;
    let answer = client.answer().await;
    assert_eq!(answer.head.get("content-encoding"), Some("gzip"));
    assert_eq!(answer.body.as_deref(), Some(gzip.as_slice()));
}

#[actix_web::test]
async fn a_body_streams_while_it_is_made() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    rack.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
    assert_eq!(client.head().await.get("transfer-encoding"), Some("chunked"));
    assert_eq!(client.read_until(b"one\r\n").await, b"3\r\none\r\n");
    rack.send("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(client.chunked().await.as_deref(), Some(b"two".as_slice()));
    assert_eq!(gateway.ended(OutcomeResult::Completed, 200).await.bytes_out, 6);
}

#[actix_web::test]
async fn no_rack_is_a_502_and_no_answer_a_504() {
    let gone = RawServer::bind().await;
    let addr = gone.addr();
    drop(gone);
    let config = RackConfig::new(&format!("http://{addr}"), "convox", &token(), &Trust::system(), limits());
    let mut gateway = Gateway::start(&config.expect("a config"));
    let answer = gateway.send(get("/x")).await.answer().await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("cannot be reached"), "{}", answer.text());
    gateway.ended(OutcomeResult::UpstreamError, 502).await;

    let server = RawServer::bind().await;
    let mut gateway = Gateway::with(&server, Limits { head: Duration::from_millis(50), ..limits() });
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    assert_eq!(client.answer().await.status(), 504);
    gateway.ended(OutcomeResult::UpstreamError, 504).await;
    assert!(rack.read_to_end().await.is_empty(), "the rack is let go");

    // Accepts TCP but never speaks TLS.
    let server = RawServer::bind().await;
    let url = format!("https://{}", server.addr());
    let limits = Limits { connect: Duration::from_millis(50), ..limits() };
    let config = RackConfig::new(&url, "convox", &token(), &Trust::pinned([[0; 32]]), limits).expect("a config");
    let mut gateway = Gateway::start(&config);
    assert_eq!(gateway.send(get("/x")).await.answer().await.status(), 504);
    gateway.ended(OutcomeResult::UpstreamError, 504).await;
}

#[actix_web::test]
async fn more_than_the_places_wait_and_then_are_refused() {
    let server = RawServer::bind().await;
    let limits = Limits { exchanges: 1, queue: Duration::from_millis(50), ..limits() };
    let mut gateway = Gateway::with(&server, limits);
    let mut first = gateway.send(get("/first")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    let refused = gateway.send(get("/second")).await.answer().await;
    assert_eq!(refused.status(), 503);
    assert!(refused.head.get("retry-after").is_some());
    gateway.ended(OutcomeResult::UpstreamError, 503).await;
    rack.send(OK).await;
    assert_eq!(first.answer().await.text(), "ok");
    gateway.ended(OutcomeResult::Completed, 200).await;
    let mut third = gateway.send(get("/third")).await;
    rack.head().await;
    rack.send(OK).await;
    assert_eq!(third.answer().await.text(), "ok", "the place is free again");
}

#[actix_web::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    // While the rack thinks.
    let client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    assert_eq!(gateway.outcome().await.result, OutcomeResult::ClientGone);
    // In the middle of the answer.
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    rack.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart").await;
    client.read_until(b"part").await;
    drop(client);
    assert!(rack.read_to_end().await.is_empty());
    assert_eq!(gateway.ended(OutcomeResult::ClientGone, 200).await.bytes_out, 4);
}

#[actix_web::test]
async fn a_stale_connection_is_tried_once_more_for_reads_only() {
    let cases = [("GET", "", true), ("HEAD", "", true), ("DELETE", "", false), ("POST", "x-body: a=1\r\n", false)];
    for (method, headers, again) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(get("/first")).await;
        let mut rack = server.accept().await;
        rack.head().await;
        rack.send(OK).await;
        client.answer().await;
        gateway.outcome().await;
        client.send(format!("{method} /second HTTP/1.1\r\nHost: g\r\n{headers}\r\n")).await;
        rack.head().await;
        drop(rack);
        if again {
            let mut rack = server.accept().await;
            assert_eq!(rack.head().await.first, format!("{method} /second HTTP/1.1"));
            rack.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            assert_eq!(client.head().await.status(), 204, "{method}");
            gateway.ended(OutcomeResult::Completed, 204).await;
        } else {
            assert_eq!(client.answer().await.status(), 502, "{method}");
            gateway.ended(OutcomeResult::UpstreamError, 502).await;
        }
        assert!(server.is_untouched().await, "{method}");
    }
}

#[actix_web::test]
async fn a_rack_that_closes_twice_is_not_asked_again() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::before(&server);
    let mut client = gateway.send(get("/x")).await;
    for _ in 0..2 {
        server.accept().await.head().await;
    }
    assert_eq!(client.answer().await.status(), 502);
    gateway.ended(OutcomeResult::UpstreamError, 502).await;
    assert!(server.is_untouched().await);
}
