//! A relying party that takes nothing on trust: the openidconnect crate.

use std::collections::HashMap;
use std::convert::Infallible;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthType, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use url::Url;

/// Claims beyond the standard ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Groups {
    pub(super) groups: Vec<String>,
}

impl AdditionalClaims for Groups {}

pub(super) type Claims = IdTokenClaims<Groups, CoreGenderClaim>;
pub(super) type UserInfo = UserInfoClaims<Groups, CoreGenderClaim>;
type Fields = IdTokenFields<
    Groups,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Rp = Client<
    Groups,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// HTTP without following redirects, and without TLS: everything here is on loopback.
pub(super) fn http() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
    client.redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

async fn send(request: HttpRequest) -> Result<HttpResponse, Infallible> {
    let answer = http().execute(request.try_into().unwrap()).await.unwrap();
    let mut response = openidconnect::http::Response::builder().status(answer.status());
    response.headers_mut().unwrap().extend(answer.headers().clone());
    Ok(response.body(answer.bytes().await.unwrap().to_vec()).unwrap())
}

/// A client of a provider, known there under one redirect URI.
pub(super) struct Party {
    rp: Rp,
    issuer: String,
}

/// A sign-in that is under way.
pub(super) struct Begun {
    pub(super) url: Url,
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

/// A sign-in that is over.
pub(super) struct Verified {
    pub(super) claims: Claims,
    pub(super) algorithm: CoreJwsSigningAlgorithm,
    pub(super) user_info: UserInfo,
}

impl Party {
    pub(super) async fn discover(issuer: &str, id: &str, secret: &str, redirect: &str) -> Self {
        let issuer_url = IssuerUrl::new(issuer.to_owned()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer_url, &send).await.unwrap();
        let secret = Some(ClientSecret::new(secret.to_owned()));
        let rp = Client::from_provider_metadata(metadata, ClientId::new(id.to_owned()), secret);
        let rp = rp.set_redirect_uri(RedirectUrl::new(redirect.to_owned()).unwrap());
        Self { rp, issuer: issuer.to_owned() }
    }

    /// How the client authenticates: in the header or in the body.
    pub(super) fn authenticating(mut self, how: AuthType) -> Self {
        self.rp = self.rp.set_auth_type(how);
        self
    }

    /// Where to send the browser.
    pub(super) fn begin(&self) -> Begun {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request = self.rp.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        for scope in ["email", "profile", "groups"] {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        Begun { url, state, nonce, verifier }
    }

    /// Takes the answer that came with the browser to the end: state, issuer, code, signature,
    /// audience, nonce, hash of the access token, user info.
    pub(super) async fn end(&self, begun: Begun, back: &Url) -> Verified {
        let query: HashMap<_, _> = back.query_pairs().into_owned().collect();
        assert_eq!(query.get("state"), Some(begun.state.secret()), "{back}");
        assert_eq!(query.get("iss"), Some(&self.issuer), "{back}");
        let code = query.get("code").unwrap_or_else(|| panic!("no code: {back}")).clone();
        let exchange = self.rp.exchange_code(AuthorizationCode::new(code)).unwrap();
        let tokens: Tokens = exchange.set_pkce_verifier(begun.verifier).request_async(&send).await.unwrap();
        let token = tokens.id_token().unwrap();
        let verifier = self.rp.id_token_verifier();
        let claims = token.claims(&verifier, &begun.nonce).unwrap().clone();
        assert!(token.claims(&verifier, &Nonce::new_random()).is_err(), "another nonce");
        let algorithm = token.signing_alg().unwrap().clone();
        let hash = AccessTokenHash::from_token(
            tokens.access_token(),
            token.signing_alg().unwrap(),
            token.signing_key(&verifier).unwrap(),
        );
        if let Some(expected) = claims.access_token_hash() {
            assert_eq!(&hash.unwrap(), expected);
        }
        let subject = Some(claims.subject().clone());
        let user_info = self.rp.user_info(tokens.access_token().clone(), subject).unwrap();
        let user_info = user_info.request_async(&send).await.unwrap();
        Verified { claims, algorithm, user_info }
    }
}
