//! Sign-in of people at an identity provider: OpenID Connect Core 1.0, code flow with PKCE.

mod error;
mod http;
mod jwt;
mod person;
mod provider;

use std::fmt;

use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreTokenResponse, CoreTokenType,
};
use openidconnect::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, IssuerUrl,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::config::SignInSettings;

pub use error::{OidcError, Told};
pub(crate) use http::Http;
pub use http::{FetchError, SetupError};
pub use jwt::TokenError;
pub(super) use jwt::{Expected, Purpose, Verified, VerifyError, unverified_issuer, verify};
pub use person::Person;
pub(super) use provider::Provider;
pub use provider::ProviderError;

/// Longest time between the identity token and its use.
const MAX_AGE: Duration = Duration::minutes(10);
/// Longest code that is passed on, in bytes.
const LONGEST_CODE: usize = 4096;

/// Which page the provider sends a person back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Sign-in to the web UI.
    Web,
    /// Confirmation of a CLI's sign-in.
    Cli,
}

impl Channel {
    /// The path of the redirect address, to be registered at the provider.
    #[must_use]
    pub const fn callback(self) -> &'static str {
        match self {
            Self::Web => "/api/v1/auth/web/callback",
            Self::Cli => "/api/v1/auth/cli/callback",
        }
    }
}

/// The beginning of a sign-in: where to send the browser, and what to keep until it comes back.
#[derive(Debug)]
pub struct Start {
    /// The provider's page.
    pub url: Url,
    /// Comes back with the browser; must equal what is kept.
    pub state: SecretString,
    /// Must be in the identity token.
    pub nonce: SecretString,
    /// Proves that who began the sign-in ends it (RFC 7636).
    pub verifier: SecretString,
}

/// What was kept of a sign-in.
#[derive(Debug)]
pub struct Pending {
    /// [`Start::nonce`].
    pub nonce: SecretString,
    /// [`Start::verifier`].
    pub verifier: SecretString,
    /// As it was started.
    pub channel: Channel,
}

/// The identity provider of people. It need not be there when the gateway starts.
pub struct Oidc {
    settings: SignInSettings,
    public_url: String,
    provider: Provider,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;
type CodeError = RequestTokenError<FetchError, StandardErrorResponse<CoreErrorResponseType>>;

impl Oidc {
    /// `public_url` is the gateway's own address, such as `https://gateway.example.com`. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// When the settings hold no usable addresses or authorities.
    pub fn new(settings: SignInSettings, public_url: &str) -> Result<Self, SetupError> {
        let provider = Provider::new(&settings.issuer, None, &settings.http)?;
        let public_url = public_url.trim_end_matches('/').to_owned();
        Url::parse(&public_url).map_err(|_| SetupError::Address { what: "DOMAIN" })?;
        Ok(Self { settings, public_url, provider })
    }

    /// The issuer that vouches for people.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Whether the provider is Google, for the words on the button.
    #[must_use]
    pub const fn is_google(&self) -> bool {
        self.settings.google
    }

    /// The redirect address of a channel, as it must be registered at the provider.
    #[must_use]
    pub fn redirect_url(&self, channel: Channel) -> String {
        format!("{}{}", self.public_url, channel.callback())
    }

