//! YubiKeys: only a signed, fresh answer to the very question is believed, from whichever server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::config::{ProviderHttp, YubicoSettings};
use rack_gateway::factor::{Answer, Method};
use rack_gateway::store::FactorKind;
use secrecy::SecretSlice;
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::{Bench, SESSION, now, slug};
use crate::harness::Db;

const SECRET: &[u8] = b"made-up key of the service";
/// Passwords of one key, and of another.
const TYPED: [&str; 3] = [
    "ccccccbtbhnhkfvgjvcthhdhjulnvigkhrjrhhdrgjdb",
    "ccccccbtbhnhrldnnvtrlnfkbfvkjnjcdrltnktffdfv",
    "ccccccbtbhnhujcvthghltljrllcjtbkgtibnlkigdjj",
];
const OTHER: &str = "vvccccfhgldnkfvgjvcthhdhjulnvigkhrjrhhdrgjdb";

/// How the service answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Right,
    /// Signed by another key.
    Forged,
    /// About another question.
    OtherNonce,
    OtherPassword,
    /// By its clock it is another day.
    Late,
    Overloaded,
    Unsigned,
    Redirect,
    Status,
    Endless,
    Silence,
}

#[derive(Clone)]
struct Service {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    used: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<usize>>,
}

impl Service {
    async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            mood: Arc::new(Mutex::new(mood)),
            used: Arc::default(),
            asked: Arc::default(),
        };
        let serving = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        service
    }

    fn url(&self) -> Url {
        format!("http://{}/wsapi/2.0/verify", self.address).parse().unwrap()
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first).await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > 2 {
            line.clear();
        }
        *self.asked.lock().unwrap() += 1;
        let mood = *self.mood.lock().unwrap();
        let (status, body) = match mood {
            Mood::Silence => return std::future::pending().await,
            Mood::Redirect => ("302 Found\r\nlocation: /elsewhere", String::new()),
            Mood::Status => ("500 Internal Server Error", self.answer(&first, Mood::Right)),
            Mood::Endless => ("200 OK", "x=y\r\n".repeat(500_000)),
            mood => ("200 OK", self.answer(&first, mood)),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        // The client may have seen enough.
        drop(stream.write_all(answer.as_bytes()).await);
    }

    fn answer(&self, first: &str, mood: Mood) -> String {
        let target = first.split(' ').nth(1).unwrap();
        let url = Url::parse("http://localhost").unwrap().join(target).unwrap();
        let mut asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let tag = asked.remove("h").unwrap();
        assert_eq!((tag, asked["id"].as_str()), (sign(&asked, SECRET), "4711"), "the question is signed");
        assert!((16..=40).contains(&asked["nonce"].len()), "{asked:?}");
        let otp = asked["otp"].clone();
        let mut used = self.used.lock().unwrap();
        let status = match (used.contains(&otp), mood) {
            (_, Mood::Overloaded) => "BACKEND_ERROR",
            (true, _) => "REPLAYED_OTP",
            (false, _) => "OK",
        };
        used.push(otp.clone());
        let late = if mood == Mood::Late { time::Duration::DAY } else { time::Duration::ZERO };
        let answer = [
            ("nonce", if mood == Mood::OtherNonce { "0".repeat(32) } else { asked["nonce"].clone() }),
            ("otp", if mood == Mood::OtherPassword { TYPED[2].to_owned() } else { otp }),
            ("sl", "25".to_owned()),
            ("status", status.to_owned()),
            ("t", stamp(now() + late)),
        ];
        let answer: BTreeMap<_, _> = answer.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let tag = sign(&answer, if mood == Mood::Forged { b"another key" } else { SECRET });
        let lines: String = answer.iter().map(|(name, value)| format!("{name}={value}\r\n")).collect();
        if mood == Mood::Unsigned { lines } else { format!("h={tag}\r\n{lines}") }
    }
}

fn sign(parts: &BTreeMap<String, String>, key: &[u8]) -> String {
    let text = parts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// A time as the service writes it, with milliseconds behind it.
fn stamp(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!("{date}T{:02}:{:02}:{:02}Z0417", time.hour(), time.minute(), time.second())
}

fn settings(urls: Vec<Url>) -> YubicoSettings {
    let timeout = Duration::from_millis(300);
    let http = ProviderHttp { timeout, connect_timeout: timeout, ..ProviderHttp::default() };
    YubicoSettings { client_id: "4711".to_owned(), secret: SecretSlice::from(SECRET.to_vec()), urls, http }
}

async fn bench(db: &Db, services: &[&Service]) -> Bench {
    Bench::with(db, Some(settings(services.iter().map(|service| service.url()).collect()))).await
}

async fn show(bench: &Bench, user: &str, otp: &str) -> &'static str {
    slug(bench.verify(user, Answer::Yubico(otp.into()), now()).await)
}

