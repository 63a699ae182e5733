//! What a browser can be made to do, and credentials where they do not belong.

use serde_json::json;

use super::{at_the_browser, at_the_cli, person, with};
use crate::harness::{Db, Gateway};
use crate::rows::CountingRack;
use crate::sign_in::{ORIGIN, Send};

/// What it is, which headers differ, the status, and the refusal on the record.
type Case = (&'static str, &'static [(&'static str, &'static str)], u16, Option<&'static str>);

async fn only_pages_of_the_gateway_change_anything(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let browser = at_the_browser(&gateway, &person(&gateway, "admin").await).await;
    let other = at_the_browser(&gateway, &person(&gateway, "admin").await).await;
    let csrf = browser.csrf();
    let good = [("Origin", ORIGIN.to_owned()), ("Sec-Fetch-Site", "same-origin".to_owned()), ("X-CSRF-Token", csrf)];
    // What differs from a request of a page; an empty value leaves the header out.
    let cases: &[Case] = &[
        ("a page", &[], 201, None),
        ("a page of an old browser", &[("Sec-Fetch-Site", "")], 201, None),
        ("a stolen cookie without the token", &[("X-CSRF-Token", "")], 403, Some("csrf")),
        ("a made-up token", &[("X-CSRF-Token", "x")], 403, Some("csrf")),
        ("no origin", &[("Origin", "")], 403, Some("origin-missing")),
        ("another origin", &[("Origin", "https://evil.example.com")], 403, Some("cross-origin")),
        ("the origin without its scheme", &[("Origin", "gateway.example.com")], 403, Some("cross-origin")),
        ("an opaque origin", &[("Origin", "null")], 403, Some("cross-origin")),
        ("another site", &[("Sec-Fetch-Site", "cross-site")], 403, Some("cross-site")),
        ("another host of the site", &[("Sec-Fetch-Site", "same-site")], 403, Some("cross-site")),
        ("typed by hand", &[("Sec-Fetch-Site", "none")], 403, Some("cross-site")),
        (
            "another site that navigates",
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
            403,
            Some("cross-site"),
        ),
        ("another host", &[("Host", "evil.example.com")], 421, Some("host")),
    ];
    for (index, (what, changes, status, refusal)) in cases.iter().enumerate() {
        let body = json!({ "email": format!("p{index}@example.com") });
        let mut send = Send::json("POST", "/api/v1/users", &body);
        for (name, value) in &good {
            let changed = changes.iter().find(|(changed, _)| changed == name).map(|(_, value)| *value);
            let value = changed.unwrap_or(value);
            if !value.is_empty() {
                send = send.header(name, value);
            }
        }
        for (name, value) in changes.iter().filter(|(name, _)| !good.iter().any(|(known, _)| known == name)) {
            send = send.header(name, *value);
        }
        let answer = browser.clone().send(gateway.addr(), send).await;
        assert_eq!(answer.status(), *status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        let known = gateway.running.gate.store.user_find_by_email(&format!("p{index}@example.com")).await.unwrap();
        assert_eq!(known.is_some(), *status == 201, "{what}");
        if let Some(refusal) = refusal {
            let records = gateway.records_of(answer.header("rack-gateway-request-id").unwrap()).await;
            assert_eq!(records.len(), 1, "{what}");
            assert_eq!((&records[0]["kind"], &records[0]["detail"]["refusal"]), (&json!("denial"), &json!(refusal)));
        }
    }
    // The token of another session of the same person.
    let send = Send::json("POST", "/api/v1/users", &json!({ "email": "q@example.com" }));
    let send = send.header("Origin", ORIGIN).header("X-CSRF-Token", other.csrf());
    assert_eq!(browser.clone().send(gateway.addr(), send).await.status(), 403);
    gateway.stop_and_verify().await;
}

async fn credentials_work_where_they_belong_alone(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let user = person(&gateway, "viewer").await;
    let browser = at_the_browser(&gateway, &user).await;
    let cli = at_the_cli(&gateway, &user).await;
    let session = browser.session().unwrap().to_owned();
    let whoami = || Send::get("/api/v1/whoami");
    let cookie = |value: &str| whoami().header("Cookie", format!("__Host-rgw_session={value}"));
    let cases = [
        ("the cookie", cookie(&session), 200),
        ("the cookie among others", whoami().header("Cookie", format!("a=b; __Host-rgw_session={session}")), 200),
        ("the cookie's value as a token", with(&session, whoami()), 401),
        ("a token as cookie", cookie(&cli), 401),
        ("an API token as cookie", cookie(gateway.token("cicd")), 401),
        ("a token", with(&cli, whoami()), 200),
        ("a good token and a bad cookie", with(&cli, cookie("x")), 200),
        ("a bad token and a good cookie", with("x", cookie(&session)), 401),
        ("two cookies", cookie(&format!("{session}; __Host-rgw_session={session}")), 401),
        ("a cookie of another name", whoami().header("Cookie", format!("rgw_session={session}")), 401),
        ("another site that reads", cookie(&session).header("Sec-Fetch-Site", "cross-site"), 403),
        ("another origin that reads", cookie(&session).header("Origin", "https://evil.example.com"), 403),
        (
            "another site that leads here",
            cookie(&session).header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate"),
            200,
        ),
        ("two tokens", with(&cli, with(&cli, whoami())), 400),
    ];
    for (what, send, status) in cases {
        let answer = send.to(gateway.addr()).await;
        assert_eq!(answer.status(), status, "{what}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(rack.take(), 0);
    gateway.stop_and_verify().await;
}

/// A page of another site cannot open a shell with the browser's cookie.
async fn sockets_of_other_sites_are_refused(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let browser = at_the_browser(&gateway, &person(&gateway, "admin").await).await;
    for (name, value) in [("Origin", "https://evil.example.com"), ("Sec-Fetch-Site", "cross-site")] {
        let send = Send::get("/apps/myapp/processes/web-1/exec")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-Fetch-Mode", "websocket")
            .header(name, value);
        let answer = browser.clone().send(gateway.addr(), send).await;
        assert_eq!(answer.status(), 403, "{name}: {answer:?}");
    }
    assert_eq!(rack.take(), 0);
    gateway.stop_and_verify().await;
}

async fn where_a_request_comes_from_is_not_what_it_says(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let send = with(gateway.token("viewer"), Send::get("/api/v1/whoami"));
    let send = send.header("X-Forwarded-For", "198.51.100.1").header("Forwarded", "for=198.51.100.1");
    let answer = send.header("X-Real-IP", "198.51.100.1").to(gateway.addr()).await;
    assert_eq!(answer.status(), 200);
    let records = gateway.records_until(answer.header("rack-gateway-request-id").unwrap(), 2).await;
    assert_eq!(gateway.beside(&records[0], "src_ip").await.as_deref(), Some("127.0.0.1"), "{records:?}");
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        only_pages_of_the_gateway_change_anything,
        credentials_work_where_they_belong_alone,
        sockets_of_other_sites_are_refused,
        where_a_request_comes_from_is_not_what_it_says,
    );
}
