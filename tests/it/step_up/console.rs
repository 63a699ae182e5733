//! The stock CLI behind a console: its own handshake, for what it really sends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rack_gateway::http::PolicySource;
use time::Duration;

use super::handshake::{Ask, Body, Cli, End, session_path};
use super::{Person, Stage, error};
use crate::harness::Db;
use crate::harness::gateway::all_policies;
use crate::harness::policies::Policies;

const AN_HOUR: Duration = Duration::hours(1);

/// What is asked for, and whether every time.
fn commands() -> Vec<(&'static str, Ask, bool)> {
    let mut run = Ask::new("POST", "/apps/shop/services/web/processes?");
    run.headers.push(("Command", "sleep 3600"));
    vec![
        ("convox apps delete", Ask::new("DELETE", "/apps/scratch?"), true),
        ("convox releases promote", Ask::new("POST", "/apps/shop/releases/RABCDEFGHIJ/promote?"), false),
        ("convox env set", Ask::new("POST", "/apps/shop/releases?").body(Body::Form("env=A%3D1")), false),
        ("convox run", run, false),
        ("convox restart", Ask::new("POST", "/apps/shop/services/web/restart?"), false),
        ("convox instances terminate", Ask::new("DELETE", "/instances/i-0123456789?"), true),
    ]
}

mod both {
    crate::on_both!(
        the_cli_asks_at_the_browser_and_goes_on,
        the_records_tell_the_whole_story,
        a_new_session_is_asked_before_it_reads,
        a_stream_is_refused_with_a_link,
        an_upload_passes_in_a_session_that_showed_a_factor,
        a_link_is_good_for_its_own_person_only,
        no_machine_is_asked,
        what_was_shown_and_is_not_enough_is_not_asked_for_again,
    );
}

/// Asked once, and again only where every time counts.
async fn the_cli_asks_at_the_browser_and_goes_on(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    for (command, ask, every_time) in commands() {
        let mut cli = Cli::new(stage.addr(), &stage.cli(&person.user, AN_HOUR).await);
        for (round, opened) in [(1, 1), (2, if every_time { 2 } else { 1 })] {
            let answer = cli.ask(&ask, &mut person).await.answer();
            assert_eq!(answer.status(), 200, "{command}: {answer:?}");
            assert_eq!((stage.rack.take(), cli.opened), (1, opened), "{command}, round {round}");
        }
    }
    stage.gateway.stop_and_verify().await;
}

/// The denial names the challenge, and so does the intent that follows from its answer.
async fn the_records_tell_the_whole_story(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let mut cli = Cli::new(stage.addr(), &stage.cli(&person.user, AN_HOUR).await);
    let answer = cli.ask(&Ask::new("DELETE", "/apps/scratch?"), &mut person).await.answer();
    let id = answer.header("rack-gateway-request-id").unwrap();
    let passed = &stage.gateway.records_until(id, 2).await[0];
    let (method, challenge) = (passed["detail"]["factor"].as_str(), passed["detail"]["challenge"].as_str());
    assert_eq!((method, challenge.is_some()), (Some("webauthn"), true), "{passed}");
    let denials = stage.gateway.records_about("app:delete").await;
    let denial = denials.iter().find(|record| record["kind"] == "denial").expect("a denial");
    assert_eq!((denial["decision"].as_str(), denial["status"].as_u64()), (Some("challenge"), Some(401)));
    assert_eq!(denial["detail"]["challenge"].as_str(), challenge, "{denial}");
    assert_eq!(denial["hypothetical"]["decision"], "allow", "{denial}");
    for (action, many) in [("cli-challenge:begin", 2), ("challenge:answer", 2), ("cli-challenge:complete", 2)] {
        assert!(stage.gateway.records_about(action).await.len() >= many - 1, "{action}");
    }
    stage.gateway.stop_and_verify().await;
}

/// A session that has shown nothing is asked on the first request that it makes of the rack.
async fn a_new_session_is_asked_before_it_reads(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "viewer").await;
    let mut cli = Cli::new(stage.addr(), &stage.bare_cli(&person.user).await);
    for (target, opened) in [("/racks?", 0), ("/apps?", 1), ("/apps/shop?", 1)] {
        let answer = cli.ask(&Ask::new("GET", target), &mut person).await.answer();
        assert_eq!((answer.status(), cli.opened), (200, opened), "{target}: {answer:?}");
    }
    stage.gateway.stop_and_verify().await;
}