    /// Asks the provider for its addresses and keys, if they are not known: for the background, so
    /// that the first person need not wait.
    ///
    /// # Errors
    /// When it cannot be asked, with what was tried.
    pub async fn warm_up(&self, now: OffsetDateTime) -> Result<(), OidcError> {
        self.provider.current(now).await?;
        Ok(())
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// When nothing is known of the provider.
    pub async fn start(&self, channel: Channel, now: OffsetDateTime) -> Result<Start, OidcError> {
        let client = self.client(channel, now).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let random = || CsrfToken::new_random_len(32);
        let (state, nonce) = (random(), Nonce::new(random().into_secret()));
        let asked = self.settings.scopes.iter().filter(|scope| *scope != "openid");
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scopes(asked.map(|scope| Scope::new(scope.clone())))
            .set_pkce_challenge(challenge);
        // Others may refuse a prompt that they do not know (OpenID Connect Core 1.0 §3.1.2.1).
        if self.settings.google {
            request = request.add_prompt(CoreAuthPrompt::SelectAccount);
        }
        if let (true, [domain]) = (self.settings.google, self.settings.allowed_domains.as_slice()) {
            request = request.add_extra_param("hd", domain.clone());
        }
        let (url, state, nonce) = request.url();
        Ok(Start {
            url,
            state: SecretString::from(state.into_secret()),
            nonce: SecretString::from(nonce.secret().clone()),
            verifier: SecretString::from(verifier.into_secret()),
        })
    }

    /// Ends a sign-in: trades the code for the identity. The caller has compared the state. `iss` is
    /// the parameter of that name with which the browser came back.
    ///
    /// # Errors
    /// When the provider cannot be asked, does not vouch for the person, or the person may not sign in.
    pub async fn finish(
        &self,
        pending: &Pending,
        code: &str,
        iss: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Person, OidcError> {
        self.check_answerer(iss, now).await?;
        let answer = self.exchange(pending, code, now).await?;
        let access_token = SecretString::from(answer.access_token().secret().clone());
        let id_token = answer.id_token().ok_or(OidcError::Answer)?.to_string();
        let expected = Expected {
            audience: &self.settings.client_id,
            max_age: MAX_AGE,
            purpose: Purpose::SignIn { nonce: &pending.nonce, access_token: &access_token },
        };
        let mut verified = verify(&self.provider, &id_token, &expected, now).await?;
        if person::is_incomplete(&verified.claims, &self.settings)
            && let Some(info) = self.user_info(&verified.subject, &access_token, now).await?
        {
            person::complete(&mut verified.claims, info, &self.settings);
        }
        person::person(&self.settings, verified.subject, &verified.claims)
    }

    /// RFC 9207 §2.4: a provider that names itself must do so each time.
    async fn check_answerer(&self, iss: Option<&str>, now: OffsetDateTime) -> Result<(), OidcError> {
        let snapshot = self.provider.current(now).await?;
        let named = |metadata: &provider::Metadata| metadata.authorization_response_iss_parameter_supported;
        match iss {
            Some(iss) if iss == self.settings.issuer => Ok(()),
            None if !snapshot.metadata.as_ref().is_some_and(named) => Ok(()),
            Some(_) | None => Err(OidcError::AnsweredByAnother),
        }
    }

    async fn exchange(
        &self,
        pending: &Pending,
        code: &str,
        now: OffsetDateTime,
    ) -> Result<CoreTokenResponse, OidcError> {
        if code.is_empty() || code.len() > LONGEST_CODE {
            return Err(OidcError::Answer);
        }
        let client = self.client(pending.channel, now).await?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.expose_secret().to_owned()))
            .request_async(&self.provider.http)
            .await
            .map_err(|error| code_error(&error))?;
        if *answer.token_type() != CoreTokenType::Bearer {
            return Err(OidcError::Answer);
        }
        Ok(answer)
    }

    /// The user info of the person, where the provider has that.
    async fn user_info(
        &self,
        subject: &str,
        access_token: &SecretString,
        now: OffsetDateTime,
    ) -> Result<Option<Map<String, Value>>, OidcError> {
        let snapshot = self.provider.current(now).await?;
        let endpoint = snapshot.metadata.as_ref().and_then(|metadata| metadata.userinfo_endpoint.as_ref());
        let Some(endpoint) = endpoint else { return Ok(None) };
        let info = self.provider.http.get::<Map<String, Value>>(endpoint, Some(access_token)).await;
        let info = info.map_err(OidcError::UserInfo)?;
        if info.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(OidcError::AnotherPerson);
        }
        Ok(Some(info))
    }

    async fn client(&self, channel: Channel, now: OffsetDateTime) -> Result<Client, OidcError> {
        let snapshot = self.provider.current(now).await?;
        let metadata = snapshot.metadata.as_ref().ok_or(ProviderError::Lacks("discovery document"))?;
        let usable = |url: &Option<Url>, what| {
            let url = url.as_ref().filter(|url| self.provider.http.permits(url));
            url.cloned().ok_or(ProviderError::Lacks(what))
        };
        let authorization = usable(&metadata.authorization_endpoint, "authorization endpoint")?;
        let token = usable(&metadata.token_endpoint, "token endpoint")?;
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| ProviderError::Lacks("issuer"))?;
        let redirect = RedirectUrl::new(self.redirect_url(channel)).map_err(|_| ProviderError::Lacks("redirect"))?;
        let secret = ClientSecret::new(self.settings.client_secret.expose_secret().to_owned());
        Ok(CoreClient::new(ClientId::new(self.settings.client_id.clone()), issuer, snapshot.keys.clone())
            .set_client_secret(secret)
            .set_auth_type(auth_type(metadata.token_endpoint_auth_methods_supported.as_deref())?)
            .set_auth_uri(AuthUrl::from_url(authorization))
            .set_token_uri(TokenUrl::from_url(token))
            .set_redirect_uri(redirect))
    }
}

/// How we prove who we are: what the provider takes, by header where it is left to us (OpenID
/// Connect Discovery 1.0 §3: without a list it is by header).
fn auth_type(supported: Option<&[String]>) -> Result<AuthType, ProviderError> {
    let Some(supported) = supported else { return Ok(AuthType::BasicAuth) };
    let takes = |method: &str| supported.iter().any(|one| one == method);
    if takes("client_secret_basic") {
        Ok(AuthType::BasicAuth)
    } else if takes("client_secret_post") {
        Ok(AuthType::RequestBody)
    } else {
        Err(ProviderError::Lacks("way to authenticate with a client secret"))
    }
}

/// What the library says of an answer may hold the answer itself, so that only its kind is kept.
fn code_error(error: &CodeError) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(answer) => OidcError::CodeRefused {
            error: Told::new(answer.error().as_ref()),
            description: Told::new(answer.error_description().map_or("no reason given", String::as_str)),
        },
        RequestTokenError::Request(cause) => OidcError::NoAnswer(cause.clone()),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => OidcError::Answer,
    }
}
