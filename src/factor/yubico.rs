//! One-time passwords of YubiKeys, checked by a validation service: Yubico's validation protocol 2.0.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::config::YubicoSettings;
use crate::identity::{FetchError, Http, SetupError};

/// Characters of a password, and of the key's id at its beginning.
const PASSWORD: usize = 44;
const KEY_ID: usize = 12;
/// Hexadecimal in letters that are at the same place on most keyboards.
const MODHEX: &[u8; 16] = b"cbdefghijklnrtuv";
/// How far the service's clock may be from ours.
const DRIFT: Duration = Duration::minutes(5);
/// The service's time, without the milliseconds behind it.
const TIME: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
/// Characters of that.
const TIME_LENGTH: usize = 20;

/// A password in the right form.
pub(super) struct Password(SecretString);

impl Password {
    /// Reads what a key typed. None when no key did.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let is_password = text.len() == PASSWORD && text.bytes().all(|byte| MODHEX.contains(&byte));
        is_password.then(|| Self(SecretString::from(text)))
    }

    /// Which key it is of. Public.
    pub(super) fn key_id(&self) -> String {
        self.0.expose_secret().chars().take(KEY_ID).collect()
    }
}

/// What the service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The password is right and was not used before.
    Yes,
    /// It is wrong, or it was used before.
    No,
}

