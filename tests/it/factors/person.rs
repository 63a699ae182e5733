//! Somebody at a browser, with an authenticator app and passkeys; and a clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::http::Launch;
use rack_gateway::store::{ChallengeReason, ChallengeRow, CredentialRow, Needs, NewChallenge, UserRow, Way};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::api::{at_the_browser, at_the_cli, from_page, somebody};
use crate::harness::authenticator::{Authenticator, totp};
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::sign_in::{Browser, ORIGIN, Send, json as body_of};

/// A gateway and the time at which it believes to be.
pub struct Scene {
    pub gateway: Gateway,
    now: Arc<AtomicI64>,
}

impl Scene {
    /// Behind the real time: a clock that tests move ahead never comes to the future.
    pub async fn new(db: &Db) -> Self {
        Self::at(db, OffsetDateTime::now_utc() - Duration::days(1), |launch| launch).await
    }

    pub async fn at(db: &Db, start: OffsetDateTime, change: impl FnOnce(Launch) -> Launch) -> Self {
        let now = Arc::new(AtomicI64::new(start.unix_timestamp()));
        let hands = Arc::clone(&now);
        let clock = Clock::from_fn(move || OffsetDateTime::from_unix_timestamp(hands.load(Ordering::SeqCst)).unwrap());
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let running = launch_with(db, nowhere, |launch| change(Launch { clock, ..launch })).await;
        Self { gateway: Gateway::of(running).await, now }
    }

    pub fn now(&self) -> OffsetDateTime {
        self.gateway.running.gate.clock.now()
    }

    pub fn pass(&self, time: Duration) {
        self.now.fetch_add(time.whole_seconds(), Ordering::SeqCst);
    }

    /// Somebody new with this role, at a browser.
    pub async fn person(&self, role: &str) -> Person {
        self.at_a_browser(somebody(&self.gateway, role).await).await
    }

    pub async fn at_a_browser(&self, user: UserRow) -> Person {
        let browser = at_the_browser(&self.gateway, &user).await;
        Person { user, browser, app: None, keys: Authenticator::new(ORIGIN) }
    }

    /// Sends it from a page of this browser; what is answered must have this status.
    pub async fn ask(&self, browser: &Browser, send: Send<'_>, status: u16) -> Value {
        let what = format!("{} {}", send.method, send.target);
        let answer = from_page(browser, self.gateway.addr(), send).await;
        assert_eq!(answer.status(), status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        if answer.body.is_empty() { Value::Null } else { body_of(&answer) }
    }

    /// The session of a token, as it is stored.
    pub async fn session(&self, token: &str) -> CredentialRow {
        let token = rack_gateway::identity::Token::parse(token).unwrap();
        self.gateway.running.gate.store.credential_find(&token.hash().0).await.unwrap().unwrap()
    }

    /// A challenge to whoever has this token.
    pub async fn pose(&self, token: &str, needs: Needs, way: Way) -> ChallengeRow {
        self.pose_with(token, needs, way, |new| new).await
    }

    pub async fn pose_with(
        &self,
        token: &str,
        needs: Needs,
        way: Way,
        change: impl FnOnce(NewChallenge) -> NewChallenge,
    ) -> ChallengeRow {
        let session = self.session(token).await;
        let letter = |byte: &u8| char::from(b'A' + byte % 26);
        let id = Uuid::now_v7();
        let new = NewChallenge {
            id: id.to_string(),
            code: Uuid::new_v4().as_bytes().iter().take(12).map(letter).collect(),
            user_id: session.user.unwrap().id,
            credential_id: session.id,
            action: "app:delete".to_owned(),
            resource: "App::shop".to_owned(),
            reasons: vec![ChallengeReason { id: "step-up.bound".to_owned(), why: "it cannot be undone".to_owned() }],
            needs,
            strong: false,
            way,
            intent_digest: [Uuid::new_v4().into_bytes(), id.into_bytes()].concat().try_into().unwrap(),
            return_to: None,
            source_ip: "192.0.2.7".parse().unwrap(),
            expires_at: self.now() + Duration::minutes(10),
            ..NewChallenge::blank(self.now())
        };
        self.gateway.running.gate.store.challenge_pose(change(new), self.now()).await.unwrap()
    }

    pub async fn challenge(&self, id: &str) -> ChallengeRow {
        self.gateway.running.gate.store.challenge_find(id).await.unwrap().unwrap()
    }

    /// What the page tells this person, newest first.
    pub async fn told(&self, person: &Person) -> Vec<String> {
        let notices = self.gateway.running.gate.store.notice_list(&person.user.id, 100).await.unwrap();
        notices.into_iter().map(|notice| notice.kind).collect()
    }
}

/// Somebody.
pub struct Person {
    pub user: UserRow,
    pub browser: Browser,
    pub app: Option<App>,
    pub keys: Authenticator,
}

/// An authenticator app.
pub struct App {
    pub id: String,
    pub secret: String,
    step: Duration,
}

impl App {
    /// The code of the next step: each is good once, and the clock of these tests stands still.
    pub fn code(&mut self, scene: &Scene) -> String {
        self.step += Duration::seconds(30);
        assert!(self.step <= Duration::seconds(30), "three codes are all that one moment has: let time pass");
        totp(&self.secret, scene.now() + self.step)
    }

