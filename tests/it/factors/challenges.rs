//! Answering what policy asks: whose it is, what it is good for, and that it is good once.

use rack_gateway::store::{Needs, NewChallenge, Way};
use serde_json::{Value, json};
use time::Duration;

use super::person::{Person, Scene, answer_to};
use crate::api::{ask, at_the_browser, from_page, plain, with};
use crate::harness::authenticator::Authenticator;
use crate::harness::{Db, parse_record};
use crate::sign_in::{ORIGIN, Send, json as body_of};

fn path(id: &str) -> String {
    format!("/api/v1/challenges/{id}")
}

async fn an_answer_opens_the_session_that_was_asked(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let challenge = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    let read = person.ask(&scene, Send::get(&path(&challenge.id)), 200).await;
    let expected = json!({
        "id": challenge.id, "code": challenge.code, "action": "app:delete", "resource": "App::shop",
        "reasons": [{ "id": "step-up.bound", "why": "it cannot be undone" }],
        "needs": "mfa", "strong": false, "way": "link", "state": "open", "expires_at": read["expires_at"],
        "methods": { "webauthn": false, "totp": true, "yubico": false, "backup": false, "preferred": null },
        "source_ip": "192.0.2.7", "may_trust_device": false,
    });
    assert_eq!(read, expected);
    // The session that is asked may read and answer it too.
    assert_eq!(ask(&scene.gateway, &cli, Send::get(&path(&challenge.id)), 200).await, expected);
    let wrong = json!({ "method": "totp", "code": "000000" });
    let problem = person.answer_with(&scene, &challenge, &wrong, 403).await;
    assert_eq!(problem["type"], "/problems/factor-rejected");
    assert_eq!(scene.session(&cli).await.factor_at, None);
    let before = scene.session(person.token()).await;
    scene.pass(Duration::seconds(30));
    let body = json!({ "method": "totp", "code": person.code(&scene) });
    let answer =
        from_page(&person.browser, scene.gateway.addr(), Send::json("POST", &answer_to(&challenge), &body)).await;
    assert_eq!(body_of(&answer), json!({ "state": "answered", "return_to": null }));
    let records = scene.gateway.records_until(answer.header("rack-gateway-request-id").unwrap(), 4).await;
    let change = records.iter().find(|record| record["kind"] == "admin").unwrap();
    assert_eq!(
        (&change["action"], &change["detail"]["asked_action"]),
        (&json!("challenge:answer"), &json!("app:delete"))
    );
    let asked = scene.session(&cli).await;
    assert_eq!((asked.factor_at, asked.factor_method.as_deref()), (Some(scene.now()), Some("totp")));
    assert_eq!(scene.session(person.token()).await.factor_at, before.factor_at, "of no other session");
    // Once.
    let problem = person.answer(&scene, &challenge, 410).await;
    assert_eq!(problem["type"], "/problems/challenge-over");
    assert_eq!(person.ask(&scene, Send::get(&path(&challenge.id)), 200).await["state"], "answered");
    let records: Vec<Value> = scene.gateway.records().await.iter().map(parse_record).collect();
    let records = serde_json::to_string(&records).unwrap();
    assert!(!records.contains(body["code"].as_str().unwrap()), "a code is on the record");
    scene.gateway.stop_and_verify().await;
}

/// One for this very request leaves the session as it was.
async fn an_answer_for_one_request_opens_nothing_else(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let page = |new| NewChallenge { return_to: Some("/app/cli-token".to_owned()), ..new };
    let challenge = scene.pose_with(&cli, Needs::Bound, Way::Link, page).await;
    assert_eq!(
        person.answer(&scene, &challenge, 200).await,
        json!({ "state": "answered", "return_to": "/app/cli-token" })
    );
    assert_eq!(scene.session(&cli).await.factor_at, None);
    let row = scene.challenge(&challenge.id).await;
    assert_eq!((row.method.as_deref(), row.answered_strong, row.proof_hash), (Some("totp"), false, None));
    assert_eq!(row.expires_at, scene.now() + Duration::minutes(5), "five minutes more, and no longer");
    let store = &scene.gateway.running.gate.store;
    assert!(store.challenge_spend(&challenge.id, scene.now()).await.unwrap());
    assert_eq!(person.ask(&scene, Send::get(&path(&challenge.id)), 200).await["state"], "spent");
    scene.gateway.stop_and_verify().await;
}

