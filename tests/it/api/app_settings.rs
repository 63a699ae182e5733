//! Settings of one app: who may change them, what is taken, what is pinned, and what the code reads then.

use std::collections::BTreeMap;

use rack_gateway::config::{AppSettings, Catalog};
use rack_gateway::http::Launch;
use rack_gateway::store::{SettingRow, StoreError};
use serde_json::{Value, json};

use super::{ask, machine, plain, silent, with};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::Send;

const SHOP: &str = "/api/v1/apps/shop/settings";

async fn one(gateway: &Gateway, app: &str, name: &str) -> Value {
    let all = ask(gateway, gateway.token("auditor"), Send::get(&format!("/api/v1/apps/{app}/settings")), 200).await;
    let items = all["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap().clone()
}

fn put<'a>(target: &'a str, value: &Value, version: u64) -> Send<'a> {
    Send::json("PUT", target, &json!({ "value": value })).header("If-Match", format!("\"v{version}\""))
}

async fn a_setting_of_an_app_is_changed_and_let_go(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let gate = &gateway.running.gate;
    let target = format!("{SHOP}/deploy_commands");
    let before = one(&gateway, "shop", "deploy_commands").await;
    let expected = json!({
        "value": [], "default": [], "origin": "default", "etag": "\"v0\"", "type": "commands",
        "variable": "RGW_APP_SHOP_SETTING_DEPLOY_COMMANDS", "updated_at": null, "updated_by": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&before[name], value, "{name}");
    }
    let commands = json!(["bin/rails db:migrate", "bin/seed  --all"]);
    ask(&gateway, &admin, put(&target, &commands, 1), 412).await;
    let changed = ask(&gateway, &admin, put(&target, &commands, 0), 200).await;
    assert_eq!(
        (&changed["value"], &changed["origin"], &changed["etag"]),
        (&commands, &json!("database"), &json!("\"v1\""))
    );
    assert_eq!(gate.app_settings("shop").await.unwrap().deploy_commands, ["bin/rails db:migrate", "bin/seed  --all"]);
    // It holds for no other app, whatever its name looks like.
    for other in ["shop-2", "sho", "shop_", "SHOP", "%", "shop%", "_hop", ""] {
        assert_eq!(gate.app_settings(other).await.unwrap(), AppSettings::default(), "{other}");
    }
    let change = gateway.records_about("app-setting:update").await;
    let detail: Vec<&Value> =
        change.iter().filter(|record| record["kind"] == "admin").map(|one| &one["detail"]).collect();
    let recorded = json!({ "app": "shop", "setting": "deploy_commands", "from": "[]", "to": commands.to_string() });
    assert_eq!(detail, [&recorded]);
    assert_eq!(change[0]["resource"], "AppSetting::shop/deploy_commands");
    // Somebody was faster.
    ask(&gateway, &admin, put(&target, &json!(["other"]), 0), 412).await;
    ask(&gateway, &admin, plain("DELETE", &target).header("If-Match", "\"v0\""), 412).await;
    ask(&gateway, &admin, put(&target, &json!(["other"]), 1), 200).await;
    ask(&gateway, &admin, plain("DELETE", &target), 428).await;
    ask(&gateway, &admin, plain("DELETE", &target).header("If-Match", "\"v2\""), 204).await;
    ask(&gateway, &admin, plain("DELETE", &target).header("If-Match", "\"v0\""), 204).await;
    assert_eq!(one(&gateway, "shop", "deploy_commands").await["origin"], "default");
    assert_eq!(gate.app_settings("shop").await.unwrap(), AppSettings::default());
    // What a record cannot hold whole is told by its digest.
    let long = json!(["x".repeat(4000)]);
    ask(&gateway, &admin, put(&target, &long, 0), 200).await;
    let change = gateway.records_about("app-setting:update").await;
    let last = change.iter().rfind(|record| record["kind"] == "admin").unwrap();
    assert_eq!(last["detail"]["to_sha256"], hex::encode(<sha2::Sha256 as sha2::Digest>::digest(long.to_string())));
    assert_eq!(rack.take(), 0);
    gateway.stop_and_verify().await;
}

