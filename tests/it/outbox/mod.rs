//! What others must hear of: written with its cause, sent until it has arrived.

mod causes;
mod hostile;
mod rounds;
mod server;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::clock::Clock;
use rack_gateway::config::{ProviderHttp, WebhookSettings};
use rack_gateway::outbox::{Outbox, Round, Webhook};
use rack_gateway::store::{MessageRow, Notice, Store};
use secrecy::SecretSlice;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::replay::peer::{Message, Wire};

const NOW: OffsetDateTime = datetime!(2026-11-21 10:00:00 UTC);
/// In base64, behind `whsec_`.
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn notice(number: u64, at: OffsetDateTime) -> Notice {
    Notice { kind: "user.locked", data: json!({ "user": number.to_string(), "by": "test" }), at }
}

/// A clock that the test moves.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW.unix_timestamp())))
    }

    fn clock(&self) -> Clock {
        let hands = Self::clone(self);
        Clock::from_fn(move || hands.now())
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn set(&self, at: OffsetDateTime) {
        self.0.store(at.unix_timestamp(), Ordering::SeqCst);
    }
}

/// Waits for what must happen; nothing in these tests takes as long.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("{what}: it does not happen"))
}

/// Somebody who is told, and answers as the test says.
struct Receiver(TcpListener);

impl Receiver {
    async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/hook?key=1", self.0.local_addr().unwrap())
    }

    fn settings(&self) -> WebhookSettings {
        settings(&self.url())
    }

    /// The next notice; the sender waits for an answer.
    async fn next(&self) -> Delivery {
        let (stream, _) = soon("a notice", self.0.accept()).await.unwrap();
        let mut wire = Wire::new(stream);
        let message = wire.message(false).await.expect("a whole request");
        Delivery { wire, message }
    }

    /// Whether nobody has connected. Only means something once what could have connected is over.
    async fn is_untouched(&self) -> bool {
        // One turn of the reactor, so that a connection in the backlog is seen.
        timeout(Duration::from_millis(1), self.0.accept()).await.is_err()
    }

    /// Takes the next notice.
    async fn take(&self) -> Delivery {
        let mut delivery = self.next().await;
        delivery.answer("204 No Content").await;
        delivery
    }
}

fn settings(url: &str) -> WebhookSettings {
    WebhookSettings {
        url: url.parse().unwrap(),
        secret: SecretSlice::from(STANDARD.decode(SECRET).unwrap()),
        previous: None,
        http: ProviderHttp::default(),
    }
}

/// A notice as it arrived.
struct Delivery {
    wire: Wire,
    message: Message,
}

impl Delivery {
    fn id(&self) -> &str {
        self.message.header("webhook-id").unwrap()
    }

    fn body(&self) -> Value {
        serde_json::from_slice(&self.message.body).unwrap()
    }

    /// Answers with this status line, and headers behind it.
    async fn answer(&mut self, status: &str) {
        self.wire.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
    }
}

/// What sends the notices of this database to the receiver.
fn outbox(store: &Store, hands: &Hands, settings: &WebhookSettings) -> Outbox {
    Outbox::new(store.clone(), hands.clock(), Some(Box::new(Webhook::new(settings).unwrap())))
}

async fn rows(store: &Store) -> Vec<MessageRow> {
    store.outbox_page(None, None, 1000).await.unwrap()
}

async fn only(store: &Store) -> MessageRow {
    let mut all = rows(store).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// One round, in which one notice arrives and is answered so.
async fn round(outbox: &Outbox, receiver: &Receiver, status: &str) -> Delivery {
    let (round, delivery) = tokio::join!(outbox.round(), async {
        let mut delivery = receiver.next().await;
        delivery.answer(status).await;
        delivery
    });
    assert_eq!(round, Ok(Round::Tried(1)));
    delivery
}