/// Somebody else's is as one that does not exist.
async fn challenges_are_their_own_persons(db: Db) {
    let scene = Scene::new(&db).await;
    let (mut person, mut other) = (scene.person("viewer").await, scene.person("admin").await);
    person.enrol_app(&scene, "Phone").await;
    other.enrol_app(&scene, "Phone").await;
    let challenge = scene.pose(&person.cli(&scene).await, Needs::Mfa, Way::Link).await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let machine = scene.gateway.token("cicd").to_owned();
    for (what, body) in
        [("", None), ("/webauthn", None), ("/answer", Some(json!({ "method": "totp", "code": "123456" })))]
    {
        let mut said = Vec::new();
        for id in [&challenge.id, &unknown] {
            let target = format!("{}{what}", path(id));
            let send = || match &body {
                Some(body) => Send::json("POST", &target, body),
                None => Send { method: if what.is_empty() { "GET" } else { "POST" }, ..Send::get(&target) },
            };
            let problem = other.ask(&scene, send(), 404).await;
            said.push((problem["error"].clone(), problem["type"].clone()));
            let refused = with(&machine, send()).to(scene.gateway.addr()).await;
            assert!([403, 404].contains(&refused.status()), "{refused:?}");
        }
        assert_eq!(said[0], said[1], "{what}");
    }
    // Their page shows nothing of it either.
    let mut pages = Vec::new();
    for code in [challenge.code.as_str(), "BBBB-BBBB-BBBB"] {
        let page = other.get(&scene, &format!("/app/c/{code}")).await;
        assert_eq!(page.status(), 404);
        pages.push(String::from_utf8(page.body).unwrap());
    }
    assert!(!pages[0].contains("app:delete") && !pages[0].contains(&challenge.id));
    assert_eq!(pages[0].len(), pages[1].len());
    let mine = person.get(&scene, &format!("/app/c/{}", challenge.code)).await;
    assert_eq!(mine.status(), 200);
    assert!(String::from_utf8_lossy(&mine.body).contains(&challenge.id));
    assert_eq!(scene.challenge(&challenge.id).await.attempts, 0, "nobody else uses the tries up");
    scene.gateway.stop_and_verify().await;
}

async fn what_is_over_is_not_answered(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    // Too late.
    let cli = person.cli(&scene).await;
    let late = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    scene.pass(Duration::minutes(10));
    person.app.as_mut().unwrap().wait(&scene);
    person.answer(&scene, &late, 410).await;
    assert_eq!(person.ask(&scene, Send::get(&path(&late.id)), 200).await["state"], "expired");
    // The session that was asked has ended.
    let ended = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    ask(&scene.gateway, &cli, plain("POST", "/api/v1/auth/logout"), 204).await;
    person.answer(&scene, &ended, 410).await;
    let page = person.get(&scene, &format!("/app/c/{}", ended.code)).await;
    assert!(!String::from_utf8_lossy(&page.body).contains(&format!("data-challenge=\"{}\"", ended.id)));
    // Another session of the person is none that was asked.
    let web = at_the_browser(&scene.gateway, &person.user).await;
    let out = scene.pose(web.session().unwrap(), Needs::Mfa, Way::Web).await;
    scene.ask(&web, plain("POST", "/api/v1/auth/logout"), 204).await;
    scene.ask(&web, Send::get(&path(&out.id)), 401).await;
    person.answer(&scene, &out, 410).await;
    // None of them was looked at, so none of the codes is spent.
    let good = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    person.app.as_mut().unwrap().wait(&scene);
    person.answer(&scene, &good, 200).await;
    scene.gateway.stop_and_verify().await;
}

