//! A request from asking to its end.

use serde_json::json;
use time::Duration;
use time::format_description::well_known::Rfc3339;

use super::{APP, COMMIT, Scene, path, text, wanted};
use crate::api::{machine, plain};
use crate::harness::Db;
use crate::sign_in::Send;

mod both {
    crate::on_both!(
        a_request_from_asking_to_its_end,
        nobody_approves_their_own,
        a_quorum_is_of_different_people,
        time_ends_what_nobody_does,
        those_behind_a_request_withdraw_it,
        history_outlives_those_who_made_it,
        nothing_is_granted_while_it_is_switched_off,
    );
}

async fn a_request_from_asking_to_its_end(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, admin) = (scene.gateway.token("cicd").to_owned(), scene.gateway.token("admin").to_owned());
    let body = json!({
        "commit": COMMIT.to_uppercase(), "message": " Fix the basket\n", "branch": "main",
        "pr_url": "https://github.com/acme/shop/pull/7", "ci": { "workflow": "deploy", "run": 7 },
    });
    let made = scene.request(&ci, &body, 201).await;
    assert_eq!((&made["state"], &made["app"], &made["commit"]), (&json!("pending"), &json!(APP), &json!(COMMIT)));
    assert_eq!((&made["message"], &made["branch"]), (&json!("Fix the basket"), &json!("main")));
    assert_eq!(made["ci"], json!({ "workflow": "deploy", "run": 7 }));
    assert_eq!((&made["requester"], &made["requester"]["kind"]), (&made["deployer"], &json!("ApiToken")));
    assert_eq!((&made["approvals"], &made["env_changes"]), (&json!([]), &json!([])));
    // A machine approves nothing, however many agree; for an admin one more is enough.
    assert_eq!(scene.read(&ci, &made, 200).await["needed"], json!(null));
    assert_eq!(scene.read(&admin, &made, 200).await["needed"], 1);
    for (role, status) in [("security", 200), ("auditor", 200), ("deployer", 403), ("viewer", 403)] {
        scene.read(scene.gateway.token(role), &made, status).await;
    }
    // Machines never approve, not even with the role of admins.
    for token in [ci.clone(), machine(&scene.gateway, "admin").await] {
        scene.approve(&token, &made, 403).await;
    }
    scene.extend(&admin, &made, 409).await;
    scene.deed(&admin, &made, "approve", &json!({ "notes": "a\u{7}" }), 422).await;

    let granted = scene.deed(&admin, &made, "approve", &json!({ "notes": "Looks good" }), 200).await;
    assert_eq!((&granted["state"], &granted["approvals"][0]["notes"]), (&json!("approved"), &json!("Looks good")));
    assert_eq!(granted["approvals"][0]["counts"], true);
    let [from, to] = ["approved_at", "expires_at"].map(|name| moment(&granted[name]));
    assert_eq!(to - from, Duration::minutes(15));
    scene.approve(&admin, &made, 409).await;
    for n in 1..=3 {
        let longer = scene.extend(&admin, &made, 200).await;
        assert_eq!(longer["extensions"], n);
        assert_eq!(moment(&longer["expires_at"]) - to, Duration::minutes(15 * n));
    }
    scene.extend(&admin, &made, 403).await;
    for body in [json!({ "reason": " " }), json!({ "reason": "x".repeat(1_001) })] {
        scene.deed(&admin, &made, "reject", &body, 422).await;
    }
    scene.deed(&admin, &made, "reject", &json!({}), 400).await;
    let ended = scene
        .deed(&admin, &made, "reject", &json!({ "reason": "Not on a Friday, password=hunter2hunter2" }), 200)
        .await;
    assert_eq!(
        (&ended["state"], &ended["reason"]),
        (&json!("rejected"), &json!("Not on a Friday, password=hunter2hunter2"))
    );
    assert_eq!(ended["ended_by"]["kind"], "User");
    for deed in ["approve", "reject", "revoke"] {
        let body = if deed == "approve" { json!({}) } else { json!({ "reason": "again" }) };
        scene.deed(&admin, &made, deed, &body, 409).await;
    }
    scene.extend(&admin, &made, 403).await;

    let told = ["deploy-approval.requested", "deploy-approval.approved", "deploy-approval.rejected"];
    assert_eq!(scene.notices(&made).await, told);
    // What changed is on the record, and what people wrote is not.
    let asked = scene.gateway.records_about("deploy-approval:create").await;
    let asked = asked.iter().find(|record| record["kind"] == "admin").unwrap();
    assert_eq!((&asked["detail"]["approval"], &asked["detail"]["commit"]), (&made["id"], &json!(COMMIT)));
    assert_eq!(asked["detail"]["texts_sha256"].as_str().unwrap().len(), 64);
    let granting = scene.gateway.records_about("deploy-approval:grant").await;
    assert_eq!((granting.len(), &granting[0]["reasons"]), (1, &json!(["approvals.grant"])));
    let all = scene.gateway.records().await;
    for said in ["Fix the basket", "Looks good", "workflow", "hunter2"] {
        assert!(all.iter().all(|record| !String::from_utf8_lossy(&record.canon).contains(said)), "{said}");
    }
    // The request of another app is none of this one.
    let other = path(&made).replace(APP, "another");
    scene.ask(&admin, Send::get(&other), 404).await;
    scene.ask(&ci, Send::get(&other), 403).await;
    scene.stop().await;
}

