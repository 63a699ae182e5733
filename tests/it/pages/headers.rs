//! What every answer says about itself.

use rack_gateway::config::Site;
use rack_gateway::http::Launch;

use super::{HTML, Reader, assets, gateway, text};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::rows::CountingRack;
use crate::sign_in::Send;

const HSTS: &str = "max-age=31536000; includeSubDomains";

fn assert_own(what: &str, answer: &Message) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        ("strict-transport-security", HSTS),
    ] {
        assert_eq!(answer.header(name), Some(value), "{what}: {name}");
    }
}

fn assert_data(what: &str, answer: &Message) {
    assert_own(what, answer);
    let policy = answer.header("content-security-policy");
    assert_eq!(policy, Some("default-src 'none'; frame-ancestors 'none'"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
}

/// The nonce of a page, which its policy and its two tags share.
fn assert_page(what: &str, answer: &Message) -> String {
    assert_own(what, answer);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{what}");
    assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{what}");
    assert!(answer.header("permissions-policy").unwrap().contains("camera=()"), "{what}");
    let policy = answer.header("content-security-policy").unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let expected = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(policy, expected, "{what}");
    assert_eq!(nonce.len(), 22, "{what}: 128 bits");
    let page = text(answer);
    assert_eq!(page.matches(&format!(" nonce=\"{nonce}\"")).count(), 2, "{what}: {page}");
    assert_eq!(page.matches(" nonce=").count(), 2, "{what}: {page}");
    nonce.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_is_hardened() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let reader = Reader::new(&running, "Ada", &["viewer"]).await;
    let get = async |target: &str| Send::get(target).to(running.addr).await;
    for (target, status) in [
        ("/api/v1/health", 200),
        ("/api/v1/whoami", 401),
        ("/apps", 401),
        ("/nowhere", 401),
        ("/app/assets/none.css", 404),
        ("/api/v1/auth/web/login", 503),
        ("/app", 401),
    ] {
        let answer = get(target).await;
        assert_eq!(answer.status(), status, "{target}");
        assert_data(target, &answer);
    }
    let cookie = reader.cookie();
    let whoami = Send::get("/api/v1/whoami").header("Cookie", &cookie).to(running.addr).await;
    assert_eq!(whoami.status(), 200);
    assert_data("whoami", &whoami);
    let wrong = Send::get("/app/login").header("Host", "evil.example").header("Accept", "*/*").to(running.addr).await;
    assert_eq!(wrong.status(), 421);
    assert_data("another host", &wrong);
    let mut nonces = std::collections::BTreeSet::new();
    for target in ["/app/login", "/app", "/app/cli", "/app/cli-token", "/app/cli?code=XXXX-XXXX", "/app/nowhere"] {
        for _ in 0..2 {
            let nonce = assert_page(target, &reader.get(&running, target).await);
            assert!(nonces.insert(nonce), "{target}: a nonce is used once");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_security_is_for_https_alone() {
    let local = |launch: Launch| Launch { site: Site::local(launch.listener.local_addr().unwrap().port()), ..launch };
    let db = Db::sqlite().await;
    let running = launch_with(&db, "127.0.0.1:9".parse().unwrap(), local).await;
    for target in ["/app/login", "/api/v1/health", "/apps"] {
        let answer = Send::get(target).header("Host", running.addr.to_string()).to(running.addr).await;
        assert!(answer.status() == 200 || answer.status() == 401);
        assert_eq!(answer.header("strict-transport-security"), None, "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_good_under_the_name_of_their_contents() {
    let db = Db::sqlite().await;
    let running = gateway(&db).await;
    let page = text(&Send::get("/app/login").to(running.addr).await);
    let named = assets(&page);
    assert_eq!(named.len(), 2, "{page}");
    for (asset, media) in named.iter().zip(["text/css; charset=utf-8", "text/javascript; charset=utf-8"]) {
        let answer = Send::get(asset).to(running.addr).await;
        assert_eq!(answer.status(), 200, "{asset}");
        assert_own(asset, &answer);
        assert_eq!(answer.header("content-type"), Some(media));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(!answer.body.is_empty());
    }
    let (first, _) = named[0].rsplit_once('.').unwrap();
    for other in ["/app/assets/style.css", "/app/assets/style.0000000000000000.css", &format!("{first}.js")] {
        let answer = Send::get(other).header("Accept", HTML).to(running.addr).await;
        assert_eq!(answer.status(), 404, "{other}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{other}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_rack_say_themselves_what_may_be_done_with_them() {
    let rack = CountingRack::start().await;
    let db = Db::sqlite().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let answer = Send::get("/apps").header("Authorization", gateway.basic("admin")).to(gateway.addr()).await;
    assert_eq!((answer.status(), rack.take()), (200, 1));
    assert_eq!(answer.header("strict-transport-security"), Some(HSTS));
    for name in ["content-security-policy", "x-frame-options", "x-content-type-options", "referrer-policy"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    gateway.stop_and_verify().await;
}
