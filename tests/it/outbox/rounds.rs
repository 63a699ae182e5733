//! What is tried when, by whom, and what becomes of it, under a clock that the tests move.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration as Span;

use rack_gateway::outbox::{Outbox, Round};
use rack_gateway::store::{MessageState, Store};
use secrecy::SecretSlice;
use serde_json::json;
use time::Duration;
use tokio::sync::watch;

use super::{Hands, NOW, Receiver, SECRET, notice, only, outbox, round, rows, settings, soon};
use crate::harness::{Db, until};

mod both {
    crate::on_both!(
        pauses_grow_until_it_is_given_up,
        what_the_receiver_says_counts,
        two_servers_send_nothing_twice,
        what_was_not_noted_is_sent_again,
        old_news_is_skipped,
        a_stop_waits_for_what_is_on_its_way,
    );
}

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9/hook?key=s3cret";

async fn pauses_grow_until_it_is_given_up(db: Db) {
    let (store, hands) = (db.store().await, Hands::new());
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let sender = outbox(&store, &hands, &settings(NOWHERE));
    let mut pauses = Vec::new();
    let dead = loop {
        assert_eq!(sender.round().await, Ok(Round::Tried(1)));
        let row = only(&store).await;
        assert_eq!(row.attempts, u64::try_from(pauses.len() + 1).unwrap());
        if row.state == MessageState::Dead {
            break row;
        }
        pauses.push((row.next_at - hands.now()).whole_seconds());
        hands.set(row.next_at - Duration::SECOND);
        assert_eq!(sender.round().await, Ok(Round::Idle), "too early");
        hands.set(row.next_at);
    };
    let middle = [5, 20, 80, 320, 1280, 5120, 20480].into_iter().chain(std::iter::repeat(21600));
    assert_eq!(pauses.len(), 18);
    for (pause, middle) in pauses.iter().zip(middle) {
        assert!((middle * 9 / 10 - 1..=middle * 11 / 10).contains(pause), "{pauses:?}");
    }
    let days = (hands.now() - NOW).whole_hours();
    assert!((64..=82).contains(&days), "{days}");
    let why = dead.last_error.clone().unwrap();
    assert!(why.contains("cannot be reached") && !why.contains("s3cret"), "{why}");
    sender.count().await.unwrap();
    let state = sender.states().now();
    assert_eq!((state.counts.waiting, state.counts.dead, state.failure), (0, 1, Some(why)));
    // By hand it is sent all the same, as the same notice.
    store.outbox_retry(&dead.id, hands.now()).await.unwrap();
    let receiver = Receiver::bind().await;
    let delivery = round(&outbox(&store, &hands, &receiver.settings()), &receiver, "200 OK").await;
    assert_eq!(delivery.id(), dead.id);
    assert_eq!(only(&store).await.state, MessageState::Sent);
}

async fn what_the_receiver_says_counts(db: Db) {
    let (store, hands, receiver, other) =
        (db.store().await, Hands::new(), Receiver::bind().await, Receiver::bind().await);
    let sender = outbox(&store, &hands, &receiver.settings());
    let elsewhere = format!("307 Temporary Redirect\r\nLocation: {}", other.url());
    // Status line and headers, state, least and greatest pause.
    let cases = [
        ("200 OK", MessageState::Sent, 0, 0),
        ("204 No Content", MessageState::Sent, 0, 0),
        ("410 Gone", MessageState::Dead, 0, 0),
        ("410 Gone\r\nRetry-After: 60", MessageState::Dead, 0, 0),
        ("400 Bad Request", MessageState::Waiting, 4, 6),
        ("500 Internal Server Error", MessageState::Waiting, 4, 6),
        ("429 Too Many Requests\r\nRetry-After: 3600", MessageState::Waiting, 3600, 3600),
        ("503 Service Unavailable\r\nRetry-After: 1", MessageState::Waiting, 4, 6),
        ("503 Service Unavailable\r\nRetry-After: 99999999", MessageState::Waiting, 21600, 21600),
        ("503 Service Unavailable\r\nRetry-After: Sat, 21 Nov 2026 10:02:00 GMT", MessageState::Waiting, 120, 120),
        ("503 Service Unavailable\r\nRetry-After: 18446744073709551616", MessageState::Waiting, 4, 6),
        (&elsewhere, MessageState::Waiting, 4, 6),
    ];
    for (status, state, least, most) in cases {
        store.outbox_put(&notice(1, NOW)).await.unwrap();
        let delivery = round(&sender, &receiver, status).await;
        let row = store.outbox_find(delivery.id()).await.unwrap().unwrap();
        assert_eq!((row.state, row.attempts), (state, 1), "{status}");
        if state == MessageState::Waiting {
            let pause = (row.next_at - NOW).whole_seconds();
            assert!((least..=most).contains(&pause), "{status}: {pause}");
            assert!(row.last_error.unwrap().contains("status"), "{status}");
        }
    }
    assert!(other.is_untouched().await, "redirects are not followed");
}

