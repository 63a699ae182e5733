//! Environments and parameters through the gateway: what is asked for each variable, what stands on the record,
//! and what the rack gets in the end.

mod own_api;
mod parameters;
mod releases;
mod sources;

use rack_gateway::dev::rack::RackServer;
use rack_gateway::routes::Form;
use serde_json::{Value, json};

use crate::api::ask;
use crate::gateway::dev_rack;
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::sign_in::Send;

/// What the development rack's app begins with, and the value of its secret.
const SEED: &str = "GREETING=hello\nSECRET_KEY=made-up-s3cr3t";
const SECRET: &str = "made-up-s3cr3t";

/// A gateway before a development rack.
struct World {
    rack: RackServer,
    gateway: Gateway,
}

impl World {
    async fn start(db: &Db) -> Self {
        let rack = dev_rack();
        let gateway = Gateway::start(db, rack.addr).await;
        Self { rack, gateway }
    }

    async fn send(&self, role: &str, send: Send<'_>) -> Message {
        send.header("Authorization", self.gateway.basic(role)).to(self.gateway.addr()).await
    }

    /// Sends a form as the CLI does.
    async fn form(&self, role: &str, method: &str, target: &str, pairs: &[(&str, &str)]) -> Message {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let send = Send {
            method,
            target,
            headers: vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())],
            body: Form { pairs }.encode(),
        };
        self.send(role, send).await
    }

    /// Makes a release.
    async fn release(&self, role: &str, pairs: &[(&str, &str)]) -> Message {
        self.form(role, "POST", "/apps/myapp/releases?", pairs).await
    }

    /// Makes a release that must be made; its id.
    async fn made(&self, role: &str, pairs: &[(&str, &str)]) -> String {
        let answer = self.release(role, pairs).await;
        assert_eq!(answer.status(), 200, "{role} {pairs:?}: {}", text(&answer));
        parsed(&answer)["id"].as_str().unwrap().to_owned()
    }

    /// Id of the newest release.
    async fn newest(&self) -> String {
        let answer = self.send("admin", Send::get("/apps/myapp/releases?limit=1")).await;
        parsed(&answer)[0]["id"].as_str().unwrap().to_owned()
    }

    /// The environment of a release, as this role is shown it.
    async fn shown(&self, role: &str, release: &str) -> String {
        let target = format!("/apps/myapp/releases/{release}?");
        let answer = self.send(role, Send::get(&target)).await;
        assert_eq!(answer.status(), 200, "{role} {release}: {}", text(&answer));
        parsed(&answer)["env"].as_str().unwrap().to_owned()
    }

    /// The environment of the newest release, in clear.
    async fn env(&self) -> String {
        self.shown("admin", &self.newest().await).await
    }

    /// The record of what was decided on a request.
    async fn record(&self, answer: &Message) -> Value {
        let id = answer.header("rack-gateway-request-id").unwrap();
        self.gateway.records_until(id, 1).await.remove(0)
    }

    /// Sets a list of the app.
    async fn set_list(&self, name: &str, names: &[&str]) {
        let target = format!("/api/v1/apps/myapp/settings/{name}");
        let send = Send::json("PUT", &target, &json!({ "value": names })).header("If-Match", "\"v0\"");
        ask(&self.gateway, self.gateway.token("admin"), send, 200).await;
    }

    /// The end: a log in good order, and nothing of this in it.
    async fn end(self, secrets: &[&str]) {
        for record in self.gateway.records().await {
            let canon = String::from_utf8_lossy(&record.canon).into_owned();
            for secret in [SECRET].iter().chain(secrets) {
                assert!(!canon.contains(*secret), "{secret} is in a record: {canon}");
            }
        }
        self.gateway.stop_and_verify().await;
        self.rack.stop().await;
    }
}

fn parsed(answer: &Message) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", text(answer)))
}

fn text(answer: &Message) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
