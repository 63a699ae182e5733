//! `serve` as it runs in production: its end, its outputs, its secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::store::Record;

use super::client::{Ask, Socket, end, error, exit, text};
use super::{ScriptedRack, assert_unanchored, is_open};
use crate::harness::binary::{Serving, create_token, run};
use crate::harness::{Db, RACK_PASSWORD, basic, parse_record, until};
use crate::replay::peer::Wire;
use crate::rows::CountingRack;

const ADMIN: &[&str] = &["--user", "admin@example.com", "--role", "admin", "--name", "test"];

async fn records(db: &Db) -> Vec<Record> {
    let store = db.store().await;
    let records = store.records_after(0, 1_000_000).await.unwrap();
    store.close().await;
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_finishes_what_it_began() {
    for db in Db::each().await {
        let rack = ScriptedRack::bind().await;
        let authorization = basic(&create_token(&db.url().await, ADMIN).await);
        let serving = Serving::start(&db.url().await, rack.addr(), &[]).await.unwrap();
        let mut client = Ask::get("/instances?", &authorization).begin(serving.addr).await;
        let (mut slow, _) = rack.request().await;

        serving.process.signal("TERM").await;
        let addr = serving.addr;
        until("nobody new is let in", async || (!is_open(addr).await).then_some(())).await;
        slow.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow\n").await;
        let answer = client.message(false).await.expect("an answer");
        assert_eq!((answer.status(), text(&answer).as_str()), (200, "slow\n"));
        let (status, _, said) = serving.process.ended().await;
        assert_eq!(status.code(), Some(0), "{said}");

        let records: Vec<_> = records(&db).await.iter().map(parse_record).collect();
        let last = records.last().unwrap();
        assert_eq!((last["kind"].as_str(), last["action"].as_str()), (Some("system"), Some("gateway:stop")));
        let outcome = records.iter().find(|record| record["kind"] == "outcome").unwrap();
        assert_eq!(outcome["result"], "completed", "{outcome}");
        assert_unanchored(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_shell_does_not_keep_it_from_stopping() {
    let (db, rack) = (Db::sqlite().await, super::dev_rack());
    let authorization = basic(&create_token(&db.url().await, ADMIN).await);
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    let shell = "/apps/myapp/processes/web/exec";
    let options = [("Command", "cat"), ("Tty", "false")];
    let mut socket = Socket::open(serving.addr, shell, &authorization, &options).await;
    socket.send(super::client::TEXT, b"a").await;
    socket.frame().await.unwrap();
    serving.process.signal("TERM").await;
    assert_eq!(socket.frames().await, [exit(137), end()]);
    let id = std::mem::take(&mut socket.id);
    drop(socket);
    let (status, _, said) = serving.process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let records: Vec<_> = records(&db).await.iter().map(parse_record).collect();
    assert_eq!(records.last().unwrap()["action"], "gateway:stop");
    let outcome = records.iter().find(|record| record["kind"] == "outcome" && record["req"] == id.as_str()).unwrap();
    assert_eq!(outcome["message"], "ended by the gateway: the gateway stops", "{outcome}");
    assert_unanchored(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_on_their_own_listener_only() {
    let (db, rack) = (Db::sqlite().await, CountingRack::start().await);
    let authorization = basic(&create_token(&db.url().await, ADMIN).await);
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    assert_eq!(Ask::get("/apps?", &authorization).send(serving.addr).await.status(), 200);
    assert_eq!(Ask::get("/metrics", "").send(serving.addr).await.status(), 401);
    assert_eq!(Ask::get("/metrics", &authorization).send(serving.addr).await.status(), 404);
    assert_eq!(rack.take(), 1, "neither reached the rack");

    let answer = Ask::get("/metrics", "").send(serving.metrics).await;
    assert_eq!(answer.status(), 200);
    let metrics = text(&answer);
    let value = |name: &str, labels: &[&str]| {
        let mut lines = metrics.lines().filter(|line| line.starts_with(name));
        let line = lines.find(|line| labels.iter().all(|label| line.contains(label)));
        let line = line.unwrap_or_else(|| panic!("no {name} {labels:?} in:\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let requests = "rack_gateway_requests_total";
    assert!((value(requests, &["route=\"/apps\"", "status=\"200\""]) - 1.0).abs() < f64::EPSILON);
    assert!((value(requests, &["route=\"none\"", "status=\"401\""]) - 1.0).abs() < f64::EPSILON);
    // Start, intent, outcome, two denials; the outcome may still be on its way.
    assert!(value("audit_records_total", &[]) >= 4.0);
    assert!(value("audit_append_seconds_count", &[]) >= 1.0);
    assert!(value("rack_gateway_decision_seconds_count", &[]) >= 1.0);
    // A client's words are no labels: they would grow without end.
    assert!(!metrics.contains("/metrics"), "{metrics}");
    for target in ["/apps?", "/api/v1/health", "/"] {
        assert_eq!(Ask::get(target, &authorization).send(serving.metrics).await.status(), 404, "{target}");
    }
    assert!(serving.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_is_the_audit_log() {
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let authorization = basic(&create_token(&db.url().await, ADMIN).await);
        let before = records(&db).await.len();
        let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
        for target in ["/apps?", "/nosuch", "/apps/\u{fc}?", "/racks?", "/apps?x=%00"] {
            Ask::get(target, &authorization).send(serving.addr).await;
        }
        Ask::get("/apps?", "").send(serving.addr).await;
        serving.process.signal("TERM").await;
        let (status, said, _) = serving.process.ended().await;
        assert!(status.success());
        let stored = records(&db).await;
        let stored = stored[before..].iter().map(|record| String::from_utf8(record.canon.clone()).unwrap());
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(said, stored.collect::<Vec<_>>());
        assert!(said.len() >= 9, "{said:#?}");
    }
}

/// What nobody may find anywhere, each with the name of where it came from.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, name: &'static str, secret: &str) {
        self.0.push((name, secret.to_owned()));
        self.0.push((name, STANDARD.encode(secret)));
        // As it stands inside `user:password`: whatever comes before, some alignment shows.
        for user in ["convox", "token", "x"] {
            self.0.push((name, STANDARD.encode(format!("{user}:{secret}"))));
        }
    }

    /// The first one that is in a text: its name, and what stands before it.
    fn find<'a>(&self, text: &'a str) -> Option<(&'static str, &'a str)> {
        self.0.iter().find_map(|(name, secret)| {
            let at = text.find(secret.as_str())?;
            Some((*name, text.get(at.saturating_sub(200)..at).unwrap_or_default()))
        })
    }
}

#[test]
fn secrets_would_be_found() {
    let mut secrets = Secrets(Vec::new());
    secrets.add("it", "made-up");
    let in_basic = basic("made-up");
    for text in ["a made-up b", in_basic.as_str(), &STANDARD.encode("made-up")] {
        assert_eq!(secrets.find(text).map(|(name, _)| name), Some("it"), "{text}");
    }
    assert_eq!(secrets.find("made up"), None);
}

const DATABASE_PASSWORD: &str = "made-up-database-password";
const SUBMITTED: &[(&str, &str)] = &[
    ("an environment", "made-up-environment-value"),
    ("a registry password", "made-up-registry-secret"),
    ("a private key", "made-up-private-key"),
    ("a certificate key", "made-up-certificate-key"),
    ("an environment for a process", "made-up-process-value"),
    ("a file", "made-up-file-content"),
];

/// Requests with every kind of secret in them, good and bad.
async fn secret_requests(serving: &Serving, rack: &CountingRack, token: &str, unknown: &str) {
    let own = basic(token);
    let bearer = format!("Bearer {token}");
    let user = format!("Basic {}", STANDARD.encode(format!("token:{token}")));
    for (authorization, status) in [
        (own.clone(), 200),
        (bearer, 200),
        (user, 200),
        (basic(unknown), 401),
        (basic(&format!("{token}x")), 401),
        (format!("Bearer {unknown}"), 401),
        (format!("Digest {unknown}"), 401),
        (unknown.to_owned(), 401),
    ] {
        assert_eq!(Ask::get("/apps?", &authorization).send(serving.addr).await.status(), status);
    }
    rack.take();
    let secret = |name: &str| SUBMITTED.iter().find(|(known, _)| *known == name).unwrap().1;
    let environment = format!("env=KEY%3D{}", secret("an environment"));
    let registry = format!("server=r.example.com&username=u&password={}", secret("a registry password"));
    let certificate = format!("pub=p&key={}&chain=", secret("a certificate key"));
    let forms = [("/apps/myapp/releases", environment), ("/registries", registry), ("/certificates", certificate)];
    for (target, form) in &forms {
        let answer = Ask::new("POST", target, &own).form(form).send(serving.addr).await;
        assert_eq!(answer.status(), 200, "{target}: {}", text(&answer));
        // The same where it does not belong: the refusal must not repeat it.
        let query = format!("{target}?{form}");
        let answer = Ask::new("POST", &query, &own).send(serving.addr).await;
        assert_eq!(answer.status(), 400, "{query}: {}", text(&answer));
    }
    let process = secret("an environment for a process");
    let start = Ask::new("POST", "/apps/myapp/services/web/processes", &own).header("Environment", process);
    assert_eq!(start.header("Command", "sleep 1").send(serving.addr).await.status(), 200);
    let key = secret("a private key");
    let shell = [("Command", "sh"), ("Private-Key", key)];
    let (_, head) = Socket::dial(serving.addr, "/instances/ip-10-0-0-2/shell", &own, &shell).await;
    assert_eq!(head.status(), 101);
    let file = secret("a file");
    let upload = Ask { body: file.as_bytes(), ..Ask::new("POST", "/apps/myapp/objects/tmp/x", &own) };
    assert_eq!(upload.send(serving.addr).await.status(), 200);
    assert_eq!(rack.take(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere() {
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let mut url = db.url().await;
        let mut secrets = Secrets(Vec::new());
        if db.file().is_none() {
            // The server trusts everybody, so any password is good.
            url = url.replace("postgres@", &format!("postgres:{DATABASE_PASSWORD}@"));
            secrets.add("the password of the database", DATABASE_PASSWORD);
        }
        let token = create_token(&url, ADMIN).await;
        let unknown = rack_gateway::identity::Token::generate().unwrap();
        secrets.add("the caller's token", &token);
        secrets.add("a token that is not known", unknown.expose());
        secrets.add("the rack's password", RACK_PASSWORD);
        SUBMITTED.iter().for_each(|(name, secret)| secrets.add(name, secret));

        let serving = Serving::start(&url, rack.addr, &[("RGW_LOG", "trace")]).await.unwrap();
        secret_requests(&serving, &rack, &token, unknown.expose()).await;
        let metrics = text(&Ask::get("/metrics", "").send(serving.metrics).await);
        let ready = text(&Ask::get("/api/v1/ready", "").send(serving.addr).await);
        serving.process.signal("TERM").await;
        let (status, out, err) = serving.process.ended().await;
        assert!(status.success());
        assert!(err.contains("TRACE"), "the log is not as talkative as it should be here");
        let stored: Vec<String> =
            records(&db).await.iter().map(|record| String::from_utf8(record.canon.clone()).unwrap()).collect();
        let told = [
            ("standard output", out),
            ("the log", err),
            ("the records", stored.join("\n")),
            ("the metrics", metrics),
            ("the readiness", ready),
        ];
        for (from, text) in &told {
            assert_eq!(secrets.find(text), None, "in {from}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_is_said_without_its_password() {
    let nowhere = super::nowhere().await;
    let url = format!("postgres://user:{DATABASE_PASSWORD}@{nowhere}/gateway");
    for arguments in [&["token", "list"][..], &["audit", "verify"], &["migrate"]] {
        let output = run(arguments, &[("RGW_DATABASE_URL", &url), ("RGW_LOG", "debug")]).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {said}");
        assert!(!said.is_empty() && !said.contains(DATABASE_PASSWORD), "{arguments:?}: {said}");
    }
    let said =
        Serving::start(&url, nowhere, &[("RGW_LOG", "debug")]).await.err().expect("it starts without a database");
    assert!(said.contains("database") && !said.contains(DATABASE_PASSWORD), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_no_end_of_head_does_not_keep_it_from_stopping() {
    let (db, rack) = (Db::sqlite().await, CountingRack::start().await);
    let authorization = basic(&create_token(&db.url().await, ADMIN).await);
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    let mut idle = Wire::connect(serving.addr).await;
    idle.send(b"GET /apps HTTP/1.1\r\nHost: gateway.example.com\r\n").await;
    let denied = Ask::get("/nosuch", &authorization).send(serving.addr).await;
    assert_eq!(error(&denied), "refused: no such route on this rack");
    assert_eq!(serving.terminate().await.code(), Some(0));
    assert_unanchored(&db).await;
}