/// Runs the code of the document on what arrived.
fn python(cases: &serde_json::Value) -> String {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhooks.md");
    let document = std::fs::read_to_string(document).unwrap();
    let (_, code) = document.split_once("```python\n").expect("code");
    let (code, _) = code.split_once("```").expect("its end");
    let run = "import json, sys\nfor c in json.loads(sys.argv[1]):\n    \
               print(verify(c['secret'], c['headers'], c['body'].encode(), c['now']))\n";
    let output = Command::new("python3").args(["-c", &format!("{code}\n{run}"), &cases.to_string()]).output();
    let output = output.expect("python3 runs: install it with `apt-get install python3`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_arrives_is_what_the_document_says() {
    let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
    let store = db.store().await;
    store.outbox_put(&notice(1, NOW - Duration::MINUTE)).await.unwrap();
    let delivery = round(&outbox(&store, &hands, &receiver.settings()), &receiver, "204 No Content").await;
    assert_eq!(delivery.message.start, "POST /hook?key=1 HTTP/1.1");
    assert_eq!(
        delivery.body(),
        json!({ "type": "user.locked", "timestamp": "2026-11-21T09:59:00Z", "data": { "user": "1", "by": "test" } })
    );
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(delivery.message.map().keys().collect::<Vec<_>>(), expected);
    assert_eq!(delivery.message.header("content-type"), Some("application/json"));
    assert_eq!(delivery.id(), only(&store).await.id);
    assert_eq!(delivery.message.header("webhook-timestamp"), Some(NOW.unix_timestamp().to_string().as_str()));
}

#[tokio::test]
async fn the_secret_can_be_changed_and_what_is_changed_is_noticed() {
    let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
    let store = db.store().await;
    let old = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==";
    let previous = Some(SecretSlice::from(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec()));
    let mut settings = receiver.settings();
    let mut cases = Vec::new();
    let mut expected = String::new();
    for previous in [None, previous] {
        settings.previous = previous;
        store.outbox_put(&notice(1, NOW)).await.unwrap();
        let delivery = round(&outbox(&store, &hands, &settings), &receiver, "200 OK").await;
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers = |id: &str| {
            let value = |name: &str| if name == "webhook-id" { id } else { delivery.message.header(name).unwrap() };
            json!({ names[0]: value(names[0]), names[1]: value(names[1]), names[2]: value(names[2]) })
        };
        let body = String::from_utf8(delivery.message.body.clone()).unwrap();
        let now = NOW.unix_timestamp();
        let case = |secret: &str, id: &str, body: &str, now: i64| {
            let secret = format!("whsec_{secret}");
            json!({ "secret": secret, "headers": headers(id), "body": body, "now": now })
        };
        let id = delivery.id();
        cases.push(case(SECRET, id, &body, now));
        cases.push(case(old, id, &body, now));
        cases.push(case(SECRET, id, &body.replace("locked", "unlocked"), now));
        cases.push(case(SECRET, "another", &body, now));
        cases.push(case(SECRET, id, &body, now + 301));
        cases.push(case(SECRET, id, &body, now - 301));
        let with_old = if settings.previous.is_some() { "True" } else { "False" };
        expected.push_str(&format!("True\n{with_old}\nFalse\nFalse\nFalse\nFalse\n"));
    }
    assert_eq!(python(&json!(cases)), expected);
}

fn running(outbox: Outbox) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = watch::channel(false);
    (stop, tokio::spawn(outbox.run(stopped)))
}

async fn two_servers_send_nothing_twice(db: Db) {
    const NOTICES: u64 = 100;
    let (hands, receiver) = (Hands::new(), Receiver::bind().await);
    let stores = [db.store().await, db.store().await];
    for number in 0..NOTICES {
        stores[0].outbox_put(&notice(number, NOW)).await.unwrap();
    }
    let servers = stores.each_ref().map(|store| running(outbox(store, &hands, &receiver.settings())));
    let mut ids = BTreeSet::new();
    for number in 0..NOTICES {
        assert!(ids.insert(receiver.take().await.id().to_owned()), "twice: {number}");
    }
    until("all are noted", async || {
        let waiting = stores[0].outbox_counts(NOW).await.unwrap().waiting;
        (waiting == 0).then_some(())
    })
    .await;
    for (stop, task) in servers {
        stop.send_replace(true);
        soon("the end", task).await.unwrap();
    }
    assert!(receiver.is_untouched().await, "nothing more came");
    assert!(rows(&stores[0]).await.iter().all(|row| (row.state, row.attempts) == (MessageState::Sent, 1)));
}

