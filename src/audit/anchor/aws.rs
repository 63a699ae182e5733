//! The way to S3 and KMS: where, as whom, with how much patience; and what their errors mean.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use secrecy::{ExposeSecret as _, SecretString};

use super::AnchorError;

/// How S3 and KMS are reached.
#[derive(Clone, Debug)]
pub struct Aws {
    source: Source,
    /// How long one attempt may take.
    attempt: Duration,
}

#[derive(Clone)]
enum Source {
    /// What the SDK finds: its variables, profile, role of the container or machine.
    Environment,
    /// An endpoint that is told.
    Endpoint { url: String, region: String, id: String, secret: SecretString },
}

/// Attempts of one call, the first one included.
const ATTEMPTS: u32 = 4;

impl Aws {
    /// What the SDK finds in its own variables, the profile, the role of the container or machine.
    #[must_use]
    pub const fn environment() -> Self {
        Self { source: Source::Environment, attempt: Duration::from_secs(5) }
    }

    /// An emulator, or another service that speaks as S3 and KMS do. `attempt` is how long one attempt
    /// may take.
    #[must_use]
    pub fn endpoint(url: &str, region: &str, (id, secret): (&str, &str), attempt: Duration) -> Self {
        let source = Source::Endpoint {
            url: url.to_owned(),
            region: region.to_owned(),
            id: id.to_owned(),
            secret: SecretString::from(secret),
        };
        Self { source, attempt }
    }

    /// How long one call may take, with all its attempts.
    pub(super) const fn patience(&self) -> Duration {
        self.attempt.saturating_mul(ATTEMPTS)
    }

    /// Asks the SDK; it may ask the machine's metadata service.
    pub(super) async fn load(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.attempt.min(Duration::from_secs(3)))
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.patience())
            .build();
        let retry = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff((self.attempt / 10).min(Duration::from_secs(1)));
        let loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).retry_config(retry);
        match &self.source {
            Source::Environment => loader.load().await,
            Source::Endpoint { url, region, id, secret } => {
                let credentials = Credentials::new(id, secret.expose_secret(), None, None, "settings");
                let provider = SharedCredentialsProvider::new(credentials);
                let region = Region::new(region.clone());
                loader.endpoint_url(url).region(region).credentials_provider(provider).load().await
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Endpoint { url, .. } => f.debug_tuple("Endpoint").field(url).finish(),
        }
    }
}

/// The status of the answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What an error means. `what` is who was asked.
pub(super) fn trouble<E>(what: &'static str, error: &SdkError<E, HttpResponse>) -> AnchorError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let status = status(error);
    let cause = match (error.message(), status) {
        (Some(message), _) => brief(&format!("{code}: {message}")),
        (None, Some(status)) => brief(&format!("{code} (status {status})")),
        (None, None) => brief(&DisplayErrorContext(error).to_string()),
    };
    match (code.as_str(), status) {
        ("NoSuchBucket" | "NotFoundException" | "DisabledException" | "KMSInvalidStateException", _) => {
            AnchorError::Unusable(format!("{what}: {cause}"))
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, Some(301)) => {
            AnchorError::Unusable(format!("{what} is in another region ({cause}): set AWS_REGION"))
        }
        // Times out of step are told with this status too, and pass.
        ("RequestTimeTooSkewed" | "RequestExpired", _) => AnchorError::Unavailable { what, cause },
        (_, Some(400 | 401 | 403)) if !is_throttling(&code) => AnchorError::Refused { what, cause },
        _ => AnchorError::Unavailable { what, cause },
    }
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "SlowDown", "LimitExceeded", "TooManyRequests", "RequestTimeout"].iter().any(|word| code.contains(word))
}

/// One line of at most 300 characters.
fn brief(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    plain.trim().to_owned()
}
