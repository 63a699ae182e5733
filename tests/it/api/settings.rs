//! Settings, roles and policies, and the description of the API.

use rack_gateway::config::{Catalog, SETTINGS};
use rack_gateway::http::{Launch, reload_once};
use rack_gateway::routes::API;
use rack_gateway::upstream::Limits;
use serde_json::{Value, json};

use super::{ask, at_the_browser, from_page, plain, somebody};
use crate::harness::gateway::launch_with;
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::Send;

async fn one(gateway: &Gateway, name: &str) -> Value {
    let all = ask(gateway, gateway.token("admin"), Send::get("/api/v1/settings"), 200).await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), SETTINGS.len());
    items.iter().find(|item| item["name"] == name).unwrap().clone()
}

fn put<'a>(target: &'a str, value: Value, version: &str) -> Send<'a> {
    Send::json("PUT", target, &json!({ "value": value })).header("If-Match", version)
}

async fn a_setting_is_changed_and_let_go(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let target = "/api/v1/settings/api_token_max_days";
    let before = one(&gateway, "api_token_max_days").await;
    assert_eq!(
        (&before["value"], &before["origin"], &before["etag"]),
        (&json!(365), &json!("default"), &json!("\"v0\""))
    );
    for (value, status) in
        [(json!(0), 422), (json!(3651), 422), (json!("30"), 422), (json!(null), 422), (json!(1.5), 422)]
    {
        let problem = ask(&gateway, &admin, put(target, value, "\"v0\""), status).await;
        assert!(problem["error"].as_str().unwrap().contains("from 1 to 3650"), "{problem}");
    }
    ask(&gateway, &admin, put(target, json!(30), "\"v1\""), 412).await;
    let changed = ask(&gateway, &admin, put(target, json!(30), "\"v0\""), 200).await;
    assert_eq!((&changed["value"], &changed["origin"]), (&json!(30), &json!("database")));
    let change = gateway.records_about("setting:update").await;
    let detail: Vec<&Value> =
        change.iter().filter(|record| record["kind"] == "admin").map(|one| &one["detail"]).collect();
    assert_eq!(detail, [&json!({ "setting": "api_token_max_days", "from": "365", "to": "30" })]);
    let token = json!({ "name": "ci", "roles": ["cicd"], "expires_in_days": 31 });
    ask(&gateway, &admin, Send::json("POST", "/api/v1/api-tokens", &token), 422).await;
    let reset = |version| plain("DELETE", target).header("If-Match", version);
    ask(&gateway, &admin, reset("\"v0\""), 412).await;
    ask(&gateway, &admin, reset("\"v1\""), 204).await;
    ask(&gateway, &admin, reset("\"v0\""), 204).await;
    assert_eq!(one(&gateway, "api_token_max_days").await["origin"], "default");
    ask(&gateway, &admin, put("/api/v1/settings/unknown", json!(1), "\"v0\""), 404).await;
    let roles = "/api/v1/settings/default_roles";
    ask(&gateway, &admin, put(roles, json!(["emperor"]), "\"v0\""), 422).await;
    assert_eq!(ask(&gateway, &admin, put(roles, json!(["viewer"]), "\"v0\""), 200).await["value"], json!(["viewer"]));
    gateway.stop_and_verify().await;
}

async fn how_long_sessions_last_holds_at_once(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let store = gateway.running.gate.store.clone();
    let user = somebody(&gateway, "viewer").await;
    let (awake, asleep) = (at_the_browser(&gateway, &user).await, at_the_browser(&gateway, &user).await);
    let whoami = || Send::get("/api/v1/whoami");
    assert_eq!(from_page(&awake, gateway.addr(), whoami()).await.status(), 200);
    assert_eq!(from_page(&asleep, gateway.addr(), whoami()).await.status(), 200);
    let hash = rack_gateway::identity::Token::parse(asleep.session().unwrap()).unwrap().hash();
    let id = store.credential_find(&hash.0).await.unwrap().unwrap().id;
    let used = store.identity_epoch().await.unwrap();
    let target = "/api/v1/settings/session_timeout_minutes";
    let ago = |minutes: i64| {
        let at = gateway.running.gate.clock.now() - time::Duration::minutes(minutes);
        let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        let at = format!("{}Z", at.split('.').next().unwrap().trim_end_matches('Z'));
        format!("UPDATE credentials SET last_used_at = '{at}' WHERE id = '{id}'")
    };
    db.execute(&ago(10)).await;
    ask(&gateway, &admin, put(target, json!(5), "\"v0\""), 200).await;
    assert!(store.identity_epoch().await.unwrap() > used);
    assert_eq!(from_page(&asleep, gateway.addr(), whoami()).await.status(), 401);
    assert_eq!(from_page(&awake, gateway.addr(), whoami()).await.status(), 200);
    // What has ended is not woken by a longer limit.
    ask(&gateway, &admin, put(target, json!(60), "\"v1\""), 200).await;
    assert_eq!(from_page(&asleep, gateway.addr(), whoami()).await.status(), 401);
    assert_eq!(from_page(&awake, gateway.addr(), whoami()).await.status(), 200);
    gateway.stop_and_verify().await;
}

