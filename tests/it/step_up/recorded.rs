//! Runs of the real CLI in which a console asked it for a token, sent again byte for byte: only what a
//! console makes up is put in (path, challenge, session, proof).

use serde_json::Value;
use time::Duration;

use super::handshake::session_path;
use super::{Person, Stage};
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::{Db, Gateway, basic};
use crate::replay::fixture::{Data, Exchange, exchanges};
use crate::replay::peer::{Message, RecordedRack, Wire, request_bytes};
use crate::rows::CountingRack;
use crate::sign_in::json;
use rack_gateway::http::Launch;

mod both {
    crate::on_both!(the_recorded_cli_sets_a_variable);
}

const PATH: &str = "/session/u2f";

/// `convox env set A=1 -a myapp`, which was asked for a token in its last request.
async fn the_recorded_cli_sets_a_variable(db: Db) {
    let (rack, addr) = RecordedRack::start().await;
    let running = launch_with(&db, addr, |launch| Launch { policy: all_policies(), ..launch }).await;
    let stage = Stage { gateway: Gateway::of(running).await, rack: CountingRack::start().await };
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, Duration::hours(1)).await;
    let mut cli = Recorded { stage: &stage, token, path: String::new(), challenge: String::new(), session: None };
    let mut statuses = Vec::new();
    for exchange in exchanges().into_iter().filter(|exchange| exchange.id.starts_with("run-093/")) {
        rack.expect(&exchange);
        let answer = cli.send(&exchange, &mut person).await;
        statuses.push((exchange.response.status, answer.status()));
        if exchange.request.target.starts_with("/apps/") && answer.status() == 200 {
            assert_eq!(rack.received().len(), 1, "{}", exchange.id);
        }
    }
    assert!(statuses.iter().filter(|(recorded, _)| *recorded == 401).count() == 1, "{statuses:?}");
    assert!(statuses.iter().all(|(recorded, got)| recorded == got), "{statuses:?}");
    stage.gateway.stop_and_verify().await;
}

struct Recorded<'a> {
    stage: &'a Stage,
    token: String,
    path: String,
    challenge: String,
    /// From the handshake on, as the CLI then sends it.
    session: Option<String>,
}

impl Recorded<'_> {
    async fn send(&mut self, exchange: &Exchange, person: &mut Person) -> Message {
        let mut exchange = exchange.clone();
        let is_handshake = exchange.request.target.starts_with(PATH);
        exchange.request.target = exchange.request.target.replace(PATH, &self.path);
        if is_handshake && exchange.request.method == "POST" {
            let proof = self.proof(person).await;
            exchange.request.body = Some(Data::Text(proof.clone()));
            set(&mut exchange, "Content-Length", &proof.len().to_string());
            set(&mut exchange, "Challenge", &self.challenge);
        }
        set(&mut exchange, "Rack", "acme/dev");
        if let Some(session) = &self.session {
            set(&mut exchange, "Session", session);
        }
        let mut wire = Wire::connect(self.stage.addr()).await;
        wire.send(&request_bytes(&exchange, self.stage.addr(), Some(&basic(&self.token)))).await;
        let answer = wire.message(false).await.expect("an answer");
        if let Some(path) = session_path(&answer) {
            self.path = path;
        }
        if let Some(challenge) = answer.header("challenge") {
            challenge.clone_into(&mut self.challenge);
        }
        if is_handshake && exchange.request.method == "POST" {
            self.session = json(&answer)["id"].as_str().map(str::to_owned);
        }
        answer
    }

    async fn proof(&self, person: &mut Person) -> String {
        let answered: Value = json(&person.answer(self.stage.addr(), &self.challenge).await);
        answered["proof"].as_str().expect("a proof").to_owned()
    }
}

fn set(exchange: &mut Exchange, name: &str, value: &str) {
    for (known, old) in &mut exchange.request.headers {
        if known == name {
            value.clone_into(old);
        }
    }
}
