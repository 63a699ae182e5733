//! The gateway makes the anchors itself.

use rack_gateway::http::Launch;
use rack_gateway::proof::anchor::{AnchorReason, Meta};
use rack_gateway::proof::note::Note;
use rack_gateway::store::AnchorRow;
use serde_json::json;

use super::{Place, Scene};
use crate::gateway::dev_rack;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway, until};
use crate::replay::peer::Wire;

const MINUTE: i64 = 60;

fn meta(row: &AnchorRow) -> Meta {
    let note = Note::parse(&row.meta).unwrap();
    Meta::parse(&note.text).unwrap()
}

/// All anchors that the database knows of.
async fn anchors(db: &Db) -> Vec<AnchorRow> {
    let store = db.store().await;
    let found = store.anchors_after(0, 0, 10_000).await.unwrap();
    store.close().await;
    found
}

async fn the_place_of_the_anchors_fails_and_recovers(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.settings())).await;
    let first = until("an anchor", async || Some(scene.ready().await).filter(|said| said["last"].is_object())).await;
    assert_eq!((&first["state"], &first["development"]), (&json!("green"), &json!(true)), "{first}");
    place.fail();
    assert_eq!(scene.ask("viewer", "GET", "/apps?").await.0, 200);
    let said = until("the fault", async || Some(scene.ready().await).filter(|said| said["problem"].is_string())).await;
    assert_eq!((&said["ok"], &said["state"]), (&json!(false), &json!("green")), "{said}");
    for (minutes, state, action) in
        [(6, "amber", "anchor:amber"), (16, "red", "anchor:red"), (61, "overdue", "anchor:overdue")]
    {
        scene.at(minutes * MINUTE);
        scene.until(state).await;
        let told = scene.told(action, 1).await;
        assert!(told[0]["detail"]["fault"].is_string(), "{told:?}");
    }
    let (status, said) = scene.ask("admin", "DELETE", "/apps/myapp?").await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("not anchored for too long"), "{said}");
    assert_eq!(scene.ask("admin", "GET", "/apps?").await.0, 200);
    place.mend();
    let said = scene.until("green").await;
    assert_eq!(said["problem"], json!(null), "{said}");
    assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 200);
    scene.told("anchor:recovered", 1).await;
    scene.gateway.stop_and_verify().await;
    let all = anchors(&db).await;
    let numbers: Vec<u64> = all.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

async fn the_last_record_is_anchored(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.settings())).await;
    let digest = scene.gateway.running.gate.active.load().digest().to_owned();
    scene.ask("viewer", "GET", "/apps?").await;
    scene.gateway.stop_and_verify().await;
    let store = db.store().await;
    let (_, head) = store.head().await.unwrap().unwrap();
    let last = store.anchor_last().await.unwrap().unwrap();
    assert_eq!((last.size, last.chain), (head.seq, head.chain));
    let record = store.records_after(head.seq - 1, 1).await.unwrap();
    assert!(String::from_utf8_lossy(&record[0].canon).contains("gateway:stop"));
    let meta = meta(&last);
    assert_eq!((meta.reason, meta.bundle.as_deref()), (AnchorReason::Stop, Some(digest.as_str())));
    store.close().await;
}

/// A key or a folder that is not there keeps nobody from serving; it is said.
async fn a_key_that_is_missing_is_said(db: Db) {
    let place = Place::new();
    std::fs::remove_file(place.key()).unwrap();
    let scene = Scene::new(&db, Some(place.settings())).await;
    let said = until("the fault", async || Some(scene.ready().await).filter(|said| said["problem"].is_string())).await;
    assert!(said["problem"].as_str().unwrap().contains("anchor.key"), "{said}");
    assert_eq!(scene.ask("viewer", "GET", "/apps?").await.0, 200);
    scene.gateway.stop_and_verify().await;
}

/// A socket that policy would not open any more ends.
async fn an_open_shell_ends_where_policy_says_so(db: Db) {
    let policies = Policies::copy();
    let text = "@id(\"late.shells\")\n@why(\"no shells while the log is not anchored\")\n\
                forbid (principal, action in Action::\"shell\", resource)\n\
                when { [\"red\", \"overdue\"].contains(context.audit.state) };\n";
    policies.write("policies/late.cedar", text);
    let place = Place::new();
    let shells = dev_rack();
    let ahead = std::sync::Arc::default();
    let (settings, clock) = (place.separate(), super::clock(&ahead));
    let policy = rack_gateway::http::PolicySource { dir: Some(policies.dir()), ..all_policies() };
    let launched = launch_with(&db, shells.addr, |launch| Launch { anchors: Some(settings), clock, policy, ..launch });
    let gateway = Gateway::of(launched.await).await;
    let mut wire = Wire::connect(gateway.addr()).await;
    let head = format!(
        "GET /apps/myapp/processes/web/exec HTTP/1.1\r\nHost: gateway.example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: {}\r\nCommand: cat\r\nTty: false\r\n\r\n",
        gateway.basic("admin")
    );
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.head().await.unwrap().status(), 101);
    ahead.store(16 * MINUTE, std::sync::atomic::Ordering::SeqCst);
    while wire.exactly(1).await.is_some() {}
    let ended = until("the end", async || {
        let outcomes = gateway.records().await;
        let outcomes = outcomes.iter().map(crate::harness::parse_record);
        outcomes
            .filter_map(|record| Some(record["message"].as_str()?.to_owned()))
            .find(|said| said.contains("ended by"))
    })
    .await;
    assert!(ended.contains("late.shells") || ended.contains("not anchored"), "{ended}");
    gateway.stop_and_verify().await;
    shells.stop().await;
}

/// Replicas that make anchors make one row of them.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_take_turns() {
    let db = Db::postgres().await;
    let place = Place::new();
    let first = Scene::new(&db, Some(place.settings())).await;
    let second = Scene::new(&db, Some(place.settings())).await;
    until("anchors", async || {
        first.ask("viewer", "GET", "/apps?").await;
        second.ask("viewer", "GET", "/apps?").await;
        let number = first.ready().await["last"]["number"].as_u64();
        number.filter(|number| *number >= 5)
    })
    .await;
    second.until("green").await;
    second.gateway.running.stop().await;
    first.gateway.stop_and_verify().await;
    let all = anchors(&db).await;
    let numbers: Vec<u64> = all.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let mut hashes: (Option<[u8; 32]>, Option<[u8; 32]>) = (None, None);
    for row in &all {
        let meta = meta(row);
        assert_eq!((meta.prev_checkpoint, meta.prev_meta), hashes, "anchor {}", row.number);
        let digest = |bytes: &[u8]| Some(Note::digest(bytes));
        hashes = (digest(&row.checkpoint), digest(&row.meta));
        for kind in ["checkpoint", "meta"] {
            let path = format!("v1/rack-gateway/acme/dev/{kind}/{:012}", row.number);
            assert!(place.folder().join(&path).is_file(), "{path}");
        }
    }
}

mod both {
    crate::on_both!(
        the_place_of_the_anchors_fails_and_recovers,
        the_last_record_is_anchored,
        a_key_that_is_missing_is_said,
        an_open_shell_ends_where_policy_says_so,
    );
}