/// Nothing that is refused is stored, and the text says what would be taken.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_value_is_refused_when_it_is_written() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let admin = gateway.token("admin").to_owned();
    let many: Vec<String> = (0..201).map(|n| format!("A{n}")).collect();
    let cases: &[(&str, Value, &str)] = &[
        ("deploy_commands", json!("bin/migrate"), "list"),
        ("deploy_commands", json!([""]), "list"),
        ("deploy_commands", json!([" bin/migrate"]), "without spaces"),
        ("deploy_commands", json!(["bin/migrate\n"]), "one line"),
        ("deploy_commands", json!(["bin/migrate\u{0}rm"]), "one line"),
        ("deploy_commands", json!([1]), "list"),
        ("deploy_commands", json!(["x".repeat(4097)]), "list"),
        ("deploy_commands", json!(null), "list"),
        ("protected_env_vars", json!(["A*"]), "names of variables"),
        ("protected_env_vars", json!(["A B"]), "names of variables"),
        ("protected_env_vars", json!(["A=B"]), "names of variables"),
        ("protected_env_vars", json!({ "A": 1 }), "names of variables"),
        ("secret_env_vars", json!([""]), "names of variables"),
        ("secret_env_vars", json!(["ÄRGER"]), "names of variables"),
        ("secret_env_vars", json!(many), "at most 200"),
        ("service_image_patterns", json!({ "web": "(" }), "web: the regular expression does not compile"),
        ("service_image_patterns", json!({ "web": "a)|(b" }), "web: the regular expression does not compile"),
        ("service_image_patterns", json!({ "web": "(?x)a #" }), "web: the regular expression does not compile"),
        ("service_image_patterns", json!({ "web": "(a{1000}){1000}" }), "web: the regular expression does not compile"),
        ("service_image_patterns", json!({ "web": "{{GIT_COMIT}}" }), "web: the regular expression does not compile"),
        ("service_image_patterns", json!({ "web": "" }), "1 to 1000 bytes"),
        ("service_image_patterns", json!({ "web": ["a"] }), "1 to 1000 bytes"),
        ("service_image_patterns", json!({ "We b": "a" }), "no name of a service"),
        ("service_image_patterns", json!(["a"]), "object"),
    ];
    for (name, value, says) in cases {
        let target = format!("{SHOP}/{name}");
        let problem = ask(&gateway, &admin, put(&target, value, 0), 422).await;
        let text = problem["error"].as_str().unwrap();
        assert!(text.contains(says) && !text.contains('%'), "{name} {value}: {text}");
    }
    for (target, status) in [
        ("/api/v1/apps/shop/settings/allow_destructive_actions", 404),
        ("/api/v1/apps/shop/settings/unknown", 404),
        ("/api/v1/apps/Shop/settings/deploy_commands", 404),
        ("/api/v1/apps/my_shop/settings/deploy_commands", 404),
        ("/api/v1/settings/deploy_commands", 404),
    ] {
        ask(&gateway, &admin, put(target, &json!([]), 0), status).await;
    }
    assert_eq!(gateway.running.gate.store.app_setting_list("shop").await.unwrap(), []);
    let good = json!({ "web": r"registry\.example\.com/shop:{{GIT_COMMIT}}", "*": "^redis:7$|postgres:16" });
    ask(&gateway, &admin, put(&format!("{SHOP}/service_image_patterns"), &good, 0), 200).await;
    let read = gateway.running.gate.app_settings("shop").await.unwrap().service_image_patterns;
    assert_eq!(json!(read), good);
    gateway.stop_and_verify().await;
}

