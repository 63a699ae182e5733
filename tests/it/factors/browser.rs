//! Second factors in a real browser with real passkeys: enrolling, signing in, step-up, and the links of
//! command lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::config::Site;
use rack_gateway::factor::{Confirmation, Desk};
use rack_gateway::http::Launch;
use rack_gateway::identity::{Arrival, Rules};
use rack_gateway::store::{FactorKind, UserRow};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::STEP;
use crate::api::{admit, person, plain, with};
use crate::harness::authenticator::totp;
use crate::harness::browser::Script;
use crate::harness::gateway::{all_policies, launch_with};
use crate::harness::provider::{Account, Provider};
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::rows::CountingRack;
use crate::sign_in::{Send, invite, json as parsed};
use crate::step_up::{code_in, error};

/// A gateway that a browser on this machine can open, with every policy, in front of a rack that counts.
struct Stage {
    gateway: Gateway,
    origin: String,
    provider: Provider,
    rack: CountingRack,
    /// It is gone with this value.
    _db: Db,
}

impl Stage {
    async fn new() -> Self {
        let (provider, rack, db) = (Provider::start(), CountingRack::start().await, Db::sqlite().await);
        let settings = provider.settings();
        let change = |launch: Launch| {
            let site = Site::local(launch.listener.local_addr().unwrap().port());
            Launch { site, sign_in: Some(settings), policy: all_policies(), ..launch }
        };
        let running = launch_with(&db, rack.addr, change).await;
        let origin = running.gate.site.origin.clone();
        Self { gateway: Gateway::of(running).await, origin, provider, rack, _db: db }
    }

    /// Somebody whom the provider will vouch for.
    async fn invite(&self, name: &str, roles: &[&str]) -> UserRow {
        let id = invite(&self.gateway.running, &format!("{name}@example.com"), roles).await;
        self.provider.choose(Account::new(name));
        self.gateway.running.gate.store.user_find(&id).await.unwrap().unwrap()
    }

    async fn run(&self, script: &str, mut input: Value) -> Value {
        input["origin"] = json!(self.origin);
        let seen = Script::try_run(script, &input, std::time::Duration::from_secs(180)).await;
        let seen = seen.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(seen["wrong"], json!([]), "{script}");
        assert_eq!(seen["complaints"], json!([]), "{script}: the pages keep to their own policy");
        seen
    }

    fn now(&self) -> OffsetDateTime {
        self.gateway.running.gate.clock.now()
    }

    /// An authenticator app of this person: its secret, and the step of the code that it has shown.
    async fn enrol(&self, user: &UserRow) -> (String, i64) {
        let gate = &self.gateway.running.gate;
        let now = self.now();
        let (store, vault, audit) = (&gate.store, &gate.vault, &gate.audit);
        let desk = Desk { store, vault, audit, now, request_id: "", source_ip: None };
        let begun = gate.factors.enrol_totp(&desk, &user.id, &user.email, "Phone", "session").await.unwrap();
        let secret = begun.secret.expose_secret().to_owned();
        let before = now - STEP;
        let code = Confirmation::Totp(SecretString::from(totp(&secret, before)));
        gate.factors.confirm(&desk, &user.id, "session", &begun.factor_id, code).await.unwrap();
        (secret, before.unix_timestamp() / STEP.whole_seconds())
    }

    /// A session of this person, which has shown a factor an hour ago.
    async fn session(&self, user: &UserRow, arrival: Arrival) -> String {
        let shown = (self.now() - Duration::hours(1), "totp".to_owned(), false);
        admit(&self.gateway, arrival.with_factor(Some(shown)), Some(user)).await
    }

    async fn cli(&self, user: &UserRow, device: &str) -> String {
        self.session(user, Arrival::cli(&Rules::default(), device.to_owned())).await
    }

    async fn send(&self, token: &str, send: Send<'_>) -> Message {
        with(token, send).header("Host", self.gateway.addr().to_string()).to(self.gateway.addr()).await
    }

    /// The link with which this command is refused.
    async fn link(&self, token: &str, target: &str) -> String {
        let refused = self.send(token, plain("DELETE", target)).await;
        let text = error(&refused);
        assert_eq!((refused.status(), self.rack.take()), (403, 0), "{text}");
        format!("{}/app/c/{}", self.origin, code_in(&text))
    }
}

