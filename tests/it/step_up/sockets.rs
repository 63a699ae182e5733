//! Shells: with a terminal the socket waits for the answer, without one it is refused and the next
//! command of that CLI is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::dev::rack::{EXIT_SENTINEL, RackServer};
use rack_gateway::http::{Launch, PolicySource};
use rack_gateway::identity::Token;
use rack_gateway::store::{Store, UserChange};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::handshake::{Ask, Cli, session_path};
use super::{Person, Stage, code_in};
use crate::gateway::dev_rack;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway, basic, parse_record, until};
use crate::replay::peer::{Message, Wire};
use crate::rows::CountingRack;

mod both {
    crate::on_both!(
        a_shell_starts_once_the_link_was_followed,
        an_answer_for_one_request_opens_one_shell,
        whoever_gives_up_runs_nothing,
        a_wait_ends_in_time,
        a_wait_ends_with_its_session,
        a_wait_ends_with_the_server,
        what_policy_says_after_the_answer_counts,
        without_a_terminal_the_next_command_is_asked,
        without_a_factor_nothing_is_waited_for,
    );
}

const AN_HOUR: Duration = Duration::hours(1);
const EXEC: &str = "/apps/myapp/processes/web/exec";
const SHELL: &str = "/instances/ip-10-0-0-1/shell";
/// What the CLI sends from a terminal, and from a pipe.
const TERMINAL: &[(&str, &str)] = &[("Command", "sh"), ("Height", "40"), ("Width", "120")];
const PIPE: &[(&str, &str)] = &[("Command", "sh"), ("Tty", "false")];

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Every policy, a development rack, and a clock that the test moves, in seconds.
async fn stage(db: &Db) -> (Stage, RackServer, Arc<AtomicI64>) {
    stage_with(db, all_policies()).await
}

async fn stage_with(db: &Db, policy: PolicySource) -> (Stage, RackServer, Arc<AtomicI64>) {
    let shells = dev_rack();
    let ahead = Arc::new(AtomicI64::new(0));
    let clock = Clock::from_fn({
        let ahead = Arc::clone(&ahead);
        move || OffsetDateTime::now_utc() + Duration::seconds(ahead.load(Ordering::Relaxed))
    });
    let running = launch_with(db, shells.addr, |launch| Launch { policy, clock, ..launch }).await;
    (Stage { gateway: Gateway::of(running).await, rack: CountingRack::start().await }, shells, ahead)
}

/// The CLI's end of a shell.
struct Terminal {
    wire: Wire,
    head: Message,
}

impl Terminal {
    /// Dials as the CLI does.
    async fn open(stage: &Stage, target: &str, token: &str, session: Option<&str>, options: &[(&str, &str)]) -> Self {
        let mut head = format!(
            "GET {target} HTTP/1.1\r\nHost: gateway.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Origin: https://gateway.example.com\r\nAuthorization: {}\r\nRack: acme/dev\r\nVersion: dev\r\n",
            basic(token)
        );
        for (name, value) in options.iter().copied().chain(session.map(|session| ("Session", session))) {
            head += &format!("{name}: {value}\r\n");
        }
        let mut wire = Wire::connect(stage.addr()).await;
        wire.send(format!("{head}\r\n").as_bytes()).await;
        let head = wire.head().await.expect("an answer");
        Self { wire, head }
    }

    /// One that waits; with what it shows.
    async fn waiting(stage: &Stage, target: &str, token: &str) -> (Self, String) {
        let mut terminal = Self::open(stage, target, token, None, TERMINAL).await;
        assert_eq!(terminal.head.status(), 101, "{:?}", terminal.head);
        let shown = terminal.text().await;
        (terminal, shown)
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [1_u8, 2, 3, 4];
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.wire.send(&frame).await;
    }

    /// A frame, signs of life left out.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            let head = self.wire.exactly(2).await.expect("a frame");
            let length = match head[1] {
                126 => u16::from_be_bytes(self.wire.exactly(2).await.unwrap().try_into().unwrap()),
                short => u16::from(short),
            };
            let payload = self.wire.exactly(length.into()).await.expect("a whole frame");
            if (head[0], payload.as_slice()) != (TEXT, b".") {
                return (head[0], payload);
            }
        }
    }

    async fn text(&mut self) -> String {
        let (first, payload) = self.frame().await;
        assert_eq!(first, TEXT, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// The last frames: a refusal, as the CLI shows it and ends.
    async fn refused(&mut self) -> String {
        let text = self.text().await;
        assert!(text.trim_start().starts_with("ERROR: "), "{text}");
        assert_eq!(self.text().await, format!("{EXIT_SENTINEL}:126\n"));
        assert_eq!(self.frame().await, (0x82, Vec::new()));
        text
    }

    /// The shell: a prompt, a command and its end.
    async fn runs(&mut self) {
        assert_eq!(self.text().await, "# ");
        self.send(TEXT, b"exit 7\n").await;
        assert_eq!(self.text().await, "exit 7\r\n");
        assert_eq!(self.text().await, format!("{EXIT_SENTINEL}:7\n"));
        assert_eq!(self.frame().await, (0x82, Vec::new()));
    }
}

/// What is on the record about an action, outcomes among it: kind, and decision or result.
async fn recorded(stage: &Stage, action: &str) -> Vec<(String, String)> {
    let all: Vec<_> = stage.gateway.records().await.iter().map(parse_record).collect();
    let is_it = |record: &Value| record["action"] == action;
    let intents: Vec<_> = all.iter().filter(|record| is_it(record)).map(|record| &record["seq"]).collect();
    let about = all.iter().filter(|record| is_it(record) || intents.contains(&&record["intent"]));
    let word = |record: &Value, name: &str| record[name].as_str().map(str::to_owned);
    let told = |record| word(record, "decision").or_else(|| word(record, "result"));
    about.map(|record| (word(record, "kind").unwrap_or_default(), told(record).unwrap_or_default())).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(one, two)| ((*one).to_owned(), (*two).to_owned())).collect()
}

