//! The relay and the connection below awc without a network, where nothing depends on its buffers.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use actix_http::BoxedPayloadStream;
use actix_web::body::MessageBody as _;
use actix_web::dev::Payload;
use actix_web::{FromRequest as _, test::TestRequest};
use bytes::BytesMut;
use futures_util::{FutureExt as _, future::poll_fn, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::upstream::body::Upload;
use crate::upstream::io::{End, RackIo};
use crate::upstream::relay::{Client, Relay};

async fn payload(chunks: &[&'static str]) -> web::Payload {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    let mut payload = Payload::from(Box::pin(stream::iter(chunks)) as BoxedPayloadStream);
    web::Payload::from_request(&TestRequest::default().to_http_request(), &mut payload).await.expect("a payload")
}

#[actix_web::test]
async fn an_empty_piece_does_not_end_an_upload() {
    for (length, is_whole) in [(None, true), (Some(4), true), (Some(5), false)] {
        let tally = Tally::new(drop);
        let mut upload = Upload::new(payload(&["", "ab", "", "", "cd", ""]).await, length, tally.sent());
        let mut pieces = Vec::new();
        let end = loop {
            match poll_fn(|cx| Pin::new(&mut upload).poll_next(cx)).await {
                Some(Ok(piece)) => pieces.push(piece),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        assert_eq!((pieces, end), (vec![Bytes::from("ab"), Bytes::from("cd")], is_whole), "{length:?}");
    }
}

#[actix_web::test]
async fn a_client_that_does_not_read_stops_the_rack() {
    let (rack, mut far) = duplex(1024);
    let (_switch, signal) = kill_switch();
    let tally = Tally::new(drop);
    let (near, mut client) = Client::new(payload(&[]).await);
    let relay = Relay::new(Box::new(rack), BytesMut::new(), near, signal, &limits(), tally);
    let mut relay = Box::pin(relay.run());
    let mut written = 0;
    // Runs both until neither moves.
    loop {
        assert!((&mut relay).now_or_never().is_none());
        match far.write(&[0x55; 1024]).now_or_never() {
            Some(bytes) => written += bytes.expect("written"),
            None => break,
        }
        assert!(written < 1 << 20, "nothing stops it");
    }
    let mut read = 0;
    while read < written {
        assert!((&mut relay).now_or_never().is_none());
        read += client.recv().now_or_never().flatten().map_or(0, |chunk| chunk.len());
    }
    assert_eq!(read, written);
}

fn spoiled() -> Rc<Cell<bool>> {
    Rc::default()
}

#[actix_web::test]
async fn the_end_of_the_stream_is_an_error_only_for_answers() {
    for (end, expected) in [(End::IsAnError, Err(std::io::ErrorKind::UnexpectedEof)), (End::IsAnEnd, Ok(0))] {
        let (near, far) = duplex(64);
        drop(far);
        let mut io = RackIo::new(near, end, spoiled());
        let read = io.read(&mut [0; 8]).await.map_err(|error| error.kind());
        assert_eq!(read, expected);
    }
}

#[actix_web::test]
async fn a_refused_upload_is_let_go_but_not_for_ever() {
    let (near, mut far) = duplex(64);
    let flag = spoiled();
    let mut io = RackIo::new(near, End::IsAnError, Rc::clone(&flag));
    io.write_all(b"POST / HTTP/1.1\r\n\r\n").await.expect("the head");
    // In pieces: the status is not there at once.
    far.write_all(b"HTTP/1.1 ").await.expect("written");
    io.write_all(b"a").await.expect("not refused yet");
    assert!(!flag.get());
    far.write_all(b"413 X\r\n\r\n").await.expect("written");
    let chunk = vec![0; 1 << 20];
    let mut let_go = 0;
    let error = loop {
        match io.write_all(&chunk).await {
            Ok(()) => let_go += chunk.len(),
            Err(error) => break error,
        }
        assert!(let_go <= 64 << 20, "no end");
    };
    assert!(flag.get());
    assert_eq!(let_go, 64 << 20);
    assert!(error.to_string().contains("refused"), "{error}");
    // What the rack said is still there to be read.
    let mut answer = [0; 18];
    io.read_exact(&mut answer).await.expect("the answer");
    assert_eq!(&answer, b"HTTP/1.1 413 X\r\n\r\n");
}

#[actix_web::test]
async fn an_early_answer_is_kept_only_so_far() {
    let (near, mut far) = duplex(1 << 20);
    let mut io = RackIo::new(near, End::IsAnError, spoiled());
    io.write_all(b"head").await.expect("written");
    far.write_all(&[b'x'; 200_000]).await.expect("written");
    io.write_all(b"body").await.expect("written");
    // The rest stays where it is until somebody reads.
    let left = far.write(&vec![b'x'; 1 << 20]).now_or_never().expect("room").expect("written");
    assert!(left < (1 << 20) - 200_000 + (80 << 10), "{left}");
    let mut all = vec![0; 200_000 + left];
    io.read_exact(&mut all).await.expect("everything");
    assert!(all.iter().all(|byte| *byte == b'x'));
    let pending = io.read(&mut [0; 1]).now_or_never().map_or(Poll::Pending, Poll::Ready);
    assert!(pending.is_pending());
}
