//! `whoami`, `logout`, `sessions`: yes, no, and what a person reads.

use serde_json::json;

use super::fake::{API_TOKEN, REQUEST_ID, USER_ID};
use super::{Machine, approving};

#[tokio::test(flavor = "multi_thread")]
async fn whoami_says_who_where_and_what() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let text = machine.run(&["whoami"]).await.ok();
    let expected = format!(
        "who         ann@example.com (Ann)\nrack        acme/prod at {}\nroles       deployer\ngroups      eng\n\
         credential  cli session-2, until 2999-12-31 10:20 UTC\nactions     2 allow, 1 deny\n",
        gateway.url
    );
    assert_eq!(text, expected);
    let listed = machine.run(&["whoami", "--actions"]).await.ok();
    assert_eq!(listed, format!("{expected}\nallow  rack:read\nallow  app:list\ndeny   app:delete\n"));
    assert_eq!(machine.run(&["whoami", "--json"]).await.json()["principal"]["id"], USER_ID);
    let machine = machine.with("RACK_GATEWAY_API_TOKEN", API_TOKEN);
    assert!(machine.run(&["whoami"]).await.ok().starts_with("who         ci\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_names_the_way_back() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    gateway.end_sessions();
    for arguments in [&["whoami"][..], &["sessions", "list"], &["sessions", "revoke", "session-1"]] {
        machine.run(arguments).await.failed(1, &["your session on prod has ended", "`rack-gateway login prod`"]);
    }
    let machine = machine.with("RACK_GATEWAY_API_TOKEN", "rgw_of-nobody");
    machine.run(&["whoami"]).await.failed(1, &["does not take this token", "who are you?", REQUEST_ID]);
}

/// Such a session is good: what it lacks is said, and where to show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_lacks_a_second_factor_is_led_to_the_page() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    let problem = r#"{"error": "session:list refused; confirm it at https://gw.example/app/c/BCDF-GHJK",
        "type": "/problems/challenge", "title": "Unauthorized", "status": 401, "instance": "01JTESTREQUEST"}"#;
    gateway.always(401, "", problem);
    let said = ["session:list refused", "https://gw.example/app/c/BCDF-GHJK", REQUEST_ID];
    machine.run(&["sessions", "list"]).await.failed(1, &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_session_on_both_sides() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    // Somebody's API token is left alone.
    let machine = machine.with("RACK_GATEWAY_API_TOKEN", API_TOKEN);
    let token = gateway.tokens().pop().unwrap();
    machine.run(&["logout"]).await.ok();
    let ended = gateway.seen_at("/api/v1/auth/logout");
    assert_eq!((ended.len(), ended[0].method.as_str()), (1, "POST"));
    assert_eq!(ended[0].authorization, Some(format!("Bearer {token}")));
    assert_eq!(gateway.tokens(), Vec::<String>::new());
    let config = machine.config();
    assert_eq!(config, json!({ "current": "prod", "racks": { "prod": { "url": gateway.url } } }));
    let mut machine = machine;
    machine.env.remove("RACK_GATEWAY_API_TOKEN");
    machine.run(&["env"]).await.failed(1, &["not signed in to prod", "`rack-gateway login prod`"]);
    // Twice is as good as once.
    machine.run(&["logout"]).await.ok();
    machine.run(&["logout", "--forget"]).await.ok();
    assert_eq!(machine.config(), json!({ "racks": {} }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_gateway_ended_is_only_forgotten() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    gateway.end_sessions();
    machine.run(&["logout"]).await.ok();
    assert_eq!(machine.config()["racks"]["prod"], json!({ "url": gateway.url }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_could_not_be_ended_stays_unless_it_is_to_be_forgotten() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    gateway.always(503, "", "{\"error\":\"the log cannot be written\",\"instance\":\"01J\"}");
    machine.run(&["logout"]).await.failed(3, &["--forget", "the log cannot be written (request 01J)"]);
    assert!(machine.config()["racks"]["prod"]["token"].is_string());
    machine.run(&["logout", "--forget"]).await.failed(0, &["lives on"]);
    assert_eq!(machine.config(), json!({ "racks": {} }));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let gateway = approving();
    let other = Machine::signed_in("prod", &gateway).await;
    let machine = Machine::signed_in("prod", &gateway).await;
    let text = machine.run(&["sessions", "list"]).await.ok();
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "KIND", "NAME", "SINCE", "LAST", "USED", "UNTIL", "FROM"]);
    assert_eq!((lines.len(), lines[1][0], &lines[2][..2]), (3, "session-2", &["*", "session-4"][..]));
    assert!(text.contains("2026-01-02 03:04 UTC") && text.contains("192.0.2.7") && !text.contains('\u{1b}'), "{text}");
    let json = machine.run(&["sessions", "list", "--json"]).await.json();
    assert_eq!(json["items"][1]["current"], true);

    machine.run(&["sessions", "revoke", "session-2"]).await.ok();
    other.run(&["whoami"]).await.failed(1, &["has ended"]);
    machine.run(&["sessions", "revoke", "../../x"]).await.failed(1, &["no such session", REQUEST_ID]);
    let path = gateway.seen().pop().unwrap().path;
    assert_eq!(path, format!("/api/v1/users/{USER_ID}/sessions/..%2F..%2Fx"));
    // Its own: then it is signed out.
    machine.run(&["sessions", "revoke", "session-4"]).await.ok();
    assert_eq!(machine.config()["racks"]["prod"], json!({ "url": gateway.url }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_in_the_gateways_words() {
    let gateway = approving();
    let machine = Machine::signed_in("prod", &gateway).await;
    gateway.always(
        403,
        "",
        "{\"error\":\"policy \\u001b]0;x\\u0007says no\",\"type\":\"/problems/denied\",\"instance\":\"01J\"}",
    );
    let ran = machine.run(&["whoami"]).await;
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\u{7}'), "{ran:?}");
    ran.failed(1, &["says no (request 01J)"]);
}
