//! `GET` and `PUT /api/v1/apps/{app}/env`.

use rack_gateway::http::Launch;
use serde_json::{Value, json};
use time::Duration;

use super::{SECRET, SEED, World, parsed, text};
use crate::api::{ask, with};
use crate::gateway::dev_rack;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::Send;
use crate::step_up::{Person, Stage};

const ENV: &str = "/api/v1/apps/myapp/env";

/// Name, value, whether it is masked.
fn variables(answer: &Value) -> Vec<(String, String, bool)> {
    let of = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        (text("name"), text("value"), one["masked"].as_bool().unwrap())
    };
    answer["variables"].as_array().unwrap().iter().map(of).collect()
}

fn expected(all: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
    all.iter().map(|(name, value, masked)| ((*name).to_owned(), (*value).to_owned(), *masked)).collect()
}

async fn variables_are_shown_as_policy_says(db: Db) {
    let world = World::start(&db).await;
    let release = world.newest().await;
    let mask = format!("********@{release}");
    let get = async |role: &str, target: &str, status: u16| {
        ask(&world.gateway, world.gateway.token(role), Send::get(target), status).await
    };
    for role in ["ops", "deployer", "admin"] {
        let answer = get(role, ENV, 200).await;
        assert_eq!((&answer["app"], &answer["release"]), (&json!("myapp"), &json!(release)), "{role}");
        let all = expected(&[("GREETING", "hello", false), ("SECRET_KEY", &mask, true)]);
        assert_eq!(variables(&answer), all, "{role}: only who asks for secrets gets them");
        let one = get(role, &format!("{ENV}?key=GREETING&secrets=false"), 200).await;
        assert_eq!(variables(&one), expected(&[("GREETING", "hello", false)]), "{role}");
    }
    get("viewer", ENV, 403).await;
    get("cicd", ENV, 403).await;
    get("ops", &format!("{ENV}?key=NOTHING"), 404).await;
    get("ops", &format!("{ENV}?release=RNOTHERE"), 404).await;
    get("ops", &format!("{ENV}?secrets=yes"), 400).await;
    get("admin", &format!("{ENV}?release=RNOTHERE&secrets=true"), 404).await;
    for target in [format!("{ENV}?secrets=true"), format!("{ENV}?key=SECRET_KEY&secrets=true")] {
        let refused = get("deployer", &target, 403).await;
        let told = refused["error"].as_str().unwrap();
        assert!(told.contains("secret:read on EnvVar myapp/SECRET_KEY refused"), "{told}");
        let send = Send::get(&target).header("Authorization", world.gateway.basic("admin"));
        let answer = send.to(world.gateway.addr()).await;
        assert!(variables(&parsed(&answer)).contains(&("SECRET_KEY".to_owned(), SECRET.to_owned(), false)));
        let record = world.record(&answer).await;
        assert_eq!((&record["kind"], &record["detail"]["secret_read"]), (&json!("intent"), &json!("SECRET_KEY")));
        assert_eq!(record["detail"]["release"], json!(release));
    }
    // What is no secret needs no leave to see secrets.
    let one = get("deployer", &format!("{ENV}?key=GREETING&secrets=true"), 200).await;
    assert_eq!(variables(&one), expected(&[("GREETING", "hello", false)]));
    world.set_list("protected_env_vars", &["SECRET_KEY", "GREETING"]).await;
    let all = get("admin", &format!("{ENV}?secrets=true"), 200).await;
    assert_eq!(variables(&all), expected(&[("GREETING", &mask, true), ("SECRET_KEY", &mask, true)]));
    get("admin", &format!("{ENV}?key=SECRET_KEY&secrets=true"), 403).await;
    world.end(&[]).await;
}

