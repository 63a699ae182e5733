//! The story of one deploy by CI, with the bytes of the real command.

use rack_gateway::store::ApprovalState;
use serde_json::json;

use super::{APP, Scene, json_of, text};
use crate::harness::Db;

mod both {
    crate::on_both!(a_deploy_is_refused_approved_and_made);
}

/// The recorded upload: `convox deploy` of a folder with a Dockerfile and a manifest.
const UPLOAD: &str = "run-088/03";
const BUILD: &str = "run-088/04";
const LOGS: &str = "run-088/06";
const READ: &str = "run-088/07";
const LOOK: &str = "run-088/11";
const PROMOTE: &str = "run-088/12";

async fn a_deploy_is_refused_approved_and_made(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, commit) = (scene.ci().to_owned(), scene.commit());

    // Refused before anybody was asked, with what to do.
    let refused = scene.cli(&ci, UPLOAD, None, None).await;
    let shown = text(&refused);
    assert_eq!(refused.status(), 403, "{shown}");
    assert!(shown.contains("rack-gateway deploy-approval request --app myapp"), "{shown}");
    let id = scene.request(&ci, APP, &commit).await;
    let refused = scene.cli(&ci, UPLOAD, None, None).await;
    assert!(text(&refused).contains(&format!("request {id}")), "{}", text(&refused));
    assert_eq!((refused.status(), scene.deeds()), (403, vec![]));
    let records = scene.gateway.records_of(refused.header("rack-gateway-request-id").unwrap()).await;
    assert_eq!((&records[0]["decision"], &records[0]["challenges"]), (&json!("challenge"), &json!(["approval"])));

    scene.approve(APP, &id).await;
    let uploaded = scene.cli(&ci, UPLOAD, None, None).await;
    assert_eq!(uploaded.status(), 200, "{}", text(&uploaded));
    let url = json_of(&uploaded)["Url"].as_str().unwrap().to_owned();
    let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let built = scene.cli(&ci, BUILD, None, Some(&format!("git-sha={commit}&url={url}"))).await;
    assert_eq!(built.status(), 200, "{}", text(&built));
    let build = json_of(&built)["id"].as_str().unwrap().to_owned();

    let read = format!("/apps/{APP}/builds/{build}?");
    let answer = scene.cli(&ci, READ, Some(&read), None).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let release = json_of(&answer)["release"].as_str().unwrap().to_owned();
    assert!(json_of(&answer)["manifest"].as_str().unwrap().contains("COLOR=red"), "the manifest of the upload");
    let log = scene.cli(&ci, LOGS, Some(&format!("/apps/{APP}/builds/{build}/logs")), None).await;
    assert_eq!(log.status(), 101, "{}", text(&log));
    assert_eq!(scene.cli(&ci, LOOK, None, None).await.status(), 200);
    assert_eq!(scene.row(&id).await.state, ApprovalState::Approved);

    let target = format!("/apps/{APP}/releases/{release}/promote?");
    let promoted = scene.cli(&ci, PROMOTE, Some(&target), None).await;
    assert_eq!(promoted.status(), 200, "{}", text(&promoted));
    assert_eq!(scene.rack.state.release_of(APP), Some(release.clone()));
    let row = scene.row(&id).await;
    assert_eq!((row.state, row.ended_by.map(|by| by.kind)), (ApprovalState::Deployed, Some("ApiToken".to_owned())));
    let due = scene.gateway.running.gate.store.outbox_due(scene.gateway.running.gate.clock.now(), 100).await.unwrap();
    let mut kinds: Vec<_> =
        due.iter().filter(|one| one.data["id"] == id.as_str()).map(|one| one.kind.clone()).collect();
    kinds.sort();
    assert_eq!(kinds, ["deploy-approval.approved", "deploy-approval.deployed", "deploy-approval.requested"]);

    // Each step names the approval on the record.
    for answer in [&uploaded, &built, &promoted] {
        let records = scene.gateway.records_until(answer.header("rack-gateway-request-id").unwrap(), 2).await;
        assert_eq!(records[0]["detail"]["approval"], id.as_str(), "{records:?}");
        assert_eq!(records[0]["detail"]["drift"], json!(null));
    }
    // What was made can be read afterwards, and nothing can be made any more.
    for target in [read.as_str(), &format!("/apps/{APP}/releases/{release}?")] {
        let answer = scene.cli(&ci, READ, Some(target), None).await;
        assert_eq!(answer.status(), 200, "{target}: {}", text(&answer));
    }
    scene.rack.state.clear();
    let other = format!("/apps/{APP}/objects/tmp/0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b.tgz?");
    for (exchange, target) in [(UPLOAD, other.as_str()), (BUILD, "/apps/myapp/builds?"), (PROMOTE, &target)] {
        let again = scene.cli(&ci, exchange, Some(target), None).await;
        assert_eq!(again.status(), 403, "{exchange}: {}", text(&again));
    }
    assert_eq!(scene.deeds(), Vec::<String>::new());
    scene.stop().await;
}
