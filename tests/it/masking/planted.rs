//! Secrets in every place that a client or the rack can fill, over the whole table: none is in a record, in the
//! copy of the records, in the log of the process, or in an answer to somebody who may not read it.

use std::collections::BTreeMap;

use rack_gateway::routes::{Body, CONSOLE, Kind, RACK, Row};
use rack_gateway::store::Record;
use serde_json::json;

use super::rack::{SpeakingRack, written};
use crate::harness::binary::{Serving, create_token};
use crate::harness::{Db, basic};
use crate::replay::peer::{Message, Wire};
use crate::rows::path;

/// Makes values that nobody has seen before, of every kind that rules know, and remembers where they went.
struct Planter {
    state: u64,
    planted: BTreeMap<String, String>,
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Planter {
    fn new(seed: u64) -> Self {
        Self { state: seed, planted: BTreeMap::new() }
    }

    /// The generator of Knuth's MMIX; the high bits of each step.
    fn next(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % below
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(LETTERS[self.next(LETTERS.len())])).collect()
    }

    fn keep(&mut self, value: String, place: &str) -> String {
        self.planted.insert(value.clone(), place.to_owned());
        value
    }

    /// A word of no meaning, with capitals, small letters and digits, as nearly all that generators make.
    fn word(&mut self, place: &str) -> String {
        let kinds = [char::is_ascii_digit, char::is_ascii_uppercase, char::is_ascii_lowercase];
        loop {
            let word = self.letters(32);
            if kinds.iter().all(|kind| word.chars().any(|letter| kind(&letter))) {
                return self.keep(word, place);
            }
        }
    }

    /// A token that says what it is, fit for a name.
    fn token(&mut self, place: &str) -> String {
        let token = format!("glpat-{}", self.letters(20).to_lowercase());
        self.keep(token, place)
    }

    /// A command with secrets in it in all the usual ways.
    fn command(&mut self, place: &str) -> String {
        let [a, b, c, d, e] = std::array::from_fn(|_| self.word(place));
        let token = self.token(place);
        format!(
            "env API_TOKEN={a} psql postgres://u:{b}@db/app --password {c} -H 'Authorization: Bearer {d}' {token} {e}"
        )
    }

    /// The planted values that occur in a text, with their places.
    fn found(&self, text: &str) -> Vec<String> {
        let hits = self.planted.iter().filter(|(value, _)| text.contains(value.as_str()));
        hits.map(|(value, place)| format!("{value} of {place}")).collect()
    }
}

