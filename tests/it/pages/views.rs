//! What the pages show, and that words of strangers stay words.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::http::Launch;
use rack_gateway::identity::Token;
use rack_gateway::store::{CredentialKind, NewCliLogin};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Reader, gateway, session, text};
use crate::harness::Db;
use crate::harness::gateway::launch_with;
use crate::harness::provider::Provider;
use crate::sign_in::{self, Send};

const HOSTILE: &str = "<script>alert(1)</script>\"' onerror='x\u{202e}";
const ESCAPED: &str = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39; onerror=&#39;x\u{fffd}";

fn assert_harmless(page: &str) {
    assert!(!page.contains("<script>") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains(ESCAPED), "{page}");
}

fn cli_login(code: &str, device: &str, now: OffsetDateTime) -> NewCliLogin {
    NewCliLogin {
        id: Uuid::now_v7().to_string(),
        user_code: code.to_owned(),
        code_challenge: "challenge".to_owned(),
        device_name: device.to_owned(),
        device_os: "linux".to_owned(),
        client_version: "1.2.3".to_owned(),
        source_ip: "192.0.2.9".parse().unwrap(),
        expires_at: now + Duration::minutes(10),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_people_and_devices_are_words() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let reader = Reader::new(&running, HOSTILE, &["viewer"]).await;
    assert_harmless(&text(&reader.get(&running, "/app").await));
    let calm = Reader::new(&running, "Ada", &["viewer"]).await;
    session(&running, &calm.user, CredentialKind::Cli, HOSTILE, &Token::generate().unwrap()).await;
    assert_harmless(&text(&calm.get(&running, "/app").await));
    let now = OffsetDateTime::now_utc();
    running.gate.store.cli_login_begin(cli_login("BCDF-GHJK", HOSTILE, now), now).await.unwrap();
    assert_harmless(&text(&calm.get(&running, "/app/cli?code=BCDF-GHJK").await));
    let odd = calm.get(&running, "/app/cli?code=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!text(&odd).contains("alert(1)"), "what was typed is not repeated");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_shows_its_own_sessions_only() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let (ada, bob) = (Reader::new(&running, "Ada", &["ops"]).await, Reader::new(&running, "Bob", &["viewer"]).await);
    let others = session(&running, &bob.user, CredentialKind::Cli, "bobs-laptop", &Token::generate().unwrap()).await;
    let own = session(&running, &ada.user, CredentialKind::Cli, "adas-laptop", &Token::generate().unwrap()).await;
    let page = text(&ada.get(&running, "/app").await);
    assert!(page.contains("Ada") && page.contains("adas-laptop") && page.contains("This browser"), "{page}");
    assert!(page.contains("<li>ops</li>") && page.contains("Firefox on Linux"), "{page}");
    assert!(page.contains(&format!("data-path=\"/api/v1/users/{}/sessions/{own}\"", ada.user)), "{page}");
    assert!(!page.contains("bobs-laptop") && !page.contains(&others), "{page}");
    assert_eq!(page.matches("data-do=\"end\"").count(), 1, "not for the session that shows it: {page}");
    running.gate.store.credential_revoke(&own, "test", OffsetDateTime::now_utc()).await.unwrap();
    assert!(!text(&ada.get(&running, "/app").await).contains("adas-laptop"), "what has ended is not shown");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_shown_while_it_can_be_decided_on() {
    let db = Db::sqlite().await;
    // What is over may be cleared away at any time, so it must not be over before it is looked at.
    let ahead = Arc::new(AtomicI64::new(0));
    let hands = Arc::clone(&ahead);
    let clock = Clock::from_fn(move || OffsetDateTime::now_utc() + Duration::seconds(hands.load(Ordering::SeqCst)));
    let running = launch_with(&db, "127.0.0.1:9".parse().unwrap(), |launch| Launch { clock, ..launch }).await;
    let (store, now) = (&running.gate.store, OffsetDateTime::now_utc());
    let reader = Reader::new(&running, "Ada", &["viewer"]).await;
    for code in ["BCDF-GHJK", "CCCC-CCCC", "DDDD-DDDD"] {
        store.cli_login_begin(cli_login(code, "laptop", now), now).await.unwrap();
    }
    let late = NewCliLogin { expires_at: now + Duration::minutes(5), ..cli_login("FFFF-FFFF", "laptop", now) };
    store.cli_login_begin(late, now).await.unwrap();
    assert!(store.cli_login_decide("CCCC-CCCC", &reader.user, true, None, now).await.unwrap());
    assert!(store.cli_login_decide("DDDD-DDDD", &reader.user, false, None, now).await.unwrap());
    for (typed, shown) in [
        ("BCDF-GHJK", "Does your terminal show this code?"),
        ("bcdfghjk", "Does your terminal show this code?"),
        ("", "Type the code that your terminal shows"),
        ("GGGG-GGGG", "No command line waits with this code"),
        ("no-code", "No command line waits with this code"),
        ("CCCC-CCCC", "This code was confirmed already"),
        ("DDDD-DDDD", "This code was refused"),
        ("FFFF-FFFF", "This code is too old"),
    ] {
        ahead.store(if typed == "FFFF-FFFF" { 301 } else { 0 }, Ordering::SeqCst);
        let answer = reader.get(&running, &format!("/app/cli?code={typed}")).await;
        assert_eq!(answer.status(), 200, "{typed}");
        let page = text(&answer);
        assert!(page.contains(shown), "{typed}: {page}");
        assert_eq!(page.contains("data-do=\"confirm\""), shown.starts_with("Does"), "{typed}: {page}");
    }
    let page = text(&reader.get(&running, "/app/cli?code=BCDF-GHJK").await);
    for fact in [">BCDF-GHJK<", "laptop", "linux", "1.2.3", "192.0.2.9", "not yours: 127.0.0.1"] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_leads_to_the_provider_and_nowhere_else() {
    let provider = Provider::start();
    let db = Db::sqlite().await;
    let running = sign_in::gateway(&db, &provider).await;
    for (wanted, kept) in [
        ("", "%2Fapp"),
        ("?return_to=/app/cli?code=BCDF-GHJK", "%2Fapp%2Fcli%3Fcode%3DBCDF-GHJK"),
        ("?return_to=//evil.example", "%2Fapp"),
        ("?return_to=https://evil.example/app", "%2Fapp"),
        ("?return_to=/app/%5C%5Cevil.example", "%2Fapp"),
        ("?return_to=/app%0D%0ASet-Cookie:x", "%2Fapp"),
        ("?return_to=%22%3E%3Cscript%3E", "%2Fapp"),
        ("?return_to=javascript:alert(1)", "%2Fapp"),
    ] {
        let answer = Send::get(&format!("/app/login{wanted}")).to(running.addr).await;
        assert_eq!(answer.status(), 200, "{wanted}");
        let page = text(&answer);
        let link = format!("href=\"/api/v1/auth/web/login?return_to={kept}\"");
        assert!(page.contains(&link) && page.contains("Sign in with 127.0.0.1"), "{wanted}: {page}");
        assert!(!page.contains("evil") && !page.contains("alert"), "{wanted}: {page}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_provider_says_how_to_set_one() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let page = text(&Send::get("/app/login").to(running.addr).await);
    for setting in ["GOOGLE_CLIENT_ID", "OIDC_ISSUER", "https://gateway.example.com/api/v1/auth/web/callback"] {
        assert!(page.contains(setting), "{setting}: {page}");
    }
    assert!(!page.contains("/api/v1/auth/web/login?"), "{page}");
    running.stop().await;
}