async fn a_shell_starts_once_the_link_was_followed(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    for (target, action) in [(EXEC, "process:exec"), (SHELL, "instance:shell")] {
        let token = stage.cli(&person.user, AN_HOUR).await;
        let (mut terminal, shown) = Terminal::waiting(&stage, target, &token).await;
        for line in [action, "step-up.", "\r\n  https://gateway.example.com/app/c/", "Ctrl-C gives up.\r\n"] {
            assert!(shown.contains(line), "{shown:?}");
        }
        assert!(!shown.replace("\r\n", "").contains(['\n', '\r', '%']), "{shown:?}");
        terminal.send(TEXT, b"rm -rf /\r").await;
        terminal.send(PING, b"p").await;
        assert_eq!(terminal.frame().await, (PONG, b"p".to_vec()));
        assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());

        let challenge = person.follow(stage.addr(), &shown).await;
        assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
        assert!(terminal.text().await.contains("the session starts"));
        terminal.runs().await;
        drop(terminal);
        let expected = pairs(&[("denial", "challenge"), ("intent", "allow"), ("outcome", "completed")]);
        until("the outcome", || async { (recorded(&stage, action).await == expected).then_some(()) }).await;
        let received = shells.state.received();
        assert_eq!(received.len(), 1, "{received:?}");
        assert_eq!(received[0].header("convox-actor").collect::<Vec<_>>(), [b"admin@example.com"]);
        for (name, value) in [("command", "sh"), ("height", "40"), ("width", "120")] {
            let sent: Vec<_> = received[0].header(name).collect();
            assert_eq!(sent, [value.as_bytes()], "{name}");
        }
        shells.state.clear();
    }
    stage.gateway.stop_and_verify().await;
}

/// A shell that wants a factor every time.
const EVERY_TIME: &str = "@id(\"frozen.shell\")\n@why(\"shells are for those who are there\")\n\
    @challenge(\"mfa_bound\")\nforbid (principal is User, action == Action::\"process:exec\", resource)\n\
    unless { context.mfa.bound_to_request };\n";

async fn an_answer_for_one_request_opens_one_shell(db: Db) {
    let policies = Policies::whole();
    policies.write("policies/frozen.cedar", EVERY_TIME);
    let policy = PolicySource { dir: Some(policies.dir()), ..all_policies() };
    let (stage, shells, _) = stage_with(&db, policy).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, Duration::ZERO).await;
    let mut links = Vec::new();
    for round in 1..=2 {
        let (mut terminal, shown) = Terminal::waiting(&stage, EXEC, &token).await;
        // Two terminals with the same command: one answer opens one of them.
        let (mut other, second) = Terminal::waiting(&stage, EXEC, &token).await;
        assert_eq!(code_in(&shown), code_in(&second));
        let challenge = person.follow(stage.addr(), &shown).await;
        assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
        let (one, two) = tokio::join!(terminal.text(), other.text());
        assert_eq!([&one, &two].iter().filter(|text| text.contains("the session starts")).count(), 1, "{one} {two}");
        assert_eq!([&one, &two].iter().filter(|text| text.contains("ERROR: ")).count(), 1, "{one} {two}");
        let opened = if one.contains("ERROR: ") { &mut other } else { &mut terminal };
        opened.runs().await;
        assert_eq!(shells.state.received().len(), round);
        links.push(code_in(&shown));
    }
    assert_ne!(links[0], links[1]);
    stage.gateway.stop_and_verify().await;
}

async fn whoever_gives_up_runs_nothing(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let mut links = Vec::new();
    for (first, bytes) in [(TEXT, &b"\x03"[..]), (TEXT, b"\x04"), (0x82, b""), (0x88, b"")] {
        let (mut terminal, shown) = Terminal::waiting(&stage, EXEC, &token).await;
        links.push(code_in(&shown));
        terminal.send(first, bytes).await;
        assert!(terminal.refused().await.contains("gave up"));
    }
    // Whoever hangs up sees nothing any more.
    let (terminal, shown) = Terminal::waiting(&stage, EXEC, &token).await;
    drop(terminal);
    // It is the same question every time, and its answer opens the next shell at once.
    assert!(links.iter().all(|link| *link == code_in(&shown)), "{links:?}");
    let challenge = person.follow(stage.addr(), &shown).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
    let mut terminal = Terminal::open(&stage, EXEC, &token, None, TERMINAL).await;
    terminal.runs().await;
    stage.gateway.stop_and_verify().await;
}

