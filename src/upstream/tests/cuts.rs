//! Answers that get out of step or break off.

use super::*;

/// The next request must be served, and only by a new connection.
async fn the_next_request_is_in_step(server: &RawServer, gateway: &Gateway) {
    let mut client = gateway.send(get("/next")).await;
    let mut rack = server.accept().await;
    assert_eq!(rack.head().await.first, "GET /next HTTP/1.1");
    rack.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine").await;
    assert_eq!(client.answer().await.text(), "mine");
}

#[actix_web::test]
async fn an_answer_never_reaches_the_next_request() {
    let secret = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let cases = [
        ("early hints, then the answer", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", secret),
        ("both at once", &format!("HTTP/1.1 103 Early Hints\r\n\r\n{secret}"), ""),
        ("continue that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n", secret),
        ("processing", "HTTP/1.1 102 Processing\r\n\r\n", secret),
        ("an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", secret),
        ("no length", "HTTP/1.1 200 OK\r\n\r\n", secret),
        (
            "an upgrade is offered, which hides the length",
            "HTTP/1.1 426 X\r\nUpgrade: websocket\r\nContent-Length: 47\r\n\r\n",
            secret,
        ),
        ("HTTP/1.0 to the end of the stream", "HTTP/1.0 200 OK\r\n\r\n", secret),
    ];
    for (case, first, second) in cases {
        let server = RawServer::bind().await;
        let mut gateway = Gateway::before(&server);
        let mut client = gateway.send(get("/secret")).await;
        let mut rack = server.accept().await;
        rack.head().await;
        rack.send(first).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 502, "{case}");
        assert!(!answer.text().contains("secret"), "{case}");
        gateway.ended(OutcomeResult::UpstreamError, 502).await;
        // The gateway may have closed it already.
        rack.try_send(second).await.ok();
        the_next_request_is_in_step(&server, &gateway).await;
        gateway.ended(OutcomeResult::Completed, 200).await;
    }
}

#[actix_web::test]
async fn others_in_the_pool_do_not_suffer_and_are_not_mixed_up() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    for round in 0..20 {
        let mut victim = gateway.send(get("/victim")).await;
        let mut steady = gateway.send(get("/steady")).await;
        let (mut one, mut two) = (server.accept().await, server.accept().await);
        let (first, second) = (one.head().await, two.head().await);
        let (victims, steadys) =
            if first.first.contains("victim") { (&mut one, &mut two) } else { (&mut two, &mut one) };
        assert_ne!(first.first, second.first);
        victims.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        assert_eq!(victim.answer().await.status(), 502);
        victims.try_send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await.ok();
        steadys.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{round:02}")).await;
        assert_eq!(steady.answer().await.text(), format!("{round:02}"));
    }
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    Plain,
    TlsAbrupt,
    TlsCloseNotify,
}

#[actix_web::test]
async fn a_body_that_breaks_off_is_not_whole() {
    let identity = Identity::new("localhost");
    let bodies = [
        "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n9\r\nbroken",
        "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n",
        "Content-Length: 9\r\n\r\npart",
    ];
    for cut in [Cut::Plain, Cut::TlsAbrupt, Cut::TlsCloseNotify] {
        for body in bodies {
            let server = RawServer::bind().await;
            let mut gateway = match cut {
                Cut::Plain => Gateway::before(&server),
                Cut::TlsAbrupt | Cut::TlsCloseNotify => {
                    Gateway::start(&identity.config(&server, &Trust::authority(identity.ca.as_str()), limits()))
                }
            };
            let mut client = gateway.send(get("/x")).await;
            let mut rack = match cut {
                Cut::Plain => server.accept().await,
                Cut::TlsAbrupt | Cut::TlsCloseNotify => identity.conn(&server).await,
            };
            rack.head().await;
            rack.send(format!("HTTP/1.1 200 OK\r\n{body}")).await;
            let head = client.head().await;
            client.read_until(b"part").await;
            match cut {
                Cut::Plain | Cut::TlsAbrupt => drop(rack),
                Cut::TlsCloseNotify => rack.finish().await,
            }
            let rest = client.read_to_end().await;
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{cut:?} {body:?}: {:?}", String::from_utf8_lossy(&rest));
            assert!(head.get("content-length").is_none_or(|length| length == "9"));
            let outcome = gateway.ended(OutcomeResult::UpstreamError, 200).await;
            assert!(outcome.message.is_some_and(|message| message.contains("broke off")), "{cut:?} {body:?}");
        }
    }
}

#[actix_web::test]
async fn a_rack_that_falls_silent_in_the_middle_is_cut() {
    let server = RawServer::bind().await;
    let mut gateway = Gateway::with(&server, Limits { idle: Duration::from_millis(50), ..limits() });
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    rack.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n").await;
    assert_eq!(client.answer().await.body, None);
    gateway.ended(OutcomeResult::UpstreamError, 200).await;
    assert!(rack.read_to_end().await.is_empty());
}
