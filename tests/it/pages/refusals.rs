//! People at a browser are told in pages; programs in JSON.

use rack_gateway::identity::Token;
use rack_gateway::store::CredentialKind;
use serde_json::Value;

use super::{HTML, Reader, gateway, session, text};
use crate::harness::Db;
use crate::sign_in::Send;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_signed_in_goes_to_sign_in_and_comes_back() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    for (target, back) in [
        ("/app", "%2Fapp"),
        ("/app/cli?code=BCDF-GHJK", "%2Fapp%2Fcli%3Fcode%3DBCDF-GHJK"),
        ("/app/nowhere", "%2Fapp%2Fnowhere"),
    ] {
        let answer = Send::get(target).header("Accept", HTML).to(running.addr).await;
        assert_eq!(answer.status(), 303, "{target}");
        assert_eq!(answer.header("location"), Some(format!("/app/login?return_to={back}").as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let id = answer.header("rack-gateway-request-id").unwrap();
        let records = running.gate.store.records_by_request(id, 10).await.unwrap();
        assert_eq!(records.len(), 1, "{target}: the refusal is on the record");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_other_addresses_get_json() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    for (target, headers) in [
        ("/app", vec![("Accept", "application/json")]),
        ("/app", vec![("Accept", "*/*")]),
        ("/app", vec![]),
        ("/app", vec![("Accept", HTML), ("Sec-Fetch-Mode", "cors")]),
        ("/api/v1/whoami", vec![("Sec-Fetch-Mode", "cors")]),
        ("/apps", vec![("Accept", HTML)]),
        ("/api/v1/whoami", vec![("Accept", HTML)]),
    ] {
        let send = headers.iter().fold(Send::get(target), |send, (name, value)| send.header(name, *value));
        let answer = send.to(running.addr).await;
        assert_eq!(answer.status(), 401, "{target} {headers:?}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["type"], "/problems/credential-missing", "{target} {headers:?}");
        // At Basic, a browser would ask for a password in the middle of a page.
        let is_page = headers.iter().any(|(name, _)| *name == "Sec-Fetch-Mode");
        let scheme = if is_page { "Bearer realm=\"rack-gateway\"" } else { "Basic realm=\"rack-gateway\"" };
        assert_eq!(answer.header("www-authenticate"), Some(scheme), "{target} {headers:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_policy_denies_says_why() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let reader = Reader::new(&running, "Ada", &["viewer"]).await;
    let now = running.gate.clock.now();
    running.gate.store.user_lock(&reader.user, "left", "an administrator", now).await.unwrap();
    assert_eq!(reader.get(&running, "/app").await.status(), 303, "a lock ends sessions");
    let token = Token::generate().unwrap();
    session(&running, &reader.user, CredentialKind::Web, "", &token).await;
    let locked = Reader { token, ..reader };
    for target in ["/app", "/app/cli", "/app/cli-token"] {
        let answer = locked.get(&running, target).await;
        assert_eq!(answer.status(), 403, "{target}");
        let page = text(&answer);
        assert!(page.contains("You may not see this page") && page.contains("is locked"), "{target}: {page}");
        assert!(page.contains("data-do=\"sign-out\""), "{target}: {page}");
        let json = Send::get(target).header("Cookie", locked.cookie()).to(running.addr).await;
        assert_eq!((json.status(), json.header("content-type")), (403, Some("application/json")), "{target}");
    }
    let other = Reader::new(&running, "Bob", &[]).await;
    let missing = other.get(&running, "/app/nowhere").await;
    assert_eq!(missing.status(), 404);
    let page = text(&missing);
    assert!(page.contains("There is no such page") && page.contains("name=\"csrf-token\""), "{page}");
    assert!(page.contains(missing.header("rack-gateway-request-id").unwrap()), "{page}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_fails_says_what_to_check() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let target = "/api/v1/auth/web/login?return_to=/app&message=%3Cscript%3Ealert(1)%3C/script%3E";
    let answer = Send::get(target).header("Accept", HTML).to(running.addr).await;
    assert_eq!(answer.status(), 503);
    let page = text(&answer);
    assert!(page.contains("You are not signed in") && page.contains("OIDC_ISSUER"), "{page}");
    assert!(!page.contains("alert(1)"), "nothing of the address is repeated: {page}");
    let program = Send::get(target).to(running.addr).await;
    assert_eq!(program.header("content-type"), Some("application/json"));
    running.stop().await;
}
