//! What signing in has to do with second factors: trusted browsers, and sessions that begin with what was
//! shown in another one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rack_gateway::http::Launch;
use rack_gateway::identity::Token;
use rack_gateway::store::{Needs, NewDevice, Way};
use serde_json::json;
use sha2::Digest as _;
use time::{Duration, OffsetDateTime};

use super::person::{Person, Scene, answer_to};
use crate::api::{ask, plain};
use crate::harness::Db;
use crate::harness::provider::{Account, Provider};
use crate::sign_in::{Browser, Send, invite, json as body_of};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A gateway whose people sign in at `provider`.
async fn scene(db: &Db, provider: &Provider) -> Scene {
    let settings = provider.settings();
    Scene::at(db, OffsetDateTime::now_utc(), |launch| Launch { sign_in: Some(settings), ..launch }).await
}

/// Signs in with a browser of this name; the session.
async fn sign_in(scene: &Scene, provider: &Provider, browser: &mut Browser, name: &str) -> String {
    let addr = scene.gateway.addr();
    let url = provider.visit(&browser.leave(addr, "/app").await);
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let answer = browser.send(addr, Send::get(&target).header("User-Agent", name)).await;
    assert_eq!(answer.status(), 303, "{}", String::from_utf8_lossy(&answer.body));
    browser.session().unwrap().to_owned()
}

/// Alice, who has an app.
async fn alice(scene: &Scene) -> Person {
    let id = invite(&scene.gateway.running, "alice@example.com", &["viewer"]).await;
    let user = scene.gateway.running.gate.store.user_find(&id).await.unwrap().unwrap();
    let mut person = scene.at_a_browser(user).await;
    person.enrol_app(scene, "Phone").await;
    person
}

/// In days; 0 for never.
async fn trust_for(scene: &Scene, days: u64, etag: &str) {
    let setting = Send::json("PUT", "/api/v1/settings/mfa_trusted_device_days", &json!({ "value": days }));
    ask(&scene.gateway, scene.gateway.token("admin"), setting.header("If-Match", etag), 200).await;
}