fn moment(value: &serde_json::Value) -> time::OffsetDateTime {
    time::OffsetDateTime::parse(&text(value), &Rfc3339).unwrap()
}

async fn nobody_approves_their_own(db: Db) {
    let scene = Scene::new(&db).await;
    let [one, two, three] = [scene.admin().await, scene.admin().await, scene.admin().await];
    let (ci, secret) = scene.token_of(&one, "ci of one").await;
    let (_, other) = scene.token_of(&two, "ci of two").await;

    // The maker of the token that asks.
    let made = scene.request(&secret, &wanted(COMMIT), 201).await;
    assert_eq!(made["behind"], json!([one.user.id]));
    let refused = scene.approve(&one.token, &made, 403).await;
    assert!(text(&refused["error"]).contains("somebody else must"), "{refused}");
    assert_eq!(scene.read(&one.token, &made, 200).await["needed"], json!(null), "more people do not help them");
    assert_eq!(scene.approve(&two.token, &made, 200).await["state"], "approved");
    scene.extend(&one.token, &made, 403).await;

    // The person who asks, and the maker of the token that shall deploy.
    for named in ["ci of one", ci.as_str()] {
        let commit = if named == ci { "a".repeat(40) } else { "b".repeat(40) };
        let body = json!({ "commit": commit, "message": "Fix", "deployer": named });
        let made = scene.request(&two.token, &body, 201).await;
        assert_eq!(made["deployer"], json!({ "kind": "ApiToken", "id": ci }));
        assert_eq!(made["requester"], json!({ "kind": "User", "id": two.user.id }));
        for behind in [&one, &two] {
            scene.approve(&behind.token, &made, 403).await;
        }
        // The token may follow what it is to deploy; another may not.
        scene.read(&secret, &made, 200).await;
        scene.read(&other, &made, 403).await;
        assert_eq!(scene.approve(&three.token, &made, 200).await["state"], "approved");
    }

    // A token that another one names.
    let body = json!({ "commit": "c".repeat(40), "message": "Fix", "deployer": "ci of two" });
    let made = scene.request(&secret, &body, 201).await;
    let mut behind = [one.user.id.clone(), two.user.id.clone()];
    behind.sort_unstable();
    assert_eq!(made["behind"], json!(behind));
    for behind in [&one, &two] {
        scene.approve(&behind.token, &made, 403).await;
    }

    // A person who deploys.
    let made = scene.request(&three.token, &wanted(&"d".repeat(40)), 201).await;
    assert_eq!(made["deployer"], json!({ "kind": "User", "id": three.user.id }));
    scene.approve(&three.token, &made, 403).await;
    assert_eq!(scene.approve(&one.token, &made, 200).await["state"], "approved");
    for named in ["nobody's", "'; DROP TABLE users", "0192f0c1-2b3c-7def-8123-456789abcdef", "%"] {
        let body = json!({ "commit": "e".repeat(40), "message": "Fix", "deployer": named });
        scene.request(&two.token, &body, 422).await;
    }
    scene.stop().await;
}

