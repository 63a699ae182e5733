//! What was proved once, used for something else, by somebody else, or once more: refused and recorded.

use std::sync::atomic::Ordering;

use serde_json::json;
use time::Duration;

use super::handshake::{browse, session_path};
use super::{Person, Stage, error};
use crate::api::{from_page, plain, with};
use crate::harness::gateway::all_policies;
use crate::harness::{Db, basic};
use crate::replay::peer::{Message, Wire};
use crate::sign_in::{Send, json as parsed};

mod both {
    crate::on_both!(
        a_proof_is_good_for_its_own_request_alone,
        a_proof_ends,
        an_assertion_answers_one_challenge,
        the_proof_of_a_console_is_handed_over_once,
        a_clock_that_goes_back_makes_nothing_young,
        a_slow_body_is_no_clock_that_went_back,
        a_trusted_device_opens_nothing,
    );
}

const AN_HOUR: Duration = Duration::hours(1);

/// An answered challenge of this CLI session for deleting an app.
async fn proven(stage: &Stage, person: &mut Person, token: &str) -> String {
    let refused = with(token, plain("DELETE", "/apps/scratch")).to(stage.addr()).await;
    assert_eq!(refused.status(), 403, "{refused:?}");
    let challenge = person.follow(stage.addr(), &error(&refused)).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    challenge
}

async fn denied(stage: &Stage, what: &str, answer: &Message) {
    assert!(matches!(answer.status(), 401 | 403), "{what}: {answer:?}");
    assert_eq!(stage.rack.take(), 0, "{what}");
    // What is remembered of a caller may have allowed it: then that was taken back before anything followed.
    let told = stage.told(answer, 1).await;
    assert_eq!(told.last().map(|(kind, _)| kind.as_str()), Some("denial"), "{what}: {told:?}");
}

async fn a_proof_is_good_for_its_own_request_alone(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let (token, second) = (stage.cli(&person.user, AN_HOUR).await, stage.cli(&person.user, AN_HOUR).await);
    let somebody = crate::api::somebody(&stage.gateway, "admin").await;
    let theirs = stage.cli(&somebody, AN_HOUR).await;
    let challenge = proven(&stage, &mut person, &token).await;
    let named = format!("proof={challenge}");
    let cases: [(&str, &str, &str, &str); 6] = [
        ("another app", &token, "DELETE", "/apps/shop"),
        ("another method", &token, "DELETE", "/apps/scratch/objects/tmp/1.tgz"),
        ("another row", &token, "DELETE", "/instances/scratch"),
        ("another session", &second, "DELETE", "/apps/scratch"),
        ("another person", &theirs, "DELETE", "/apps/scratch"),
        ("a browser", "", "DELETE", "/apps/scratch"),
    ];
    for (what, token, method, target) in cases {
        for header in [None, Some(&named)] {
            let send = plain(method, target);
            let send = header.map_or_else(|| plain(method, target), |named| send.header("X-Rack-Gateway-MFA", named));
            let answer = if token.is_empty() {
                from_page(&person.browser, stage.addr(), send).await
            } else {
                with(token, send).to(stage.addr()).await
            };
            denied(&stage, what, &answer).await;
        }
    }
    // Of many at once, one passes.
    let delete = || with(&token, plain("DELETE", "/apps/scratch"));
    let (first, second) = (delete(), delete());
    let (first, second) = tokio::join!(first.to(stage.addr()), second.to(stage.addr()));
    let mut statuses = [first.status(), second.status()];
    statuses.sort_unstable();
    assert_eq!((statuses, stage.rack.take()), ([200, 403], 1));
    stage.gateway.stop_and_verify().await;
}

