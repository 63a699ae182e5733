//! The levels, from green to overdue and back, as they follow from the database alone.

use rack_gateway::http::Launch;
use serde_json::json;

use super::{Place, Scene, limits};
use crate::harness::{Db, Gateway, until};
use crate::rows::CountingRack;

const MINUTE: i64 = 60;

/// Everything that follows from an age.
async fn records_that_wait_raise_alarms_and_then_refuse(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.separate())).await;
    let green = scene.until("green").await;
    assert_eq!((&green["ok"], &green["development"], &green["last"]), (&json!(true), &json!(true), &json!(null)));
    assert!(green["unanchored"].as_u64().unwrap() > 0, "{green}");
    for (minutes, state, action) in [(6, "amber", "anchor:amber"), (16, "red", "anchor:red")] {
        scene.at(minutes * MINUTE);
        let said = scene.until(state).await;
        assert_eq!(said["ok"], json!(false), "{said}");
        assert!(said["unanchored_s"].as_i64().unwrap() >= minutes * MINUTE, "{said}");
        let told = scene.told(action, 1).await;
        assert_eq!((told[0]["kind"].as_str(), told.len()), (Some("system"), 1), "{told:?}");
        assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 200, "{state}");
    }
    scene.at(61 * MINUTE);
    scene.until("overdue").await;
    let (status, said) = scene.ask("admin", "DELETE", "/apps/myapp?").await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("not anchored for too long") && said.contains("/api/v1/ready"), "{said}");
    for (target, expected) in [("/apps?", 200), ("/api/v1/settings", 200), ("/api/v1/whoami", 200)] {
        assert_eq!(scene.ask("admin", "GET", target).await.0, expected, "{target}");
    }
    assert_eq!(scene.ask("admin", "POST", "/apps/myapp/releases/RABC/promote?").await.0, 200);
    let denied = scene.gateway.records_about("app:delete").await;
    let denied = denied.iter().find(|record| record["kind"] == "denial").unwrap();
    assert_eq!(denied["reasons"], json!(["audit.overdue-destruction"]), "{denied}");
    let told = scene.told("anchor:overdue", 1).await;
    assert!(told[0]["message"].as_str().unwrap().contains("refused"), "{told:?}");

    let size = scene.anchored().await;
    let back = scene.until("green").await;
    assert_eq!((&back["last"]["number"], &back["last"]["size"]), (&json!(1), &json!(size)), "{back}");
    assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 200);
    assert_eq!(scene.told("anchor:recovered", 1).await[0]["detail"]["anchor"], json!("1"));
    for action in ["anchor:amber", "anchor:red", "anchor:overdue", "anchor:recovered"] {
        assert_eq!(scene.gateway.records_about(action).await.len(), 1, "{action}");
    }
    scene.gateway.stop_and_verify().await;
}

/// Whoever only stops making anchors, while nothing happens, is noticed too.
async fn an_anchor_that_does_not_come_is_told(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.separate())).await;
    let size = scene.anchored().await;
    let green = scene.covered(size).await;
    assert_eq!(green["unanchored"], json!(0), "{green}");
    // Due after two minutes, and late five minutes later. Nothing waits, so nothing is refused.
    scene.at(8 * MINUTE);
    scene.until("amber").await;
    scene.at(30 * MINUTE);
    assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 200);
    scene.gateway.stop_and_verify().await;
}

async fn the_limits_are_settings(db: Db) {
    let place = Place::new();
    let catalog = limits(&[("audit_amber_minutes", 1), ("audit_red_minutes", 2), ("audit_refuse_minutes", 3)]);
    let scene = Scene::with(&db, Some(place.separate()), |launch| Launch { catalog, ..launch }).await;
    for (minutes, state) in [(1, "amber"), (2, "red"), (3, "overdue")] {
        scene.at(minutes * MINUTE + 30);
        scene.until(state).await;
    }
    scene.gateway.stop_and_verify().await;
}

async fn the_state_cannot_be_read(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.separate())).await;
    let size = scene.anchored().await;
    scene.covered(size).await;
    db.execute("ALTER TABLE audit_anchors RENAME TO away").await;
    scene.at(61 * MINUTE);
    scene.until("overdue").await;
    let said = until("the problem", async || Some(scene.ready().await).filter(|said| said["problem"].is_string()));
    let said = said.await;
    assert!(said["problem"].as_str().unwrap().contains("cannot be read"), "{said}");
    assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 403);
    db.execute("ALTER TABLE away RENAME TO audit_anchors").await;
    scene.anchored().await;
    let said = scene.until("green").await;
    assert_eq!(said["problem"], json!(null), "{said}");
    scene.gateway.stop_and_verify().await;
}

