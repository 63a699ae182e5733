//! What a provider publishes about itself: its addresses and keys, fetched when first needed and kept.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use url::Url;

use super::http::{FetchError, Http, SetupError};
use crate::config::{ProviderHttp, provider_url};

/// After this time what is known is fetched again.
const FRESH: Duration = Duration::hours(1);
/// For this long it is used while the provider cannot be reached.
const USABLE: Duration = Duration::hours(24);
/// Between two looks for a key that is not known: strangers can make up names of keys.
const BETWEEN_LOOKS: Duration = Duration::seconds(30);
/// Longest pause after failures; the first is one second, each next one twice as long.
const LONGEST_PAUSE: Duration = Duration::seconds(30);

/// Why nothing is known of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// A document of it cannot be fetched.
    #[error("the identity provider was asked at {address}: {cause}")]
    Fetch {
        /// What was asked for.
        address: String,
        /// What happened.
        cause: FetchError,
    },
    /// Its document is about another issuer (OpenID Connect Discovery 1.0 §4.3).
    #[error("the identity provider at {expected} says that it is another issuer")]
    OtherIssuer {
        /// The issuer in the settings.
        expected: String,
    },
    /// Its document lacks something.
    #[error("the identity provider publishes no usable {0}")]
    Lacks(&'static str),
}

/// The parts of a discovery document that we use (OpenID Connect Discovery 1.0 §3). Providers of CI
/// tokens leave out what people need.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    issuer: String,
    jwks_uri: Url,
    pub(crate) authorization_endpoint: Option<Url>,
    pub(crate) token_endpoint: Option<Url>,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207 §3.
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// What was known of a provider at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// None when the settings name the address of the keys.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) keys: CoreJsonWebKeySet,
    fetched: OffsetDateTime,
}

impl Snapshot {
    fn age(&self, now: OffsetDateTime) -> Duration {
        now - self.fetched
    }
}

#[derive(Debug, Default)]
struct Attempts {
    /// The last failure and the number of failures in a row.
    failed: Option<(ProviderError, OffsetDateTime, u32)>,
    looked: Option<OffsetDateTime>,
}

impl Attempts {
    /// The failure that is too recent to try again.
    fn pausing(&self, now: OffsetDateTime) -> Option<&ProviderError> {
        let (error, at, count) = self.failed.as_ref()?;
        let pause = Duration::seconds(1_i64 << (count - 1).min(5)).min(LONGEST_PAUSE);
        (now - *at < pause).then_some(error)
    }

    fn note(&mut self, error: &ProviderError, now: OffsetDateTime) {
        let count = self.failed.as_ref().map_or(0, |(_, _, count)| *count).saturating_add(1);
        self.failed = Some((error.clone(), now, count));
    }
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) http: Http,
    issuer: String,
    discovery: Url,
    jwks_uri: Option<Url>,
    known: ArcSwapOption<Snapshot>,
    /// Held while fetching: many who wait cause one request.
    attempts: Mutex<Attempts>,
}

impl Provider {
    pub(crate) fn new(issuer: &str, jwks_uri: Option<&str>, settings: &ProviderHttp) -> Result<Self, SetupError> {
        let address = |text: &str, what| provider_url(text).map_err(|_| SetupError::Address { what });
        let url = address(issuer, "the issuer")?;
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        Ok(Self {
            http: Http::new(settings, &url)?,
            issuer: issuer.to_owned(),
            discovery: address(&discovery, "the issuer")?,
            jwks_uri: jwks_uri.map(|uri| address(uri, "the address of the keys")).transpose()?,
            known: ArcSwapOption::empty(),
            attempts: Mutex::default(),
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What is known, fetched if need be. While the provider fails, it is not asked for a pause that
    /// grows; what was known stays in use for a day.
    pub(crate) async fn current(&self, now: OffsetDateTime) -> Result<Arc<Snapshot>, ProviderError> {
        let known = self.known.load_full().filter(|known| known.age(now) < USABLE);
        let mut attempts = match &known {
            Some(known) if known.age(now) < FRESH => return Ok(Arc::clone(known)),
            // Somebody fetches already; nobody else needs to wait for it.
            Some(known) => match self.attempts.try_lock() {
                Ok(attempts) => attempts,
                Err(_) => return Ok(Arc::clone(known)),
            },
            None => self.attempts.lock().await,
        };
        if let Some(fresh) = self.known.load_full().filter(|known| known.age(now) < FRESH) {
            return Ok(fresh);
        }
        let fetched = match attempts.pausing(now) {
            Some(error) => Err(error.clone()),
            None => self.fetch(now).await.inspect_err(|error| {
                attempts.note(error, now);
                tracing::warn!(issuer = %self.issuer, reason = %error, "an identity provider cannot be used");
            }),
        };
        match (fetched, known) {
            (Ok(snapshot), _) => {
                attempts.failed = None;
                let snapshot = Arc::new(snapshot);
                self.known.store(Some(Arc::clone(&snapshot)));
                Ok(snapshot)
            }
            (Err(_), Some(known)) => Ok(known),
            (Err(error), None) => Err(error),
        }
    }

    /// Looks whether the provider has other keys than those of `seen`. None: not now.
    pub(crate) async fn newer(
        &self,
        seen: &Arc<Snapshot>,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Snapshot>>, ProviderError> {
        let mut attempts = self.attempts.lock().await;
        if let Some(known) = self.known.load_full().filter(|known| !Arc::ptr_eq(known, seen)) {
            return Ok(Some(known));
        }
        if attempts.looked.is_some_and(|at| now - at < BETWEEN_LOOKS) {
            return Ok(None);
        }
        attempts.looked = Some(now);
        let snapshot = Arc::new(self.fetch(now).await?);
        self.known.store(Some(Arc::clone(&snapshot)));
        Ok(Some(snapshot))
    }

    async fn fetch(&self, now: OffsetDateTime) -> Result<Snapshot, ProviderError> {
        let metadata = match self.jwks_uri {
            Some(_) => None,
            None => Some(self.discover().await?),
        };
        let uri = self.jwks_uri.as_ref().or(metadata.as_ref().map(|metadata| &metadata.jwks_uri));
        let keys: CoreJsonWebKeySet = self.document(uri.unwrap_or(&self.discovery)).await?;
        if keys.keys().is_empty() {
            return Err(ProviderError::Lacks("signing key"));
        }
        Ok(Snapshot { metadata, keys, fetched: now })
    }

    async fn discover(&self) -> Result<Metadata, ProviderError> {
        let metadata: Metadata = self.document(&self.discovery).await?;
        if metadata.issuer != self.issuer {
            return Err(ProviderError::OtherIssuer { expected: self.issuer.clone() });
        }
        Ok(metadata)
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, url: &Url) -> Result<T, ProviderError> {
        let fetched = self.http.get(url, None).await;
        fetched.map_err(|cause| ProviderError::Fetch { address: url.to_string(), cause })
    }
}