async fn a_proof_ends(db: Db) {
    let (stage, ahead) = Stage::moved(&db, all_policies()).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let user = person.user.clone();
    // With time.
    let token = stage.cli(&user, AN_HOUR).await;
    proven(&stage, &mut person, &token).await;
    ahead.store(301, Ordering::Relaxed);
    denied(&stage, "after five minutes", &with(&token, plain("DELETE", "/apps/scratch")).to(stage.addr()).await).await;
    // With the session.
    let token = stage.cli(&user, AN_HOUR).await;
    proven(&stage, &mut person, &token).await;
    assert_eq!(with(&token, plain("POST", "/api/v1/auth/logout")).to(stage.addr()).await.status(), 204);
    denied(&stage, "after logout", &with(&token, plain("DELETE", "/apps/scratch")).to(stage.addr()).await).await;
    // With the factors.
    let token = stage.cli(&user, AN_HOUR).await;
    proven(&stage, &mut person, &token).await;
    stage.gateway.running.gate.store.factors_reset(&user.id, "root", time::OffsetDateTime::now_utc()).await.unwrap();
    denied(&stage, "after a reset", &with(&token, plain("DELETE", "/apps/scratch")).to(stage.addr()).await).await;
    stage.gateway.stop_and_verify().await;
}

async fn an_assertion_answers_one_challenge(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, AN_HOUR).await;
    let mut challenges = Vec::new();
    for app in ["one", "two"] {
        let refused = with(&token, plain("DELETE", &format!("/apps/{app}"))).to(stage.addr()).await;
        challenges.push(person.follow(stage.addr(), &error(&refused)).await);
    }
    let begin = |challenge: &str| format!("/api/v1/challenges/{challenge}/webauthn");
    let begun = from_page(&person.browser, stage.addr(), plain("POST", &begin(&challenges[0]))).await;
    let assertion = person.passkey.assert(&parsed(&begun)).unwrap();
    from_page(&person.browser, stage.addr(), plain("POST", &begin(&challenges[1]))).await;
    let cases = [
        ("the other challenge", 1, 403),
        ("its own", 0, 200),
        ("its own once more", 0, 410),
        ("the other challenge, which has lost its question", 1, 409),
    ];
    for (what, at, status) in cases {
        let answer = person.show(stage.addr(), &challenges[at], &assertion).await;
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
    }
    stage.gateway.stop_and_verify().await;
}

async fn the_proof_of_a_console_is_handed_over_once(db: Db) {
    let stage = Stage::new(&db).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let (token, second) = (stage.cli(&person.user, AN_HOUR).await, stage.cli(&person.user, AN_HOUR).await);
    let as_cli = |token: &str, send: Send<'static>| {
        send.header("Authorization", basic(token)).header("Session", "").header("Rack", "acme/dev")
    };
    let asked = as_cli(&token, plain("DELETE", "/apps/scratch?")).to(stage.addr()).await;
    let path = session_path(&asked).expect("a handshake");
    let wanted = Send::get(&path).header("Authorization", basic(&token)).to(stage.addr()).await;
    let link = {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&wanted.body);
        let token: String = url::form_urlencoded::byte_serialize(body.as_bytes()).collect();
        format!("https://gateway.example.com/login/u2f?callback_url=http%3A%2F%2Flocalhost%3A43517&token={token}")
    };
    let proof = browse(stage.addr(), &link, &mut person).await.expect("a proof");
    let proof = String::from_utf8(proof).unwrap();
    let addr = stage.addr();
    let hand_over = |token: &str, challenge: Option<&str>, proof: &str| {
        let mut send = plain("POST", &path).header("Authorization", basic(token));
        send.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        send.headers.extend(challenge.map(|challenge| ("Challenge", challenge.to_owned())));
        send.body = proof.to_owned();
        async move { send.to(addr).await }
    };
    let challenge = wanted.header("challenge").unwrap();
    let before = with(&token, plain("DELETE", "/apps/scratch")).to(stage.addr()).await;
    denied(&stage, "answered and not handed over", &before).await;
    for (what, token, challenge, proof, status) in [
        ("another session", &second, Some(challenge), proof.as_str(), 404),
        ("no challenge", &token, None, &proof, 403),
        ("another challenge", &token, Some("x"), &proof, 403),
        ("nothing", &token, Some(challenge), "", 403),
        ("another proof", &token, Some(challenge), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 403),
        ("the proof", &token, Some(challenge), &proof, 200),
        ("the proof once more", &token, Some(challenge), &proof, 403),
    ] {
        let answer = hand_over(token, challenge, proof).await;
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        assert!(session_path(&answer).is_none(), "{what}");
    }
    let passed = as_cli(&token, plain("DELETE", "/apps/scratch?")).to(stage.addr()).await;
    assert_eq!((passed.status(), stage.rack.take()), (200, 1), "{passed:?}");
    stage.gateway.stop_and_verify().await;
}