fn words(seen: &Value, field: &str) -> Vec<String> {
    let words = seen[field].as_array().unwrap_or_else(|| panic!("{field}: {seen}"));
    words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn assert_says(seen: &Value, field: &str, needed: &[&str]) {
    let text = seen[field].as_str().unwrap_or_else(|| panic!("{field}: {seen}"));
    for needed in needed {
        assert!(text.contains(needed), "{field}: {needed}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_lead_to_second_factors_and_change_them() {
    let stage = Stage::new().await;
    let user = stage.invite("ada", &["deployer"]).await;
    let seen = stage.run("factors-enrol.mjs", json!({})).await;
    assert_eq!(seen["ledTo"], format!("{}/app/factors?return_to=%2Fapp%2Fcli-token", stage.origin));
    assert_eq!(seen["insisted"], format!("{}/app/factors?return_to=%2Fapp", stage.origin));
    let (codes, new) = (words(&seen, "codes"), words(&seen, "newCodes"));
    assert_eq!((codes.len(), new.len(), seen["copied"].as_str()), (10, 10, Some(codes.join("\n").as_str())));
    assert!(codes.iter().all(|code| code.len() == 19 && !new.contains(code)), "{codes:?} {new:?}");
    assert_eq!((&seen["shownAgain"], &seen["fresh"], &seen["qr"]), (&json!(false), &json!(0), &json!(true)));
    assert!(words(&seen, "notices").iter().all(|notice| notice.starts_with("New")), "{seen}");
    assert_says(&seen, "asked", &["factor:create"]);
    assert_says(&seen, "uri", &["otpauth://totp/", "issuer=Rack%20Gateway"]);
    assert_says(&seen, "last", &["dd another"]);
    assert_ne!((&seen["wrongCode"], &seen["usedCode"]), (&json!(""), &json!("")));
    let store = &stage.gateway.running.gate.store;
    let kinds: Vec<_> = store.factor_list(&user.id).await.unwrap().into_iter().map(|factor| factor.kind).collect();
    assert_eq!((kinds, store.backup_codes_left(&user.id).await.unwrap()), (vec![FactorKind::Webauthn], (10, 10)));

    // An administrator takes them away: the person begins again, and is told.
    let admin = person(&stage.gateway, "admin").await;
    let (secret, _) = stage.enrol(&admin).await;
    let token = stage.cli(&admin, "laptop").await;
    let code = format!("totp={}", totp(&secret, stage.now()));
    let target = format!("/api/v1/users/{}/factors", user.id);
    let reset = stage.send(&token, plain("DELETE", &target).header("X-Rack-Gateway-MFA", code)).await;
    assert!(matches!(reset.status(), 200 | 204), "{}", error(&reset));
    let seen = stage.run("factors-reset.mjs", json!({})).await;
    assert_says(&seen, "page", &["Set up a second factor", "An administrator took away all your second factors"]);
    stage.gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_each_factor_and_a_trusted_browser() {
    let stage = Stage::new().await;
    let user = stage.invite("ada", &["deployer"]).await;
    let seen = stage.run("factors-sign-in.mjs", json!({})).await;
    assert_says(&seen, "asked", &["This browser", "page:account", "Trust this browser for 30 days"]);
    assert_ne!(seen["wrongCode"], json!(""));
    let cookies = words(&seen, "cookies");
    assert!(["__Host-rgw_device", "__Host-rgw_session"].iter().all(|name| cookies.contains(&(*name).to_owned())));
    assert_eq!(seen["trusts"], json!(false), "not where a factor is asked for one request");
    assert_says(&seen, "token", &["rgw_"]);
    assert_says(&seen, "askedAgain", &["/app/c/"]);
    assert_eq!(seen["tries"], 4, "one was wrong before");
    let user = stage.gateway.running.gate.store.user_find(&user.id).await.unwrap().unwrap();
    assert!(user.is_locked(), "{user:?}");
    stage.gateway.stop_and_verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_a_command_line_are_answered_by_their_person_alone() {
    let stage = Stage::new().await;
    let (ada, bob) = (person(&stage.gateway, "admin").await, person(&stage.gateway, "viewer").await);
    let (secret, step) = stage.enrol(&ada).await;
    let laptop = stage.cli(&ada, "laptop").await;
    let link = stage.link(&laptop, "/apps/scratch").await;
    let stolen = stage.cli(&ada, "stolen laptop").await;
    let unasked = stage.link(&stolen, "/apps/shop").await;

    let console = stage.cli(&ada, "convox").await;
    let delete = || plain("DELETE", "/apps/third").header("Session", "");
    let asked = stage.send(&console, delete()).await;
    let path = asked.header("www-authenticate").and_then(|line| line.split('"').nth(1)).unwrap().to_owned();
    let ticket = stage.send(&console, Send::get(&path)).await;
    let input = json!({
        "link": link,
        "unasked": unasked,
        "token": STANDARD.encode(&ticket.body),
        "secret": secret,
        "step": step,
        "session": stage.session(&ada, Arrival::web(&Rules::default())).await,
        "other": stage.session(&bob, Arrival::web(&Rules::default())).await,
    });
    let seen = stage.run("factors-terminal.mjs", input).await;
    assert_says(&seen, "refused", &["Nothing of yours waits here", "viewer@example.com"]);
    assert_eq!(seen["refusedCli"], "Nothing of yours waits here");
    assert_says(&seen, "asked", &["app:delete", "scratch", "laptop"]);
    assert_says(&seen, "answered", &["It is confirmed", "run the command again"]);
    assert_eq!((&seen["again"], &seen["elsewhere"]), (&seen["answered"], &json!("Nothing of yours waits here")));
    assert_says(&seen, "over", &["This is over"]);
    assert_eq!(seen["ended"], format!("{}/app/login?return_to=%2Fapp%2Ffactors", stage.origin));

    for (token, target, status) in [(&laptop, "/apps/scratch", 200), (&laptop, "/apps/scratch", 403)] {
        let answer = stage.send(token, plain("DELETE", target)).await;
        assert_eq!(answer.status(), status, "{target}: {answer:?}");
    }
    assert_eq!(stage.rack.take(), 1, "once");
    assert_eq!(stage.send(&stolen, Send::get("/apps")).await.status(), 401, "the session has ended");

    let got = seen["got"].as_array().unwrap();
    assert_eq!((got.len(), &got[0]["path"]), (1, &json!("/")), "{seen}");
    let proof = String::from_utf8(STANDARD.decode(got[0]["data"].as_str().unwrap()).unwrap()).unwrap();
    let id = path.rsplit_once('/').unwrap().1.to_owned();
    let post = Send { method: "POST", body: proof, ..Send::get(&path) };
    let post = post.header("Challenge", &id).header("Content-Type", "application/octet-stream");
    let session = parsed(&stage.send(&console, post).await)["id"].as_str().unwrap().to_owned();
    let passed = stage.send(&console, plain("DELETE", "/apps/third").header("Session", session)).await;
    assert_eq!((passed.status(), stage.rack.take()), (200, 1), "{passed:?}");
    stage.gateway.stop_and_verify().await;
}
