//! What can be asked for, and what is shown of it to approvers.

use serde_json::{Value, json};

use super::{APP, COMMIT, Scene, text, wanted};
use crate::api::plain;
use crate::harness::Db;
use crate::sign_in::Send;

mod both {
    crate::on_both!(asking_again_gives_what_is_there, one_commit_of_two_apps_is_two_requests);
}

async fn asking_again_gives_what_is_there(db: Db) {
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    for commit in [COMMIT.to_owned(), COMMIT.to_uppercase()] {
        let same = scene.request(&ci, &json!({ "commit": commit, "message": "Another text" }), 200).await;
        assert_eq!((&same["id"], &same["message"]), (&made["id"], &json!("Fix the basket")));
    }
    // Approved or not.
    scene.approve(scene.gateway.token("admin"), &made, 200).await;
    assert_eq!(scene.request(&ci, &wanted(COMMIT), 200).await["state"], "approved");
    // Another deployer asks for itself, and another commit is another request.
    let (id, another) = scene.token_of(&scene.admin().await, "another").await;
    assert_ne!(scene.request(&another, &wanted(COMMIT), 201).await["id"], made["id"]);
    scene.request(&ci, &wanted(&"f".repeat(40)), 201).await;
    scene.request(&ci, &wanted(&"f".repeat(64)), 201).await;
    // Whoever may not read what is there is told that it is, and no more.
    let body = json!({ "commit": COMMIT, "message": "Mine", "deployer": id });
    let refused = scene.request(scene.gateway.token("deployer"), &body, 409).await;
    assert!(text(&refused["error"]).contains("is about the same"), "{refused}");
    // What has ended is in nobody's way.
    scene.deed(&ci, &made, "revoke", &json!({ "reason": "Superseded" }), 200).await;
    assert_ne!(scene.request(&ci, &wanted(COMMIT), 201).await["id"], made["id"]);
    scene.stop().await;
}

async fn one_commit_of_two_apps_is_two_requests(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, admin) = (scene.gateway.token("cicd").to_owned(), scene.gateway.token("admin").to_owned());
    let create = Send { body: "name=shop".to_owned(), ..plain("POST", "/apps") };
    let create = create.header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(scene.send(&admin, create).await.status(), 200);
    let one = scene.request(&ci, &wanted(COMMIT), 201).await;
    let two = scene.request_of("shop", &ci, &wanted(COMMIT), 201).await;
    assert_ne!(one["id"], two["id"]);
    // An app without a release has nothing to compare.
    assert_eq!((&two["running_release"], &two["parent_release"]), (&Value::Null, &Value::Null));
    assert_eq!(one["running_release"], one["parent_release"]);
    scene.approve(&admin, &two, 200).await;
    assert_eq!(scene.read(&admin, &one, 200).await["state"], "pending");
    let deployer = scene.row(&one).await.deployer;
    for (app, open) in [(APP, 0), ("shop", 1)] {
        assert_eq!(scene.store().approvals_open(app, &deployer, scene.now()).await.unwrap().len(), open, "{app}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_deploy_is_not_asked_for() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let like = |end: &str| format!("{}{end}", &COMMIT[..40 - end.len()]);
    let commits = ["", "%", "_", "0", "HEAD", "main", &COMMIT[..7], &COMMIT[..39], &like("%"), &like("_"), &like("g")];
    for commit in commits {
        let refused = scene.request(&ci, &wanted(commit), 422).await;
        assert!(text(&refused["error"]).contains("a whole one"), "{refused}");
        assert!(!text(&refused["error"]).contains('%'), "{refused}");
    }
    for (name, value) in [
        ("message", json!("")),
        ("branch", json!("a b")),
        ("pr_url", json!("javascript:alert(1)")),
        ("ci", json!("text")),
        ("ci", json!({ "a": "x".repeat(9_000) })),
    ] {
        let mut body = wanted(COMMIT);
        body[name] = value;
        scene.request(&ci, &body, 422).await;
    }
    for body in
        [json!({}), json!({ "commit": COMMIT }), json!({ "commit": COMMIT, "message": "Fix", "state": "approved" })]
    {
        scene.request(&ci, &body, 400).await;
    }
    for app in ["My-App", "..", "a%2Fb"] {
        let target = format!("/api/v1/apps/{app}/deploy-approvals");
        let status = scene.send(&ci, Send::json("POST", &target, &wanted(COMMIT))).await.status();
        assert!([400, 404].contains(&status), "{app}: {status}");
    }
    // An app that the rack does not have, and a rack that does not answer.
    scene.request_of("nowhere", &ci, &wanted(COMMIT), 404).await;
    for token in ["viewer", "ops", "security", "auditor"] {
        scene.request(scene.gateway.token(token), &wanted(COMMIT), 403).await;
    }
    assert!(scene.store().approvals_list(super::lists::all()).await.unwrap().is_empty());
    let Scene { gateway, rack, .. } = scene;
    rack.stop().await;
    let send = Send::json("POST", "/api/v1/apps/myapp/deploy-approvals", &wanted(COMMIT));
    let answer = crate::api::with(&ci, send).to(gateway.addr()).await;
    assert_eq!(answer.status(), 502, "{}", String::from_utf8_lossy(&answer.body));
    assert!(gateway.running.gate.store.approvals_list(super::lists::all()).await.unwrap().is_empty());
    gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_see_which_variables_will_change() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let set =
        Send { body: "env=GREETING%3Dhi%0AADDED%3Dplanted-value".to_owned(), ..plain("POST", "/apps/myapp/releases") };
    let set = set.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = scene.send(scene.gateway.token("admin"), set).await;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    assert_eq!(made["env_changes"], json!(["ADDED", "GREETING", "SECRET_KEY"]));
    assert_ne!(made["running_release"], made["parent_release"]);
    assert_eq!(made["parent_release"], crate::sign_in::json(&answer)["id"]);
    assert!(!made.to_string().contains("planted-value"));
    scene.stop().await;
}