async fn what_was_not_noted_is_sent_again(db: Db) {
    let (store, hands, receiver) = (db.store().await, Hands::new(), Receiver::bind().await);
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let first = {
        let sender = outbox(&store, &hands, &receiver.settings());
        tokio::select! {
            round = sender.round() => panic!("{round:?}"),
            delivery = receiver.next() => delivery,
        }
    };
    // Its process is gone. Another one takes its turn.
    let sender = outbox(&store, &hands, &receiver.settings());
    let again = async {
        until("a turn", async || Some(sender.round().await.unwrap()).filter(|round| *round != Round::Busy)).await
    };
    let (round, second) = tokio::join!(again, receiver.take());
    assert_eq!(round, Round::Tried(1));
    assert_eq!((second.id(), second.body()), (first.id(), first.body()), "known by its id");
}

async fn old_news_is_skipped(db: Db) {
    let (store, hands) = (db.store().await, Hands::new());
    let nobody = Outbox::new(store.clone(), hands.clock(), None);
    let state = async |id: &str| store.outbox_find(id).await.unwrap().unwrap().state;
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let untried = only(&store).await.id;
    store.outbox_put(&notice(2, NOW)).await.unwrap();
    let tried = rows(&store).await.remove(0);
    store.outbox_failed(&tried, "down", Some(NOW + Duration::HOUR), NOW).await.unwrap();
    for (late, first, second) in [
        (Duration::HOUR, MessageState::Waiting, MessageState::Waiting),
        (Duration::HOUR + Duration::SECOND, MessageState::Skipped, MessageState::Waiting),
        (Duration::days(3), MessageState::Skipped, MessageState::Waiting),
        (Duration::days(3) + Duration::SECOND, MessageState::Skipped, MessageState::Skipped),
    ] {
        hands.set(NOW + late);
        assert_eq!(nobody.round().await, Ok(Round::Off));
        assert_eq!((state(&untried).await, state(&tried.id).await), (first, second), "{late}");
    }
    assert_eq!(nobody.states().now().problem(hands.now()), None, "that is no trouble");
    // A receiver that is set now hears what happens from now on.
    let receiver = Receiver::bind().await;
    let sender = outbox(&store, &hands, &receiver.settings());
    assert_eq!(sender.round().await, Ok(Round::Idle));
    store.outbox_put(&notice(3, hands.now())).await.unwrap();
    assert_eq!(round(&sender, &receiver, "200 OK").await.body()["data"]["user"], "3");
    // What was skipped can be sent by hand.
    store.outbox_retry(&untried, hands.now()).await.unwrap();
    assert_eq!(round(&sender, &receiver, "200 OK").await.id(), untried);
}

async fn a_stop_waits_for_what_is_on_its_way(db: Db) {
    let (store, hands, receiver) = (db.store().await, Hands::new(), Receiver::bind().await);
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let (stop, task) = running(outbox(&store, &hands, &receiver.settings()));
    let mut delivery = receiver.next().await;
    stop.send_replace(true);
    delivery.answer("200 OK").await;
    soon("the end", task).await.unwrap();
    assert_eq!(only(&store).await.state, MessageState::Sent);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_receiver_that_never_answers() {
    let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
    let store = db.store().await;
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    let mut settings = receiver.settings();
    settings.http.timeout = Span::from_secs(3600);
    let (stop, task) = running(outbox(&store, &hands, &settings));
    let held = receiver.next().await;
    stop.send_replace(true);
    soon("the end", task).await.unwrap();
    assert_eq!(only(&store).await.state, MessageState::Waiting, "the next process sends it");
    drop(held);
}

#[tokio::test]
async fn a_database_that_is_gone_is_no_end() {
    let (db, hands, receiver) = (Db::sqlite().await, Hands::new(), Receiver::bind().await);
    let store: Store = db.store().await;
    let sender = outbox(&store, &hands, &receiver.settings());
    store.outbox_put(&notice(1, NOW)).await.unwrap();
    db.execute("ALTER TABLE outbox RENAME TO elsewhere").await;
    assert!(sender.round().await.is_err());
    db.execute("ALTER TABLE elsewhere RENAME TO outbox").await;
    round(&sender, &receiver, "200 OK").await;
}
