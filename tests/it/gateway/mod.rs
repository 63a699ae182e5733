//! The gateway end to end: requests in at the one side, a rack at the other, and what is on the
//! record afterwards.

mod client;
mod commands;
mod console;
mod dev;
mod process;
mod reload;
mod sockets;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use rack_gateway::dev::rack::{Rack, RackOptions, RackServer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::binary::run;
use crate::harness::{Db, RACK_PASSWORD};
use crate::replay::peer::{Message, Wire};

/// A development rack that knows the gateway's password.
pub fn dev_rack() -> RackServer {
    let options = RackOptions {
        password: RACK_PASSWORD.to_owned(),
        build_time: Duration::ZERO,
        heartbeat: Duration::from_millis(20),
        ..RackOptions::default()
    };
    Rack::start("127.0.0.1:0", options).unwrap()
}

/// A log without anchors is never verified, and everything else about it must be good.
pub async fn assert_unanchored(db: &Db) {
    let output = run(&["audit", "verify", "--json"], &[("RGW_DATABASE_URL", &db.url().await)]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let codes: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!((output.status.code(), codes), (Some(2), vec!["unanchored"]), "{report}");
}

/// A rack whose every answer the test writes.
struct ScriptedRack(TcpListener);

impl ScriptedRack {
    async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection and the request on it.
    async fn request(&self) -> (Wire, Message) {
        let accepted = tokio::time::timeout(Duration::from_secs(20), self.0.accept());
        let (stream, _) = accepted.await.expect("nobody connects").unwrap();
        let mut wire = Wire::new(stream);
        let request = wire.message(false).await.expect("a request");
        (wire, request)
    }
}

/// An address at which nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Whether somebody listens.
async fn is_open(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).await.is_ok()
}

/// What a request was asked, decided and answered: its intent, and its outcome.
fn intent_and_outcome(records: &[Value]) -> (&Value, &Value) {
    let [intent, outcome] = records else { panic!("not an intent and an outcome: {records:?}") };
    assert_eq!((&intent["kind"], &outcome["kind"]), (&Value::from("intent"), &Value::from("outcome")));
    assert_eq!(outcome["intent"], intent["seq"]);
    (intent, outcome)
}
