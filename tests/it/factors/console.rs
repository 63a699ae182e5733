//! The handshake of the stock `convox` command, from the side of the command and of its browser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::store::{Needs, Way};
use serde_json::json;
use url::form_urlencoded;

use super::person::{Person, Scene};
use crate::api::{ask, with};
use crate::harness::{Db, basic};
use crate::replay::peer::{Message, Wire};
use crate::sign_in::{Send, json as body_of};

/// As the command sends it: with an empty query, and its session header.
async fn fetch(scene: &Scene, token: &str, id: &str) -> Message {
    let target = format!("/session/{id}?");
    let send = Send::get(&target).header("Authorization", basic(token)).header("Session", "");
    send.header("Rack", "acme/dev").to(scene.gateway.addr()).await
}

async fn show(scene: &Scene, token: &str, id: &str, named: Option<&str>, proof: &str) -> Message {
    let target = format!("/session/{id}?");
    let mut send = Send { method: "POST", body: proof.to_owned(), ..Send::get(&target) };
    send = send.header("Authorization", basic(token)).header("Content-Type", "application/octet-stream");
    send = send.header("Session", "").header("Rack", "acme/dev");
    if let Some(named) = named {
        send = send.header("Challenge", named);
    }
    send.to(scene.gateway.addr()).await
}

/// The address that the command opens.
fn page(body: &[u8], callback: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("callback_url", callback).append_pair("token", &STANDARD.encode(body));
    format!("/login/u2f?{}", query.finish())
}

async fn a_command_shows_what_its_browser_gave_it(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let challenge = scene.pose(&cli, Needs::Mfa, Way::Console).await;
    let begun = fetch(&scene, &cli, &challenge.id).await;
    assert_eq!((begun.status(), begun.header("challenge")), (200, Some(challenge.id.as_str())), "{begun:?}");
    let told = body_of(&begun);
    assert_eq!(told["id"], challenge.id);
    let key = &told["publicKey"];
    assert!(STANDARD.decode(key["challenge"].as_str().unwrap()).is_ok());
    assert_eq!((&key["rpId"], &key["allowCredentials"]), (&json!("gateway.example.com"), &json!([])));
    let shown = person.get(&scene, &page(&begun.body, "http://localhost:43123")).await;
    let text = String::from_utf8(shown.body.clone()).unwrap();
    assert_eq!(shown.status(), 200, "{text}");
    assert!(text.contains("http://localhost:43123") && text.contains(&challenge.id), "{text}");
    // Nothing was shown yet.
    for proof in ["", "made-up"] {
        let answer = show(&scene, &cli, &challenge.id, Some(&challenge.id), proof).await;
        assert_eq!((answer.status(), &body_of(&answer)["error"]), (403, &json!("security token rejected")));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    let answered = person.answer(&scene, &challenge, 200).await;
    let proof = answered["proof"].as_str().unwrap().to_owned();
    assert_eq!(proof.len(), 43);
    assert_eq!(scene.session(&cli).await.factor_at, None, "not before the command has shown it");
    person.answer(&scene, &challenge, 410).await;
    let (other, unknown) = (scene.pose(&cli, Needs::Mfa, Way::Console).await, uuid::Uuid::now_v7().to_string());
    let wrong = format!("{}A", &proof[..42]);
    for (named, proof) in [
        (Some(challenge.id.as_str()), wrong.as_str()),
        (Some(challenge.id.as_str()), ""),
        (Some(&other.id), &proof),
        (Some(&unknown), &proof),
        (None, &proof),
    ] {
        if proof == wrong && wrong == answered["proof"] {
            continue;
        }
        assert_eq!(show(&scene, &cli, &challenge.id, named, proof).await.status(), 403, "{named:?} {proof}");
    }
    assert_eq!(show(&scene, &cli, &other.id, Some(&other.id), &proof).await.status(), 403, "of another challenge");
    let gone_on = show(&scene, &cli, &challenge.id, Some(&challenge.id), &proof).await;
    assert_eq!((gone_on.status(), body_of(&gone_on)), (200, json!({ "id": challenge.id })));
    let session = scene.session(&cli).await;
    assert_eq!((session.factor_at, session.factor_method.as_deref()), (Some(scene.now()), Some("totp")));
    assert_eq!(show(&scene, &cli, &challenge.id, Some(&challenge.id), &proof).await.status(), 403, "once");
    let read = ask(&scene.gateway, &cli, Send::get(&format!("/api/v1/challenges/{}", challenge.id)), 200).await;
    assert_eq!(read["state"], "completed");
    assert!(!read.to_string().contains(&proof));
    scene.gateway.stop_and_verify().await;
}

async fn a_proof_for_one_request_opens_no_session(db: Db) {
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let challenge = scene.pose(&cli, Needs::Bound, Way::Console).await;
    let proof = person.answer(&scene, &challenge, 200).await["proof"].as_str().unwrap().to_owned();
    assert_eq!(show(&scene, &cli, &challenge.id, Some(&challenge.id), &proof).await.status(), 200);
    assert_eq!(scene.session(&cli).await.factor_at, None);
    assert!(scene.challenge(&challenge.id).await.completed_at.is_some());
    scene.gateway.stop_and_verify().await;
}

async fn the_handshake_is_of_the_session_that_was_asked(db: Db) {
    let scene = Scene::new(&db).await;
    let (mut person, other) = (scene.person("viewer").await, scene.person("viewer").await);
    person.enrol_app(&scene, "Phone").await;
    let (cli, second) = (person.cli(&scene).await, person.cli(&scene).await);
    let challenge = scene.pose(&cli, Needs::Mfa, Way::Console).await;
    let begun = fetch(&scene, &cli, &challenge.id).await;
    let theirs = other.cli(&scene).await;
    let machine = scene.gateway.token("cicd").to_owned();
    for token in [&second, &theirs, &machine] {
        let status = fetch(&scene, token, &challenge.id).await.status();
        assert!([403, 404].contains(&status), "{status}");
    }
    // Neither is it the browser's, nor does it take what came another way.
    assert_eq!(person.get(&scene, &format!("/session/{}", challenge.id)).await.status(), 404);
    let link = scene.pose(&cli, Needs::Mfa, Way::Link).await;
    assert_eq!(fetch(&scene, &cli, &link.id).await.status(), 404);
    assert_eq!(with(&cli, Send::get("/session/x")).to(scene.gateway.addr()).await.status(), 400);
    let proof = person.answer(&scene, &challenge, 200).await["proof"].as_str().unwrap().to_owned();
    for token in [&second, &theirs] {
        assert_eq!(show(&scene, token, &challenge.id, Some(&challenge.id), &proof).await.status(), 404);
    }
    assert_eq!(scene.session(&second).await.factor_at, None);
    // The page is the person's alone, and it leads nowhere but to this machine.
    let address = page(&begun.body, "http://localhost:43123/");
    let stranger = other.get(&scene, &address).await;
    assert_eq!(stranger.status(), 404);
    assert!(!String::from_utf8_lossy(&stranger.body).contains("localhost:43123"));
    let fresh = scene.pose(&cli, Needs::Mfa, Way::Console).await;
    let begun = fetch(&scene, &cli, &fresh.id).await;
    let hostile =
        ["https://evil.example", "http://localhost:80@evil.example", "http://evil.example:80", "javascript:x"];
    for callback in hostile {
        let refused = person.get(&scene, &page(&begun.body, callback)).await;
        assert_eq!(refused.status(), 404, "{callback}");
        assert!(!String::from_utf8_lossy(&refused.body).contains("evil.example"), "{callback}");
    }
    let of_link = json!({ "id": link.id }).to_string();
    for (body, what) in [(of_link.as_bytes(), "another way"), (b"{}", "no ticket"), (b"\xff", "no text")] {
        assert_eq!(person.get(&scene, &page(body, "http://localhost:1")).await.status(), 404, "{what}");
    }
    assert_eq!(person.get(&scene, "/login/u2f").await.status(), 404);
    scene.gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_not_guessed_without_end() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let mut person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let challenge = scene.pose(&cli, Needs::Mfa, Way::Console).await;
    let proof = person.answer(&scene, &challenge, 200).await["proof"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        assert_eq!(show(&scene, &cli, &challenge.id, Some(&challenge.id), "wrong").await.status(), 403);
    }
    let answer = show(&scene, &cli, &challenge.id, Some(&challenge.id), &proof).await;
    assert_eq!(answer.status(), 429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&seconds));
    assert_eq!(scene.session(&cli).await.factor_at, None);
    scene.gateway.stop_and_verify().await;
}