/// What cannot be sent twice is not challenged: it is refused, with a link, and passes once it was followed.
async fn a_stream_is_refused_with_a_link(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let mut cli = Cli::new(stage.addr(), &stage.cli(&person.user, AN_HOUR).await);
    let import = Ask::new("PUT", "/apps/shop/resources/database/data?").body(Body::File(b"-- dump"));
    let refused = cli.ask(&import, &mut person).await.answer();
    assert_eq!((refused.status(), stage.rack.take(), cli.opened), (403, 0, 0), "{refused:?}");
    let challenge = person.follow(stage.addr(), &error(&refused)).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    cli.next_command();
    let passed = cli.ask(&import, &mut person).await.answer();
    assert_eq!((passed.status(), stage.rack.take()), (200, 1), "{passed:?}");
    let again = cli.ask(&import, &mut person).await.answer();
    assert_eq!((again.status(), stage.rack.take()), (403, 0), "{again:?}");
    stage.gateway.stop_and_verify().await;
}

/// Source code goes up without a question; what is made of it is asked about.
async fn an_upload_passes_in_a_session_that_showed_a_factor(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "deployer").await;
    let mut cli = Cli::new(stage.addr(), &stage.cli(&person.user, AN_HOUR).await);
    let upload = Ask::new("POST", "/apps/shop/objects/tmp/0123.tgz?").body(Body::Object(b"tarball"));
    let answer = cli.ask(&upload, &mut person).await.answer();
    assert_eq!((answer.status(), stage.rack.take(), cli.opened), (200, 1, 0), "{answer:?}");
    let build = Ask::new("POST", "/apps/shop/builds?").body(Body::Form("url=object%3A%2F%2Fshop%2Ftmp%2F0123.tgz"));
    let answer = cli.ask(&build, &mut person).await.answer();
    assert_eq!((answer.status(), stage.rack.take(), cli.opened), (200, 1, 1), "{answer:?}");
    stage.gateway.stop_and_verify().await;
}

/// Somebody else's browser, and nobody's: nothing passes, and the CLI ends.
async fn a_link_is_good_for_its_own_person_only(db: Db) {
    let stage = Stage::new(&db).await;
    let mut owner = Person::enrolled(&stage, "admin").await;
    let mut other = Person::enrolled(&stage, "deployer").await;
    let mut cli = Cli::new(stage.addr(), &stage.cli(&owner.user, AN_HOUR).await);
    let delete = Ask::new("DELETE", "/apps/scratch?");
    let End::Failed(why) = cli.ask(&delete, &mut other).await else { panic!("it passes") };
    assert_eq!((why.as_str(), stage.rack.take()), ("callback server timeout", 0));
    let answer = cli.ask(&delete, &mut owner).await.answer();
    assert_eq!((answer.status(), stage.rack.take()), (200, 1), "{answer:?}");
    stage.gateway.stop_and_verify().await;
}

/// A machine is never sent to a browser.
async fn no_machine_is_asked(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "viewer").await;
    let mut cli = Cli::new(stage.addr(), stage.gateway.token("cicd"));
    for (command, ask, _) in commands() {
        let answer = cli.ask(&ask, &mut person).await.answer();
        assert_eq!((answer.status(), cli.opened), (403, 0), "{command}: {answer:?}");
        assert!(!error(&answer).contains("/app/c/"), "{command}: {}", error(&answer));
    }
    stage.gateway.stop_and_verify().await;
}

/// Asked, answered, and still not enough: refused in words, since the CLI would ask without end.
async fn what_was_shown_and_is_not_enough_is_not_asked_for_again(db: Db) {
    let policies = Policies::whole();
    let step_up = std::fs::read_to_string(policies.file("policies/step-up.cedar")).unwrap();
    assert!(step_up.contains("<= 300"), "the limit of bound proofs");
    policies.write("policies/step-up.cedar", &step_up.replace("<= 300", "<= 10"));
    std::fs::remove_file(policies.file("policies/tests/step-up.json")).unwrap();
    let policy = PolicySource { dir: Some(policies.dir()), ..all_policies() };
    let (stage, ahead) = Stage::moved(&db, policy).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let delete = Ask::new("DELETE", "/apps/scratch?");
    let mut cli = Cli::new(stage.addr(), &token);
    // The proof is completed, and then the machine sleeps for a while.
    let nap = Arc::clone(&ahead);
    cli.after_proof = Some(Box::new(move || nap.store(60, Ordering::Relaxed)));
    let refused = cli.ask(&delete, &mut person).await.answer();
    assert_eq!((refused.status(), stage.rack.take(), cli.opened), (403, 0, 1), "{refused:?}");
    assert!(session_path(&refused).is_none());
    assert!(error(&refused).contains("step-up."), "{}", error(&refused));
    stage.gateway.stop_and_verify().await;
}
