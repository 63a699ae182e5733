//! The command `rack-gateway deploy-approval` against the real server, with every policy: a CI job asks and waits,
//! somebody else approves it with a second factor, and the job goes on.

use std::process::Stdio;

use serde_json::{Value, json};
use time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::{APP, COMMIT, text};
use crate::api::{machine, person};
use crate::client::Machine;
use crate::gateway::dev_rack;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::step_up::{Person, Stage};

/// A gateway with every policy before a development rack, and an approver with a passkey.
async fn stage(db: &Db) -> (Stage, rack_gateway::dev::rack::RackServer, Person) {
    let rack = dev_rack();
    let launch = |launch| rack_gateway::http::Launch { policy: all_policies(), ..launch };
    let gateway = Gateway::of(launch_with(db, rack.addr, launch).await).await;
    let stage = Stage { gateway, rack: CountingRack::start().await };
    let person = Person::enrolled(&stage, "admin").await;
    (stage, rack, person)
}

fn at(stage: &Stage, token: &str) -> Machine {
    let mut machine = Machine::new();
    machine.set("RACK_GATEWAY_URL", &format!("http://{}", stage.addr()));
    machine.set("RACK_GATEWAY_API_TOKEN", token);
    machine
}

fn start(machine: &Machine, arguments: &[&str]) -> Child {
    machine.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The first line of standard error that holds this.
async fn said(child: &mut Child, part: &str) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let wait = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(part) {
                return line;
            }
        }
        panic!("`{part}` was not said")
    };
    let line = tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it hangs");
    // What else it says has a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    line
}

async fn ended(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("it hangs").unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

async fn a_job_asks_and_somebody_else_approves(db: Db) {
    let (stage, rack, mut approver) = stage(&db).await;
    let job = at(&stage, &machine(&stage.gateway, "cicd").await);
    let ask = ["deploy-approval", "request", "-a", APP, "--git-commit", COMMIT, "-m", "Ship it", "--wait"];
    let mut waiting = start(&job, &ask);
    let line = said(&mut waiting, "asked for deploy approval").await;
    let id = line.split_whitespace().nth(4).unwrap().to_owned();
    // Asked again, it is the same, and the job sees it.
    let again = job.run(&[&ask[..8], &["--json"]].concat()).await.json();
    assert_eq!((text(&again["id"]), text(&again["state"])), (id.clone(), "pending".to_owned()));
    assert!(job.run(&["deploy-approval", "list", "--state", "pending"]).await.ok().contains(&id));
    job.run(&["deploy-approval", "wait", &id, "--timeout", "1s"]).await.failed(2, &["nobody has decided yet"]);
    // It does not approve itself.
    job.run(&["deploy-approval", "approve", &id]).await.failed(1, &["deploy-approval:approve"]);

    let token = stage.cli(&approver.user, Duration::hours(1)).await;
    let admin = at(&stage, &token);
    assert!(admin.run(&["deploy-approval", "show", &id]).await.ok().contains("Ship it"));
    let mut approving = start(&admin, &["deploy-approval", "approve", "--app", APP, "--git-commit", COMMIT]);
    let link = said(&mut approving, "/app/c/").await;
    let challenge = approver.follow(stage.addr(), &link).await;
    assert_eq!(approver.answer(stage.addr(), &challenge).await.status(), 200);
    assert_eq!(ended(approving).await, (Some(0), format!("approved: {id} of {APP}, commit {COMMIT}\n")));
    assert_eq!(ended(waiting).await, (Some(0), format!("approved: {id} of {APP}, commit {COMMIT}\n")));
    let shown: Value = job.run(&["deploy-approval", "show", &id, "--json"]).await.json();
    assert_eq!(shown["approvals"][0]["user"], json!(approver.user.id));
    stage.gateway.stop_and_verify().await;
    rack.stop().await;
}

async fn a_job_learns_that_it_may_not(db: Db) {
    let (stage, rack, mut approver) = stage(&db).await;
    let job = at(&stage, &machine(&stage.gateway, "cicd").await);
    let mut waiting =
        start(&job, &["deploy-approval", "request", "-a", APP, "--git-commit", COMMIT, "-m", "x", "--wait"]);
    let line = said(&mut waiting, "asked for deploy approval").await;
    let id = line.split_whitespace().nth(4).unwrap().to_owned();
    let token = stage.cli(&approver.user, Duration::hours(1)).await;
    let admin = at(&stage, &token);
    let mut rejecting = start(&admin, &["deploy-approval", "reject", &id, "--reason", "not on a Friday"]);
    let link = said(&mut rejecting, "/app/c/").await;
    let challenge = approver.follow(stage.addr(), &link).await;
    assert_eq!(approver.answer(stage.addr(), &challenge).await.status(), 200);
    assert_eq!(ended(rejecting).await.0, Some(0));
    let (code, out) = ended(waiting).await;
    assert_eq!(code, Some(1));
    assert!(out.contains("rejected") && out.contains("not on a Friday"), "{out}");
    // A viewer may neither ask nor decide.
    let viewer = person(&stage.gateway, "viewer").await;
    let viewer = at(&stage, &stage.cli(&viewer, Duration::ZERO).await);
    let ask = ["deploy-approval", "request", "-a", APP, "--git-commit", COMMIT, "-m", "x"];
    viewer.run(&ask).await.failed(1, &["deploy-approval:create"]);
    stage.gateway.stop_and_verify().await;
    rack.stop().await;
}

mod both {
    crate::on_both!(a_job_asks_and_somebody_else_approves, a_job_learns_that_it_may_not);
}