async fn a_clock_that_goes_back_makes_nothing_young(db: Db) {
    let (stage, ahead) = Stage::moved(&db, all_policies()).await;
    let mut person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, Duration::minutes(9)).await;
    let restart = || with(&token, plain("POST", "/apps/shop/services/web/restart"));
    assert_eq!((restart().to(stage.addr()).await.status(), stage.rack.take()), (200, 1));
    ahead.store(120, Ordering::Relaxed);
    denied(&stage, "eleven minutes later", &restart().to(stage.addr()).await).await;
    for back in [0, -300, -3600] {
        ahead.store(back, Ordering::Relaxed);
        denied(&stage, "the clock goes back", &restart().to(stage.addr()).await).await;
    }
    // It has caught up: things are as they were, and a new factor counts.
    ahead.store(121, Ordering::Relaxed);
    let refused = restart().to(stage.addr()).await;
    let challenge = person.follow(stage.addr(), &error(&refused)).await;
    assert_eq!(person.answer(stage.addr(), &challenge).await.status(), 200);
    stage.rack.take();
    assert_eq!((restart().to(stage.addr()).await.status(), stage.rack.take()), (200, 1));
    stage.gateway.stop_and_verify().await;
}

/// A request is as old as its head; others that came meanwhile do not make its factor worthless.
async fn a_slow_body_is_no_clock_that_went_back(db: Db) {
    let (stage, ahead) = Stage::moved(&db, all_policies()).await;
    let person = Person::enrolled(&stage, "admin").await;
    let token = stage.cli(&person.user, Duration::minutes(1)).await;
    let mut wire = Wire::connect(stage.addr()).await;
    let head = format!(
        "POST /apps/shop/releases HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n",
        basic(&token)
    );
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.head().await.unwrap().status(), 100);
    ahead.store(60, Ordering::Relaxed);
    assert_eq!((with(&token, Send::get("/apps")).to(stage.addr()).await.status(), stage.rack.take()), (200, 1));
    wire.send(b"env=A%3D").await;
    let answer = wire.message(false).await.unwrap();
    assert_eq!((answer.status(), stage.rack.take()), (200, 1), "{answer:?}");
    stage.gateway.stop_and_verify().await;
}

/// It spares the prompt after sign-in, and nothing else.
async fn a_trusted_device_opens_nothing(db: Db) {
    use rack_gateway::identity::{Arrival, Rules};
    use rack_gateway::store::NewDevice;
    let stage = Stage::new(&db).await;
    let person = Person::enrolled(&stage, "admin").await;
    let gate = &stage.gateway.running.gate;
    let id = uuid::Uuid::now_v7().to_string();
    let device = NewDevice {
        id: id.clone(),
        user_id: person.user.id.clone(),
        token_hash: [7; 32],
        browser: "Firefox on Linux".to_owned(),
        source_ip: "192.0.2.7".parse().unwrap(),
        expires_at: gate.clock.now() + Duration::days(1),
    };
    gate.store.device_add(device, gate.clock.now()).await.unwrap();
    let arrival = Arrival::cli(&Rules::default(), "laptop".to_owned()).on_device(Some(id.clone()));
    let token = crate::api::admit(&stage.gateway, arrival, Some(&person.user)).await;
    let read = async || with(&token, Send::get("/apps")).to(stage.addr()).await;
    assert_eq!((read().await.status(), stage.rack.take()), (200, 1));
    for (method, target) in [("POST", "/apps/shop/services/web/restart"), ("DELETE", "/apps/scratch")] {
        denied(&stage, target, &with(&token, plain(method, target)).to(stage.addr()).await).await;
    }
    // Once it is trusted no longer, its sessions have shown nothing.
    assert!(gate.store.device_delete(&id, &person.user.id).await.unwrap());
    denied(&stage, "the device is gone", &read().await).await;
    let body = json!({ "name": "x" });
    assert_eq!(person.post(stage.addr(), &person.path("/factors"), &body).await.status(), 401);
    stage.gateway.stop_and_verify().await;
}
