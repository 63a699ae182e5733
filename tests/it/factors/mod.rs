//! Second factors: proofs that are believed, and those that are not.

mod api;
mod browser;
mod challenges;
mod console;
mod devices;
mod enrol;
mod person;
mod secrets;
mod sign_in;
mod verify;
mod yubico;

use std::net::{IpAddr, Ipv4Addr};

use rack_gateway::audit::{Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::config::{Site, YubicoSettings};
use rack_gateway::factor::{Answer, Confirmation, Desk, FactorError, Factors, Proof, TotpEnrolment};
use rack_gateway::store::{FactorRow, NewUser, Store};
use rack_gateway::vault::{Keyring, Vault};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::harness::authenticator::{Authenticator, totp};
use crate::harness::{Db, SECRET_KEY, parse_record};

const ORIGIN: &str = "https://gateway.example.com";
/// The session in which everything happens that needs none.
const SESSION: &str = "0192f0c1-0000-7000-8000-00000000000a";
const STEP: Duration = Duration::seconds(30);

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// The room on a database, with two people.
struct Bench {
    store: Store,
    vault: Vault,
    audit: Writer,
    factors: Factors,
    ada: String,
    bob: String,
}

impl Bench {
    async fn new(db: &Db) -> Self {
        Self::with(db, None).await
    }

    async fn with(db: &Db, yubico: Option<YubicoSettings>) -> Self {
        let store = db.store().await;
        let keyring = Keyring::new(&SecretString::from(SECRET_KEY), None).unwrap();
        let vault = Vault::open(store.clone(), keyring, now()).await.unwrap().vault;
        let audit = Writer::guest(store.clone(), Clock::system(), WriterOptions::new("bench", "bench")).await.unwrap();
        let factors = Factors::new(&Site::https("gateway.example.com", Vec::new()), "acme/prod", yubico).unwrap();
        let [ada, bob] = [person(&store, "ada").await, person(&store, "bob").await];
        Self { store, vault, audit, factors, ada, bob }
    }

    fn desk(&self, now: OffsetDateTime) -> Desk<'_> {
        let source_ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Desk { store: &self.store, vault: &self.vault, audit: &self.audit, now, request_id: "request-1", source_ip }
    }

    async fn begin_totp(&self, user: &str, at: OffsetDateTime) -> TotpEnrolment {
        self.factors.enrol_totp(&self.desk(at), user, "ada@example.com", "Phone", SESSION).await.unwrap()
    }

    async fn confirm(
        &self,
        user: &str,
        id: &str,
        by: Confirmation,
        at: OffsetDateTime,
    ) -> Result<FactorRow, FactorError> {
        self.factors.confirm(&self.desk(at), user, SESSION, id, by).await
    }

    /// An app of this person, enrolled an hour before: its id and its secret.
    async fn app(&self, user: &str) -> (String, String) {
        let before = now() - Duration::HOUR;
        let enrolment = self.begin_totp(user, before).await;
        let secret = enrolment.secret.expose_secret().to_owned();
        let code = Confirmation::Totp(totp(&secret, before).into());
        let factor = self.confirm(user, &enrolment.factor_id, code, before).await.unwrap();
        (factor.id, secret)
    }

    async fn passkey(&self, user: &str, device: &mut Authenticator) -> FactorRow {
        let desk = self.desk(now());
        let enrolment =
            self.factors.enrol_webauthn(&desk, user, "ada@example.com", "Ada", "Key", SESSION).await.unwrap();
        let made = device.register(&enrolment.options);
        self.confirm(user, &enrolment.factor_id, Confirmation::Webauthn(made), now()).await.unwrap()
    }

    async fn verify(&self, user: &str, answer: Answer, at: OffsetDateTime) -> Result<Proof, FactorError> {
        self.factors.verify(&self.desk(at), user, answer).await
    }

    /// Shows a code of an app.
    async fn show(&self, user: &str, code: &str, at: OffsetDateTime) -> Result<Proof, FactorError> {
        self.verify(user, Answer::Totp(code.into()), at).await
    }

    /// Records of an action, parsed.
    async fn records(&self, action: &str) -> Vec<Value> {
        let all = self.store.records_after(0, 10_000).await.unwrap();
        all.iter().map(parse_record).filter(|record| record["action"] == action).collect()
    }

    /// Kinds of the person's notices, newest first.
    async fn notices(&self, user: &str) -> Vec<String> {
        self.store.notice_list(user, 100).await.unwrap().into_iter().map(|notice| notice.kind).collect()
    }
}

async fn person(store: &Store, name: &str) -> String {
    let id = Uuid::now_v7().to_string();
    let new = NewUser { id, email: format!("{name}@example.com"), name: name.to_owned(), ..NewUser::default() };
    store.user_create(new, now()).await.unwrap().id
}

/// What an error is called.
fn slug<T: std::fmt::Debug>(result: Result<T, FactorError>) -> &'static str {
    result.err().map_or("none", |error| error.slug())
}
