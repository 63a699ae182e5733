//! The way to identity providers and to Yubico's service: one HTTP client, with narrow limits.

use std::future::Future;
use std::pin::Pin;

use openidconnect::http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use crate::config::{ProviderHttp, is_loopback};
use crate::outward::{self, OutwardError, reason};

/// Longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Why no client can be made.
#[derive(Debug, Error)]
pub enum SetupError {
    /// An address in the settings is none.
    #[error("{what} is not a usable address")]
    Address {
        /// Which setting.
        what: &'static str,
    },
    /// No HTTP client can be made.
    #[error(transparent)]
    Client(#[from] OutwardError),
}

/// Why a provider gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("it does not answer in time")]
    Timeout,
    /// The answer is longer than 1 MiB.
    #[error("its answer is too long")]
    TooLong,
    /// It sends us elsewhere, where we do not go.
    #[error("it redirects, which is not followed")]
    Redirected,
    /// An answer other than 200.
    #[error("it answers with status {0}")]
    Status(u16),
    /// Not the JSON that was expected.
    #[error("its answer is not the JSON that was expected")]
    Unreadable,
    /// The address is not https.
    #[error("its address is not https")]
    NotHttps,
    /// The request cannot be put together from what the provider published.
    #[error("no request can be made for it")]
    Unaskable,
}

/// The client. It follows no redirect, uses no proxy, and speaks https only, except with a provider
/// on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    loopback: bool,
}

impl Http {
    /// `issuer` decides whether plain http to this machine is spoken.
    pub(crate) fn new(settings: &ProviderHttp, issuer: &Url) -> Result<Self, SetupError> {
        let client = outward::client(settings)?;
        Ok(Self { client, loopback: issuer.scheme() == "http" && is_loopback(issuer) })
    }

    /// Whether an address may be spoken to, or a browser sent there.
    pub(crate) fn permits(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.loopback && url.scheme() == "http" && is_loopback(url))
    }

    /// Gets a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        url: &Url,
        bearer: Option<&SecretString>,
    ) -> Result<T, FetchError> {
        let body = self.fetch(url, "application/json", bearer).await?;
        serde_json::from_slice(&body).map_err(|_| FetchError::Unreadable)
    }

    /// Gets a plain text.
    pub(crate) async fn get_text(&self, url: &Url) -> Result<String, FetchError> {
        let body = self.fetch(url, "text/plain", None).await?;
        String::from_utf8(body).map_err(|_| FetchError::Unreadable)
    }

    async fn fetch(
        &self,
        url: &Url,
        accept: &'static str,
        bearer: Option<&SecretString>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut request = HttpRequest::new(Vec::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| FetchError::Unaskable)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(token) = bearer {
            let value = format!("Bearer {}", token.expose_secret());
            let mut value = HeaderValue::from_str(&value).map_err(|_| FetchError::Unaskable)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = self.send(request).await?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            other => Err(FetchError::Status(other)),
        }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let request = reqwest::Request::try_from(request).map_err(|_| FetchError::Unaskable)?;
        if !self.permits(request.url()) {
            return Err(FetchError::NotHttps);
        }
        let mut answer = self.client.execute(request).await.map_err(|error| failure(&error))?;
        if answer.status().is_redirection() {
            return Err(FetchError::Redirected);
        }
        let mut response = HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
            if response.body().len() + chunk.len() > LONGEST {
                return Err(FetchError::TooLong);
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    /// Answers of other kinds than RFC 6749 §5 knows are not looked into.
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.send(request).await?;
            match answer.status().as_u16() {
                200 | 400 | 401 | 403 => Ok(answer),
                other => Err(FetchError::Status(other)),
            }
        })
    }
}

fn failure(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Unreachable(reason(error)) }
}