async fn without_anchors_nothing_is_refused(db: Db) {
    let scene = Scene::new(&db, None).await;
    scene.at(600 * MINUTE);
    let off = scene.ready().await;
    assert_eq!((&off["ok"], &off["state"], &off["unanchored_s"]), (&json!(true), &json!("off"), &json!(0)), "{off}");
    assert_eq!(scene.ask("admin", "DELETE", "/apps/myapp?").await.0, 200);
    scene.gateway.stop_and_verify().await;
}

/// Replicas see the same, and one of them says so.
#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_one_tells() {
    let db = Db::postgres().await;
    let place = Place::new();
    let first = Scene::new(&db, Some(place.separate())).await;
    let rack = CountingRack::start().await;
    let (ahead, settings) = (std::sync::Arc::clone(&first.ahead), place.separate());
    let second = crate::harness::gateway::launch_with(&db, rack.addr, |launch| Launch {
        anchors: Some(settings),
        clock: super::clock(&ahead),
        ..launch
    });
    let second = Scene { gateway: Gateway::of(second.await).await, _rack: rack, ahead };
    for (minutes, state, action) in [(6, "amber", "anchor:amber"), (16, "red", "anchor:red")] {
        first.at(minutes * MINUTE);
        first.until(state).await;
        second.until(state).await;
        first.told(action, 1).await;
    }
    first.anchored().await;
    first.told("anchor:recovered", 1).await;
    second.until("green").await;
    // A second time of trouble is told again; by then both have had their say about the first.
    first.at(40 * MINUTE);
    first.told("anchor:red", 2).await;
    for (action, count) in [("anchor:amber", 1), ("anchor:red", 2), ("anchor:recovered", 1)] {
        assert_eq!(first.gateway.records_about(action).await.len(), count, "{action}");
    }
    second.gateway.running.stop().await;
    first.gateway.stop_and_verify().await;
}

/// A restart may be what mends it.
async fn the_end_of_a_trouble_is_told_after_a_restart(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.separate())).await;
    scene.at(16 * MINUTE);
    scene.told("anchor:red", 1).await;
    scene.gateway.running.stop().await;
    let clock = super::clock(&scene.ahead);
    let again = Scene::with(&db, Some(place.separate()), |launch| Launch { clock, ..launch }).await;
    again.until("red").await;
    again.anchored().await;
    let told = again.told("anchor:recovered", 1).await;
    assert_eq!(told[0]["detail"]["trouble"], json!("0.0"), "{told:?}");
    assert_eq!(again.gateway.records_about("anchor:red").await.len(), 1);
    again.gateway.stop_and_verify().await;
}

/// Limits that contradict each other are none.
async fn the_limits_stay_in_order(db: Db) {
    let scene = Scene::new(&db, None).await;
    let admin = scene.gateway.token("admin").to_owned();
    let put = |name: &str, minutes: u64| {
        let target = format!("/api/v1/settings/audit_{name}_minutes");
        (target, json!({ "value": minutes }))
    };
    for (name, minutes, version, status) in [
        ("amber", 15, "\"v0\"", 422),
        ("red", 60, "\"v0\"", 422),
        ("refuse", 15, "\"v0\"", 422),
        ("refuse", 0, "\"v0\"", 200),
        ("red", 1440, "\"v0\"", 200),
        ("amber", 15, "\"v0\"", 200),
    ] {
        let (target, body) = put(name, minutes);
        let send = crate::sign_in::Send::json("PUT", &target, &body).header("If-Match", version);
        let said = crate::api::ask(&scene.gateway, &admin, send, status).await;
        let is_told = said["error"].as_str().is_some_and(|said| said.contains("must be less than"));
        assert_eq!(is_told, status == 422, "{name} {minutes}: {said}");
    }
    // Back to a default that is not in order any more.
    let reset = crate::api::plain("DELETE", "/api/v1/settings/audit_red_minutes").header("If-Match", "\"v1\"");
    crate::api::ask(&scene.gateway, &admin, reset, 422).await;
    scene.gateway.stop_and_verify().await;
}

/// Somebody sets what the API would not take.
async fn limits_that_nobody_could_mean_are_not_taken(db: Db) {
    let place = Place::new();
    let scene = Scene::new(&db, Some(place.separate())).await;
    let sql = "INSERT INTO settings (name, value, version, updated_at, updated_by) \
               VALUES ('audit_refuse_minutes', '1', 1, '2026-01-01T00:00:00Z', 'nobody')";
    db.execute(sql).await;
    let said = until("the problem", async || Some(scene.ready().await).filter(|said| said["problem"].is_string()));
    let said = said.await;
    assert!(said["problem"].as_str().unwrap().contains("must be less than"), "{said}");
    scene.at(61 * MINUTE);
    scene.until("overdue").await;
    scene.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        records_that_wait_raise_alarms_and_then_refuse,
        an_anchor_that_does_not_come_is_told,
        the_limits_are_settings,
        the_state_cannot_be_read,
        without_anchors_nothing_is_refused,
        the_end_of_a_trouble_is_told_after_a_restart,
        the_limits_stay_in_order,
        limits_that_nobody_could_mean_are_not_taken,
    );
}
