//! The CLI with a plain `RACK_URL`, and programs: a refusal with a link, or with what RFC 9470 says;
//! a code in the request itself.

use serde_json::json;
use time::Duration;

use super::{Person, Stage, code_in, error};
use crate::api::{plain, with};
use crate::harness::Db;
use crate::harness::authenticator::totp;
use crate::sign_in::{Send, json as parsed};

mod both {
    crate::on_both!(
        the_same_command_passes_once_after_the_link,
        a_window_opens_for_the_session_that_asked,
        the_api_answers_as_rfc_9470_says,
        a_code_in_the_request_is_good_for_that_request,
        who_has_no_factor_is_told_where_to_get_one,
    );
}

const AN_HOUR: Duration = Duration::hours(1);
const DELETE: &str = "/apps/scratch";

async fn the_same_command_passes_once_after_the_link(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let delete = || with(&token, plain("DELETE", DELETE));
    let refused = delete().to(stage.addr()).await;
    let text = error(&refused);
    assert_eq!((refused.status(), stage.rack.take()), (403, 0), "{refused:?}");
    for needed in ["app:delete", "step-up.", "for this very request", "https://gateway.example.com/app/c/", "again"] {
        assert!(text.contains(needed), "{text}");
    }
    assert!(!text.contains('%'), "{text}");
    // Asking again poses no second challenge.
    assert_eq!(code_in(&error(&delete().to(stage.addr()).await)), code_in(&text));
    let challenge = person.follow(stage.addr(), &text).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    let passed = delete().to(stage.addr()).await;
    assert_eq!((passed.status(), stage.rack.take()), (200, 1), "{passed:?}");
    let again = delete().to(stage.addr()).await;
    assert_eq!((again.status(), stage.rack.take()), (403, 0), "{again:?}");
    assert_ne!(code_in(&error(&again)), code_in(&text));
    stage.gateway.stop_and_verify().await;
}

async fn a_window_opens_for_the_session_that_asked(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let other = stage.cli(&person.user, AN_HOUR).await;
    let restart = |token: &str, service: &str| {
        let target = format!("/apps/shop/services/{service}/restart");
        let (token, addr) = (token.to_owned(), stage.addr());
        async move { with(&token, plain("POST", &target)).to(addr).await }
    };
    let refused = restart(&token, "web").await;
    assert_eq!((refused.status(), stage.rack.take()), (403, 0), "{refused:?}");
    let challenge = person.follow(stage.addr(), &error(&refused)).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    for service in ["web", "worker"] {
        let passed = restart(&token, service).await;
        assert_eq!((passed.status(), stage.rack.take()), (200, 1), "{service}: {passed:?}");
    }
    let refused = restart(&other, "web").await;
    assert_eq!((refused.status(), stage.rack.take()), (403, 0), "another session: {refused:?}");
    // A window is no proof for what needs one every time.
    let refused = with(&token, plain("DELETE", DELETE)).to(stage.addr()).await;
    assert_eq!((refused.status(), stage.rack.take()), (403, 0), "{refused:?}");
    stage.gateway.stop_and_verify().await;
}

async fn the_api_answers_as_rfc_9470_says(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let body = json!({ "email": "new@example.com", "roles": ["viewer"] });
    let refused = person.post(stage.addr(), "/api/v1/users", &body).await;
    assert_eq!(refused.status(), 401, "{refused:?}");
    let header = refused.header("www-authenticate").unwrap();
    assert!(header.starts_with("Bearer error=\"insufficient_user_authentication\""), "{header}");
    assert!(header.contains("acr_values=\"mfa_bound\""), "{header}");
    let problem = parsed(&refused);
    assert_eq!(problem["type"], "/problems/challenge", "{problem}");
    let challenge = problem["challenge"]["id"].as_str().unwrap();
    assert_eq!(person.answer(stage.addr(), challenge).await.status(), 200);
    // Another body is another request.
    let other = json!({ "email": "new@example.com", "roles": ["admin"] });
    assert_eq!(person.post(stage.addr(), "/api/v1/users", &other).await.status(), 401);
    let made = person.post(stage.addr(), "/api/v1/users", &body).await;
    assert_eq!(made.status(), 201, "{}", String::from_utf8_lossy(&made.body));
    stage.gateway.stop_and_verify().await;
}

async fn a_code_in_the_request_is_good_for_that_request(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let secret = add_totp(&stage, &mut person).await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let delete = async |code: &str| {
        with(&token, plain("DELETE", DELETE)).header("X-Rack-Gateway-MFA", code).to(stage.addr()).await
    };
    // The step of the enrolment is spent; the next one is good already.
    let code = totp(&secret, stage.gateway.running.gate.clock.now() + Duration::seconds(30));
    let cases = [
        ("nonsense", 400, 0),
        ("totp=000000x", 403, 0),
        (&format!("totp={code}"), 200, 1),
        (&format!("totp={code}"), 403, 0),
        ("proof=01890000-0000-7000-8000-000000000000", 403, 0),
    ];
    for (header, status, forwarded) in cases {
        let answer = delete(header).await;
        assert_eq!((answer.status(), stage.rack.take()), (status, forwarded), "{header}: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&code), "{answer:?}");
    }
    let canon: Vec<u8> = stage.gateway.records().await.into_iter().flat_map(|record| record.canon).collect();
    assert!(!String::from_utf8_lossy(&canon).contains(&code), "a code is in the records");
    stage.gateway.stop_and_verify().await;
}

/// An authenticator app beside the passkey; gives its secret.
async fn add_totp(stage: &Stage, person: &mut Person) -> String {
    let factors = person.path("/factors");
    let wanted = json!({ "kind": "totp", "name": "Phone" });
    let refused = person.post(stage.addr(), &factors, &wanted).await;
    assert_eq!(refused.status(), 401, "a further factor needs one that is there: {refused:?}");
    let challenge = parsed(&refused)["challenge"]["id"].as_str().unwrap().to_owned();
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    let begun = parsed(&person.post(stage.addr(), &factors, &wanted).await);
    let secret = begun["secret"].as_str().unwrap();
    let code = totp(secret, stage.gateway.running.gate.clock.now());
    let confirm = format!("{factors}/{}/confirm", begun["id"].as_str().unwrap());
    let confirmed = person.post(stage.addr(), &confirm, &json!({ "code": code })).await;
    assert_eq!(confirmed.status(), 200, "{confirmed:?}");
    secret.to_owned()
}

async fn who_has_no_factor_is_told_where_to_get_one(db: Db) {
    let stage = Stage::new(&db).await;
    let person = Person::at_a_browser(&stage, "admin").await;
    let token = stage.bare_cli(&person.user).await;
    let refused = with(&token, Send::get("/apps")).to(stage.addr()).await;
    assert_eq!((refused.status(), stage.rack.take()), (403, 0), "{refused:?}");
    assert!(error(&refused).contains("https://gateway.example.com/app/factors"), "{}", error(&refused));
    let page = person.browser.clone().send(stage.addr(), super::html("/app")).await;
    assert_eq!(page.status(), 303, "{page:?}");
    assert_eq!(page.header("location"), Some("/app/factors?return_to=%2Fapp"));
    stage.gateway.stop_and_verify().await;
}