async fn answers_have_a_form(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let challenge = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({ "method": "totp", "code": 123_456 }), 400),
        (json!({ "method": "totp", "code": "123456", "user": "x" }), 400),
        (json!({ "method": "sms", "code": "123456" }), 422),
        (json!({ "method": "totp" }), 422),
        (json!({ "method": "totp", "credential": {} }), 422),
        (json!({ "method": "webauthn", "code": "123456" }), 422),
        (json!({ "method": "totp", "code": "123456", "credential": {} }), 422),
        // A browser that has shown a factor is not there to be trusted.
        (json!({ "method": "totp", "code": "123456", "trust_device": true }), 422),
    ] {
        person.answer_with(&scene, &challenge, &body, status).await;
    }
    assert_eq!(scene.challenge(&challenge.id).await.attempts, 0);
    // A passkey is answered with once it was asked for, and the tries have an end.
    let unasked = json!({ "method": "webauthn", "credential": {} });
    for status in [[409; 10].as_slice(), &[410, 410]].concat() {
        person.answer_with(&scene, &challenge, &unasked, status).await;
    }
    person.answer(&scene, &challenge, 410).await;
    let none = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    let target = format!("{}/webauthn", path(&none.id));
    let problem = person.ask(&scene, plain("POST", &target), 409).await;
    assert_eq!(problem["type"], "/problems/no-passkey");
    scene.gateway.stop_and_verify().await;
}

async fn only_a_passkey_will_do_where_policy_says_so(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    person.enrol_passkey(&scene, "Laptop").await;
    let cli = person.cli(&scene).await;
    let strong = |new| NewChallenge { strong: true, ..new };
    let challenge = scene.pose_with(&cli, Needs::Mfa, Way::Link, strong).await;
    let problem = person.answer(&scene, &challenge, 422).await;
    assert_eq!(problem["type"], "/problems/factor-not-strong");
    let weak = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    for (challenge, takes_codes) in [(&challenge, false), (&weak, true)] {
        let page = String::from_utf8(person.get(&scene, &format!("/app/c/{}", challenge.code)).await.body).unwrap();
        assert_eq!(page.contains("<form data-method=\"totp\">"), takes_codes, "{page}");
    }
    let assertion = person.assertion(&scene, &challenge).await;
    person.answer_with(&scene, &challenge, &assertion, 200).await;
    assert!(scene.session(&cli).await.factor_strong);
    // A weaker one of the same moment is good, and takes nothing away.
    person.answer(&scene, &weak, 200).await;
    assert!(scene.session(&cli).await.factor_strong);
    scene.gateway.stop_and_verify().await;
}

async fn an_assertion_answers_what_it_was_made_for(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_passkey(&scene, "Laptop").await;
    let (one, two) = (person.cli(&scene).await, person.cli(&scene).await);
    let first = scene.pose(&one, Needs::Mfa, Way::Link).await;
    let second = scene.pose(&two, Needs::Mfa, Way::Link).await;
    let for_first = person.assertion(&scene, &first).await;
    let _for_second = person.assertion(&scene, &second).await;
    person.answer_with(&scene, &second, &for_first, 403).await;
    // What was begun is used up, rightly or wrongly.
    person.answer_with(&scene, &second, &for_first, 409).await;
    let again = person.assertion(&scene, &first).await;
    person.answer_with(&scene, &first, &for_first, 403).await;
    person.answer_with(&scene, &first, &again, 409).await;
    let right = person.assertion(&scene, &first).await;
    person.answer_with(&scene, &first, &right, 200).await;
    person.answer_with(&scene, &first, &right, 410).await;
    // A key of nobody here.
    let mut stranger = Authenticator::new(ORIGIN);
    std::mem::swap(&mut stranger, &mut person.keys);
    let begin = format!("{}/webauthn", path(&second.id));
    let options = person.ask(&scene, plain("POST", &begin), 200).await;
    assert!(person.keys.assert(&options).is_none());
    scene.gateway.stop_and_verify().await;
}