/// Why there is no answer that can be believed.
#[derive(Debug, Error)]
pub(super) enum ServiceError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("its answer is not signed by the key in YUBICO_SECRET_KEY")]
    Signature,
    #[error("its answer is to another question")]
    Other,
    #[error("its clock and ours are too far apart")]
    Time,
    #[error("it refuses to look: {0}")]
    Status(&'static str),
    #[error("the operating system has no randomness")]
    Random(#[from] SysError),
}

/// The way to the service.
pub(super) struct Service {
    settings: YubicoSettings,
    key: hmac::Key,
    http: Http,
}

impl Service {
    pub(super) fn new(settings: YubicoSettings) -> Result<Self, SetupError> {
        let first = settings.urls.first().ok_or(SetupError::Address { what: "YUBICO_URL" })?;
        let http = Http::new(&settings.http, first)?;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, settings.secret.expose_secret());
        Ok(Self { settings, key, http })
    }

    /// Asks one server after the other until one answers.
    ///
    /// # Errors
    /// What the last one did, when none answered.
    pub(super) async fn check(&self, password: &Password, now: OffsetDateTime) -> Result<Said, ServiceError> {
        let mut bytes = [0; 16];
        SysRng.try_fill_bytes(&mut bytes)?;
        let nonce = hex::encode(bytes);
        let mut last = ServiceError::Status("no server");
        for url in &self.settings.urls {
            let mut url = url.clone();
            let asked = self.question(password, &nonce);
            url.query_pairs_mut().extend_pairs(asked.expose().iter());
            let answer = match self.http.get_text(&url).await {
                Ok(text) => self.read(&text, password, &nonce, now),
                Err(error) => Err(error.into()),
            };
            match answer {
                Ok(said) => return Ok(said),
                Err(error) => {
                    tracing::warn!(host = url.host_str().unwrap_or_default(), %error, "no answer about a YubiKey");
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn question(&self, password: &Password, nonce: &str) -> Question {
        let otp = password.0.expose_secret().to_owned();
        let parts = [("id", self.settings.client_id.clone()), ("nonce", nonce.to_owned()), ("otp", otp)];
        let mut parts: BTreeMap<_, _> = parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let tag = hmac::sign(&self.key, signed(&parts).as_bytes());
        parts.insert("h".to_owned(), STANDARD.encode(tag));
        Question(parts)
    }

    /// The signature is looked at first: whatever else is in an answer may be anybody's.
    fn read(&self, text: &str, password: &Password, nonce: &str, now: OffsetDateTime) -> Result<Said, ServiceError> {
        let mut parts = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            if parts.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(ServiceError::Other);
            }
        }
        let tag = parts.remove("h").and_then(|tag| STANDARD.decode(tag).ok()).ok_or(ServiceError::Signature)?;
        hmac::verify(&self.key, signed(&parts).as_bytes(), &tag).map_err(|_| ServiceError::Signature)?;
        let part = |name: &str| parts.get(name).map_or("", String::as_str);
        let is_echo = part("otp").as_bytes().ct_eq(password.0.expose_secret().as_bytes())
            & part("nonce").as_bytes().ct_eq(nonce.as_bytes());
        if !bool::from(is_echo) {
            return Err(ServiceError::Other);
        }
        let at = part("t").get(..TIME_LENGTH).and_then(|time| PrimitiveDateTime::parse(time, TIME).ok());
        if at.is_none_or(|at| (at.assume_utc() - now).abs() > DRIFT) {
            return Err(ServiceError::Time);
        }
        match part("status") {
            "OK" => Ok(Said::Yes),
            "BAD_OTP" | "REPLAYED_OTP" => Ok(Said::No),
            status => Err(ServiceError::Status(known(status))),
        }
    }
}

/// The parts of a question. One of them is the password.
struct Question(BTreeMap<String, String>);

impl Question {
    fn expose(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// What is signed: the parts in the order of their names.
fn signed(parts: &BTreeMap<String, String>) -> String {
    parts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A status in words of ours: what a server sends goes into no log.
fn known(status: &str) -> &'static str {
    const STATUS: &[&str] = &[
        "BAD_SIGNATURE",
        "MISSING_PARAMETER",
        "NO_SUCH_CLIENT",
        "OPERATION_NOT_ALLOWED",
        "BACKEND_ERROR",
        "NOT_ENOUGH_ANSWERS",
        "REPLAYED_REQUEST",
    ];
    STATUS.iter().find(|known| **known == status).copied().unwrap_or("a status that nobody knows")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::SecretSlice;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);
    const OTP: &str = "ccccccbtbhnhkfvgjvcthhdhjulnvigkhrjrhhdrgjdb";

    fn service() -> Service {
        Service::new(YubicoSettings {
            client_id: "1".to_owned(),
            secret: SecretSlice::from(b"made-up key".to_vec()),
            urls: vec!["http://127.0.0.1:9/verify".parse().unwrap()],
            http: crate::config::ProviderHttp::default(),
        })
        .unwrap()
    }

    fn answer(parts: &[(&str, &str)]) -> String {
        let right = [("nonce", "n"), ("otp", OTP), ("sl", "25"), ("status", "OK"), ("t", "2026-11-22T10:00:01Z0123")];
        let mut all: BTreeMap<_, _> = right.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        all.extend(parts.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let tag = STANDARD.encode(hmac::sign(&service().key, signed(&all).as_bytes()));
        let lines = all.iter().map(|(name, value)| format!("{name}={value}\r\n"));
        format!("h={tag}\r\n{}", lines.collect::<String>())
    }

    fn read(text: &str) -> Result<Said, String> {
        service().read(text, &Password::parse(OTP).unwrap(), "n", NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_a_key_types_is_a_password() {
        for text in [format!(" {OTP}\n"), OTP.to_uppercase()] {
            assert_eq!(Password::parse(&text).unwrap().key_id(), "ccccccbtbhnh");
        }
        let odd = [OTP.replacen('c', "", 1), format!("{OTP}c"), OTP.replace('k', "a"), OTP.replace('k', "ｋ")];
        for odd in odd.iter().map(String::as_str).chain(["", "123456"]) {
            assert!(Password::parse(odd).is_none(), "{odd}");
        }
    }

    /// The test vector that Yubico publishes with the protocol.
    #[test]
    fn questions_are_signed_as_the_protocol_says() {
        let key = STANDARD.decode("mG5be6ZJU1qBGz24yPh/ESM3UdU=").unwrap();
        let service = Service::new(YubicoSettings { secret: SecretSlice::from(key), ..service().settings }).unwrap();
        let password = Password::parse("vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft").unwrap();
        let asked = service.question(&password, "jrFwbaYFhn0HoxZIsd9LQ6w2ceU").0;
        assert_eq!(asked["h"], "+ja8S3IjbX593/LAgTBixwPNGX4=");
        assert_eq!(asked.keys().collect::<Vec<_>>(), ["h", "id", "nonce", "otp"]);
    }

    #[test]
    fn an_answer_is_believed_when_all_of_it_is_right() {
        assert_eq!(read(&answer(&[])), Ok(Said::Yes));
        assert_eq!(read(&answer(&[("timestamp", "1"), ("anything", "a=b=c")])), Ok(Said::Yes));
        assert_eq!(read(&answer(&[("status", "REPLAYED_OTP")])), Ok(Said::No));
        assert_eq!(read(&answer(&[("status", "BAD_OTP")])), Ok(Said::No));
        let refused = [
            answer(&[("status", "BACKEND_ERROR")]),
            answer(&[("status", "")]),
            answer(&[("status", "ok")]),
            answer(&[("otp", "ccccccbtbhnhkfvgjvcthhdhjulnvigkhrjrhhdrgjdc")]),
            answer(&[("nonce", "m")]),
            answer(&[("t", "2026-11-22T09:54:59Z0123")]),
            answer(&[("t", "2026-11-22T10:05:01Z0123")]),
            answer(&[("t", "yesterday")]),
            answer(&[]).replace("status=OK", "status=NOT"),
            answer(&[("status", "BAD_OTP")]).replace("BAD_OTP", "OK"),
            answer(&[]).replacen("h=", "g=", 1),
            format!("{}status=OK\r\n", answer(&[])),
            "status=OK".to_owned(),
            String::new(),
        ];
        for text in refused {
            assert!(read(&text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_says_does_harm(text in "(\\PC|[=\r\nht]){0,200}") {
            prop_assert!(read(&text).is_err());
        }

        #[test]
        fn nothing_that_is_typed_does_harm(text in "\\PC{0,60}") {
            prop_assert!(Password::parse(&text).is_none_or(|password| password.key_id().len() == KEY_ID));
        }
    }
}
