//! `login`: approved, denied, expired, slowed down, interrupted.

use std::time::Duration;

use serde_json::json;

use super::fake::{Fake, Say};
use super::{Machine, Ran, approving};
use crate::harness::binary::Started;
use crate::harness::until;

const COMPLETE: &str = "/api/v1/auth/cli/complete";
const LOGOUT: &str = "/api/v1/auth/logout";

async fn login(machine: &Machine, gateway: &Fake) -> Ran {
    machine.run(&["login", "prod", &gateway.url, "--no-open"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_sign_in_is_saved_and_says_what_comes_next() {
    let gateway = Fake::start(&[Say::Pending, Say::Approve]);
    let machine = Machine::new();
    let ran = login(&machine, &gateway).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in ["    BCDF-GHJK\n", &format!("    {}/app/cli?code=BCDF-GHJK\n", gateway.url)] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    for part in ["ann@example.com (Ann)", "2999-12-31 10:20 UTC", "eval \"$(rack-gateway env)\"", "run -- convox apps"]
    {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    let token = gateway.tokens().pop().unwrap();
    assert!(!format!("{ran:?}").contains(&token), "{ran:?}");
    // Progress is for terminals.
    assert!(!ran.err.contains('\r') && !ran.err.contains('\u{1b}'), "{ran:?}");
    let saved = json!({
        "url": gateway.url, "token": token, "session_id": "session-2", "expires_at": "2999-12-31T10:20:30Z",
        "email": "ann@example.com",
    });
    assert_eq!(machine.config(), json!({ "current": "prod", "racks": { "prod": saved } }));
    assert_eq!(gateway.seen_at(COMPLETE).len(), 2);
    assert!(gateway.seen().iter().all(|seen| seen.authorization.is_none() && !seen.body.contains(&token)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_as_json_holds_no_token() {
    let gateway = approving();
    let machine = Machine::new();
    let result = machine.run(&["--json", "login", "prod", &gateway.url, "--no-open"]).await.json();
    let user = json!({ "id": super::fake::USER_ID, "email": "ann@example.com", "name": "Ann" });
    let expected = json!({
        "rack": "prod", "url": gateway.url, "session_id": "session-2", "expires_at": "2999-12-31T10:20:30Z",
        "user": user,
    });
    assert_eq!(result, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_fails_leaves_nothing() {
    let cases: [(&[Say], &[&str]); 3] = [
        (&[Say::Pending, Say::Deny], &["denied", "denied by ann@example.com", "01JTESTREQUEST"]),
        (&[Say::Expire], &["in time", "run the command again"]),
        (&[Say::Slow(0), Say::Deny], &["denied"]),
    ];
    for (says, said) in cases {
        let gateway = Fake::start(says);
        let machine = Machine::new();
        login(&machine, &gateway).await.failed(1, said);
        assert!(!machine.config_path().exists());
        assert_eq!(gateway.seen_at(COMPLETE).len(), says.len(), "{says:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_gives_up_when_the_time_is_over() {
    let gateway = Fake::start(&[Say::Pending]);
    gateway.expire_after(1);
    login(&Machine::new(), &gateway).await.failed(1, &["in time"]);
    assert_eq!(gateway.seen_at(COMPLETE).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_asks_for_patience_gets_it() {
    let gateway = Fake::start(&[Say::Slow(2), Say::Approve]);
    login(&Machine::new(), &gateway).await.ok();
    let asked = gateway.seen_at(COMPLETE);
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(2), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_moment_of_the_gateway_is_waited_out() {
    let gateway = Fake::start(&[Say::Down, Say::Approve]);
    login(&Machine::new(), &gateway).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sign_in_has_a_verifier_of_its_own() {
    let gateway = approving();
    let machine = Machine::new();
    for _ in 0..2 {
        login(&machine, &gateway).await.ok();
    }
    let asked = gateway.seen_at(COMPLETE);
    assert_ne!(asked[0].body, asked[1].body);
    let verifier =
        |at: usize| serde_json::from_str::<serde_json::Value>(&asked[at].body).unwrap()["code_verifier"].clone();
    assert_ne!(verifier(0), verifier(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sign_in_ends_the_session_that_it_replaces() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let first = gateway.tokens();
    // The address is known by now.
    machine.run(&["login", "prod", "--no-open"]).await.ok();
    let second = gateway.tokens();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    assert_eq!(machine.config()["racks"]["prod"]["token"], *second[0]);
    let ended = gateway.seen_at(LOGOUT);
    assert_eq!(ended[0].authorization, Some(format!("Bearer {}", first[0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_goes_to_another_address() {
    let (old, new) = (approving(), approving());
    let machine = Machine::signed_in("prod", &old).await;
    machine.run(&["login", "prod", &new.url, "--no-open"]).await.ok();
    assert!(new.seen().iter().all(|seen| seen.authorization.is_none()), "{:?}", new.seen());
    assert_eq!(machine.config()["racks"]["prod"]["url"], *new.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_saved_is_ended() {
    let gateway = Fake::start(&[Say::Pending, Say::Approve]);
    let machine = Machine::new();
    let mut login = Started::new(machine.command(&["login", "prod", &gateway.url, "--no-open"]));
    login.err.until(|said| said.contains("BCDF-GHJK").then_some(())).await.unwrap();
    // A file stands where the folder should be.
    std::fs::write(machine.home.path().join(".config"), "").unwrap();
    let (status, out, err) = login.ended().await;
    assert_eq!(status.code(), Some(3), "{out}{err}");
    assert_eq!(gateway.tokens(), Vec::<String>::new(), "the session lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_without_a_trace() {
    let gateway = Fake::start(&[Say::Pending]);
    let machine = Machine::new();
    let mut login = Started::new(machine.command(&["login", "prod", &gateway.url, "--no-open"]));
    login.err.until(|said| said.contains("BCDF-GHJK").then_some(())).await.unwrap();
    login.signal("INT").await;
    let (status, out, err) = login.ended().await;
    assert_eq!(status.code(), Some(130), "{err}");
    assert_eq!((out.as_str(), machine.config_path().exists()), ("", false));
    assert!(err.ends_with("error: interrupted\n"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_opens_the_page_unless_told_not_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let gateway = approving();
    let machine = Machine::new();
    let opened = machine.home.path().join("opened");
    let browser = machine.home.path().join("browser");
    std::fs::write(
        &browser,
        format!("#!/bin/sh\nprintf %s \"$1\" >'{0}.new' && mv '{0}.new' '{0}'\n", opened.display()),
    )
    .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).unwrap();
    let machine = machine.with("BROWSER", browser.to_str().unwrap());
    login(&machine, &gateway).await.ok();
    assert!(!opened.exists(), "opened in spite of --no-open");
    machine.run(&["login", "prod", &gateway.url]).await.ok();
    let url = until("the browser", || async { std::fs::read_to_string(&opened).ok() }).await;
    assert_eq!(url, format!("{}/app/cli?code=BCDF-GHJK", gateway.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_page_of_the_web_goes_to_the_browser() {
    for page in ["file:///etc/passwd", "javascript:alert(1)", "http://gateway.example.com/app/cli", "x", ""] {
        let gateway = approving();
        gateway.show_page(page);
        let ran = login(&Machine::new(), &gateway).await;
        assert_ne!(ran.code, 0, "{page}");
        assert_eq!(gateway.seen_at(COMPLETE).len(), 0, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_names_and_addresses_are_refused_before_anything_is_sent() {
    let machine = Machine::new();
    let cases: [(&[&str], &str); 7] = [
        (&["login", "prod", "http://gateway.example.com"], "https"),
        (&["login", "prod", "gateway.example.com"], "scheme"),
        (&["login", "prod", "https://convox:hidden@gateway.example.com"], "password"),
        (&["login", "prod", "https://gateway.example.com/app"], "path"),
        (&["login", "a b", "https://gateway.example.com"], "name"),
        (&["login", "", "https://gateway.example.com"], "name"),
        (&["login", "prod"], "address"),
    ];
    for (arguments, said) in cases {
        let ran = machine.run(arguments).await;
        assert!(!ran.err.contains("hidden"), "{ran:?}");
        ran.failed(2, &[said]);
    }
}
