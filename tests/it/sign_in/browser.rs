//! The whole way in a real browser, at a provider that is not ours: for the web, for `rack-gateway login`
//! and for the stock `convox` CLI.

use rack_gateway::config::{ProviderHttp, SignInSettings, Site};
use rack_gateway::http::{Launch, bind};
use secrecy::SecretString;
use serde_json::json;

use super::{Send, invite, json as body};
use crate::client::Machine;
use crate::harness::binary::Started;
use crate::harness::browser::{OidcProvider, Script};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, basic};
use crate::rows::CountingRack;

mod both {
    crate::on_both!(a_person_signs_in_with_browser_and_both_clis);
}

async fn a_person_signs_in_with_browser_and_both_clis(db: Db) {
    let rack = CountingRack::start().await;
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::local(port);
    let origin = site.origin.clone();
    let callbacks = ["web", "cli"].map(|channel| format!("{origin}/api/v1/auth/{channel}/callback"));
    let account = json!([{
        "sub": "ada", "email": "ada@example.com", "email_verified": true, "name": "Ada", "groups": ["staff"],
    }]);
    let provider = OidcProvider::start(&[&callbacks[0], &callbacks[1]], &account).await;
    let settings = SignInSettings {
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        client_secret: SecretString::from(provider.client_secret.clone()),
        scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
        groups_claim: "groups".to_owned(),
        allowed_domains: vec!["example.com".to_owned()],
        google: false,
        http: ProviderHttp::default(),
    };
    let running =
        launch_with(&db, rack.addr, |launch| Launch { listener, site, sign_in: Some(settings), ..launch }).await;
    let user = invite(&running, "ada@example.com", &["viewer"]).await;

    let machine = Machine::new();
    let mut login = Started::new(machine.command(&["login", "dev", &origin, "--no-open"]));
    let url = login
        .err
        .until(|said| said.lines().map(str::trim).find(|line| line.contains("/app/cli?code=")).map(str::to_owned));
    let url = url.await.expect("the client shows where to go");
    let code = url.rsplit_once('=').unwrap().1.to_owned();

    let seen = Script::run("whole-way.mjs", &json!({ "origin": origin, "person": "ada", "cli": url })).await;
    assert_eq!(seen["asked"], json!(format!("{origin}/app/login?return_to=%2Fapp")));
    assert!(seen["account"].as_str().unwrap().contains("ada@example.com"), "{seen}");
    assert_eq!(seen["code"], json!(code), "the page shows the code of the terminal");
    assert_eq!((&seen["shownOnce"], &seen["complaints"]), (&json!(true), &json!([])));
    let cookies = seen["cookies"].as_array().unwrap();
    assert!(!cookies.contains(&json!("__Host-rgw_session")), "signing out leaves no session: {seen}");

    let (status, out, err) = login.ended().await;
    assert!(status.success() && out.contains("ada@example.com"), "{out}{err}");
    let me = machine.run(&["--json", "whoami"]).await.json();
    assert_eq!((&me["principal"]["id"], &me["credential"]["kind"]), (&json!(user), &json!("cli-session")));
    let host = origin.strip_prefix("http://").unwrap().to_owned();
    let apps = |authorization: String| {
        let host = host.clone();
        let addr = running.addr;
        async move {
            Send::get("/apps?").header("Host", host).header("Authorization", authorization).to(addr).await.status()
        }
    };
    // Signing out at the browser ended that session alone.
    assert_eq!(apps(format!("Bearer {}", machine.config()["racks"]["dev"]["token"].as_str().unwrap())).await, 200);
    // `convox login HOST` sends the pasted token so.
    let token = seen["token"].as_str().unwrap();
    assert_eq!(seen["login"], json!(format!("convox login {host} -t {token}")));
    let authorization = basic(token);
    let auth = Send::get("/auth").header("Host", host.clone()).header("Authorization", authorization.clone());
    assert_eq!(body(&auth.to(running.addr).await)["id"], json!(user));
    assert_eq!(apps(authorization.clone()).await, 200);

    let sessions = machine.run(&["--json", "sessions", "list"]).await.json();
    let sessions = sessions.as_array().cloned().unwrap_or_else(|| sessions["items"].as_array().unwrap().clone());
    let pasted = sessions.iter().find(|session| session["name"] == "a build machine").unwrap();
    machine.run(&["sessions", "revoke", pasted["id"].as_str().unwrap()]).await.ok();
    assert_eq!(apps(authorization).await, 401, "it is revoked like any session");
    machine.run(&["logout"]).await.ok();
    assert_eq!(rack.take(), 2);
    running.stop().await;
}
