//! Sockets: opened, refused, ended from outside, left.

use std::time::{Duration, Instant};

use rack_gateway::dev::rack::{RackServer, Received};
use rack_gateway::identity::Token;
use rack_gateway::store::UserChange;
use rack_gateway::upstream::Limits;
use serde_json::{Value, json};

use super::client::{Frame, Socket, TEXT, error, exit, id, text};
use super::{ScriptedRack, dev_rack, intent_and_outcome};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway, issuer};

const EXEC: &str = "/apps/myapp/processes/web/exec";
/// A shell that was opened must be closed within this once it may not be open any more.
const AT_MOST: Duration = Duration::from_secs(10);

async fn exec(gateway: &Gateway, role: &str, command: &str) -> Socket {
    let options = [("Command", command), ("Tty", "false")];
    Socket::open(gateway.addr(), EXEC, &gateway.basic(role), &options).await
}

/// Waits for what the rack receives.
async fn rack_sees(rack: &RackServer, enough: impl FnMut(&[Received]) -> bool) -> Vec<Received> {
    let seen = tokio::time::timeout(Duration::from_secs(20), rack.state.until(enough)).await;
    seen.unwrap_or_else(|_| panic!("the rack received {:?}", rack.state.received()))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_and_their_ends_are_recorded() {
    for db in Db::each().await {
        let rack = dev_rack();
        let gateway = Gateway::start(&db, rack.addr).await;
        let cases: &[(&str, &[&str], &[&str], u8)] = &[
            ("exit 7", &[], &[], 7),
            ("cat", &["one\n", "two"], &["one\n", "two"], 0),
            ("sh -c 'cat; exit 126'", &["in\n"], &["in\n"], 126),
            ("echo \u{fc}ber", &[], &["\u{fc}ber\n"], 0),
        ];
        for (command, input, output, code) in cases {
            let mut socket = exec(&gateway, "ops", command).await;
            let mut seen: Vec<Frame> = Vec::new();
            for (line, echo) in input.iter().zip(*output) {
                socket.send(TEXT, line.as_bytes()).await;
                let frame = socket.frame().await.unwrap();
                assert_eq!(frame, (TEXT, echo.as_bytes().to_vec()), "{command}");
                seen.push(frame);
            }
            socket.send(0x82, b"").await;
            seen.extend(socket.frames().await);
            let mut expected: Vec<Frame> = output.iter().map(|line| (TEXT, line.as_bytes().to_vec())).collect();
            expected.extend([exit(*code), super::client::end()]);
            assert_eq!(seen, expected, "{command}");

            let (id, sent, came) = (socket.id.clone(), socket.sent, socket.came);
            drop(socket);
            let records = gateway.records_until(&id, 2).await;
            let (intent, outcome) = intent_and_outcome(&records);
            assert_eq!((&intent["action"], &intent["method"]), (&json!("process:exec"), &json!("SOCKET")));
            assert_eq!(intent["resource"], "Process::myapp/web", "{command}");
            assert_eq!((&outcome["result"], &outcome["status"]), (&json!("completed"), &json!(101)), "{outcome}");
            // The empty frame at the end of the input may meet a command that has ended.
            let bytes_in = outcome["bytes_in"].as_u64().unwrap();
            assert!(bytes_in == sent || bytes_in == sent - 6, "{command}: {outcome}, sent {sent}");
            assert_eq!(outcome["bytes_out"], came, "{command}");
        }
        let received = rack.state.received();
        assert_eq!(received.len(), cases.len());
        for (seen, (command, ..)) in received.iter().zip(cases) {
            assert_eq!(seen.header("command").collect::<Vec<_>>(), [command.as_bytes()]);
            assert_eq!(seen.header("origin").count(), 0);
            assert_eq!(seen.header("convox-actor").collect::<Vec<_>>(), [b"ops@example.com"]);
        }
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_shell_says_why_in_the_terminal() {
    for db in Db::each().await {
        let rack = dev_rack();
        let gateway = Gateway::start(&db, rack.addr).await;
        let shell = "/instances/ip-10-0-0-2/shell";
        for (role, target, action) in [("viewer", EXEC, "process:exec"), ("deployer", shell, "instance:shell")] {
            let options = [("Command", "sh")];
            let mut socket = Socket::open(gateway.addr(), target, &gateway.basic(role), &options).await;
            let frames = socket.frames().await;
            let [(first, told), rest @ ..] = frames.as_slice() else { panic!("{frames:?}") };
            let told = String::from_utf8(told.clone()).unwrap();
            assert_eq!(*first, TEXT);
            assert!(told.starts_with("ERROR: ") && told.ends_with('\n'), "{told:?}");
            assert!(told.contains(action) && told.contains("no policy permits it"), "{told:?}");
            assert_eq!(rest, [exit(126), super::client::end()]);
            let records = gateway.records_of(&socket.id).await;
            assert_eq!(records.len(), 1, "{records:?}");
            assert_eq!((&records[0]["kind"], &records[0]["status"]), (&json!("denial"), &json!(403)));
            assert_eq!(format!("ERROR: {}\n", records[0]["message"].as_str().unwrap()), told);
        }
        assert!(rack.state.received().is_empty(), "{:?}", rack.state.received());
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_denied_sockets_are_plain_refusals() {
    for db in Db::each().await {
        let rack = dev_rack();
        let gateway = Gateway::start(&db, rack.addr).await;
        for (role, target) in [
            ("auditor", "/apps/myapp/logs"),
            ("cicd", "/system/logs"),
            ("deployer", "/proxy/db.internal/5432"),
            ("deployer", "/apps/myapp/resources/database/console"),
        ] {
            let (_, head) = Socket::dial(gateway.addr(), target, &gateway.basic(role), &[]).await;
            assert_eq!(head.status(), 403, "{target}");
            let records = gateway.records_of(id(&head)).await;
            assert_eq!((records.len(), &records[0]["kind"]), (1, &json!("denial")), "{target}");
        }
        assert!(rack.state.received().is_empty(), "{:?}", rack.state.received());
        gateway.stop_and_verify().await;
    }
}

/// What makes an open shell one that must not be open.
#[derive(Clone, Copy, Debug)]
enum Change {
    Revoked,
    Locked,
    Demoted,
    Forbidden,
}

const FORBID: &str = "@id(\"freeze.no-shell\")\n@why(\"no shells now\")\n\
    forbid (principal, action == Action::\"process:exec\", resource);\n";

impl Change {
    async fn happen(self, gateway: &Gateway, policies: &Policies) {
        let store = &gateway.running.gate.store;
        let token = Token::parse(gateway.token("ops")).unwrap();
        let row = store.credential_find(&token.hash().0).await.unwrap().unwrap();
        match self {
            Self::Revoked => issuer(&gateway.running).revoke(&row.id).await.unwrap(),
            Self::Locked => {
                store.user_lock(&row.user.unwrap().id, "left", "test", time::OffsetDateTime::now_utc()).await.unwrap();
            }
            Self::Demoted => {
                let change = UserChange { roles: Some(vec!["viewer".to_owned()]), ..UserChange::default() };
                store.user_update(&row.user.unwrap().id, change, None).await.unwrap();
            }
            Self::Forbidden => policies.write("policies/freeze.cedar", FORBID),
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Revoked | Self::Locked => "the credential was revoked",
            Self::Demoted => "no policy",
            Self::Forbidden => "freeze.no-shell",
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_shell_ends_when_it_may_not_be_open_any_more() {
    for db in Db::each().await {
        for change in [Change::Revoked, Change::Locked, Change::Demoted, Change::Forbidden] {
            let (rack, policies) = (dev_rack(), Policies::copy());
            let db = db.sibling().await;
            let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
            ends(&gateway, &rack, &policies, change).await;
            gateway.stop_and_verify().await;
        }
    }
}

async fn ends(gateway: &Gateway, rack: &RackServer, policies: &Policies, change: Change) {
    let mut shell = exec(gateway, "ops", "cat").await;
    let mut other = exec(gateway, "admin", "cat").await;
    for socket in [&mut shell, &mut other] {
        socket.send(TEXT, b"a").await;
        assert_eq!(socket.frame().await, Some((TEXT, b"a".to_vec())));
    }
    change.happen(gateway, policies).await;
    let began = Instant::now();
    assert_eq!(shell.frames().await, [exit(137), super::client::end()], "{change:?}");
    assert!(began.elapsed() < AT_MOST, "{change:?}: after {:?}", began.elapsed());
    rack_sees(rack, |received| received[0].gone).await;
    let (id, came, sent) = (shell.id.clone(), shell.came, shell.sent);
    drop(shell);
    let records = gateway.records_until(&id, 2).await;
    let (_, outcome) = intent_and_outcome(&records);
    let message = outcome["message"].as_str().unwrap();
    assert!(message.starts_with("ended by the gateway: ") && message.contains(change.reason()), "{message}");
    let bytes = (outcome["bytes_in"].as_u64(), outcome["bytes_out"].as_u64());
    assert_eq!(bytes, (Some(sent), Some(came)), "{change:?}: {outcome}");

    // Nobody else's shell is touched, unless it is the policy that changed.
    match change {
        Change::Forbidden => assert_eq!(other.frames().await[0], exit(137)),
        Change::Revoked | Change::Locked | Change::Demoted => {
            other.send(TEXT, b"b").await;
            assert_eq!(other.frame().await, Some((TEXT, b"b".to_vec())), "{change:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_off_ends_without_an_exit_code() {
    let (db, rack) = (Db::sqlite().await, dev_rack());
    let gateway = Gateway::start(&db, rack.addr).await;
    let mut log = Socket::open(gateway.addr(), "/apps/myapp/logs", &gateway.basic("ops"), &[]).await;
    log.frame().await.unwrap();
    Change::Revoked.happen(&gateway, &Policies::copy()).await;
    let began = Instant::now();
    let frames = log.frames().await;
    assert!(began.elapsed() < AT_MOST);
    let sentinel = rack_gateway::dev::rack::EXIT_SENTINEL.as_bytes();
    assert!(frames.iter().all(|(_, payload)| !payload.starts_with(sentinel)), "{frames:?}");
    rack_sees(&rack, |received| received[0].gone).await;
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_closes_the_rack_side() {
    for db in Db::each().await {
        let rack = dev_rack();
        let gateway = Gateway::start(&db, rack.addr).await;
        let mut socket = exec(&gateway, "ops", "cat").await;
        socket.send(TEXT, b"a").await;
        socket.frame().await.unwrap();
        assert!(!rack.state.received()[0].gone);
        let (id, sent, came) = (socket.id.clone(), socket.sent, socket.came);
        drop(socket);
        rack_sees(&rack, |received| received[0].gone).await;
        let records = gateway.records_until(&id, 2).await;
        let (_, outcome) = intent_and_outcome(&records);
        assert_eq!(outcome["result"], "client_gone", "{outcome}");
        let bytes = (outcome["bytes_in"].as_u64(), outcome["bytes_out"].as_u64());
        assert_eq!(bytes, (Some(sent), Some(came)));
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rack_that_refuses_the_upgrade_leaves_no_tunnel() {
    for db in Db::each().await {
        let rack = ScriptedRack::bind().await;
        let gateway = Gateway::start(&db, rack.addr()).await;
        let refusals: &[(&str, u16, &str)] = &[
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nrack-private", 403, "status 403"),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "status 404"),
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 502, "status 401"),
            ("HTTP/1.1 302 Found\r\nLocation: /rack-private\r\nContent-Length: 0\r\n\r\n", 502, "status 302"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nrack-private", 502, "200"),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                502,
                "",
            ),
        ];
        for (answer, status, recorded) in refusals {
            let authorization = gateway.basic("ops");
            let options = [("Command", "sh")];
            let play = async {
                let (mut wire, request) = rack.request().await;
                assert_eq!(request.header("upgrade"), Some("websocket"));
                wire.send(answer.as_bytes()).await;
                wire
            };
            let (opened, mut behind) = tokio::join!(Socket::dial(gateway.addr(), EXEC, &authorization, &options), play);
            let (mut wire, mut head) = opened;
            assert_eq!(head.status(), *status, "{answer:?}: {head:?}");
            let length = head.header("content-length").unwrap().parse().unwrap();
            head.body = wire.exactly(length).await.unwrap();
            assert!(!text(&head).contains("rack-private") && !error(&head).is_empty(), "{answer:?}: {head:?}");
            // What a client sends as if there were a tunnel does not arrive.
            let frame = [0x81, 0x81, 1, 2, 3, 4, b'a' ^ 1];
            let sent = tokio::io::AsyncWriteExt::write_all(wire.stream(), &frame).await;
            assert!(behind.message(false).await.is_none(), "{answer:?}: the rack got more, {sent:?}");
            let records = gateway.records_until(id(&head), 2).await;
            let (_, outcome) = intent_and_outcome(&records);
            assert_eq!((&outcome["result"], &outcome["status"]), (&json!("upstream_error"), &json!(status)));
            let message = outcome.get("message").and_then(Value::as_str).unwrap_or_default();
            assert!(message.contains(recorded), "{answer:?}: {message}");
        }
        gateway.stop_and_verify().await;
    }
}