async fn what_the_operator_pins_stays(db: Db) {
    let rack = CountingRack::start().await;
    let env = std::collections::BTreeMap::from([("RGW_SETTING_SESSION_MAX_HOURS".to_owned(), "4".to_owned())]);
    let catalog = Catalog::from_env(&env).unwrap();
    let running =
        launch_with(&db, rack.addr, |launch| Launch { catalog, admins: vec!["root@example.com".to_owned()], ..launch });
    let running = running.await;
    let root = running.gate.store.user_find_by_email("root@example.com").await.unwrap().unwrap();
    assert_eq!(root.roles, ["admin"]);
    let gateway = Gateway::of(running).await;
    let added: Vec<Value> = gateway.records_about("user:create").await;
    assert_eq!(gateway.beside(&added[0], "email").await.as_deref(), Some("root@example.com"));
    let pinned = one(&gateway, "session_max_hours").await;
    assert_eq!((&pinned["value"], &pinned["origin"]), (&json!(4), &json!("environment")));
    let target = "/api/v1/settings/session_max_hours";
    let admin = gateway.token("admin").to_owned();
    let problem = ask(&gateway, &admin, put(target, json!(5), "\"v0\""), 409).await;
    assert!(problem["error"].as_str().unwrap().contains("RGW_SETTING_SESSION_MAX_HOURS"));
    ask(&gateway, &admin, plain("DELETE", target).header("If-Match", "\"v0\""), 409).await;
    gateway.stop_and_verify().await;
    // Once there is an administrator, the list adds nobody.
    let again = launch_with(&db, rack.addr, |launch| Launch { admins: vec!["late@example.com".to_owned()], ..launch });
    let again = again.await;
    assert_eq!(again.gate.store.user_find_by_email("late@example.com").await.unwrap(), None);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_in_force_can_be_read() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let policies = Policies::copy();
    let gateway = Gateway::start_with(&db, rack.addr, Some(policies.dir()), Limits::default()).await;
    let admin = gateway.token("auditor").to_owned();
    let read = ask(&gateway, &admin, Send::get("/api/v1/policy"), 200).await;
    assert_eq!(read["digest"], gateway.running.gate.active.load().digest());
    assert_eq!((&read["rack"], &read["problem"]), (&json!("acme/dev"), &Value::Null));
    let locked = read["policies"].as_array().unwrap().iter().find(|one| one["id"] == "guardrails.locked").unwrap();
    assert_eq!((&locked["effect"], &locked["shadow"]), (&json!("forbid"), &json!(false)));
    let roles = ask(&gateway, &admin, Send::get("/api/v1/roles"), 200).await;
    let ops = roles["items"].as_array().unwrap().iter().find(|role| role["name"] == "ops").unwrap();
    assert_eq!((&ops["inherits"], &ops["includes"]), (&json!(["viewer"]), &json!(["ops", "viewer"])));
    assert_eq!(read["roles"], roles["items"]);
    policies.write("policies/roles.json", "{");
    reload_once(&gateway.running.gate, &gateway.running.policy, &gateway.running.bundle).await;
    let read = ask(&gateway, &admin, Send::get("/api/v1/policy"), 200).await;
    assert!(read["problem"].as_str().unwrap().contains("roles.json"), "{read}");
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_describes_itself() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let read = ask(&gateway, gateway.token("viewer"), Send::get("/api/v1/openapi.json"), 200).await;
    for row in API.iter().filter(|row| row.path.starts_with("/api")) {
        let operation = &read["paths"][row.path][row.kind.as_str().to_lowercase()];
        assert_eq!(operation["x-cedar-action"], row.action, "{}", row.path);
    }
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        a_setting_is_changed_and_let_go,
        how_long_sessions_last_holds_at_once,
        what_the_operator_pins_stays
    );
}
