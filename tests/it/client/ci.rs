//! CI: `token exchange`, `env` and `run`.

use std::fs;

use super::fake::{Fake, RUNNER_TOKEN, identity_for};
use super::{Machine, approving};

fn job(gateway: &Fake) -> Machine {
    Machine::new().with("RACK_GATEWAY_URL", &gateway.url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_job_gets_a_token_that_its_log_hides() {
    let gateway = approving();
    let machine = job(&gateway)
        .with("GITHUB_ACTIONS", "true")
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("{}/runner/token?api-version=2.0", gateway.url))
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER_TOKEN);
    let ran = machine.run(&["token", "exchange"]).await;
    let token = gateway.tokens().pop().unwrap();
    assert_eq!(ran.err, format!("::add-mask::{token}\n"));
    let host = gateway.url.strip_prefix("http://").unwrap();
    assert_eq!(ran.ok(), format!("RACK_URL=http://convox:{token}@{host}\n"));
    // The runner's own token goes to the runner only.
    let to_gateway: Vec<_> = gateway.seen().into_iter().filter(|seen| seen.path.starts_with("/api/")).collect();
    assert!(to_gateway.iter().all(|seen| seen.authorization.is_none() && !seen.body.contains(RUNNER_TOKEN)));
    let json = machine.run(&["token", "exchange", "--json"]).await.json();
    let token = gateway.tokens().pop().unwrap();
    assert_eq!((json["access_token"].as_str(), json["expires_in"].as_u64()), (Some(token.as_str()), Some(900)));
    assert_eq!(json["rack_url"], format!("http://convox:{token}@{host}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_platform_gives_its_token_by_file_or_variable() {
    let gateway = approving();
    let machine = job(&gateway);
    let file = machine.home.path().join("identity");
    fs::write(&file, format!("{}\n", identity_for(&gateway.url))).unwrap();
    let file = file.to_str().unwrap();
    let ran = machine.run(&["token", "exchange", "--oidc-token-file", file]).await;
    assert_eq!(ran.err, "");
    assert!(ran.ok().starts_with("RACK_URL=http://convox:rgw_"));
    let machine = machine.with("RACK_GATEWAY_OIDC_TOKEN", &identity_for("https://elsewhere.example"));
    let ran = machine.run(&["token", "exchange"]).await;
    assert!(!ran.err.contains("header."), "{ran:?}");
    ran.failed(1, &["the audience is another (invalid_grant)"]);
    // The file goes before the variable.
    machine.run(&["token", "exchange", "--oidc-token-file", file]).await.ok();
    let machine = machine.with("RACK_GATEWAY_OIDC_TOKEN", &identity_for(&gateway.url));
    machine.run(&["token", "exchange"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_token_it_says_where_one_comes_from() {
    let gateway = approving();
    let machine = job(&gateway);
    machine.run(&["token", "exchange"]).await.failed(2, &["--oidc-token-file", "RACK_GATEWAY_OIDC_TOKEN"]);
    let empty = machine.home.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let arguments = ["token", "exchange", "--oidc-token-file", empty.to_str().unwrap()];
    machine.run(&arguments).await.failed(2, &["empty"]);
    machine.run(&["token", "exchange", "--oidc-token-file", "/nonexistent"]).await.failed(2, &["/nonexistent"]);
    let machine = machine.with("GITHUB_ACTIONS", "true");
    machine.run(&["token", "exchange"]).await.failed(2, &["id-token: write"]);
    let mut machine = machine
        .with("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("{}/runner/token?api-version=2.0", gateway.url))
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another");
    machine.run(&["token", "exchange"]).await.failed(2, &["status 401"]);
    machine.set("ACTIONS_ID_TOKEN_REQUEST_URL", "http://runner.example.com/token");
    machine.run(&["token", "exchange"]).await.failed(2, &["ACTIONS_ID_TOKEN_REQUEST_URL", "https"]);
    assert_eq!(gateway.seen_at("/api/v1/auth/token").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn env_is_for_eval() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let token = gateway.tokens().pop().unwrap();
    let host = gateway.url.strip_prefix("http://").unwrap();
    let ran = machine.run(&["env"]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (&*format!("export RACK_URL=http://convox:{token}@{host}\n"), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_gives_the_command_all_it_had_and_the_address() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let token = gateway.tokens().pop().unwrap();
    let host = gateway.url.strip_prefix("http://").unwrap();
    let machine = machine.with("OWN_VARIABLE", "kept").with("RACK_URL", "https://old.example.com");
    let script = "printf '%s|%s|%s|%s' \"$RACK_URL\" \"$OWN_VARIABLE\" \"$1\" \"$2\"; echo oops >&2; exit 42";
    let ran = machine.run(&["run", "--", "sh", "-c", script, "sh", "a b", "--json"]).await;
    assert_eq!(ran.code, 42, "{ran:?}");
    assert_eq!(ran.out, format!("http://convox:{token}@{host}|kept|a b|--json"));
    assert_eq!(ran.err, "oops\n");
    let quiet = machine.run(&["run", "--", "true"]).await;
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_says_what_it_cannot_run() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    machine.run(&["run", "--", "no-such-command"]).await.failed(3, &["no-such-command cannot be run"]);
    machine.run(&["run"]).await.failed(2, &["COMMAND"]);
    machine.run(&["run", "--rack", "nowhere", "--", "true"]).await.failed(2, &["nowhere"]);
    machine.run(&["logout"]).await.ok();
    machine.run(&["run", "--", "true"]).await.failed(1, &["rack-gateway login prod"]);
}
