//! The environment of a release: variable by variable.

use serde_json::{Value, json};

use super::rack::{ENV, SpeakingRack, release, written};
use super::{ask, row, shown};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway};

const MASK: &str = "********@RABCDEFGHI";

async fn environment(gateway: &Gateway, role: &str) -> String {
    let message = ask(gateway, row("release:read"), role).await;
    assert_eq!(message.status(), 200, "{role}");
    let release: Value = serde_json::from_slice(&message.body).unwrap();
    release["env"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_what_each_may() {
    let masked = format!("API_TOKEN={MASK}\nCACHE={MASK}\nGREETING=hello\nINTERNAL_NAME={MASK}\nLICENCE={MASK}");
    for db in Db::each().await {
        let rack = SpeakingRack::start().await;
        let gateway = Gateway::start(&db, rack.addr).await;
        rack.say(200, written(&release(ENV)));
        for role in ["ops", "deployer"] {
            assert_eq!(environment(&gateway, role).await, masked, "{role}");
        }
        assert_eq!(environment(&gateway, "admin").await, ENV);
        let message = ask(&gateway, row("release:read"), "admin").await;
        let records = shown(&gateway, &message).await;
        let of = |action: &str| {
            let found: Vec<&Value> = records.iter().filter(|record| record["action"] == action).collect();
            assert_eq!(found.len(), 1, "{action}: {records:?}");
            (found[0]["resource"].as_str().unwrap(), found[0]["detail"]["names"].as_str().unwrap())
        };
        assert_eq!(of("secret:read"), ("App::myapp", "API_TOKEN, CACHE, INTERNAL_NAME, LICENCE"));
        assert_eq!(of("app-credential:read"), ("App::myapp", "RABCDEFGHI.manifest"));
        gateway.stop_and_verify().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_app_hides_is_secret_and_so_is_all_when_that_is_not_known() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    rack.say(200, written(&release("GREETING=hello\nINTERNAL_NAME=x")));
    let plain = "GREETING=hello\nINTERNAL_NAME=x".to_owned();
    let one = format!("GREETING={MASK}\nINTERNAL_NAME=x");
    let all = format!("GREETING={MASK}\nINTERNAL_NAME={MASK}");
    let cases: [(u16, String, &str); 7] = [
        (404, "app config not found: cli-env-mask\n".to_owned(), &plain),
        (200, json!({"name": "cli-env-mask", "value": ""}).to_string(), &plain),
        (200, json!({"name": "cli-env-mask", "value": "OTHER,GREETING"}).to_string(), &one),
        (500, "oops\n".to_owned(), &all),
        (403, "no\n".to_owned(), &all),
        (200, "not json".to_owned(), &all),
        (200, json!({"name": "cli-env-mask", "value": 5}).to_string(), &all),
    ];
    for (status, said, expected) in cases {
        rack.say_mask(status, said.clone());
        assert_eq!(environment(&gateway, "ops").await, expected, "{status} {said}");
    }
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_a_factor_for_what_is_masked() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let policies = Policies::copy();
    // As with a second factor that is too old: the permit is there, and something else would help.
    let forbid = "@id(\"test.recent\")\n@why(\"a recent factor\")\n@challenge(\"mfa\")\n\
                  forbid (principal, action in Action::\"secret-read\", resource)\n\
                  unless { context.mfa.age_s >= 0 && context.mfa.age_s <= 600 };\n";
    policies.write("policies/test.cedar", forbid);
    policies.write("policies/tests/roles.json", "[]");
    let gateway =
        Gateway::start_with(&db, rack.addr, Some(policies.dir()), rack_gateway::upstream::Limits::default()).await;
    rack.say(200, written(&release("GREETING=hello\nAPI_TOKEN=planted-env-3kX9")));
    let message = ask(&gateway, row("release:read"), "admin").await;
    assert_eq!(message.status(), 200);
    let release: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(release["env"], format!("API_TOKEN={MASK}\nGREETING=hello"));
    assert_eq!(shown(&gateway, &message).await, Vec::<Value>::new());
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_names_are_recorded_whole() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let names: Vec<String> = (0..1_000).map(|n| format!("SERVICE_{n:04}_TOKEN")).collect();
    let env: Vec<String> = names.iter().map(|name| format!("{name}=x")).collect();
    rack.say(200, written(&release(&env.join("\n"))));
    let message = ask(&gateway, row("release:read"), "admin").await;
    assert_eq!(message.status(), 200);
    let mut recorded: Vec<String> = Vec::new();
    for record in shown(&gateway, &message).await.iter().filter(|record| record["action"] == "secret:read") {
        for text in record["detail"].as_object().unwrap().values() {
            recorded.extend(text.as_str().unwrap().split(", ").map(str::to_owned));
        }
    }
    recorded.sort();
    assert_eq!(recorded, names);
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_no_text_is_not_passed_on() {
    let db = Db::sqlite().await;
    let rack = SpeakingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let long = format!("A={}", "x".repeat(70 << 10));
    for env in [json!(5), json!(["API_TOKEN=planted-env-3kX9"]), json!({"API_TOKEN": "planted-env-3kX9"}), json!(long)]
    {
        rack.say(200, written(&json!({"id": "RABCDEFGHI", "env": env})));
        let message = ask(&gateway, row("release:read"), "ops").await;
        assert_eq!(message.status(), 502, "{message:?}");
        assert!(!String::from_utf8_lossy(&message.body).contains("planted"));
    }
    gateway.stop_and_verify().await;
}