async fn a_quorum_is_of_different_people(db: Db) {
    let (scene, _policies) = Scene::with_quorum(&db).await;
    let [one, two, three] = [scene.admin().await, scene.admin().await, scene.admin().await];
    let ci = scene.gateway.token("cicd").to_owned();
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    assert_eq!(scene.read(&one.token, &made, 200).await["needed"], 2);
    let waiting = scene.approve(&one.token, &made, 200).await;
    assert_eq!((&waiting["state"], &waiting["needed"]), (&json!("pending"), &json!(1)));
    // The same person from another session, and once more from the first.
    let second = crate::api::at_the_cli(&scene.gateway, &one.user).await;
    for token in [&second, &one.token] {
        let waiting = scene.approve(token, &made, 200).await;
        assert_eq!((&waiting["state"], &waiting["needed"]), (&json!("pending"), &json!(1)));
        assert_eq!(waiting["approvals"].as_array().unwrap().len(), 1);
    }
    // Whoever was shut out since does not count any more.
    scene.store().user_lock(&one.user.id, "left", "test", scene.now()).await.unwrap();
    let waiting = scene.approve(&two.token, &made, 200).await;
    assert_eq!((&waiting["state"], &waiting["needed"]), (&json!("pending"), &json!(1)));
    assert_eq!(waiting["approvals"].as_array().unwrap().len(), 2, "what was said stays");
    assert_eq!(scene.approve(&three.token, &made, 200).await["state"], "approved");
    assert_eq!(scene.notices(&made).await, ["deploy-approval.requested", "deploy-approval.approved"]);
    scene.stop().await;
}

async fn time_ends_what_nobody_does(db: Db) {
    let scene = Scene::new(&db).await;
    let (_, ci) = scene.token_of(&scene.admin().await, "runner").await;
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    let other = scene.request(&ci, &wanted(&"f".repeat(40)), 201).await;
    scene.pass(Duration::hours(24) - Duration::seconds(30));
    let admin = scene.admin().await.token;
    scene.approve(&admin, &other, 200).await;
    scene.pass(Duration::seconds(31));
    assert_eq!(scene.read(&admin, &made, 200).await["state"], "expired");
    assert_eq!(scene.row(&made).await.state.as_str(), "pending", "nobody has written that down yet");
    let refused = scene.approve(&admin, &made, 409).await;
    assert!(text(&refused["error"]).contains("its time is over"), "{refused}");
    scene.deed(&admin, &made, "revoke", &json!({ "reason": "late" }), 409).await;
    assert_eq!(scene.read(&admin, &other, 200).await["state"], "approved", "a grant has a time of its own");

    // Asking again writes it down, and is not kept from it.
    let again = scene.request(&ci, &wanted(COMMIT), 201).await;
    assert_ne!(again["id"], made["id"]);
    assert_eq!(scene.row(&made).await.state.as_str(), "expired");
    scene.pass(Duration::minutes(16));
    assert_eq!(scene.read(&admin, &other, 200).await["state"], "expired");
    scene.extend(&admin, &other, 409).await;
    scene.pass(Duration::hours(24));

    // The sweep, the gateway's own or this one, writes down the rest: each with a record and one notice.
    let gate = &scene.gateway.running.gate;
    rack_gateway::approval::sweep(&gate.store, &gate.audit, scene.now()).await.unwrap();
    assert_eq!(rack_gateway::approval::sweep(&gate.store, &gate.audit, scene.now()).await.unwrap(), 0);
    let records = scene.gateway.records_about("deploy-approval:expire").await;
    for made in [&made, &other, &again] {
        assert_eq!(scene.row(made).await.state.as_str(), "expired");
        let told = scene.notices(made).await;
        assert_eq!(told.iter().filter(|kind| *kind == "deploy-approval.expired").count(), 1, "{told:?}");
        let name = format!("DeployApproval::{APP}/{}", text(&made["id"]));
        assert!(records.iter().any(|record| record["resource"] == name), "{records:?}");
    }
    scene.stop().await;
}

