//! Which headers cross, in both directions, on the wire.

use super::raw::{Head, handshake};
use super::*;

/// `convox:rack-token`.
const BASIC: &str = "Basic Y29udm94OnJhY2stdG9rZW4=";

/// What a client might try to smuggle, if every contract failed.
const HOSTILE: &str = "Authorization: Basic Y2xpZW50OnNlY3JldA==\r\nCookie: session=1\r\nSession: s\r\nRack: other\r\n\
    Convox-Actor: root\r\nX-Convox-Actor: root\r\nConvox-TID: 1\r\nX-Convox-TID: 1\r\nOrigin: https://evil.example\r\n\
    TE: trailers\r\nTrailer: x\r\nKeep-Alive: timeout=9\r\nProxy-Authorization: Basic eDp5\r\n\
    X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: evil.example\r\n";

fn is_ours(head: &Head, rack: &RawServer) {
    assert_eq!(head.get("authorization"), Some(BASIC));
    assert_eq!(head.get("convox-actor"), Some("maria@example.com"));
    assert_eq!(head.get("convox-tid"), Some("request-1"));
    assert_eq!(head.get("host"), Some(rack.addr().to_string().as_str()));
}

#[actix_web::test]
async fn the_rack_sees_the_contract_and_the_gateway_and_nothing_else() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let hostile = format!("{HOSTILE}Connection: close, authorization, convox-actor\r\n");
    let request = format!("GET /x HTTP/1.1\r\nHost: gateway\r\n{hostile}Command: gr\u{fc}n\r\nVersion: 3\r\n\r\n");
    let mut client = gateway.send(request).await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    is_ours(&head, &server);
    let expected = ["authorization", "command", "convox-actor", "convox-tid", "date", "host", "version"];
    assert_eq!(head.names(), expected);
    assert_eq!(head.get("command"), Some("gr\u{fc}n"));
    rack.send(OK).await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[actix_web::test]
async fn header_values_are_bytes() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let mut client = gateway.send(b"GET /x HTTP/1.1\r\nHost: gateway\r\nCommand: \xff\xfe \x80\r\n\r\n").await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    let command = head.headers.iter().find(|(name, _)| name == "command").map(|(_, value)| value.as_slice());
    assert_eq!(command, Some(b"\xff\xfe \x80".as_slice()));
    rack.send(OK).await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[actix_web::test]
async fn sockets_use_the_same_headers() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let extras = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut request =
        handshake("/apps/a/processes/p/exec", &format!("{HOSTILE}{extras}Height: 24\r\nCommand: ")).into_bytes();
    request.truncate(request.len() - 2);
    request.extend(b"\xff\xfe\r\n\r\n");
    let mut client = gateway.send(request).await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    is_ours(&head, &server);
    let expected = [
        "authorization",
        "command",
        "connection",
        "convox-actor",
        "convox-tid",
        "date",
        "height",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
    ];
    assert_eq!(head.names(), expected);
    assert_ne!(head.get("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="), "a handshake of its own");
    rack.accept_socket(&head, b"").await;
    let answer = client.head().await;
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((answer.get("sec-websocket-protocol"), answer.get("sec-websocket-extensions")), (None, None));
}

#[actix_web::test]
async fn the_client_sees_only_what_is_meant_for_it() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let mut client = gateway.send(get("/x")).await;
    let mut rack = server.accept().await;
    rack.head().await;
    rack.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nWWW-Authenticate: Basic\r\nServer: rack/3\r\nX-Powered-By: go\r\n\
         Location: /x\r\nVia: 1.1 lb\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nAlt-Svc: h3\r\n\
         Strict-Transport-Security: max-age=1\r\n\
         Access-Control-Allow-Origin: *\r\nETag: \"1\"\r\nContent-Disposition: attachment\r\nRequest-Id: 7\r\n\
         Link: <a>\r\nLink: <b>\r\nVary: X-Hop\r\nConnection: Vary, keep-alive\r\n\r\n{}",
    )
    .await;
    let answer = client.answer().await;
    let expected =
        ["content-disposition", "content-length", "content-type", "date", "etag", "link", "link", "request-id"];
    assert_eq!(answer.head.names(), expected);
    assert_eq!(answer.text(), "{}");
}

#[actix_web::test]
async fn expectations_are_met_by_the_gateway() {
    let server = RawServer::bind().await;
    let gateway = Gateway::before(&server);
    let mut client =
        gateway.send("POST /x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 100);
    client.send("body").await;
    let mut rack = server.accept().await;
    let head = rack.head().await;
    assert_eq!(head.get("expect"), None);
    assert_eq!(rack.body(&head).await.as_deref(), Some(b"body".as_slice()));
    rack.send(OK).await;
    assert_eq!(client.answer().await.text(), "ok");
}
