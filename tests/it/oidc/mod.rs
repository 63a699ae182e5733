//! Identity providers, right and hostile: who is let in, and who is not.

mod claims;
mod provider;
mod sign_in;
mod workload;

use rack_gateway::config::SignInSettings;
use rack_gateway::identity::{Channel, Oidc, OidcError, Pending, Person, Start};
use time::OffsetDateTime;

use crate::harness::provider::{Provider, parameter};

const PUBLIC: &str = "https://gateway.example.com";

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn pending(start: &Start, channel: Channel) -> Pending {
    Pending { nonce: start.nonce.clone(), verifier: start.verifier.clone(), channel }
}

/// One sign-in from beginning to end, with a gateway that knows nothing yet.
async fn sign_in_with(provider: &Provider, settings: SignInSettings) -> Result<Person, OidcError> {
    let oidc = Oidc::new(settings, PUBLIC).unwrap();
    sign_in_at(&oidc, provider, now()).await
}

async fn sign_in(provider: &Provider) -> Result<Person, OidcError> {
    sign_in_with(provider, provider.settings()).await
}

async fn sign_in_at(oidc: &Oidc, provider: &Provider, now: OffsetDateTime) -> Result<Person, OidcError> {
    let start = oidc.start(Channel::Web, now).await?;
    let back = provider.visit(&start.url);
    let (code, iss) = (parameter(&back, "code").unwrap(), parameter(&back, "iss"));
    oidc.finish(&pending(&start, Channel::Web), &code, iss.as_deref(), now).await
}
