//! Policies change on disk while the gateway runs.

use rack_gateway::upstream::Limits;
use serde_json::{Value, json};

use super::client::{Ask, error, id, json, text};
use crate::harness::binary::{Serving, create_token};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway, basic, until};
use crate::replay::peer::Message;
use crate::rows::CountingRack;

/// Takes from viewers, and whoever is more, what they could do before.
const FREEZE: &str = "@id(\"freeze.no-list\")\n@why(\"nobody lists apps during the freeze\")\n\
    forbid (principal in Role::\"viewer\", action == Action::\"app:list\", resource);\n";
const FILE: &str = "policies/freeze.cedar";
/// A second one, in one file with the first.
const MORE: &str = "\n@id(\"freeze.no-read\")\n@why(\"nobody reads apps either\")\n\
    forbid (principal in Role::\"viewer\", action == Action::\"app:read\", resource);\n";

async fn list(gateway: &Gateway) -> Message {
    Ask::get("/apps?", &gateway.basic("viewer")).send(gateway.addr()).await
}

fn digest(gateway: &Gateway) -> String {
    gateway.running.gate.active.load().digest().to_owned()
}

async fn ready(gateway: &Gateway) -> (u16, Value) {
    let answer = Ask::get("/api/v1/ready", "").send(gateway.addr()).await;
    (answer.status(), json(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_decides_the_next_request() {
    for db in Db::each().await {
        let (rack, policies) = (CountingRack::start().await, Policies::copy());
        let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
        assert_eq!(list(&gateway).await.status(), 200);
        let before = digest(&gateway);

        policies.write(FILE, FREEZE);
        let after = until("a new bundle", async || Some(digest(&gateway)).filter(|now| *now != before)).await;
        let answer = list(&gateway).await;
        assert_eq!(answer.status(), 403);
        assert!(error(&answer).contains("nobody lists apps during the freeze (freeze.no-list)"), "{}", text(&answer));
        let records = gateway.records_of(id(&answer)).await;
        assert_eq!(records[0]["reasons"], json!(["freeze.no-list"]));
        assert_eq!(records[0]["bundle"], after.as_str());
        let activated = gateway.records_about("policy-bundle:activate").await;
        assert_eq!(activated.len(), 1, "{activated:?}");
        assert_eq!(activated[0]["kind"], "system");
        assert_eq!(activated[0]["bundle"], after.as_str());
        assert_eq!(activated[0]["detail"]["previous"], before.as_str());

        // Back again: the same bundle has the same digest.
        std::fs::remove_file(policies.file(FILE)).unwrap();
        until("the bundle from before", async || (digest(&gateway) == before).then_some(())).await;
        assert_eq!(list(&gateway).await.status(), 200);
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_but_readiness() {
    for db in Db::each().await {
        let (rack, policies) = (CountingRack::start().await, Policies::copy());
        let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
        let before = digest(&gateway);
        let (status, good) = ready(&gateway).await;
        assert_eq!((status, &good["ready"], &good["policy"]["ok"]), (200, &json!(true), &json!(true)), "{good}");
        assert_eq!(good["policy"]["detail"], before.as_str());

        policies.write(FILE, &format!("\n{FREEZE}permit (principal"));
        until("the problem", async || gateway.running.bundle.problem()).await;
        let (status, bad) = ready(&gateway).await;
        // The old bundle still decides: not a reason to take the gateway out of service.
        assert_eq!((status, &bad["ready"], &bad["policy"]["ok"]), (200, &json!(true), &json!(false)), "{bad}");
        assert!(bad["policy"]["problem"].as_str().unwrap().contains("policies/freeze.cedar:"), "{bad}");
        assert_eq!(bad["policy"]["detail"], before.as_str(), "it says which bundle decides");
        let answer = list(&gateway).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(gateway.records_until(id(&answer), 2).await[0]["bundle"], before.as_str());
        let refused = gateway.records_about("policy-bundle:refuse").await;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0]["bundle"], before.as_str(), "it names the bundle that stays");
        assert!(refused[0]["detail"]["problem"].as_str().unwrap().contains("policies/freeze.cedar:"), "{refused:?}");

        policies.write(FILE, FREEZE);
        until("the mended bundle", async || (digest(&gateway) != before).then_some(())).await;
        until("a good state", async || gateway.running.bundle.problem().is_none().then_some(())).await;
        assert_eq!(ready(&gateway).await.1["policy"]["ok"], true);
        assert_eq!(list(&gateway).await.status(), 403);
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_in_pieces_is_one_bundle() {
    let db = Db::sqlite().await;
    let (rack, policies) = (CountingRack::start().await, Policies::copy());
    let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
    let before = digest(&gateway);
    // An editor or a copy that takes a moment, each piece of which would be a bundle.
    let mut file = std::fs::File::create(policies.file(FILE)).unwrap();
    for piece in ["", FREEZE, MORE] {
        std::io::Write::write_all(&mut file, piece.as_bytes()).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(file);
    until("a new bundle", async || (digest(&gateway) != before).then_some(())).await;
    let answer = Ask::get("/apps/myapp?", &gateway.basic("viewer")).send(gateway.addr()).await;
    assert_eq!(answer.status(), 403, "the whole file decides: {}", text(&answer));
    assert_eq!(gateway.records_about("policy-bundle:activate").await.len(), 1);
    assert!(gateway.records_about("policy-bundle:refuse").await.is_empty());
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_folder_below_is_noticed_too() {
    let db = Db::sqlite().await;
    let (rack, policies) = (CountingRack::start().await, Policies::copy());
    std::fs::create_dir(policies.file("policies/team")).unwrap();
    let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
    let before = digest(&gateway);
    policies.write("policies/team/freeze.cedar", FREEZE);
    until("a new bundle", async || (digest(&gateway) != before).then_some(())).await;
    assert_eq!(list(&gateway).await.status(), 403);
    gateway.stop_and_verify().await;
}

/// A deployment that swaps a link to another folder is not seen by a watch of the files.
#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_makes_the_real_binary_read_again() {
    for db in Db::each().await {
        let (rack, old, new) = (CountingRack::start().await, Policies::copy(), Policies::copy());
        new.write(FILE, FREEZE);
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("policies");
        std::os::unix::fs::symlink(old.dir(), &link).unwrap();
        let viewer = ["--user", "viewer@example.com", "--role", "viewer", "--name", "test"];
        let authorization = basic(&create_token(&db.url().await, &viewer).await);
        let env = [("RGW_POLICY_DIR", link.to_str().unwrap())];
        let mut serving = Serving::start(&db.url().await, rack.addr, &env).await.unwrap();
        let list = async || Ask::get("/apps?", &authorization).send(serving.addr).await.status();
        assert_eq!(list().await, 200);

        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(new.dir(), &link).unwrap();
        serving.process.signal("HUP").await;
        let started = record(&mut serving, "gateway:start").await;
        let activated = record(&mut serving, "policy-bundle:activate").await;
        assert_eq!(activated["detail"]["previous"], started["bundle"]);
        assert_ne!(activated["bundle"], started["bundle"]);
        let list = async || Ask::get("/apps?", &authorization).send(serving.addr).await.status();
        until("a denial", async || (list().await == 403).then_some(())).await;
        assert!(serving.terminate().await.success());
    }
}

/// The record of an action, once it is on standard output.
async fn record(serving: &mut Serving, action: &str) -> Value {
    let find = |said: &str| {
        said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|record| record["action"] == action)
    };
    serving.process.out.until(find).await.unwrap_or_else(|| panic!("no {action}"))
}
