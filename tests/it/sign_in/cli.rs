//! A CLI signs in: the code on its screen, the person at the browser, the session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rack_gateway::http::Running;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::{Browser, ORIGIN, Send, gateway, invite, json as body};
use crate::harness::Db;
use crate::harness::provider::Provider;
use crate::replay::peer::Message;

mod both {
    crate::on_both!(a_cli_gets_a_session_once);
}

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn start(running: &Running) -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER));
    let device = json!({ "name": "laptop", "os": "linux", "client_version": "0.1.0" });
    let begin = json!({ "code_challenge": challenge, "code_challenge_method": "S256", "device": device });
    let answer = Send::json("POST", "/api/v1/auth/cli/start", &begin).to(running.addr).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    body(&answer)
}

async fn complete(running: &Running, login: &Value, verifier: &str) -> Message {
    let ask = json!({ "login_id": login["login_id"], "code_verifier": verifier });
    Send::json("POST", "/api/v1/auth/cli/complete", &ask).to(running.addr).await
}

async fn confirm(running: &Running, browser: &mut Browser, login: &Value, approve: bool) -> u16 {
    let ask = json!({ "user_code": login["user_code"], "approve": approve });
    let csrf = browser.csrf();
    let send =
        Send::json("POST", "/api/v1/auth/cli/confirm", &ask).header("Origin", ORIGIN).header("X-CSRF-Token", csrf);
    browser.send(running.addr, send).await.status()
}

async fn a_cli_gets_a_session_once(db: Db) {
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    invite(&running, "alice@example.com", &["viewer"]).await;
    let mut browser = Browser::default();
    browser.sign_in(running.addr, &provider).await;

    let login = start(&running).await;
    let code = login["user_code"].as_str().unwrap();
    assert_eq!(code.len(), 9, "{login}");
    assert_eq!(login["verification_url"], json!(format!("{ORIGIN}/app/cli?code={code}")));
    assert_eq!(complete(&running, &login, VERIFIER).await.status(), 202);
    assert_eq!(complete(&running, &login, "another-verifier").await.status(), 404, "only who began it may ask");
    assert_eq!(confirm(&running, &mut browser, &login, true).await, 204);
    assert_eq!(confirm(&running, &mut browser, &login, false).await, 404, "it is decided once");
    assert_eq!(complete(&running, &login, "another-verifier").await.status(), 404);
    let answer = complete(&running, &login, VERIFIER).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let session = body(&answer);
    assert_eq!(session["user"]["email"], "alice@example.com");
    assert_eq!(complete(&running, &login, VERIFIER).await.status(), 410, "it is given out once");

    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    let me = body(&Send::get("/api/v1/whoami").header("Authorization", &bearer).to(running.addr).await);
    assert_eq!(me["credential"]["kind"], "cli-session");
    assert_eq!(me["credential"]["id"], session["session_id"]);
    // A session of a CLI makes no other.
    let other = start(&running).await;
    let ask = json!({ "user_code": other["user_code"], "approve": true });
    let send = Send::json("POST", "/api/v1/auth/cli/confirm", &ask).header("Authorization", &bearer);
    assert_eq!(send.to(running.addr).await.status(), 403);
    // And is no cookie.
    let cookie = format!("__Host-rgw_session={}", session["token"].as_str().unwrap());
    assert_eq!(Send::get("/api/v1/whoami").header("Cookie", cookie).to(running.addr).await.status(), 401);
    // Nor is the cookie a token.
    let pasted = format!("Bearer {}", browser.session().unwrap());
    assert_eq!(Send::get("/api/v1/whoami").header("Authorization", pasted).to(running.addr).await.status(), 401);

    assert_eq!(confirm(&running, &mut browser, &other, false).await, 204);
    let answer = complete(&running, &other, VERIFIER).await;
    assert_eq!((answer.status(), body(&answer)["type"].clone()), (403, json!("/problems/cli-login-denied")));
    let unknown = json!({ "login_id": "0192f0c1-2b3c-7def-8123-456789abcdef", "code_verifier": VERIFIER });
    let answer = Send::json("POST", "/api/v1/auth/cli/complete", &unknown).to(running.addr).await;
    assert_eq!((answer.status(), body(&answer)["type"].clone()), (404, json!("/problems/cli-login-unknown")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits() {
    let db = Db::sqlite().await;
    let provider = Provider::start();
    let running = gateway(&db, &provider).await;
    let login = start(&running).await;
    let mut last = None;
    for _ in 0..130 {
        let answer = complete(&running, &login, VERIFIER).await;
        if answer.status() == 429 {
            last = Some(answer);
            break;
        }
    }
    let answer = last.expect("a limit");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    running.stop().await;
}
