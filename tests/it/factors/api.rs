//! Enrolling and removing second factors, by the API.

use std::collections::BTreeSet;

use rack_gateway::store::{Needs, Way};
use serde_json::{Value, json};
use time::Duration;

use super::person::Scene;
use crate::api::{ask, at_the_browser, from_page, plain, with};
use crate::harness::authenticator::totp;
use crate::harness::{Db, parse_record};
use crate::sign_in::Send;

async fn an_app_is_enrolled_and_counts(db: Db) {
    let scene = Scene::new(&db).await;
    let store = &scene.gateway.running.gate.store;
    let person = scene.person("viewer").await;
    let factors = person.at("/factors");
    let empty = json!({ "items": [], "backup_codes": { "unused": 0, "total": 0 }, "preferred": null });
    assert_eq!(person.ask(&scene, Send::get(&factors), 200).await, empty);
    let wanted = json!({ "kind": "totp", "name": " Phone " });
    let answer = from_page(&person.browser, scene.gateway.addr(), Send::json("POST", &factors, &wanted)).await;
    let request = answer.header("rack-gateway-request-id").unwrap().to_owned();
    let begun = crate::sign_in::json(&answer);
    let (id, secret) = (begun["id"].as_str().unwrap(), begun["secret"].as_str().unwrap().to_owned());
    assert!(begun["uri"].as_str().unwrap().starts_with("otpauth://totp/") && begun["qr_svg"].as_str().is_some());
    let kinds: Vec<_> = scene.gateway.records_until(&request, 3).await;
    assert_eq!(kinds[1]["detail"]["kind"], "totp");
    assert_eq!(
        (&kinds[0]["kind"], &kinds[1]["kind"], &kinds[2]["kind"]),
        (&json!("intent"), &json!("admin"), &json!("outcome"))
    );
    // It is none yet.
    assert_eq!(person.ask(&scene, Send::get(&factors), 200).await, empty);
    let confirm = person.at(&format!("/factors/{id}/confirm"));
    let wrong = json!({ "code": totp(&secret, scene.now() - Duration::hours(1)) });
    let problem = person.ask(&scene, Send::json("POST", &confirm, &wrong), 403).await;
    assert_eq!(problem["type"], "/problems/factor-rejected");
    assert!(!scene.session(person.token()).await.factor_strong);
    assert_eq!(scene.session(person.token()).await.factor_at, None);
    let right = json!({ "code": totp(&secret, scene.now()) });
    // In this session alone.
    let elsewhere = at_the_browser(&scene.gateway, &person.user).await;
    scene.ask(&elsewhere, Send::json("POST", &confirm, &right), 410).await;
    let made = person.ask(&scene, Send::json("POST", &confirm, &right), 200).await;
    assert_eq!((&made["id"], &made["kind"], &made["name"]), (&json!(id), &json!("totp"), &json!("Phone")));
    let session = scene.session(person.token()).await;
    assert_eq!((session.factor_at, session.factor_method.as_deref()), (Some(scene.now()), Some("totp")));
    assert_eq!(scene.session(elsewhere.session().unwrap()).await.factor_at, None);
    assert!(store.user_find(&person.user.id).await.unwrap().unwrap().enrolled_at.is_some());
    assert_eq!(scene.told(&person).await, ["factor-added"]);
    // Once, and neither of what was shown is shown again.
    person.ask(&scene, Send::json("POST", &confirm, &right), 410).await;
    let list = person.ask(&scene, Send::get(&factors), 200).await;
    assert_eq!(list["items"], json!([made]));
    let page = person.get(&scene, "/app/factors").await;
    assert!(page.status() == 200 && !String::from_utf8_lossy(&page.body).contains(&secret));
    let records: Vec<Value> = scene.gateway.records().await.iter().map(parse_record).collect();
    let records = serde_json::to_string(&records).unwrap();
    assert!(!records.contains(&secret) && !records.contains("otpauth"), "a secret is on the record");
    // An administrator sees what there is.
    let admin = scene.gateway.token("admin");
    assert_eq!(ask(&scene.gateway, admin, Send::get(&factors), 200).await, list);
    scene.gateway.stop_and_verify().await;
}

