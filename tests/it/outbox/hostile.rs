//! Receivers that break, stall or flood: each costs an attempt, and nothing else.

use std::time::Duration as Span;

use rack_gateway::config::ProviderHttp;
use rack_gateway::outbox::Round;
use rack_gateway::store::MessageState;
use tokio::io::AsyncWriteExt as _;

use super::{Hands, NOW, Receiver, notice, only, outbox, settings};
use crate::harness::Db;
use crate::harness::provider::Provider;

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    for (status, state) in [("200 OK", MessageState::Sent), ("500 No", MessageState::Waiting)] {
        let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
        let store = db.store().await;
        store.outbox_put(&notice(1, NOW)).await.unwrap();
        let sender = outbox(&store, &hands, &receiver.settings());
        let flood = async {
            let mut delivery = receiver.next().await;
            delivery.wire.send(format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
            while delivery.wire.stream().write_all(chunk.as_bytes()).await.is_ok() {}
        };
        let (round, ()) = tokio::join!(sender.round(), flood);
        assert_eq!(round, Ok(Round::Tried(1)));
        assert_eq!(only(&store).await.state, state);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let cases: &[(&str, bool)] = &[
        ("", true),
        ("SSH-2.0-OpenSSH_9.9\r\n", true),
        ("HTTP/1.1 200", true),
        ("HTTP/1.1 200 OK\r\nX: ", false),
        ("HTTP/1.1 999999 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", true),
        ("", false),
    ];
    for (said, closes) in cases {
        let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
        let store = db.store().await;
        store.outbox_put(&notice(1, NOW)).await.unwrap();
        let mut settings = receiver.settings();
        settings.http.timeout = Span::from_millis(500);
        let sender = outbox(&store, &hands, &settings);
        let (round, held) = tokio::join!(sender.round(), async {
            let mut delivery = receiver.next().await;
            delivery.wire.send(said.as_bytes()).await;
            if *closes { None } else { Some(delivery) }
        });
        drop(held);
        assert_eq!(round, Ok(Round::Tried(1)), "{said:?}");
        let row = only(&store).await;
        assert_eq!((row.state, row.attempts), (MessageState::Waiting, 1), "{said:?}");
        let why = row.last_error.unwrap();
        let expected = if *closes { "cannot be reached" } else { "does not answer in time" };
        assert!(why.contains(expected), "{said:?}: {why}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_a_failure() {
    let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
    let store = db.store().await;
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let sender = outbox(&store, &hands, &receiver.settings());
    let flood = async {
        let mut delivery = receiver.next().await;
        delivery.wire.send(b"HTTP/1.1 200 OK\r\n").await;
        let header = format!("X-Much: {}\r\n", "x".repeat(8000));
        while delivery.wire.stream().write_all(header.as_bytes()).await.is_ok() {}
    };
    let (round, ()) = tokio::join!(sender.round(), flood);
    assert_eq!(round, Ok(Round::Tried(1)));
    assert_eq!(only(&store).await.state, MessageState::Waiting);
}

/// A provider is no receiver, and says so: the certificate was good until then.
#[tokio::test]
async fn certificates_are_checked() {
    let provider = Provider::start_tls();
    let url = format!("{}/hook", provider.issuer());
    let trusting = provider.settings().http;
    for (http, expected) in [(ProviderHttp::default(), "certificate"), (trusting, "status")] {
        let (db, hands) = (Db::sqlite().await, Hands::new());
        let store = db.store().await;
        store.outbox_put(&notice(1, NOW)).await.unwrap();
        let mut settings = settings(&url);
        settings.http = http;
        assert_eq!(outbox(&store, &hands, &settings).round().await, Ok(Round::Tried(1)));
        let why = only(&store).await.last_error.unwrap();
        assert!(why.contains(expected), "{why}");
    }
}
