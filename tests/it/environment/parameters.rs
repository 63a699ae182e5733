//! `PUT /system` and `PUT /apps/{app}`: what changes is on the record, and others hear of it.

use rack_gateway::store::MessageRow;
use serde_json::{Value, json};

use super::{World, parsed, text};
use crate::harness::Db;
use crate::sign_in::Send;

async fn notices(world: &World) -> Vec<MessageRow> {
    world.gateway.running.gate.store.outbox_page(None, None, 100).await.unwrap()
}

/// The form that the rack got last.
fn received(world: &World, target: &str) -> String {
    let all = world.rack.state.received();
    let last = all.iter().rev().find(|one| one.method == "PUT" && one.target().starts_with(target)).unwrap();
    String::from_utf8(last.body.first.to_vec()).unwrap()
}

async fn parameters_of_the_rack_are_told(db: Db) {
    let world = World::start(&db).await;
    // The bytes of `convox rack params set idle_timeout=120`.
    let sent = "parameters=idle_timeout%3D120";
    let put = |body: &str| Send {
        method: "PUT",
        target: "/system?",
        headers: vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())],
        body: body.to_owned(),
    };
    let refused = world.send("deployer", put(sent)).await;
    assert_eq!(refused.status(), 403, "{}", text(&refused));
    assert_eq!(notices(&world).await.len(), 0);
    let answer = world.send("admin", put(sent)).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    assert_eq!(text(&answer), "ok\n");
    assert_eq!(received(&world, "/system"), sent);
    let record = world.record(&answer).await;
    assert_eq!(record["detail"], json!({ "parameters": r#"idle_timeout: "3600" to "120""# }));
    let [notice] = &notices(&world).await[..] else { panic!("one notice") };
    assert_eq!(notice.kind, "rack.parameters-changed");
    assert_eq!(notice.data["changes"], json!([{ "name": "idle_timeout", "from": "3600", "to": "120" }]));
    assert_eq!((&notice.data["outcome"], &notice.data["more"]), (&json!("done"), &json!(0)));
    assert_eq!(notice.data["request_id"], answer.header("rack-gateway-request-id").unwrap());
    assert_eq!(notice.data["actor"]["type"], "User");
    assert!(!notice.data.to_string().contains("example.com"), "no address of a person: {}", notice.data);
    // Nothing changes: nothing to tell.
    let again = world.send("admin", put(sent)).await;
    assert_eq!(again.status(), 200);
    assert_eq!(world.record(&again).await["detail"].get("parameters"), None);
    assert_eq!(notices(&world).await.len(), 1);
    world.end(&[]).await;
}

async fn sensitive_parameters_are_masked_and_masks_are_kept(db: Db) {
    let world = World::start(&db).await;
    let set = async |pairs: &[(&str, &str)]| {
        let map = rack_gateway::routes::Form {
            pairs: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        world.form("admin", "PUT", "/system?", &[("parameters", &map.encode())]).await
    };
    let first = set(&[("docker_hub_password", "fresh-s3cr3t"), ("tags", "a=b&c%=d e")]).await;
    assert_eq!(first.status(), 200, "{}", text(&first));
    let detail = &world.record(&first).await["detail"]["parameters"];
    assert_eq!(detail, r#"docker_hub_password: "********", tags: "a=b&c%=d e""#);
    let second = set(&[("docker_hub_password", "newer-s3cr3t")]).await;
    let detail = &world.record(&second).await["detail"]["parameters"];
    assert_eq!(detail, r#"docker_hub_password: "********" to "********""#, "that it changes is told");
    // A mask that comes back is no value; the rack keeps what it is not told.
    let third = set(&[("docker_hub_password", "********"), ("idle_timeout", "60"), ("other", "****")]).await;
    assert_eq!(third.status(), 200, "{}", text(&third));
    assert_eq!(received(&world, "/system"), "parameters=idle_timeout%3D60");
    let told = notices(&world).await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|notice| !notice.data.to_string().contains("s3cr3t")), "{told:?}");
    for (form, slug) in [
        ("a=1&a=2", "form-duplicate-key"),
        ("a=%zz", "form-escape"),
        ("a=1;b=2", "form-semicolon"),
        ("=1", "form-empty-key"),
    ] {
        let answer = world.form("admin", "PUT", "/system?", &[("parameters", form)]).await;
        assert_eq!(answer.status(), 400, "{form}: {}", text(&answer));
        assert_eq!(parsed(&answer)["type"], format!("/problems/{slug}"), "{form}");
    }
    world.end(&["fresh-s3cr3t", "newer-s3cr3t"]).await;
}

async fn an_app_and_the_size_of_the_rack_are_told_as_well(db: Db) {
    let world = World::start(&db).await;
    let app = world.form("deployer", "PUT", "/apps/myapp?", &[("parameters", "BuildCpu=600")]).await;
    assert_eq!(app.status(), 200, "{}", text(&app));
    assert_eq!(world.record(&app).await["detail"], json!({ "parameters": r#"BuildCpu: "500" to "600""# }));
    let lock = world.form("deployer", "PUT", "/apps/myapp?", &[("lock", "true")]).await;
    assert_eq!(world.record(&lock).await["detail"]["parameters"], r#"locked: "false" to "true""#);
    let scale = world.form("admin", "PUT", "/system?", &[("count", "5"), ("type", "t3.medium")]).await;
    assert_eq!(world.record(&scale).await["detail"]["parameters"], r#"count: "2" to "5""#);
    let kinds: Vec<(String, Value)> =
        notices(&world).await.into_iter().rev().map(|notice| (notice.kind, notice.data["app"].clone())).collect();
    let of = |kind: &str, app: Value| (kind.to_owned(), app);
    assert_eq!(
        kinds,
        [
            of("app.parameters-changed", json!("myapp")),
            of("app.parameters-changed", json!("myapp")),
            of("rack.parameters-changed", Value::Null),
        ]
    );
    let missing = world.form("admin", "PUT", "/apps/nothing?", &[("parameters", "A=1")]).await;
    assert_eq!(missing.status(), 404, "{}", text(&missing));
    world.end(&[]).await;
}

mod both {
    crate::on_both!(
        parameters_of_the_rack_are_told,
        sensitive_parameters_are_masked_and_masks_are_kept,
        an_app_and_the_size_of_the_rack_are_told_as_well,
    );
}