#[tokio::test]
async fn a_key_is_enrolled_and_shown() {
    let service = Service::start(Mood::Right).await;
    let db = Db::sqlite().await;
    let bench = bench(&db, &[&service]).await;
    let desk = bench.desk(now());
    let enrol = async |user: &str, otp: &str| bench.factors.enrol_yubico(&desk, user, "Key", SESSION, otp.into()).await;
    assert_eq!(show(&bench, &bench.ada, TYPED[0]).await, "factor-not-enrolled");
    assert_eq!(slug(enrol(&bench.ada, "no password").await), "factor-rejected");
    assert_eq!(service.asked(), 0, "nothing was asked about either");
    let factor = enrol(&bench.ada, TYPED[0]).await.unwrap();
    assert_eq!((factor.kind, factor.confirmed_at), (FactorKind::Yubico, Some(now())));
    assert!(bench.factors.methods(&desk, &bench.ada).await.unwrap().yubico);
    let typed = Answer::Yubico(TYPED[1].to_uppercase().as_str().into());
    let proof = bench.verify(&bench.ada, typed, now()).await.unwrap();
    assert_eq!((proof.method, proof.factor_id.as_ref()), (Method::Yubico, Some(&factor.id)));
    assert!(!proof.is_strong());
    assert_eq!(show(&bench, &bench.ada, TYPED[1]).await, "factor-rejected", "again");
    assert_eq!(show(&bench, &bench.ada, TYPED[0]).await, "factor-rejected", "of the enrolment");
    let asked = service.asked();
    assert_eq!(show(&bench, &bench.ada, OTHER).await, "factor-rejected", "of another key");
    assert_eq!(service.asked(), asked, "nobody was asked about it");
    assert_eq!(slug(enrol(&bench.bob, TYPED[2]).await), "factor-taken");
    assert_eq!(slug(enrol(&bench.bob, OTHER).await), "none");
    assert_eq!(bench.store.factor_find(&factor.id).await.unwrap().unwrap().last_used_at, Some(now()));
}

#[tokio::test]
async fn only_a_right_answer_is_believed() {
    let service = Service::start(Mood::Right).await;
    let db = Db::sqlite().await;
    let bench = bench(&db, &[&service]).await;
    bench.factors.enrol_yubico(&bench.desk(now()), &bench.ada, "Key", SESSION, TYPED[0].into()).await.unwrap();
    let moods = [
        Mood::Forged,
        Mood::OtherNonce,
        Mood::OtherPassword,
        Mood::Late,
        Mood::Overloaded,
        Mood::Unsigned,
        Mood::Redirect,
        Mood::Status,
        Mood::Endless,
        Mood::Silence,
    ];
    for mood in moods {
        service.set(mood);
        service.used.lock().unwrap().clear();
        let asked = service.asked();
        assert_eq!(show(&bench, &bench.ada, TYPED[1]).await, "factor-unavailable", "{mood:?}");
        assert_eq!(service.asked(), asked + 1, "{mood:?}");
    }
    service.set(Mood::Right);
    service.used.lock().unwrap().clear();
    assert_eq!(show(&bench, &bench.ada, TYPED[1]).await, "none", "what nobody could tell does not count");
}

#[tokio::test]
async fn servers_are_asked_in_turn() {
    let (silent, forged) = (Service::start(Mood::Silence).await, Service::start(Mood::Forged).await);
    let (right, last) = (Service::start(Mood::Right).await, Service::start(Mood::Right).await);
    let db = Db::sqlite().await;
    let bench = bench(&db, &[&silent, &forged, &right, &last]).await;
    bench.factors.enrol_yubico(&bench.desk(now()), &bench.ada, "Key", SESSION, TYPED[0].into()).await.unwrap();
    assert_eq!(show(&bench, &bench.ada, TYPED[1]).await, "none");
    assert_eq!([&silent, &forged, &right, &last].map(Service::asked), [2, 2, 2, 0]);
}
