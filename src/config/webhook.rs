//! Where notices are sent, and what they are signed with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretSlice;
use url::Url;

use super::env::required;
use super::{Env, ProviderHttp, is_loopback};

/// How a secret begins (Standard Webhooks, "Signing scheme").
const PREFIX: &str = "whsec_";
/// Least and most bytes of a secret (Standard Webhooks, the same).
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const NAMES: &[&str] = &["WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_PREVIOUS_SECRET"];

/// The one receiver of notices.
#[derive(Clone)]
pub struct WebhookSettings {
    /// `WEBHOOK_URL`. Its path and query may be a secret of the receiver's.
    pub url: Url,
    /// `WEBHOOK_SECRET`: what notices are signed with.
    pub secret: SecretSlice<u8>,
    /// `WEBHOOK_PREVIOUS_SECRET`: what they are signed with too, while it is being changed.
    pub previous: Option<SecretSlice<u8>>,
    /// How the receiver is reached.
    pub http: ProviderHttp,
}

impl WebhookSettings {
    /// Reads the settings; adds what is wrong to `problems`. None when nothing is set: then nothing is sent.
    pub(super) fn read(env: &dyn Env, http: &ProviderHttp, problems: &mut Vec<String>) -> Option<Self> {
        if NAMES.iter().all(|name| env.get(name).is_none()) {
            return None;
        }
        let before = problems.len();
        let mut required = |name: &str, what: &str| required(env, name, what, problems);
        let url = required("WEBHOOK_URL", "where notices are sent, such as https://hooks.example.com/rack-gateway");
        let secret = required(
            "WEBHOOK_SECRET",
            "make one with `echo whsec_$(openssl rand -base64 32)`, and give it to the receiver",
        );
        let url = url.and_then(|text| address(&text).map_err(|problem| problems.push(problem)).ok());
        let mut key = |name: &str, text: String| secret_of(name, &text).map_err(|problem| problems.push(problem)).ok();
        let secret = secret.and_then(|text| key("WEBHOOK_SECRET", text));
        let previous = env.get("WEBHOOK_PREVIOUS_SECRET").and_then(|text| key("WEBHOOK_PREVIOUS_SECRET", text));
        let settings = Self { url: url?, secret: secret?, previous, http: http.clone() };
        (problems.len() == before).then_some(settings)
    }

    /// Scheme, host and port: what may be shown.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WebhookSettings");
        debug.field("origin", &self.origin()).field("rotating", &self.previous.is_some()).finish_non_exhaustive()
    }
}

/// https, or http to this machine. What was read is not repeated: it may be a secret.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "WEBHOOK_URL is not an address".to_owned())?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("WEBHOOK_URL must begin with https:// (http:// is for this machine alone)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("WEBHOOK_URL must have no user and no fragment".to_owned());
    }
    Ok(url)
}

fn secret_of(name: &str, text: &str) -> Result<SecretSlice<u8>, String> {
    let bytes = text.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| format!("{name} must be whsec_ and base64"))?;
    if !BYTES.contains(&bytes.len()) {
        return Err(format!("{name} must be {} to {} bytes in base64", BYTES.start(), BYTES.end()));
    }
    Ok(SecretSlice::from(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn read(pairs: Pairs<'_>) -> (Option<WebhookSettings>, Vec<String>) {
        let env: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut problems = Vec::new();
        (WebhookSettings::read(&env, &ProviderHttp::default(), &mut problems), problems)
    }

    #[test]
    fn without_settings_nothing_is_sent() {
        let (settings, problems) = read(&[]);
        assert!(settings.is_none() && problems.is_empty());
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let pairs = [("WEBHOOK_URL", "https://hooks.example.com/t0p/s3cret?k=s3cret"), ("WEBHOOK_SECRET", SECRET)];
        let settings = read(&pairs).0.unwrap();
        assert_eq!(settings.origin(), "https://hooks.example.com");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("MfKQ") && shown.contains("rotating: false"), "{shown}");
    }

    #[test]
    fn addresses_and_secrets_are_checked() {
        let good = ("WEBHOOK_URL", "https://hooks.example.com/");
        let cases: &[(Pairs<'_>, &[&str])] = &[
            (&[good, ("WEBHOOK_SECRET", SECRET)], &[]),
            (&[good, ("WEBHOOK_SECRET", SECRET), ("WEBHOOK_PREVIOUS_SECRET", SECRET)], &[]),
            (&[("WEBHOOK_URL", "http://127.0.0.1:8080/x"), ("WEBHOOK_SECRET", SECRET)], &[]),
            (&[("WEBHOOK_URL", "http://[::1]/"), ("WEBHOOK_SECRET", SECRET)], &[]),
            (&[good], &["WEBHOOK_SECRET is not set"]),
            (&[("WEBHOOK_PREVIOUS_SECRET", SECRET)], &["WEBHOOK_URL is not set", "WEBHOOK_SECRET is not set"]),
            (&[("WEBHOOK_URL", "http://example.com"), ("WEBHOOK_SECRET", SECRET)], &["begin with https://"]),
            (&[("WEBHOOK_URL", "http://127.0.0.1.nip.io"), ("WEBHOOK_SECRET", SECRET)], &["begin with https://"]),
            (&[("WEBHOOK_URL", "https://a:b@example.com"), ("WEBHOOK_SECRET", SECRET)], &["no user"]),
            (&[("WEBHOOK_URL", "s3cret"), ("WEBHOOK_SECRET", "s3cret")], &["not an address", "whsec_ and base64"]),
            (&[good, ("WEBHOOK_SECRET", "whsec_c2hvcnQ=")], &["24 to 64 bytes"]),
            (&[good, ("WEBHOOK_SECRET", SECRET), ("WEBHOOK_PREVIOUS_SECRET", "s3cret")], &["WEBHOOK_PREVIOUS_SECRET"]),
        ];
        for (pairs, expected) in cases {
            let (settings, problems) = read(pairs);
            assert_eq!(problems.len(), expected.len(), "{pairs:?}: {problems:?}");
            assert_eq!(settings.is_some(), expected.is_empty(), "{pairs:?}");
            for (problem, part) in problems.iter().zip(*expected) {
                assert!(problem.contains(part) && !problem.contains("s3cret"), "{problem}");
            }
        }
    }
}