async fn a_wait_ends_in_time(db: Db) {
    let (stage, shells, ahead) = stage(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let (mut terminal, shown) = Terminal::waiting(&stage, EXEC, &token).await;
    let challenge = person.follow(stage.addr(), &shown).await;
    ahead.store(601, Ordering::Relaxed);
    assert!(terminal.refused().await.contains("nobody confirmed it in time"));
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 410);
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
    assert_eq!(recorded(&stage, "process:exec").await, pairs(&[("denial", "challenge")]));
    stage.gateway.stop_and_verify().await;
}

async fn a_wait_ends_with_its_session(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let person = Person::enrolled(&stage, "admin").await;
    let store = &stage.gateway.running.gate.store;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let (mut terminal, _) = Terminal::waiting(&stage, EXEC, &token).await;
    revoke(store, &token).await;
    assert!(terminal.refused().await.contains("the session has ended"));
    // A reset of somebody's factors takes the question away.
    let token = stage.cli(&person.user, AN_HOUR).await;
    let (mut terminal, _) = Terminal::waiting(&stage, EXEC, &token).await;
    store.factors_reset(&person.user.id, "root", time::OffsetDateTime::now_utc()).await.unwrap();
    terminal.refused().await;
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
    stage.gateway.stop_and_verify().await;
}

async fn revoke(store: &Store, token: &str) {
    let hash = Token::parse(token).unwrap().hash().0;
    let row = store.credential_find(&hash).await.unwrap().unwrap();
    assert!(store.credential_revoke(&row.id, "test", OffsetDateTime::now_utc()).await.unwrap());
}

async fn a_wait_ends_with_the_server(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let (mut terminal, _) = Terminal::waiting(&stage, EXEC, &token).await;
    let reads = async {
        assert!(terminal.refused().await.contains("the gateway stops"));
        drop(terminal);
    };
    tokio::join!(stage.gateway.stop_and_verify(), reads);
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
}

/// The answer opens nothing that a policy has closed meanwhile.
async fn what_policy_says_after_the_answer_counts(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let store = &stage.gateway.running.gate.store;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let (mut terminal, shown) = Terminal::waiting(&stage, EXEC, &token).await;
    let challenge = person.follow(stage.addr(), &shown).await;
    let change = UserChange { roles: Some(vec!["viewer".to_owned()]), ..UserChange::default() };
    store.user_update(&person.user.id, change, None).await.unwrap();
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    assert!(terminal.refused().await.contains("no policy permits it"));
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
    assert_eq!(recorded(&stage, "process:exec").await, pairs(&[("denial", "challenge"), ("denial", "deny")]));
    stage.gateway.stop_and_verify().await;
}

async fn without_a_terminal_the_next_command_is_asked(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    for (target, preflight) in [(EXEC, "/machines?"), (SHELL, "/racks?")] {
        let options = if target == EXEC { PIPE } else { &[("Command", "sh")] };
        let token = stage.cli(&person.user, AN_HOUR).await;
        let mut cli = Cli::new(stage.addr(), &token);
        // Before a socket was refused, nobody is asked.
        let ask = Ask::new("GET", preflight);
        assert_eq!(cli.ask(&ask, &mut person).await.answer().status(), 200);
        assert_eq!(cli.opened, 0);
        let mut refused = Terminal::open(&stage, target, &token, Some(""), options).await;
        assert_eq!(refused.head.status(), 101, "{:?}", refused.head);
        let text = refused.refused().await;
        assert!(text.contains("/app/c/") && text.contains("run the same command again"), "{text}");
        assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
        // The next command begins with the same request, and is asked, once.
        cli.next_command();
        let answer = cli.ask(&ask, &mut person).await.answer();
        assert_eq!((answer.status(), cli.opened), (200, 1), "{answer:?}");
        assert!(session_path(&answer).is_none());
        let session = cli.session.clone();
        let mut shell = Terminal::open(&stage, target, &token, Some(&session), TERMINAL).await;
        assert_eq!(shell.head.status(), 101, "{:?}", shell.head);
        shell.runs().await;
        assert_eq!(cli.ask(&ask, &mut person).await.answer().status(), 200);
        assert_eq!(cli.opened, 1);
        shells.state.clear();
    }
    stage.gateway.stop_and_verify().await;
}

async fn without_a_factor_nothing_is_waited_for(db: Db) {
    let (stage, shells, _) = stage(&db).await;
    let person = Person::at_a_browser(&stage, "admin").await;
    let token = stage.bare_cli(&person.user).await;
    let mut terminal = Terminal::open(&stage, EXEC, &token, None, TERMINAL).await;
    assert!(terminal.refused().await.contains("https://gateway.example.com/app/factors"));
    assert!(shells.state.received().is_empty(), "{:?}", shells.state.received());
    stage.gateway.stop_and_verify().await;
}
