//! Step-up, from the request that lacks a second factor to the one that passes: the stock CLI behind a
//! console, the CLI with a plain URL, programs, and what nobody should get away with.

mod console;
mod handshake;
mod link;
mod recorded;
mod replays;
mod sockets;
mod total;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::http::{Launch, PolicySource};
use rack_gateway::identity::{Arrival, Rules};
use rack_gateway::store::UserRow;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::api::{admit, from_page, person, plain};
use crate::harness::authenticator::Authenticator;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::rows::CountingRack;
use crate::sign_in::{Browser, ORIGIN, Send, json as parsed};

/// A gateway with every policy, in front of a rack that counts.
pub struct Stage {
    pub gateway: Gateway,
    pub rack: CountingRack,
}

impl Stage {
    pub async fn new(db: &Db) -> Self {
        let rack = CountingRack::start().await;
        let running = launch_with(db, rack.addr, |launch| Launch { policy: all_policies(), ..launch }).await;
        Self { gateway: Gateway::of(running).await, rack }
    }

    /// One whose clock a test moves, in seconds.
    pub async fn moved(db: &Db, policy: PolicySource) -> (Self, Arc<AtomicI64>) {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Clock::from_fn({
            let ahead = Arc::clone(&ahead);
            move || OffsetDateTime::now_utc() + Duration::seconds(ahead.load(Ordering::Relaxed))
        });
        let rack = CountingRack::start().await;
        let running = launch_with(db, rack.addr, |launch| Launch { policy, clock, ..launch }).await;
        (Self { gateway: Gateway::of(running).await, rack }, ahead)
    }

    pub fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// A CLI's session that showed a factor so long ago.
    pub async fn cli(&self, user: &UserRow, ago: Duration) -> String {
        let at = self.gateway.running.gate.clock.now() - ago;
        let arrival = Arrival::cli(&Rules::default(), "laptop".to_owned());
        admit(&self.gateway, arrival.with_factor(Some((at, "webauthn".to_owned(), true))), Some(user)).await
    }

    /// A CLI's session that has shown nothing.
    pub async fn bare_cli(&self, user: &UserRow) -> String {
        admit(&self.gateway, Arrival::cli(&Rules::default(), "laptop".to_owned()), Some(user)).await
    }

    /// The records of a request, by kind and decision.
    pub async fn told(&self, answer: &Message, count: usize) -> Vec<(String, String)> {
        let id = answer.header("rack-gateway-request-id").expect("an id");
        let records = self.gateway.records_until(id, count).await;
        let word = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
        records.iter().map(|record| (word(record, "kind"), word(record, "decision"))).collect()
    }
}

/// Somebody at a browser, with a passkey.
pub struct Person {
    pub user: UserRow,
    pub browser: Browser,
    pub passkey: Authenticator,
}

impl Person {
    /// The person of this role, at a fresh browser.
    pub async fn at_a_browser(stage: &Stage, role: &str) -> Self {
        let user = person(&stage.gateway, role).await;
        let mut browser = Browser::default();
        let token = admit(&stage.gateway, Arrival::web(&Rules::default()), Some(&user)).await;
        browser.cookies.insert("__Host-rgw_session".to_owned(), token);
        Self { user, browser, passkey: Authenticator::new(ORIGIN) }
    }

    /// The same with a passkey, enrolled right after sign-in.
    pub async fn enrolled(stage: &Stage, role: &str) -> Self {
        let mut person = Self::at_a_browser(stage, role).await;
        let factors = person.path("/factors");
        let begun = person.post(stage.addr(), &factors, &json!({ "kind": "webauthn", "name": "Key" })).await;
        assert_eq!(begun.status(), 201, "{}", String::from_utf8_lossy(&begun.body));
        let begun = parsed(&begun);
        let credential = person.passkey.register(&begun["options"]);
        let confirm = format!("{factors}/{}/confirm", begun["id"].as_str().unwrap());
        let confirmed = person.post(stage.addr(), &confirm, &json!({ "credential": credential })).await;
        assert_eq!(confirmed.status(), 200, "{}", String::from_utf8_lossy(&confirmed.body));
        person
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/users/{}{rest}", self.user.id)
    }

    pub async fn post(&self, addr: SocketAddr, target: &str, body: &Value) -> Message {
        from_page(&self.browser, addr, Send::json("POST", target, body)).await
    }

    /// Answers a challenge at the browser, with the passkey.
    pub async fn answer(&mut self, addr: SocketAddr, challenge: &str) -> Message {
        let begin = format!("/api/v1/challenges/{challenge}/webauthn");
        let begun = from_page(&self.browser, addr, plain("POST", &begin)).await;
        if begun.status() != 200 {
            return begun;
        }
        let credential = self.passkey.assert(&parsed(&begun)).expect("a key of ours");
        self.show(addr, challenge, &credential).await
    }

    /// Sends this assertion as the answer.
    pub async fn show(&self, addr: SocketAddr, challenge: &str, credential: &Value) -> Message {
        let answer = format!("/api/v1/challenges/{challenge}/answer");
        self.post(addr, &answer, &json!({ "method": "webauthn", "credential": credential })).await
    }

    /// Follows the link in a refusal; gives the id of its challenge.
    pub async fn follow(&self, addr: SocketAddr, text: &str) -> String {
        let code = code_in(text);
        let page = self.browser.clone().send(addr, html(&format!("/app/c/{code}"))).await;
        assert_eq!(page.status(), 200, "{}", String::from_utf8_lossy(&page.body));
        let page = String::from_utf8(page.body).unwrap();
        attribute(&page, "data-challenge").unwrap_or_else(|| panic!("no challenge on {page}"))
    }
}

/// The code in the link of a refusal.
pub fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("/app/c/").unwrap_or_else(|| panic!("no link in {text}"));
    rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '-').collect()
}

/// What a browser asks for that goes to a page.
pub fn html(target: &str) -> Send<'_> {
    Send::get(target)
        .header("Accept", "text/html")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Site", "none")
}

/// The first value of an attribute.
pub fn attribute(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// The error that the CLI shows.
pub fn error(answer: &Message) -> String {
    parsed(answer)["error"].as_str().unwrap_or_default().to_owned()
}

/// The words of a query.
pub fn query(url: &url::Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}