async fn five_wrong_answers_lock_the_person(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let wrong = json!({ "method": "totp", "code": "000000" });
    let mut said = Vec::new();
    for _ in 0..5 {
        // Another challenge each time: tries are counted by person.
        let challenge = scene.pose(&cli, Needs::Mfa, Way::Link).await;
        said.push(person.answer_with(&scene, &challenge, &wrong, 403).await["type"].clone());
    }
    assert_eq!(said[..4], ["/problems/factor-rejected"; 4].map(Value::from));
    assert_eq!(said[4], "/problems/account-locked");
    for token in [&cli, &person.cli(&scene).await] {
        let answer = with(token, Send::get("/api/v1/whoami")).to(scene.gateway.addr()).await;
        assert!([401, 403].contains(&answer.status()), "{answer:?}");
    }
    let user = scene.gateway.running.gate.store.user_find(&person.user.id).await.unwrap().unwrap();
    assert_eq!(user.lock.unwrap().by, "gateway");
    assert!(scene.told(&person).await.contains(&"account-locked".to_owned()));
    scene.gateway.stop_and_verify().await;
}

/// No other page answers with the browser's cookie, and none enrols.
async fn only_pages_of_the_gateway_answer(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let challenge = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    let body = json!({ "method": "totp", "code": person.code(&scene) });
    let (answer, begin) = (answer_to(&challenge), format!("{}/webauthn", path(&challenge.id)));
    let (factors, codes) = (person.at("/factors"), person.at("/backup-codes"));
    let wanted = json!({ "kind": "totp", "name": "Mine" });
    let csrf = person.browser.csrf();
    for origin in [ORIGIN, "https://evil.example.com"] {
        for send in [
            Send::json("POST", &answer, &body),
            plain("POST", &begin),
            Send::json("POST", &factors, &wanted),
            plain("POST", &codes),
        ] {
            let what = send.target.to_owned();
            let send = send.header("Origin", origin);
            let send = if origin == ORIGIN { send } else { send.header("X-CSRF-Token", csrf.clone()) };
            let refused = person.browser.clone().send(scene.gateway.addr(), send).await;
            assert_eq!(refused.status(), 403, "{what} from {origin}");
        }
    }
    assert_eq!(scene.challenge(&challenge.id).await.attempts, 0);
    // The code is as good as before.
    person.answer_with(&scene, &challenge, &body, 200).await;
    scene.gateway.stop_and_verify().await;
}

/// Answers that race: one is believed, and the session is opened once.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_answers_counts() {
    let db = Db::postgres().await;
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let challenge = scene.pose(person.token(), Needs::Bound, Way::Web).await;
    let body = json!({ "method": "totp", "code": person.code(&scene) });
    let target = answer_to(&challenge);
    let sent = (0..4).map(|_| from_page(&person.browser, scene.gateway.addr(), Send::json("POST", &target, &body)));
    let statuses: Vec<u16> = futures_util::future::join_all(sent).await.iter().map(|answer| answer.status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    scene.gateway.stop_and_verify().await;
}

