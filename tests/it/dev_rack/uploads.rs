//! What the rack keeps of what it receives.

use std::io::Write as _;

use sha2::{Digest as _, Sha256};

use super::client::{Wire, call, get, head, rack, rack_with, send};

#[test]
fn requests_are_kept_as_they_came() {
    let rack = rack();
    let mut bytes =
        b"POST /apps/my%61pp/objects/tmp/x?a=%2f&b HTTP/1.1\r\nhOsT: rack.test\r\nX-B:  2 \r\nX-A: \xff\r\n\
        x-b: 1\r\nAuthorization: "
            .to_vec();
    bytes.extend_from_slice(super::client::basic("u", super::client::PASSWORD).as_bytes());
    bytes.extend_from_slice(
        b"\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
    );
    // Another one on the same connection, in the same segment.
    bytes.extend_from_slice(&head("GET", "/check", &[("Authorization", "none")], 0));
    let mut wire = Wire::connect(&rack);
    wire.stream.write_all(&bytes).unwrap();
    assert_eq!(wire.answer(false).status, 200);
    assert_eq!(wire.answer(false).text(), "ok\n");

    let received = rack.state.received();
    assert_eq!(received.len(), 2);
    let first = &received[0];
    assert_eq!((first.number, first.method.as_str(), first.version.as_str()), (1, "POST", "HTTP/1.1"));
    assert_eq!(first.target(), "/apps/my%61pp/objects/tmp/x?a=%2f&b");
    let names: Vec<&str> = first.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOsT", "X-B", "X-A", "x-b", "Authorization", "Transfer-Encoding"]);
    assert_eq!(first.header("x-b").collect::<Vec<_>>(), [b"2", b"1"]);
    assert_eq!(first.header("x-a").collect::<Vec<_>>(), [b"\xff"]);
    assert_eq!((first.body.length, first.body.first.as_slice(), first.body.ended), (5, b"abcde".as_slice(), true));
    assert_eq!(first.body.sha256, hex::encode(Sha256::digest(b"abcde")));
    assert_eq!(first.status, Some(200));
    assert_eq!((received[1].number, received[1].target()), (2, "/check".to_owned()));

    rack.state.clear();
    assert!(rack.state.received().is_empty());
    get(&rack, "/check");
    assert_eq!(rack.state.received()[0].number, 3);
}

#[test]
fn only_so_many_requests_are_kept() {
    let rack = rack_with(|options| options.keep = 2);
    (0..5).for_each(|n| drop(get(&rack, &format!("/check?{n}"))));
    let targets: Vec<String> = rack.state.received().iter().map(|r| r.target()).collect();
    assert_eq!(targets, ["/check?3", "/check?4"]);
}

#[test]
fn frames_of_a_socket_are_kept() {
    let rack = rack();
    let mut socket = super::client::Socket::open(&rack, "/proxy/db.internal/5432", &[]);
    socket.send(1, b"\xff");
    socket.frame();
    socket.end();
    socket.rest();
    let frames = &rack.state.received()[0].frames;
    assert_eq!(
        frames.iter().map(|f| (f.fin, f.opcode, f.payload.to_vec())).collect::<Vec<_>>(),
        [(true, 1, b"\xff".to_vec()), (true, 2, Vec::new())]
    );
    assert_eq!(rack.state.received()[0].status, Some(101));
}

#[test]
fn a_long_upload_is_measured_and_given_back_as_zeros() {
    let rack = rack();
    let length = 20 << 20;
    let body = vec![7u8; length];
    assert_eq!(call(&rack, "POST", "/apps/myapp/objects/tmp/long", &[], &body).status, 200);
    let received = rack.state.received();
    assert_eq!(received[0].body.length, 20 << 20);
    assert_eq!(received[0].body.sha256, hex::encode(Sha256::digest(&body)));
    assert_eq!(received[0].body.first, vec![7u8; 4096]);
    let fetched = get(&rack, "/apps/myapp/objects/tmp/long");
    assert_eq!(fetched.body.len(), length);
    assert!(fetched.body.iter().all(|&b| b == 0));
    let head = call(&rack, "HEAD", "/apps/myapp/objects/tmp/long", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(call(&rack, "DELETE", "/apps/myapp/objects/tmp/long", &[], b"").text(), "ok\n");
    assert_eq!(call(&rack, "HEAD", "/apps/myapp/objects/tmp/long", &[], b"").status, 404);
}

#[test]
fn the_synthetic_object_streams() {
    let rack = rack_with(|options| options.large_object = Some(("tmp/big".to_owned(), (32 << 20) + 1)));
    let answer = get(&rack, "/apps/myapp/objects/tmp/big");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.body.len(), (32 << 20) + 1);
    assert_eq!(get(&rack, "/apps/myapp/objects/tmp/large-1g").status, 404);
    assert_eq!(get(&rack, "/apps/myapp/objects").text(), "[]\n");
}

#[test]
fn a_refused_upload_is_not_read() {
    let rack = rack();
    let mut bytes = head("POST", "/apps/myapp/objects/tmp/x", &[("Authorization", "none")], 1 << 30);
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(send(&rack, &bytes, false).status, 401);
    assert!(!rack.state.received()[0].body.ended);
}