async fn a_passkey_is_enrolled_and_is_strong(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    let id = person.enrol_passkey(&scene, "Laptop").await;
    let session = scene.session(person.token()).await;
    assert_eq!((session.factor_method.as_deref(), session.factor_strong), (Some("webauthn"), true));
    let list = person.ask(&scene, Send::get(&person.at("/factors")), 200).await;
    assert_eq!((&list["items"][0]["id"], &list["items"][0]["kind"]), (&json!(id), &json!("webauthn")));
    scene.gateway.stop_and_verify().await;
}

async fn what_cannot_be_enrolled_is_not(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    let factors = person.at("/factors");
    let long = "x".repeat(61);
    for (body, status) in [
        (json!({ "kind": "totp" }), 400),
        (json!({ "kind": "totp", "name": 1 }), 400),
        (json!({ "kind": "totp", "name": "a", "user": "b" }), 400),
        (json!({ "kind": "totp", "name": "" }), 422),
        (json!({ "kind": "totp", "name": "  " }), 422),
        (json!({ "kind": "totp", "name": long }), 422),
        (json!({ "kind": "totp", "name": "a\nb" }), 422),
        (json!({ "kind": "totp", "name": "a\u{0}b" }), 422),
        (json!({ "kind": "totp", "name": "a", "otp": "b" }), 422),
        (json!({ "kind": "backup", "name": "a" }), 422),
        (json!({ "kind": "sms", "name": "a" }), 422),
        (json!({ "kind": "yubico", "name": "a" }), 422),
        // The operator has not set it up.
        (json!({ "kind": "yubico", "name": "a", "otp": "c".repeat(44) }), 422),
    ] {
        let problem = person.ask(&scene, Send::json("POST", &factors, &body), status).await;
        assert!(problem["error"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    let begun = person.ask(&scene, Send::json("POST", &factors, &json!({ "kind": "totp", "name": "a" })), 201).await;
    let confirm = person.at(&format!("/factors/{}/confirm", begun["id"].as_str().unwrap()));
    let code = totp(begun["secret"].as_str().unwrap(), scene.now());
    for body in [json!({}), json!({ "code": code, "credential": {} })] {
        person.ask(&scene, Send::json("POST", &confirm, &body), 422).await;
    }
    person.ask(&scene, Send::json("POST", &confirm, &json!({ "credential": { "id": "x" } })), 403).await;
    // Somebody else cannot finish it, not even under the same id.
    let other = scene.person("viewer").await;
    let theirs = other.at(&format!("/factors/{}/confirm", begun["id"].as_str().unwrap()));
    other.ask(&scene, Send::json("POST", &theirs, &json!({ "code": code })), 410).await;
    scene.pass(Duration::minutes(11));
    let late = json!({ "code": totp(begun["secret"].as_str().unwrap(), scene.now()) });
    person.ask(&scene, Send::json("POST", &confirm, &late), 410).await;
    // Nobody enrols for somebody else, and machines and command lines do not at all.
    let admin = scene.person("admin").await;
    let wanted = json!({ "kind": "totp", "name": "a" });
    admin.ask(&scene, Send::json("POST", &factors, &wanted), 403).await;
    for token in [person.cli(&scene).await, scene.gateway.token("cicd").to_owned()] {
        ask(&scene.gateway, &token, Send::json("POST", &factors, &wanted), 403).await;
    }
    person.enrol_app(&scene, "Phone").await;
    assert_eq!(person.ask(&scene, Send::get(&factors), 200).await["items"].as_array().unwrap().len(), 1);
    scene.gateway.stop_and_verify().await;
}

async fn factors_are_renamed_preferred_and_removed(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    let (app, key) = (person.enrol_app(&scene, "Phone").await, person.enrol_passkey(&scene, "Laptop").await);
    let at = |id: &str| person.at(&format!("/factors/{id}"));
    let renamed = person.ask(&scene, Send::json("PUT", &at(&app), &json!({ "name": "Tablet" })), 200).await;
    assert_eq!(renamed["name"], "Tablet");
    person.ask(&scene, Send::json("PUT", &at(&app), &json!({ "name": "" })), 422).await;
    let prefer = person.at("/preferred-factor");
    for (method, status) in [("webauthn", 204), ("totp", 204), ("yubico", 422), ("backup", 422), ("x", 422)] {
        person.ask(&scene, Send::json("PUT", &prefer, &json!({ "method": method })), status).await;
    }
    let list = person.ask(&scene, Send::get(&person.at("/factors")), 200).await;
    assert_eq!((&list["preferred"], &list["items"][0]["name"]), (&json!("totp"), &json!("Tablet")));
    // Somebody else's are as those that do not exist.
    let other = scene.person("viewer").await;
    let unknown = uuid::Uuid::now_v7().to_string();
    for id in [&app, &unknown] {
        let theirs = other.at(&format!("/factors/{id}"));
        let of_rename = other.ask(&scene, Send::json("PUT", &theirs, &json!({ "name": "Mine" })), 404).await;
        let of_delete = other.ask(&scene, plain("DELETE", &theirs), 404).await;
        assert_eq!(
            (&of_rename["error"], &of_delete["error"]),
            (&json!("there is no such factor"), &json!("there is no such factor"))
        );
    }
    other.ask(&scene, plain("DELETE", &at(&app)), 403).await;
    person.ask(&scene, plain("DELETE", &at(&key)), 204).await;
    person.ask(&scene, plain("DELETE", &at(&key)), 404).await;
    let problem = person.ask(&scene, plain("DELETE", &at(&app)), 409).await;
    assert!(problem["error"].as_str().unwrap().ends_with("add another first"), "{problem}");
    assert_eq!(scene.told(&person).await, ["factor-removed", "factor-added", "factor-added"]);
    // Where nobody needs one, the last one may go, and what belongs to it.
    person.ask(&scene, plain("POST", &person.at("/backup-codes")), 201).await;
    let setting = Send::json("PUT", "/api/v1/settings/mfa_require_all_users", &json!({ "value": false }));
    ask(&scene.gateway, scene.gateway.token("admin"), setting.header("If-Match", "\"v0\""), 200).await;
    person.ask(&scene, plain("DELETE", &at(&app)), 204).await;
    let list = person.ask(&scene, Send::get(&person.at("/factors")), 200).await;
    assert_eq!(list, json!({ "items": [], "backup_codes": { "unused": 0, "total": 0 }, "preferred": null }));
    let user = scene.gateway.running.gate.store.user_find(&person.user.id).await.unwrap().unwrap();
    assert_eq!(user.enrolled_at, None);
    scene.gateway.stop_and_verify().await;
}

async fn backup_codes_are_shown_once(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    let target = person.at("/backup-codes");
    person.ask(&scene, plain("POST", &target), 409).await;
    person.enrol_app(&scene, "Phone").await;
    let made = person.ask(&scene, plain("POST", &target), 201).await;
    let codes: BTreeSet<String> =
        made["codes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 19 && code.split('-').all(|part| part.len() == 4)), "{codes:?}");
    let left = async || person.ask(&scene, Send::get(&person.at("/factors")), 200).await["backup_codes"].clone();
    assert_eq!(left().await, json!({ "unused": 10, "total": 10 }));
    let mut codes = codes.into_iter();
    let (first, second) = (codes.next().unwrap(), codes.next().unwrap());
    let shows = |code: &str| json!({ "method": "backup", "code": code });
    for (code, status) in [(&first, 200), (&first, 403)] {
        let challenge = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
        person.answer_with(&scene, &challenge, &shows(code), status).await;
    }
    assert_eq!(left().await, json!({ "unused": 9, "total": 10 }));
    person.ask(&scene, plain("POST", &target), 201).await;
    assert_eq!(left().await, json!({ "unused": 10, "total": 10 }));
    let challenge = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    person.answer_with(&scene, &challenge, &shows(&second), 403).await;
    let records: Vec<Value> = scene.gateway.records().await.iter().map(parse_record).collect();
    let records = serde_json::to_string(&records).unwrap();
    assert!(!records.contains(&first) && !records.contains(&second), "a code is on the record");
    scene.gateway.stop_and_verify().await;
}

/// Whoever has lost everything begins as on the first day, and nobody who found it goes on.
async fn a_reset_ends_everything(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    let user = person.user.clone();
    person.enrol_app(&scene, "Phone").await;
    person.ask(&scene, plain("POST", &person.at("/backup-codes")), 201).await;
    let cli = person.cli(&scene).await;
    let pending = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    let wanted = json!({ "kind": "totp", "name": "Another" });
    let begun = person.ask(&scene, Send::json("POST", &person.at("/factors"), &wanted), 201).await;
    let reset = person.at("/factors");
    for token in
        [person.cli(&scene).await, scene.gateway.token("cicd").to_owned(), scene.gateway.token("security").to_owned()]
    {
        ask(&scene.gateway, &token, plain("DELETE", &reset), 403).await;
    }
    let admin = scene.gateway.token("admin");
    let answer = with(admin, plain("DELETE", &reset)).to(scene.gateway.addr()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(crate::sign_in::json(&answer), json!({ "revoked": 3 }));
    let records = scene.gateway.records_until(answer.header("rack-gateway-request-id").unwrap(), 3).await;
    assert_eq!((&records[1]["action"], &records[1]["detail"]["user"]), (&json!("factor:reset"), &json!(user.id)));
    for (what, status) in [("/api/v1/whoami", 401)] {
        ask(&scene.gateway, &cli, Send::get(what), status).await;
        person.ask(&scene, Send::get(what), status).await;
    }
    // They sign in again: there is nothing left, neither what waited for an answer nor what was begun.
    person.browser = at_the_browser(&scene.gateway, &user).await;
    let list = person.ask(&scene, Send::get(&person.at("/factors")), 200).await;
    assert_eq!(list, json!({ "items": [], "backup_codes": { "unused": 0, "total": 0 }, "preferred": null }));
    let body = json!({ "method": "totp", "code": person.code(&scene) });
    let target = super::person::answer_to(&pending);
    let late = from_page(&person.browser, scene.gateway.addr(), Send::json("POST", &target, &body)).await;
    assert!([404, 410].contains(&late.status()), "{late:?}");
    let confirm = person.at(&format!("/factors/{}/confirm", begun["id"].as_str().unwrap()));
    let code = json!({ "code": totp(begun["secret"].as_str().unwrap(), scene.now()) });
    person.ask(&scene, Send::json("POST", &confirm, &code), 410).await;
    assert_eq!(scene.told(&person).await[0], "factors-reset");
    let page = String::from_utf8(person.get(&scene, "/app").await.body).unwrap();
    assert!(page.contains("took away all your second factors"), "{page}");
    ask(&scene.gateway, admin, plain("DELETE", "/api/v1/users/0192f0c1-2b3c-7def-8123-456789abcdef/factors"), 404)
        .await;
    scene.gateway.stop_and_verify().await;
}

/// What has happened is shown as new once.
async fn notices_are_seen_once(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "<b>Phone</b>").await;
    let page = async || String::from_utf8(person.get(&scene, "/app").await.body).unwrap();
    let (first, second) = (page().await, page().await);
    assert!(first.contains("class=\"fresh\"") && !second.contains("class=\"fresh\""), "{first}\n{second}");
    assert!(second.contains("was added") && !second.contains("<b>Phone"), "{second}");
    scene.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        an_app_is_enrolled_and_counts,
        a_passkey_is_enrolled_and_is_strong,
        what_cannot_be_enrolled_is_not,
        factors_are_renamed_preferred_and_removed,
        backup_codes_are_shown_once,
        a_reset_ends_everything,
        notices_are_seen_once,
    );
}
