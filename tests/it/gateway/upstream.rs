//! A rack that is not there, says nothing, or says what must not be passed on.

use std::time::Duration;

use rack_gateway::upstream::Limits;
use serde_json::json;

use super::client::{Ask, error, id, text};
use super::{ScriptedRack, intent_and_outcome, nowhere};
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;

/// What the rack does with a request, and what the client is told.
struct Case {
    what: &'static str,
    /// Nothing: it stays silent.
    answer: &'static str,
    status: u16,
    told: &'static str,
    recorded: &'static str,
}

/// In every answer of the rack that must not be passed on.
const PRIVATE: &str = "rack-private";

const CASES: &[Case] = &[
    Case {
        what: "it does not accept the gateway",
        answer: "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"rack-private\"\r\n\
            Content-Length: 12\r\n\r\nrack-private",
        status: 502,
        told: "the rack does not accept the gateway's credential; tell an operator",
        recorded: "401",
    },
    Case {
        what: "it asks for a step-up",
        answer: "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Session path=\"/rack-private\" token=\"true\"\r\n\
            Content-Length: 0\r\n\r\n",
        status: 502,
        told: "the rack does not accept the gateway's credential; tell an operator",
        recorded: "401",
    },
    Case {
        what: "it redirects",
        answer: "HTTP/1.1 302 Found\r\nLocation: http://rack-private/elsewhere\r\nContent-Length: 0\r\n\r\n",
        status: 502,
        told: "the rack answered with a redirect, which the gateway never follows; tell an operator",
        recorded: "302",
    },
    Case {
        what: "it sends hints first",
        answer: "HTTP/1.1 103 Early Hints\r\nLink: </rack-private>; rel=preload\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nrack-private",
        status: 502,
        told: "the rack sent an interim answer that the gateway does not accept; tell an operator",
        recorded: "103",
    },
    Case {
        what: "its answer has no length",
        answer: "HTTP/1.1 200 OK\r\n\r\nrack-private",
        status: 502,
        told: "the rack's answer is not valid HTTP; tell an operator",
        recorded: "no length",
    },
    Case {
        what: "its answer is not HTTP",
        answer: "SSH-2.0-rack-private\r\n\r\n",
        status: 502,
        told: "the rack's answer is not valid HTTP; tell an operator",
        recorded: "read: ",
    },
    Case {
        what: "it never answers",
        answer: "",
        status: 504,
        told: "the rack did not answer in time; look whether it was done before you repeat it",
        recorded: "no answer in time",
    },
];

fn limits() -> Limits {
    Limits { head: Duration::from_millis(500), ..Limits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rack_may_not_say_is_a_clear_error_and_on_the_record() {
    for db in Db::each().await {
        let rack = ScriptedRack::bind().await;
        let gateway = Gateway::start_with(&db, rack.addr(), None, limits()).await;
        for case in CASES {
            let authorization = gateway.basic("viewer");
            let ask = Ask::get("/instances?", &authorization);
            let play = async {
                let (mut wire, request) = rack.request().await;
                assert!(request.start.starts_with("GET /instances"), "{}: {}", case.what, request.start);
                wire.send(case.answer.as_bytes()).await;
                // Kept until the gateway is done with it.
                wire
            };
            let (answer, _wire) = tokio::join!(ask.send(gateway.addr()), play);
            assert_eq!((answer.status(), error(&answer).as_str()), (case.status, case.told), "{}", case.what);
            assert!(!leaks(&answer), "{}: {answer:?}", case.what);
            let records = gateway.records_until(id(&answer), 2).await;
            let (_, outcome) = intent_and_outcome(&records);
            assert_eq!(outcome["result"], "upstream_error", "{}", case.what);
            assert_eq!(outcome["status"], case.status, "{}", case.what);
            let message = outcome["message"].as_str().unwrap();
            assert!(message.contains(case.recorded), "{}: {message}", case.what);
        }
        gateway.stop_and_verify().await;
    }
}

fn leaks(answer: &Message) -> bool {
    let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    let all = format!("{headers}{}", text(answer)).to_ascii_lowercase();
    [PRIVATE, "www-authenticate", "location:", "set-cookie"].iter().any(|secret| all.contains(secret))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rack_that_is_down_is_said_and_recorded_each_time() {
    for db in Db::each().await {
        let gateway = Gateway::start(&db, nowhere().await).await;
        for (method, target) in [("GET", "/instances?"), ("POST", "/apps/myapp/services/web/restart?")] {
            let authorization = gateway.basic("ops");
            let answer = Ask::new(method, target, &authorization).send(gateway.addr()).await;
            assert_eq!(answer.status(), 502, "{target}: {answer:?}");
            let told = "the rack cannot be reached; try again, and tell an operator if it lasts";
            assert_eq!(error(&answer), told, "{target}");
            let records = gateway.records_until(id(&answer), 2).await;
            let (_, outcome) = intent_and_outcome(&records);
            let expected = (&json!("upstream_error"), &json!(502));
            assert_eq!((&outcome["result"], &outcome["status"]), expected, "{target}");
            assert!(outcome["message"].as_str().unwrap().starts_with("connect: "), "{outcome}");
        }
        let ready = Ask::get("/api/v1/ready", "").send(gateway.addr()).await;
        assert_eq!(ready.status(), 503, "{}", text(&ready));
        assert_eq!(super::client::json(&ready)["rack"]["ok"], false);
        gateway.stop_and_verify().await;
    }
}

/// Where the client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    BeforeTheHead,
    InTheBody,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_early_is_on_the_record_and_its_request_is_dropped() {
    for db in Db::each().await {
        let rack = ScriptedRack::bind().await;
        let gateway = Gateway::start(&db, rack.addr()).await;
        for leaves in [Leaves::BeforeTheHead, Leaves::InTheBody] {
            let mut client = Ask::get("/instances?", &gateway.basic("viewer")).begin(gateway.addr()).await;
            let (mut wire, request) = rack.request().await;
            let id = request.header("convox-tid").unwrap_or_else(|| panic!("{request:?}")).to_owned();
            if leaves == Leaves::InTheBody {
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin").await;
                assert_eq!(client.head().await.unwrap().status(), 200);
                assert_eq!(client.exactly(5).await.unwrap(), b"begin");
            }
            drop(client);
            assert!(wire.message(false).await.is_none(), "{leaves:?}: the rack goes on working for nobody");
            let records = gateway.records_until(&id, 2).await;
            let (_, outcome) = intent_and_outcome(&records);
            assert_eq!(outcome["result"], "client_gone", "{leaves:?}: {outcome}");
            let out = if leaves == Leaves::InTheBody { 5 } else { 0 };
            assert_eq!(outcome["bytes_out"], out, "{leaves:?}: {outcome}");
        }
        gateway.stop_and_verify().await;
    }
}