async fn a_trusted_browser_is_known_again(db: Db) {
    let provider = Provider::start();
    let scene = scene(&db, &provider).await;
    let mut alice = alice(&scene).await;
    let store = scene.gateway.running.gate.store.clone();
    let mut browser = Browser::default();
    let (firefox, updated, chrome) = ("Linux Firefox/140.0", "Linux Firefox/141.0.2", "Linux Chrome/140.0");
    let first = sign_in(&scene, &provider, &mut browser, firefox).await;
    assert_eq!(scene.session(&first).await.device_id, None);
    let challenge = scene.pose(&first, Needs::Mfa, Way::Web).await;
    let body = json!({ "method": "totp", "code": alice.code(&scene), "trust_device": true });
    let (target, csrf) = (answer_to(&challenge), browser.csrf());
    let send = Send::json("POST", &target, &body).header("User-Agent", firefox);
    let send = send.header("Origin", crate::sign_in::ORIGIN).header("X-CSRF-Token", csrf);
    assert_eq!(browser.send(scene.gateway.addr(), send).await.status(), 200);
    // The same browser, also after an update; the factor was not shown in the new session.
    let again = scene.session(&sign_in(&scene, &provider, &mut browser, updated).await).await;
    let device = again.device_id.clone().expect("a trusted browser");
    assert_eq!((again.factor_at, again.factor_method), (None, None));
    // A copied cookie is worth nothing in another browser, nor with another person.
    let mut copied = browser.clone();
    let elsewhere = sign_in(&scene, &provider, &mut copied, chrome).await;
    assert_eq!(scene.session(&elsewhere).await.device_id, None);
    invite(&scene.gateway.running, "bob@example.com", &["viewer"]).await;
    provider.set(|knobs| knobs.account = Account::new("bob"));
    let bobs = sign_in(&scene, &provider, &mut browser.clone(), firefox).await;
    assert_eq!(scene.session(&bobs).await.device_id, None);
    provider.set(|knobs| knobs.account = Account::new("alice"));
    // Made-up cookies neither help nor harm.
    for odd in ["", "x", Token::generate().unwrap().expose()] {
        let mut odd_one = Browser::default();
        odd_one.cookies.insert("__Host-rgw_device".to_owned(), odd.to_owned());
        let session = sign_in(&scene, &provider, &mut odd_one, firefox).await;
        assert_eq!(scene.session(&session).await.device_id, None, "{odd:?}");
    }
    // Trusted no more: neither the next session nor the one that began there.
    let current = sign_in(&scene, &provider, &mut browser, firefox).await;
    assert_eq!(scene.session(&current).await.device_id.as_ref(), Some(&device));
    let revoke = alice.at(&format!("/trusted-devices/{device}"));
    scene.ask(&browser, plain("DELETE", &revoke), 204).await;
    assert_eq!(scene.session(&current).await.device_id, None);
    let next = sign_in(&scene, &provider, &mut browser, firefox).await;
    assert_eq!(scene.session(&next).await.device_id, None);
    // How long it lasts is what the settings say now.
    for (age, days, is_trusted) in [(40, 90, true), (40, 30, false), (40, 41, true), (1, 0, false)] {
        let token = Token::generate().unwrap();
        let new = NewDevice {
            id: uuid::Uuid::now_v7().to_string(),
            user_id: alice.user.id.clone(),
            token_hash: token.hash().0,
            browser: "Linux Firefox/".to_owned(),
            source_ip: "192.0.2.7".parse().unwrap(),
            expires_at: scene.now() + Duration::days(50),
        };
        store.device_add(new, scene.now() - Duration::days(age)).await.unwrap();
        let etag = store.setting_list().await.unwrap().first().map_or(0, |row| row.version);
        trust_for(&scene, days, &format!("\"v{etag}\"")).await;
        let mut browser = Browser::default();
        browser.cookies.insert("__Host-rgw_device".to_owned(), token.expose().to_owned());
        let session = sign_in(&scene, &provider, &mut browser, firefox).await;
        assert_eq!(scene.session(&session).await.device_id.is_some(), is_trusted, "{age} of {days} days");
    }
    scene.gateway.stop_and_verify().await;
}

/// A command line that is let in has shown what the browser had shown, and when.
async fn a_cli_begins_with_what_its_browser_has_shown(db: Db) {
    let provider = Provider::start();
    let scene = scene(&db, &provider).await;
    let mut alice = alice(&scene).await;
    alice.enrol_passkey(&scene, "Laptop").await;
    let shown = scene.session(alice.token()).await;
    let plain_browser = scene.at_a_browser(alice.user.clone()).await;
    scene.pass(Duration::minutes(3));
    for (person, at) in [(&alice, shown.factor_at), (&plain_browser, None)] {
        let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER));
        let begin = json!({
            "code_challenge": challenge, "code_challenge_method": "S256", "device": { "name": "laptop" },
        });
        let addr = scene.gateway.addr();
        let login = body_of(&Send::json("POST", "/api/v1/auth/cli/start", &begin).to(addr).await);
        let confirm = json!({ "user_code": login["user_code"], "approve": true });
        person.ask(&scene, Send::json("POST", "/api/v1/auth/cli/confirm", &confirm), 204).await;
        let complete = json!({ "login_id": login["login_id"], "code_verifier": VERIFIER });
        let made = body_of(&Send::json("POST", "/api/v1/auth/cli/complete", &complete).to(addr).await);
        let wanted = json!({ "name": "laptop" });
        let pasted = person.ask(&scene, Send::json("POST", &person.at("/cli-tokens"), &wanted), 201).await;
        for token in [&made["token"], &pasted["token"]] {
            let session = scene.session(token.as_str().unwrap()).await;
            assert_eq!((session.factor_at, session.factor_strong), (at, at.is_some()), "{token}");
            assert_eq!((session.factor_method.is_some(), session.device_id), (at.is_some(), None));
        }
    }
    scene.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(a_trusted_browser_is_known_again, a_cli_begins_with_what_its_browser_has_shown);
}
