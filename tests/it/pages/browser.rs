//! The pages in a real browser: everything done by keyboard, nothing that axe-core objects to.

use rack_gateway::config::Site;
use rack_gateway::http::Launch;
use rack_gateway::identity::Token;
use rack_gateway::store::{CredentialKind, NewCliLogin};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Reader, session};
use crate::harness::Db;
use crate::harness::browser::Script;
use crate::harness::gateway::launch_with;
use crate::harness::provider::Provider;
use crate::sign_in::Send;

/// A gateway that a browser on this machine can open.
async fn local(db: &Db, provider: &Provider) -> rack_gateway::http::Running {
    let settings = provider.settings();
    let change = |launch: Launch| {
        let site = Site::local(launch.listener.local_addr().unwrap().port());
        Launch { site, sign_in: Some(settings), ..launch }
    };
    launch_with(db, "127.0.0.1:9".parse().unwrap(), change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_by_keyboard() {
    let provider = Provider::start();
    let db = Db::sqlite().await;
    let running = local(&db, &provider).await;
    let (store, now) = (&running.gate.store, OffsetDateTime::now_utc());
    let reader = Reader::new(&running, "Ada Lovelace", &["deployer"]).await;
    let ended = Token::generate().unwrap();
    session(&running, &reader.user, CredentialKind::Cli, "old laptop", &ended).await;
    session(&running, &reader.user, CredentialKind::Cli, "work laptop", &Token::generate().unwrap()).await;
    session(&running, &reader.user, CredentialKind::Web, "", &Token::generate().unwrap()).await;
    let login = NewCliLogin {
        id: "login".to_owned(),
        user_code: "BCDF-GHJK".to_owned(),
        code_challenge: "challenge".to_owned(),
        device_name: "ada's laptop".to_owned(),
        device_os: "linux".to_owned(),
        client_version: "rack-gateway 0.1.0".to_owned(),
        source_ip: "192.0.2.9".parse().unwrap(),
        expires_at: now + Duration::minutes(10),
    };
    store.cli_login_begin(login, now).await.unwrap();
    let origin = running.gate.site.origin.clone();
    let input = json!({
        "origin": origin, "session": reader.token.expose(), "code": "BCDF-GHJK", "other": "old laptop",
    });
    let seen = Script::run("pages.mjs", &input).await;
    assert_eq!(seen["wrong"], json!([]));
    assert_eq!(seen["complaints"], json!([]), "the pages keep to their own policy");
    assert_eq!(seen["sentTo"], format!("{origin}/app/login?return_to=%2Fapp"));
    assert_eq!(seen["left"], 0);
    assert_eq!(seen["code"], "BCDF-GHJK");
    let login = store.cli_login_find("login").await.unwrap().unwrap();
    assert_eq!((login.approved, login.user_id.as_deref()), (Some(true), Some(reader.user.as_str())));
    assert!(seen["again"].as_str().unwrap().contains("confirmed already"));
    let token = seen["token"].as_str().unwrap();
    let domain = running.gate.site.domain();
    let lines = [
        token.to_owned(),
        format!("convox login {domain} -t {token}"),
        format!("export RACK_URL=http://convox:{token}@{domain}"),
    ];
    assert_eq!(seen["lines"], json!(lines));
    assert_eq!((&seen["copied"], &seen["shownAgain"]), (&json!(token), &json!(false)));
    assert_eq!(seen["others"], 0, "all others have ended, the new token among them");
    assert_eq!(seen["signedOut"], format!("{origin}/app/login?return_to=%2Fapp"));
    for secret in [ended.expose(), token, reader.token.expose()] {
        let host = running.addr.to_string();
        let ask = Send::get("/api/v1/whoami").header("Host", host).header("Authorization", format!("Bearer {secret}"));
        assert_eq!(ask.to(running.addr).await.status(), 401);
    }
    running.stop().await;
}