async fn those_behind_a_request_withdraw_it(db: Db) {
    let scene = Scene::new(&db).await;
    let ci = scene.gateway.token("cicd").to_owned();
    let (_, other) = scene.token_of(&scene.admin().await, "another").await;
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    scene.deed(&other, &made, "revoke", &json!({ "reason": "mine now" }), 403).await;
    scene.deed(&ci, &made, "reject", &json!({ "reason": "no" }), 403).await;
    let ended = scene.deed(&ci, &made, "revoke", &json!({ "reason": "Superseded" }), 200).await;
    assert_eq!((&ended["state"], &ended["ended_by"]), (&json!("revoked"), &made["requester"]));
    // A grant as well: here by an approver.
    let again = scene.request(&ci, &wanted(COMMIT), 201).await;
    assert_ne!(again["id"], made["id"]);
    scene.approve(scene.gateway.token("admin"), &again, 200).await;
    let ended =
        scene.deed(scene.gateway.token("admin"), &again, "revoke", &json!({ "reason": "Wrong one" }), 200).await;
    assert_eq!((&ended["state"], &ended["approvals"][0]["counts"]), (&json!("revoked"), &json!(true)));
    let told = ["deploy-approval.requested", "deploy-approval.approved", "deploy-approval.revoked"];
    assert_eq!(scene.notices(&again).await, told);
    scene.stop().await;
}

async fn history_outlives_those_who_made_it(db: Db) {
    let scene = Scene::new(&db).await;
    let [maker, approver] = [scene.admin().await, scene.admin().await];
    let (id, secret) = scene.token_of(&maker, "gone soon").await;
    let made = scene.request(&secret, &wanted(COMMIT), 201).await;
    scene.approve(&approver.token, &made, 200).await;
    let before = scene.row(&made).await;
    let admin = scene.gateway.token("admin").to_owned();
    scene.ask(&admin, plain("DELETE", &format!("/api/v1/api-tokens/{id}")), 204).await;
    for person in [&maker, &approver] {
        scene.ask(&admin, plain("DELETE", &format!("/api/v1/users/{}", person.user.id)), 204).await;
    }
    db.execute("DELETE FROM credentials WHERE kind = 'api' AND name = 'gone soon'").await;
    assert_eq!(scene.row(&made).await, before);
    let read = scene.read(scene.gateway.token("auditor"), &made, 200).await;
    assert_eq!((&read["behind"], &read["approvals"][0]["user"]), (&json!([maker.user.id]), &json!(approver.user.id)));
    scene.stop().await;
}

async fn nothing_is_granted_while_it_is_switched_off(db: Db) {
    let scene = Scene::new(&db).await;
    let (ci, admin) = (scene.gateway.token("cicd").to_owned(), scene.gateway.token("admin").to_owned());
    let switch = async |to: bool, version: &str| {
        let body = json!({ "value": to });
        let put = Send::json("PUT", "/api/v1/settings/deploy_approvals_enabled", &body);
        scene.ask(&admin, put.header("If-Match", version), 200).await;
    };
    let made = scene.request(&ci, &wanted(COMMIT), 201).await;
    let granted = scene.request(&ci, &wanted(&"f".repeat(40)), 201).await;
    scene.approve(&admin, &granted, 200).await;
    switch(false, "\"v0\"").await;
    for refused in [
        scene.request(&ci, &wanted(&"a".repeat(40)), 409).await,
        scene.request(&ci, &wanted(COMMIT), 409).await,
        scene.approve(&admin, &made, 409).await,
        scene.extend(&admin, &granted, 409).await,
    ] {
        assert!(text(&refused["error"]).contains("switched off"), "{refused}");
    }
    // To look, and to take away, is possible as ever.
    scene.read(&ci, &made, 200).await;
    scene.deed(&admin, &granted, "revoke", &json!({ "reason": "switched off" }), 200).await;
    assert_eq!(scene.row(&made).await.votes.len(), 0);
    switch(true, "\"v1\"").await;
    assert_eq!(scene.approve(&admin, &made, 200).await["state"], "approved");
    scene.stop().await;
}