async fn variables_are_set_by_a_release(db: Db) {
    let world = World::start(&db).await;
    let put = async |role: &str, body: Value| world.send(role, Send::json("PUT", ENV, &body)).await;
    let answer = put("deployer", json!({ "set": { "PORT": "3000", "GREETING": "hi" } })).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let newest = world.newest().await;
    assert_eq!(parsed(&answer), json!({ "release": newest, "set": ["GREETING", "PORT"], "removed": [] }));
    assert_eq!(world.env().await, format!("GREETING=hi\nPORT=3000\nSECRET_KEY={SECRET}"));
    assert_ne!(world.rack.state.release_of("myapp").unwrap(), newest, "it is not promoted");
    let record = world.record(&answer).await;
    assert_eq!((&record["action"], &record["route"]), (&json!("environment:update"), &json!("/api/v1/apps/{app}/env")));
    assert_eq!(record["detail"]["env_set"], "GREETING, PORT");
    let also = record["detail"]["also"].as_str().unwrap();
    assert!(also.contains("release:create by ") && also.contains("env:set by "), "{also}");
    let mask = format!("********@{newest}");
    let removed = put("deployer", json!({ "set": { "SECRET_KEY": mask }, "remove": ["PORT", "NOT_THERE"] })).await;
    assert_eq!(parsed(&removed)["removed"], json!(["PORT"]), "{}", text(&removed));
    assert_eq!(world.env().await, format!("GREETING=hi\nSECRET_KEY={SECRET}"));
    let before = world.newest().await;
    for (role, body, status, part) in [
        ("ops", json!({ "set": { "A": "1" } }), 403, "environment:update on App myapp refused"),
        ("cicd", json!({ "set": { "A": "1" } }), 403, "environment:update on App myapp refused"),
        ("deployer", json!({ "set": { "A_TOKEN": "fresh-s3cr3t" } }), 403, "secret:set on EnvVar myapp/A_TOKEN"),
        ("deployer", json!({ "remove": ["SECRET_KEY"] }), 403, "secret:set on EnvVar myapp/SECRET_KEY"),
        ("admin", json!({}), 400, "nothing of this changes"),
        ("admin", json!({ "set": { "GREETING": "hi" } }), 400, "nothing of this changes"),
        ("admin", json!({ "set": { "A": "1" }, "remove": ["A"] }), 400, "A is to be set and to be removed"),
        ("admin", json!({ "set": { "A": "x\ny" } }), 400, "the value of A has a line break"),
        ("admin", json!({ "set": { "A=B": "1" } }), 400, "the name"),
        ("admin", json!({ "set": { "": "1" } }), 400, "the name"),
        ("admin", json!({ "set": { "A": "********" } }), 400, "the mask of A stands for no value"),
        ("admin", json!({ "set": { "A": 1 } }), 400, "the body is not"),
        ("admin", json!({ "sett": {} }), 400, "the body is not"),
        ("admin", json!("fresh-s3cr3t"), 400, "the body is not"),
    ] {
        let answer = put(role, body.clone()).await;
        assert_eq!(answer.status(), status, "{role} {body}: {}", text(&answer));
        assert!(parsed(&answer)["error"].as_str().unwrap().contains(part), "{role} {body}: {}", text(&answer));
        assert_eq!(world.newest().await, before, "{role} {body}");
    }
    let secret = put("admin", json!({ "set": { "SECRET_KEY": "fresh-s3cr3t" } })).await;
    assert_eq!(parsed(&secret)["set"], json!(["SECRET_KEY"]), "{}", text(&secret));
    assert!(!text(&secret).contains("s3cr3t"));
    assert_eq!(world.env().await, "GREETING=hi\nSECRET_KEY=fresh-s3cr3t");
    assert_ne!(world.env().await, SEED);
    world.end(&["fresh-s3cr3t"]).await;
}

/// What is masked asks nobody for a factor; a secret that is asked for does, and so does setting one.
async fn a_secret_needs_a_factor_of_the_last_minutes(db: Db) {
    let rack = dev_rack();
    let running = launch_with(&db, rack.addr, |launch| Launch { policy: all_policies(), ..launch }).await;
    let stage = Stage { gateway: Gateway::of(running).await, rack: CountingRack::start().await };
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, Duration::hours(1)).await;
    let get = async |target: &str| with(&token, Send::get(target)).to(stage.addr()).await;
    let masked = get(ENV).await;
    assert_eq!(masked.status(), 200, "{}", text(&masked));
    assert!(!text(&masked).contains(SECRET));
    let refused = get(&format!("{ENV}?secrets=true")).await;
    assert_eq!(refused.status(), 401, "{}", text(&refused));
    let told = parsed(&refused)["error"].as_str().unwrap().to_owned();
    assert!(told.contains("secret:read on EnvVar myapp/SECRET_KEY refused"), "{told}");
    let put = Send::json("PUT", ENV, &json!({ "set": { "PORT": "1" } }));
    let refused_put = with(&token, put).to(stage.addr()).await;
    assert_eq!(refused_put.status(), 401, "{}", text(&refused_put));
    let challenge = person.follow(stage.addr(), &told).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    let shown = get(&format!("{ENV}?secrets=true")).await;
    assert_eq!(shown.status(), 200, "{}", text(&shown));
    assert!(text(&shown).contains(SECRET));
    let put = Send::json("PUT", ENV, &json!({ "set": { "SECRET_KEY": "fresh-s3cr3t" } }));
    let passed = with(&token, put).to(stage.addr()).await;
    assert_eq!(passed.status(), 200, "{}", text(&passed));
    World { rack, gateway: stage.gateway }.end(&["fresh-s3cr3t"]).await;
}

/// An app without a release begins with the first.
async fn an_app_without_a_release_has_no_variables(db: Db) {
    let world = World::start(&db).await;
    let created = world.form("admin", "POST", "/apps?", &[("name", "fresh")]).await;
    assert_eq!(created.status(), 200, "{}", text(&created));
    let target = "/api/v1/apps/fresh/env";
    let admin = world.gateway.token("admin");
    let none = ask(&world.gateway, admin, Send::get(&format!("{target}?secrets=true")), 200).await;
    assert_eq!(none, json!({ "app": "fresh", "release": null, "variables": [] }));
    let put = Send::json("PUT", target, &json!({ "set": { "A": "1" } }));
    let made = ask(&world.gateway, admin, put, 200).await;
    let read = ask(&world.gateway, admin, Send::get(target), 200).await;
    assert_eq!((&read["release"], &read["variables"][0]["value"]), (&made["release"], &json!("1")));
    ask(&world.gateway, admin, Send::get("/api/v1/apps/nothing/env"), 404).await;
    world.end(&[]).await;
}

mod both {
    crate::on_both!(
        variables_are_shown_as_policy_says,
        variables_are_set_by_a_release,
        a_secret_needs_a_factor_of_the_last_minutes,
        an_app_without_a_release_has_no_variables,
    );
}
