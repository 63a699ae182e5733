//! Notices as signed POST requests: Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks,
//! "Webhook headers" and "Signing scheme").

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::{Message, SendError, Sender};
use crate::config::WebhookSettings;
use crate::outward::{self, OutwardError, reason};

/// The receiver at `WEBHOOK_URL`.
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    /// The secret, and the one before while it is being changed.
    keys: Vec<hmac::Key>,
}

impl Webhook {
    /// Makes the client; nothing is contacted.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(settings: &WebhookSettings) -> Result<Self, OutwardError> {
        let key = |secret: &secrecy::SecretSlice<u8>| hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        let keys = std::iter::once(&settings.secret).chain(&settings.previous).map(key).collect();
        Ok(Self { client: outward::client(&settings.http)?, url: settings.url.clone(), keys })
    }

    /// One signature for each key, with spaces between.
    fn signature(&self, message: &Message, timestamp: &str) -> String {
        let signed = format!("{}.{timestamp}.{}", message.id, message.body);
        let one = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes())));
        self.keys.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    async fn post(&self, message: &Message) -> Result<(), SendError> {
        let timestamp = message.at.unix_timestamp().to_string();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-signature", self.signature(message, &timestamp))
            .header("webhook-timestamp", timestamp)
            .body(message.body.clone());
        let answer = request.send().await.map_err(|error| {
            if error.is_timeout() {
                SendError::new("the receiver does not answer in time")
            } else {
                SendError::new(format!("the receiver cannot be reached: {}", reason(&error)))
            }
        })?;
        // The status alone counts. The body is never read: it may be anything, and without end.
        judge(answer.status().as_u16(), answer.headers(), message.at)
    }
}

impl Sender for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.post(message))
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// 2xx is delivered; 410 asks for no more of it; anything else is tried again.
fn judge(status: u16, headers: &HeaderMap, now: OffsetDateTime) -> Result<(), SendError> {
    let why = match status {
        200..=299 => return Ok(()),
        300..=399 => format!("the receiver redirects (status {status}), which is not followed"),
        410 => "the receiver wants no more notices (status 410)".to_owned(),
        _ => format!("the receiver answers with status {status}"),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| wanted(text, now));
    Err(SendError { retry_after, is_final: status == 410, ..SendError::new(why) })
}

/// Seconds, or a date (RFC 9110 §10.2.3 and §5.6.7).
fn wanted(text: &str, now: OffsetDateTime) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Duration::try_from(at - now).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretSlice;

    use super::*;
    use crate::config::ProviderHttp;

    fn webhook(secret: &str, previous: Option<&str>) -> Webhook {
        let bytes = |text: &str| SecretSlice::from(STANDARD.decode(text).unwrap());
        let settings = WebhookSettings {
            url: "http://127.0.0.1/".parse().unwrap(),
            secret: bytes(secret),
            previous: previous.map(bytes),
            http: ProviderHttp::default(),
        };
        Webhook::new(&settings).unwrap()
    }

    /// The example of the reference libraries of Standard Webhooks.
    #[test]
    fn the_signature_is_that_of_the_standard() {
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: r#"{"test": 2432232314}"#.to_owned(),
            at: OffsetDateTime::from_unix_timestamp(1_614_265_330).unwrap(),
        };
        let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(webhook(secret, None).signature(&message, "1614265330"), expected);
        let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = webhook(other, Some(secret)).signature(&message, "1614265330");
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first != expected && first.starts_with("v1,") && second == expected, "{both}");
    }

    #[test]
    fn statuses_are_judged() {
        let now = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
        // Status, Retry-After, delivered, final, seconds.
        let cases = [
            (200, None, true, false, None),
            (299, Some("9"), true, false, None),
            (301, None, false, false, None),
            (400, None, false, false, None),
            (404, None, false, false, None),
            (410, None, false, true, None),
            (429, Some("120"), false, false, Some(120)),
            (503, Some("Sun, 06 Nov 1994 08:51:07 GMT"), false, false, Some(90)),
            (503, Some("Sun, 06 Nov 1994 08:49:07 GMT"), false, false, None),
            (503, Some("soon"), false, false, None),
            (503, Some("-5"), false, false, None),
            (199, None, false, false, None),
            (600, None, false, false, None),
        ];
        for (status, header, delivered, is_final, seconds) in cases {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(RETRY_AFTER, header.parse().unwrap());
            }
            match judge(status, &headers, now) {
                Ok(()) => assert!(delivered, "{status}"),
                Err(error) => {
                    assert!(!delivered, "{status}");
                    assert_eq!(error.is_final, is_final, "{status}");
                    assert_eq!(error.retry_after.map(|pause| pause.as_secs()), seconds, "{status} {header:?}");
                }
            }
        }
    }
}