/// A request of the row with secrets wherever there is room.
fn request(row: &Row, authorization: &str, planter: &mut Planter) -> Vec<u8> {
    let at = |what: &str| format!("{what} of {} {}", row.kind, row.path);
    let mut target = path(row);
    let query = row.contract.query.iter().map(|key| format!("{key}={}", planter.word(&at("query"))));
    let query = query.collect::<Vec<_>>().join("&");
    if !query.is_empty() {
        target = format!("{target}?{query}");
    }
    let mut head = format!("{} {target} HTTP/1.1\r\nHost: gateway.example.com\r\n", row.kind.method());
    head += &format!("Authorization: {authorization}\r\nCookie: session={}\r\n", planter.word(&at("cookie")));
    head += &format!("User-Agent: {}\r\nX-Anything: {}\r\n", planter.word(&at("agent")), planter.word(&at("header")));
    for name in row.contract.headers {
        let value = if *name == "command" { planter.command(&at(name)) } else { planter.word(&at(name)) };
        head += &format!("{name}: {value}\r\n");
    }
    if row.kind == Kind::Socket {
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        return format!("{head}Sec-WebSocket-Key: j1p6Oko7l6ZS+XPD7QBSSg==\r\n\r\n").into_bytes();
    }
    let body = match row.contract.body {
        Body::None => String::new(),
        Body::Form { keys, .. } => {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
            let pairs = keys.iter().map(|key| match *key {
                "env" | "parameters" => format!("{key}=API_TOKEN%3D{}", planter.word(&at(key))),
                key => format!("{key}={}", planter.word(&at(key))),
            });
            pairs.collect::<Vec<_>>().join("&")
        }
        Body::Inspect { .. } => format!("{{\"token\": \"{}\"}}", planter.word(&at("body"))),
        Body::Json { .. } => {
            head += "Content-Type: application/json\r\n";
            format!("{{\"token\": \"{}\"}}", planter.word(&at("body")))
        }
        Body::Stream => planter.word(&at("body")),
    };
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// What the rack says: secrets in all the fields that a rack has, and in some that it has not.
fn said(row: &Row, planter: &mut Planter) -> (u16, String) {
    let at = format!("answer to {} {}", row.kind, row.path);
    let mut word = || planter.word(&at);
    if row.contract.redact.is_none() {
        return (200, "ok\n".to_owned());
    }
    let answer = json!({
        "id": "RABCDEFGHI", "name": "thing", "app": "myapp",
        "env": format!("API_TOKEN={}\nDATABASE_URL={}\nPLAIN=x", word(), word()),
        "environment": [format!("API_TOKEN={}", word())],
        "url": format!("postgres://u:{}@h:5432/db", word()),
        "repository": format!("https://docker:{}@h/app", word()),
        "command": format!("run --token {}", word()),
        "manifest": format!("environment:\n  - API_TOKEN={}\n", word()),
        "parameters": {"Password": word(), "nested": {"secret": word()}, "list": [{"token": word()}]},
        "outputs": {"Key": word()},
        "private-key": word(), "password": word(),
        "value": if row.path.contains("configs") { word() } else { String::new() },
        "solvers": [{"webhook": {"token": word()}}],
    });
    (200, written(&answer))
}

async fn send(serving: &Serving, bytes: &[u8], row: &Row) -> Message {
    let mut wire = Wire::connect(serving.addr).await;
    wire.send(bytes).await;
    wire.message(matches!(row.kind, Kind::Head | Kind::Socket)).await.expect(row.path)
}

/// Everything in the database that is told of requests.
async fn records(db: &Db) -> Vec<String> {
    let store = db.store().await;
    let records: Vec<Record> = store.records_after(0, 1_000_000).await.unwrap();
    let mut texts: Vec<String> =
        records.iter().map(|record| String::from_utf8_lossy(&record.canon).into_owned()).collect();
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        let beside = store.private_of(first.seq, last.seq).await.unwrap();
        texts.extend(beside.into_iter().map(|row| row.value));
    }
    store.close().await;
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_recorded_or_logged_whatever_row_and_caller() {
    for (seed, db) in (1_u64..).zip(Db::each().await) {
        let rack = SpeakingRack::start().await;
        let mut planter = Planter::new(seed);
        let url = db.url().await;
        let mut callers: Vec<(&str, String)> = Vec::new();
        for role in ["viewer", "deployer", "admin"] {
            let user = format!("{role}@example.com");
            let token = create_token(&url, &["--user", &user, "--role", role, "--name", "test"]).await;
            callers.push((role, basic(planter.keep(token, role).as_str())));
        }
        callers.push(("nobody", basic(&planter.word("password of nobody"))));
        callers.push(("somebody else", format!("Bearer {}", planter.word("bearer"))));
        let serving = Serving::start(&url, rack.addr, &[("RGW_LOG", "debug")]).await.unwrap();
        for row in RACK.iter().chain(CONSOLE) {
            for (who, authorization) in &callers {
                let (status, body) = said(row, &mut planter);
                rack.say(status, body.clone());
                let answer = send(&serving, &request(row, authorization, &mut planter), row).await;
                let text = String::from_utf8_lossy(&answer.body);
                let leaked = planter.found(&text);
                let own = *who == "admin" && row.contract.redact.is_some();
                assert!(own || leaked.is_empty(), "{} {} as {who}: {leaked:?} in {text}", row.kind, row.path);
                // The rack may say it in an error.
                rack.say(500, body);
                let answer = send(&serving, &request(row, authorization, &mut planter), row).await;
                let text = String::from_utf8_lossy(&answer.body);
                let leaked = planter.found(&text);
                assert!(leaked.is_empty(), "{} {} as {who}, failed: {leaked:?} in {text}", row.kind, row.path);
            }
        }
        odd_paths(&serving, &callers, &mut planter).await;
        serving.process.signal("TERM").await;
        let (_, lines, log) = serving.process.ended().await;
        assert!(log.contains("request refused") && log.contains("request forwarded"), "the log says nothing: {log}");
        for (what, text) in [("the copy of the records", lines), ("the log", log)] {
            assert_eq!(planter.found(&text), Vec::<String>::new(), "in {what}");
        }
        let records = records(&db).await;
        let commands: Vec<&String> = records.iter().filter(|text| text.contains("\"command\"")).collect();
        assert!(commands.iter().any(|text| text.contains("psql postgres://u:********@db/app")), "{commands:?}");
        for text in &records {
            assert_eq!(planter.found(text), Vec::<String>::new(), "{text}");
        }
    }
}

/// Tokens where names stand, in requests that pass, that are refused and that are none.
async fn odd_paths(serving: &Serving, callers: &[(&str, String)], planter: &mut Planter) {
    let targets = [
        "/apps/{}",
        "/apps/{}/releases",
        "/apps/myapp/processes/{}",
        "/{}",
        "/apps/{}/nosuch",
        "/apps/{}%2Fx",
        "/apps?{}=1",
        "/apps?limit={}",
        "/resources/{}",
        "/registries/{}",
        "/apps/myapp/objects/tmp/{}",
    ];
    for target in targets {
        for (_, authorization) in callers {
            let target = target.replace("{}", &planter.token(target));
            let bytes =
                format!("GET {target} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {authorization}\r\n\r\n");
            let mut wire = Wire::connect(serving.addr).await;
            wire.send(bytes.as_bytes()).await;
            let answer = wire.message(false).await.expect(&target);
            assert!(answer.status() > 0);
        }
    }
    let mut wire = Wire::connect(serving.addr).await;
    let url = format!("https://u:{}@registry.example.test/v1", planter.word("a URL as a name"));
    let bytes = format!(
        "DELETE /registries/{} HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {}\r\n\r\n",
        url.replace("//", "/%2F"),
        callers[2].1
    );
    wire.send(bytes.as_bytes()).await;
    assert!(wire.message(false).await.is_some(), "{url}");
}