async fn the_operator_pins_one_app(db: Db) {
    let rack = CountingRack::start().await;
    let env = [
        ("RGW_APP_MY_SHOP_SETTING_PROTECTED_ENV_VARS", "LICENSE_KEY, ROOT_CA"),
        ("RGW_APP_MY_SHOP_SETTING_DEPLOY_COMMANDS", r#"["bin/migrate"]"#),
        ("RGW_SETTING_SECRET_ENV_VARS", "PIN_*"),
    ];
    let env: BTreeMap<String, String> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let catalog = Catalog::from_env(&env).unwrap();
    let gateway = Gateway::of(launch_with(&db, rack.addr, |launch| Launch { catalog, ..launch }).await).await;
    let admin = gateway.token("admin").to_owned();
    let pinned = one(&gateway, "my-shop", "protected_env_vars").await;
    assert_eq!((&pinned["value"], &pinned["origin"]), (&json!(["LICENSE_KEY", "ROOT_CA"]), &json!("environment")));
    let target = "/api/v1/apps/my-shop/settings/protected_env_vars";
    let problem = ask(&gateway, &admin, put(target, &json!([]), 0), 409).await;
    assert!(problem["error"].as_str().unwrap().contains("RGW_APP_MY_SHOP_SETTING_PROTECTED_ENV_VARS"), "{problem}");
    ask(&gateway, &admin, plain("DELETE", target).header("If-Match", "\"v0\""), 409).await;
    // Another app is free, and what is secret everywhere is secret there too.
    let secrets = "/api/v1/apps/myshop/settings/secret_env_vars";
    ask(&gateway, &admin, put(secrets, &json!(["LICENSE"]), 0), 200).await;
    let gate = &gateway.running.gate;
    let expected =
        AppSettings { secret_env_vars: vec!["LICENSE".to_owned(), "PIN_*".to_owned()], ..AppSettings::default() };
    assert_eq!(gate.app_settings("myshop").await.unwrap(), expected);
    let expected = AppSettings {
        deploy_commands: vec!["bin/migrate".to_owned()],
        protected_env_vars: vec!["LICENSE_KEY".to_owned(), "ROOT_CA".to_owned()],
        secret_env_vars: vec!["PIN_*".to_owned()],
        ..AppSettings::default()
    };
    assert_eq!(gate.app_settings("my-shop").await.unwrap(), expected);
    gateway.stop_and_verify().await;
}

/// A value that somebody wrote past the API is no default.
async fn what_cannot_be_read_is_an_error(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let gate = &gateway.running.gate;
    for (name, value) in [
        ("deploy_commands", r#""bin/migrate""#),
        ("protected_env_vars", "{}"),
        ("protected_env_vars", "no json"),
        ("service_image_patterns", r#"{"web": "("}"#),
        ("secret_env_vars", "null"),
    ] {
        let columns = "app, name, value, version, updated_at, updated_by";
        let row = format!("'shop', '{name}', '{value}', 1, '2026-01-01T00:00:00Z', 'mallory'");
        db.execute(&format!("INSERT INTO app_settings ({columns}) VALUES ({row})")).await;
        let read = gate.app_settings("shop").await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{name} {value}: {read:?}");
        assert!(gate.app_settings("other").await.is_ok());
        db.execute("DELETE FROM app_settings").await;
    }
    for (name, value) in [("deploy_approval_window_minutes", "0"), ("deploy_approvals_enabled", "\"true\"")] {
        let columns = "name, value, version, updated_at, updated_by";
        let row = format!("'{name}', '{value}', 1, '2026-01-01T00:00:00Z', 'mallory'");
        db.execute(&format!("INSERT INTO settings ({columns}) VALUES ({row})")).await;
        assert!(matches!(gate.deploy_settings().await, Err(StoreError::Corrupt(_))), "{name} {value}");
        db.execute("DELETE FROM settings").await;
    }
    assert!(gate.deploy_settings().await.unwrap().enabled);
    gateway.stop_and_verify().await;
}

/// A token for one app asks about that one only; no machine changes anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_held_to_its_apps() {
    let db = Db::sqlite().await;
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let made = json!({ "name": "watcher", "roles": ["auditor"], "expires_in_days": 1, "apps": ["shop"] });
    let made = ask(&gateway, gateway.token("admin"), Send::json("POST", "/api/v1/api-tokens", &made), 201).await;
    let token = made["token"].as_str().unwrap();
    ask(&gateway, token, Send::get(SHOP), 200).await;
    for other in ["/api/v1/apps/scratch/settings", "/api/v1/settings"] {
        let refused = ask(&gateway, token, Send::get(other), 403).await;
        assert!(refused["error"].as_str().unwrap().contains("other apps"), "{refused}");
    }
    let admin = machine(&gateway, "admin").await;
    let target = format!("{SHOP}/deploy_commands");
    let refused = ask(&gateway, &admin, put(&target, &json!(["bin/migrate"]), 0), 403).await;
    assert!(refused["error"].as_str().unwrap().contains("machines do not administer"), "{refused}");
    drop(silent(&gateway));
    let stranger = put(&target, &json!([]), 0).to(gateway.addr()).await;
    assert_eq!(stranger.status(), 401);
    let viewer = with(gateway.token("viewer"), Send::get(SHOP)).to(gateway.addr()).await;
    assert_eq!(viewer.status(), 403);
    gateway.stop_and_verify().await;
}

/// Of a thousand apps each has its own, and of many who change one at once, one is first.
async fn a_thousand_apps(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let store = gateway.running.gate.store.clone();
    let now = gateway.running.gate.clock.now();
    let row = |n: usize| SettingRow {
        name: "secret_env_vars".to_owned(),
        value: json!([format!("OWN_{n}")]),
        version: 0,
        updated_at: now,
        updated_by: "test".to_owned(),
    };
    for n in 0..1000 {
        store.app_setting_put(&format!("app-{n}"), row(n), 0).await.unwrap();
    }
    for n in [0, 1, 10, 999] {
        let read = gateway.running.gate.app_settings(&format!("app-{n}")).await.unwrap();
        assert_eq!(read.secret_env_vars, [format!("OWN_{n}")]);
    }
    assert_eq!(one(&gateway, "app-500", "secret_env_vars").await["value"], json!(["OWN_500"]));
    let race = (0..8).map(|n| {
        let (store, row) = (store.clone(), row(n));
        tokio::spawn(async move { store.app_setting_put("app-7", row, 1).await })
    });
    let mut won = 0;
    for tried in race {
        match tried.await.unwrap() {
            Ok(row) => {
                assert_eq!(row.version, 2);
                won += 1;
            }
            Err(error) => assert_eq!(error, StoreError::Stale),
        }
    }
    assert_eq!(won, 1);
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        a_setting_of_an_app_is_changed_and_let_go,
        the_operator_pins_one_app,
        what_cannot_be_read_is_an_error,
        a_thousand_apps
    );
}