/// Whoever is not signed in at that browser comes back to the very page.
#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_back_to_the_page() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let address = page(b"{}", "http://localhost:43123");
    let send = Send::get(&address).header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate");
    let answer = send.to(scene.gateway.addr()).await;
    let mut query = form_urlencoded::Serializer::new(String::new());
    let expected = format!("/app/login?{}", query.append_pair("return_to", &address).finish());
    assert_eq!((answer.status(), answer.header("location")), (303, Some(expected.as_str())));
    assert_eq!(rack_gateway::api::return_to::return_to(&address), address);
    scene.gateway.stop_and_verify().await;
}

/// The command repeats a body only over the connection that it has.
#[tokio::test(flavor = "multi_thread")]
async fn the_connection_stays() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let mut person: Person = scene.person("viewer").await;
    person.enrol_app(&scene, "Phone").await;
    let cli = person.cli(&scene).await;
    let challenge = scene.pose(&cli, Needs::Mfa, Way::Console).await;
    let proof = person.answer(&scene, &challenge, 200).await["proof"].as_str().unwrap().to_owned();
    let mut wire = Wire::connect(scene.gateway.addr()).await;
    let (id, auth) = (&challenge.id, basic(&cli));
    let head = format!("Host: gateway.example.com\r\nAuthorization: {auth}\r\nSession: \r\n");
    let shown =
        format!("Challenge: {id}\r\nContent-Type: application/octet-stream\r\nContent-Length: 43\r\n\r\n{proof}");
    for (request, status) in [
        (format!("POST /session/{id}? HTTP/1.1\r\n{head}{shown}"), 200),
        (format!("POST /session/{id}? HTTP/1.1\r\n{head}{shown}"), 403),
        (format!("GET /racks? HTTP/1.1\r\n{head}\r\n"), 200),
    ] {
        wire.send(request.as_bytes()).await;
        let answer = wire.message(false).await.expect("the connection is there");
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_eq!(answer.header("connection"), None);
        assert!(answer.header("content-length").is_some());
    }
    scene.gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(
        a_command_shows_what_its_browser_gave_it,
        a_proof_for_one_request_opens_no_session,
        the_handshake_is_of_the_session_that_was_asked,
    );
}