/// A browser that answers at sign-in may be trusted from then on.
async fn a_browser_is_trusted_at_sign_in_alone(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let mut browser = at_the_browser(&scene.gateway, &person.user).await;
    let token = browser.session().unwrap().to_owned();
    let trusting = |code: String| json!({ "method": "totp", "code": code, "trust_device": true });
    for (needs, way) in [(Needs::Bound, Way::Web), (Needs::Mfa, Way::Link)] {
        let challenge = scene.pose(&token, needs, way).await;
        scene.ask(&browser, Send::json("POST", &answer_to(&challenge), &trusting("123456".to_owned())), 422).await;
    }
    // By the browser that signs in, not by another one of the same person.
    let challenge = scene.pose(&token, Needs::Mfa, Way::Web).await;
    person.answer_with(&scene, &challenge, &trusting("123456".to_owned()), 422).await;
    assert_eq!(scene.ask(&browser, Send::get(&path(&challenge.id)), 200).await["may_trust_device"], true);
    let body = trusting(person.code(&scene));
    let target = answer_to(&challenge);
    let send = Send::json("POST", &target, &body).header("User-Agent", "Firefox/1.0");
    let send = send.header("Origin", ORIGIN).header("X-CSRF-Token", browser.csrf());
    let answer = browser.send(scene.gateway.addr(), send).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(answer.header("set-cookie").unwrap().ends_with("Max-Age=2592000"), "{answer:?}");
    let kept = browser.cookies.get("__Host-rgw_device").unwrap().clone();
    assert_eq!(scene.session(&token).await.device_id, None, "this session has shown the factor itself");
    let devices = person.at("/trusted-devices");
    // `from_page` sends the cookies of the browser.
    let list = scene.ask(&browser, Send::get(&devices), 200).await;
    let item = &list["items"][0];
    assert_eq!((&item["current"], &item["source_ip"]), (&json!(true), &json!("127.0.0.1")));
    assert!(!list.to_string().contains(&kept));
    assert_eq!(person.ask(&scene, Send::get(&devices), 200).await["items"][0]["current"], false);
    let other = scene.person("viewer").await;
    other.ask(&scene, Send::get(&devices), 403).await;
    let device = format!("{devices}/{}", item["id"].as_str().unwrap());
    let elsewhere = other.at(&format!("/trusted-devices/{}", item["id"].as_str().unwrap()));
    other.ask(&scene, plain("DELETE", &device), 403).await;
    other.ask(&scene, plain("DELETE", &elsewhere), 404).await;
    ask(&scene.gateway, scene.gateway.token("admin"), plain("DELETE", &device), 204).await;
    scene.ask(&browser, plain("DELETE", &device), 404).await;
    assert_eq!(scene.ask(&browser, Send::get(&devices), 200).await, json!({ "items": [] }));
    assert!(scene.told(&person).await.contains(&"device-trusted".to_owned()));
    scene.gateway.stop_and_verify().await;
}

/// Where nobody is to trust a browser, none is.
async fn no_browser_is_trusted_where_that_is_off(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let setting = Send::json("PUT", "/api/v1/settings/mfa_trusted_device_days", &json!({ "value": 0 }));
    ask(&scene.gateway, scene.gateway.token("admin"), setting.header("If-Match", "\"v0\""), 200).await;
    let browser = at_the_browser(&scene.gateway, &person.user).await;
    let challenge = scene.pose(browser.session().unwrap(), Needs::Mfa, Way::Web).await;
    assert_eq!(scene.ask(&browser, Send::get(&path(&challenge.id)), 200).await["may_trust_device"], false);
    let body = json!({ "method": "totp", "code": person.code(&scene), "trust_device": true });
    scene.ask(&browser, Send::json("POST", &answer_to(&challenge), &body), 422).await;
    scene.gateway.stop_and_verify().await;
}

/// Nobody is led on to an answer without a factor to give it with.
async fn whoever_has_no_factor_is_led_to_enrol(db: Db) {
    let scene = Scene::new(&db).await;
    let person: Person = scene.person("viewer").await;
    let challenge = scene.pose(person.token(), Needs::Mfa, Way::Web).await;
    let page = String::from_utf8(person.get(&scene, &format!("/app/c/{}", challenge.code)).await.body).unwrap();
    assert!(page.contains("/app/factors"), "{page}");
    let body = json!({ "method": "totp", "code": "123456" });
    person.answer_with(&scene, &challenge, &body, 409).await;
    scene.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        an_answer_opens_the_session_that_was_asked,
        an_answer_for_one_request_opens_nothing_else,
        challenges_are_their_own_persons,
        what_is_over_is_not_answered,
        answers_have_a_form,
        only_a_passkey_will_do_where_policy_says_so,
        an_assertion_answers_what_it_was_made_for,
        five_wrong_answers_lock_the_person,
        only_pages_of_the_gateway_answer,
        a_browser_is_trusted_at_sign_in_alone,
        no_browser_is_trusted_where_that_is_off,
        whoever_has_no_factor_is_led_to_enrol,
    );
}