    /// Time passes, so that there are codes again.
    pub fn wait(&mut self, scene: &Scene) {
        scene.pass(Duration::seconds(90));
        self.step = Duration::seconds(-60);
    }
}

impl Person {
    /// A target under this person's name.
    pub fn at(&self, rest: &str) -> String {
        format!("/api/v1/users/{}{rest}", self.user.id)
    }

    pub fn token(&self) -> &str {
        self.browser.session().unwrap()
    }

    pub async fn ask(&self, scene: &Scene, send: Send<'_>, status: u16) -> Value {
        scene.ask(&self.browser, send, status).await
    }

    pub async fn cli(&self, scene: &Scene) -> String {
        at_the_cli(&scene.gateway, &self.user).await
    }

    /// An app, enrolled.
    pub async fn enrol_app(&mut self, scene: &Scene, name: &str) -> String {
        let wanted = json!({ "kind": "totp", "name": name });
        let begun = self.ask(scene, Send::json("POST", &self.at("/factors"), &wanted), 201).await;
        let text = |field: &str| begun[field].as_str().unwrap().to_owned();
        let mut app = App { id: text("id"), secret: text("secret"), step: Duration::seconds(-60) };
        let code = json!({ "code": app.code(scene) });
        let confirm = self.at(&format!("/factors/{}/confirm", app.id));
        self.ask(scene, Send::json("POST", &confirm, &code), 200).await;
        let id = app.id.clone();
        self.app = Some(app);
        id
    }

    /// A passkey, enrolled.
    pub async fn enrol_passkey(&mut self, scene: &Scene, name: &str) -> String {
        let wanted = json!({ "kind": "webauthn", "name": name });
        let begun = self.ask(scene, Send::json("POST", &self.at("/factors"), &wanted), 201).await;
        let id = begun["id"].as_str().unwrap().to_owned();
        let credential = json!({ "credential": self.keys.register(&begun["options"]) });
        let confirm = self.at(&format!("/factors/{id}/confirm"));
        self.ask(scene, Send::json("POST", &confirm, &credential), 200).await;
        id
    }

    pub fn code(&mut self, scene: &Scene) -> String {
        self.app.as_mut().unwrap().code(scene)
    }

    /// Answers with the app.
    pub async fn answer(&mut self, scene: &Scene, challenge: &ChallengeRow, status: u16) -> Value {
        let body = json!({ "method": "totp", "code": self.code(scene) });
        self.answer_with(scene, challenge, &body, status).await
    }

    pub async fn answer_with(&self, scene: &Scene, challenge: &ChallengeRow, body: &Value, status: u16) -> Value {
        self.ask(scene, Send::json("POST", &answer_to(challenge), body), status).await
    }

    /// Begins to answer with a passkey; the answer to the options.
    pub async fn assertion(&mut self, scene: &Scene, challenge: &ChallengeRow) -> Value {
        let begin = format!("/api/v1/challenges/{}/webauthn", challenge.id);
        let options = self.ask(scene, Send { method: "POST", ..Send::get(&begin) }, 200).await;
        json!({ "method": "webauthn", "credential": self.keys.assert(&options).unwrap() })
    }

    pub async fn get(&self, scene: &Scene, target: &str) -> Message {
        let send = Send::get(target).header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate");
        self.browser.clone().send(scene.gateway.addr(), send).await
    }
}

pub fn answer_to(challenge: &ChallengeRow) -> String {
    format!("/api/v1/challenges/{}/answer", challenge.id)
}
