//! What is said to a person at a terminal only, and the help; in this process, so that the terminal and the
//! time can be made up.

use rack_gateway::client::{self, Environment, Terminals, World};
use time::OffsetDateTime;
use time::macros::datetime;

use super::fake::{Fake, Say};
use super::{Machine, approving};

/// Runs a command at a terminal, at a time; gives both outputs.
async fn at_terminal(machine: &Machine, now: OffsetDateTime, arguments: &[&str]) -> (String, String) {
    let environment: Environment = machine.env.iter().collect();
    let arguments: Vec<_> = std::iter::once("rack-gateway").chain(arguments.iter().copied()).map(Into::into).collect();
    let run = move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let is_terminal = Terminals { out: true, err: true };
        let mut world = World { out: &mut out, err: &mut err, is_terminal, environment, now: &|| now };
        client::main(arguments, &mut world);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

const NOW: OffsetDateTime = datetime!(2026-12-01 10:00 UTC);

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_on_a_terminal_is_announced() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let (out, err) = at_terminal(&machine, NOW, &["env"]).await;
    assert!(out.starts_with("export RACK_URL=http://convox:rgw_"), "{out}");
    assert!(err.contains("shows your token") && err.contains("eval"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_is_one_line_that_goes_away() {
    let gateway = Fake::start(&[Say::Pending, Say::Approve]);
    let machine = Machine::new();
    let (out, err) = at_terminal(&machine, NOW, &["login", "prod", &gateway.url, "--no-open"]).await;
    assert!(out.contains("Signed in to prod"), "{out}{err}");
    assert!(err.contains("\u{1b}[1mBCDF-GHJK\u{1b}[0m"), "{err}");
    let waiting: Vec<_> = err.split('\r').skip(1).collect();
    assert_eq!(waiting.len(), 3, "{err:?}");
    assert!(waiting[0].contains("Waiting for the browser, 9:59 left"), "{err:?}");
    assert_eq!(waiting[2], "\u{1b}[K", "{err:?}");
    let machine = machine.with("NO_COLOR", "1");
    let (_, err) = at_terminal(&machine, NOW, &["login", "prod", &gateway.url, "--no-open"]).await;
    assert!(err.contains("    BCDF-GHJK\n"), "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_time_is_over_is_not_used() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let asked = gateway.seen().len();
    let later = datetime!(2999-12-31 10:20:30 UTC);
    for arguments in [&["env"][..], &["whoami"], &["run", "--", "true"]] {
        let (out, err) = at_terminal(&machine, later, arguments).await;
        assert_eq!(out, "");
        assert!(err.contains("your session on prod has ended") && err.contains("rack-gateway login prod"), "{err}");
    }
    let (out, _) = at_terminal(&machine, later, &["racks"]).await;
    assert!(out.contains("ended 2999-12-31 10:20 UTC"), "{out}");
    assert_eq!(gateway.seen().len(), asked);
    let (out, _) = at_terminal(&machine, later - time::Duration::seconds(1), &["env"]).await;
    assert!(out.contains("rgw_"), "{out}");
}

/// The manual and the help name the same commands, flags and variables.
#[tokio::test(flavor = "multi_thread")]
async fn the_manual_names_everything_that_the_help_does() {
    let machine = Machine::new();
    let manual = std::fs::read_to_string(crate::tidy::root().join("docs/cli.md")).unwrap();
    let commands: [&[&str]; 13] = [
        &[],
        &["login"],
        &["logout"],
        &["racks"],
        &["switch"],
        &["whoami"],
        &["env"],
        &["sessions"],
        &["sessions", "list"],
        &["sessions", "revoke"],
        &["token"],
        &["token", "exchange"],
        &["run"],
    ];
    for command in commands {
        let help = machine.run(&[command, &["--help"]].concat()).await.ok();
        assert!(manual.contains(&format!("rack-gateway {}", command.join(" "))), "docs/cli.md: {command:?} is missing");
        let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        let named =
            words.filter(|word| (word.starts_with("--") && word.len() > 2) || word.starts_with("RACK_GATEWAY_"));
        for name in named.filter(|name| !["--help", "--version"].contains(name)) {
            assert!(manual.contains(name), "docs/cli.md: {name} of {command:?} is missing");
        }
        // What follows from every secret on a command line is said where it is offered.
        assert!(help.contains("prefer") || !help.contains("--api-token"), "{help}");
    }
}
