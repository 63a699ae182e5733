//! Providers that are down, slow, lying, or change their keys.

use std::time::Duration as Wait;

use rack_gateway::config::{ProviderHttp, SignInSettings};
use rack_gateway::identity::{Channel, FetchError, Oidc, OidcError, ProviderError, SetupError, TokenError};
use serde_json::json;
use time::Duration;

use super::{PUBLIC, now, sign_in, sign_in_at, sign_in_with};
use crate::harness::provider::{Answer, Provider};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn fetch(provider: &Provider, path: &str, cause: FetchError) -> OidcError {
    OidcError::Provider(ProviderError::Fetch { address: format!("{}{path}", provider.issuer()), cause })
}

#[actix_web::test]
async fn a_provider_that_is_down_is_asked_again_after_a_pause() {
    let provider = Provider::start();
    provider.set(|knobs| knobs.discovery = Answer::Status(503, json!({})));
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    let begin = now();
    let down = fetch(&provider, DISCOVERY, FetchError::Status(503));
    // Seconds from the beginning, and how often it was asked by then: pauses of 1, 2 and 4 seconds.
    for (second, asked) in [(0, 1), (0, 1), (1, 2), (2, 2), (3, 3), (6, 3), (7, 4), (14, 4)] {
        let found = oidc.start(Channel::Web, begin + Duration::seconds(second)).await.unwrap_err();
        assert_eq!((found, provider.hits(DISCOVERY)), (down.clone(), asked), "after {second} s");
    }
    assert!(down.to_string().contains(DISCOVERY) && down.to_string().contains("503"), "{down}");
    provider.set(|knobs| knobs.discovery = Answer::Right);
    assert!(oidc.start(Channel::Web, begin + Duration::seconds(14)).await.is_err());
    assert!(oidc.start(Channel::Web, begin + Duration::seconds(15)).await.is_ok());
    sign_in_at(&oidc, &provider, now()).await.unwrap();
}

#[actix_web::test]
async fn nobody_at_the_address_is_said_so() {
    let provider = Provider::start();
    let settings = SignInSettings { issuer: "http://127.0.0.1:1".to_owned(), ..provider.settings() };
    let found = Oidc::new(settings, PUBLIC).unwrap().warm_up(now()).await.unwrap_err();
    let expected = "the identity provider was asked at http://127.0.0.1:1/.well-known/openid-configuration: \
                    it cannot be reached: ";
    assert!(found.to_string().starts_with(expected), "{found}");
    assert!(found.help().contains("OIDC_CA_FILE"), "{}", found.help());
}

#[actix_web::test]
async fn documents_are_used_only_if_they_are_right() {
    let provider = Provider::start();
    let other = OidcError::Provider(ProviderError::OtherIssuer { expected: provider.issuer().to_owned() });
    let lacks = |what| OidcError::Provider(ProviderError::Lacks(what));
    let with = |change| (Answer::With(change), Answer::Right);
    let slash = json!({"issuer": format!("{}/", provider.issuer())});
    let discovery = |cause| fetch(&provider, DISCOVERY, cause);
    let keys = |cause| fetch(&provider, "/keys", cause);
    let cases = [
        (with(json!({"issuer": "https://evil.example.com"})), other.clone()),
        (with(slash), other),
        (with(json!({"issuer": null})), discovery(FetchError::Unreadable)),
        (with(json!({"jwks_uri": null})), discovery(FetchError::Unreadable)),
        (with(json!({"authorization_endpoint": null})), lacks("authorization endpoint")),
        (with(json!({"authorization_endpoint": "http://example.com/"})), lacks("authorization endpoint")),
        (with(json!({"authorization_endpoint": "javascript:alert(1)"})), lacks("authorization endpoint")),
        (with(json!({"token_endpoint": null})), lacks("token endpoint")),
        (with(json!({"token_endpoint": "http://example.com/"})), lacks("token endpoint")),
        ((Answer::Redirect, Answer::Right), discovery(FetchError::Redirected)),
        ((Answer::Huge, Answer::Right), discovery(FetchError::TooLong)),
        ((Answer::Silence, Answer::Right), discovery(FetchError::Timeout)),
        ((Answer::Text, Answer::Right), discovery(FetchError::Unreadable)),
        ((Answer::Right, Answer::Redirect), keys(FetchError::Redirected)),
        ((Answer::Right, Answer::Huge), keys(FetchError::TooLong)),
        ((Answer::Right, Answer::Silence), keys(FetchError::Timeout)),
        ((Answer::Right, Answer::Status(404, json!({}))), keys(FetchError::Status(404))),
        ((Answer::Right, Answer::With(json!({"keys": []}))), lacks("signing key")),
        ((Answer::Right, Answer::With(json!({"keys": [{"kty": "odd"}, 7]}))), lacks("signing key")),
        ((Answer::Right, Answer::With(json!({"keys": null}))), keys(FetchError::Unreadable)),
    ];
    for ((discovery, keys), expected) in cases {
        provider.set(|knobs| (knobs.discovery, knobs.keys) = (discovery.clone(), keys.clone()));
        let mut settings = provider.settings();
        if [&discovery, &keys].contains(&&Answer::Silence) {
            settings.http.timeout = Wait::from_millis(200);
        }
        assert_eq!(sign_in_with(&provider, settings).await.unwrap_err(), expected, "{discovery:?} {keys:?}");
    }
    let elsewhere = json!({"jwks_uri": "http://example.com/keys"});
    provider.set(|knobs| (knobs.discovery, knobs.keys) = (Answer::With(elsewhere), Answer::Right));
    let address = "http://example.com/keys".to_owned();
    let expected = OidcError::Provider(ProviderError::Fetch { address, cause: FetchError::NotHttps });
    assert_eq!(sign_in(&provider).await.unwrap_err(), expected);
    assert_eq!(provider.hits("/moved/keys") + provider.hits(&format!("/moved{DISCOVERY}")), 0);
}

#[actix_web::test]
async fn a_new_key_is_looked_for_once_and_found() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    let begin = now();
    let at = |seconds| begin + Duration::seconds(seconds);
    sign_in_at(&oidc, &provider, at(0)).await.unwrap();
    assert_eq!(provider.hits("/keys"), 1);
    provider.rotate();
    sign_in_at(&oidc, &provider, at(1)).await.unwrap();
    assert_eq!(provider.hits("/keys"), 2);
    // Names of keys that nobody has cause one look in thirty seconds, no more.
    provider.set(|knobs| knobs.header = json!({"kid": "made-up"}));
    for (second, asked) in [(2, 2), (30, 2), (31, 3), (32, 3)] {
        let found = sign_in_at(&oidc, &provider, at(second)).await.unwrap_err();
        assert_eq!((found, provider.hits("/keys")), (OidcError::Token(TokenError::UnknownKey), asked), "{second}");
    }
    provider.set(|knobs| knobs.header = json!({}));
    provider.rotate();
    let found = sign_in_at(&oidc, &provider, at(33)).await.unwrap_err();
    assert_eq!(found, OidcError::Token(TokenError::UnknownKey));
    sign_in_at(&oidc, &provider, at(61)).await.unwrap();
}

#[actix_web::test]
async fn what_is_known_is_fetched_anew_each_hour_and_forgotten_after_a_day() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    let begin = now();
    let warm = |hours: i64| {
        let (oidc, at) = (&oidc, begin + Duration::hours(hours));
        async move { oidc.warm_up(at).await }
    };
    warm(0).await.unwrap();
    oidc.warm_up(begin + Duration::minutes(59)).await.unwrap();
    assert_eq!(provider.hits(DISCOVERY), 1);
    warm(1).await.unwrap();
    assert_eq!(provider.hits(DISCOVERY), 2);
    provider.set(|knobs| knobs.keys = Answer::Status(500, json!({})));
    warm(3).await.unwrap();
    warm(24).await.unwrap();
    let asked = provider.hits(DISCOVERY);
    assert_eq!(asked, 4);
    let found = warm(25).await.unwrap_err();
    assert_eq!(found, fetch(&provider, "/keys", FetchError::Status(500)));
    provider.set(|knobs| knobs.keys = Answer::Right);
    warm(26).await.unwrap();
}

#[actix_web::test]
async fn many_who_come_at_once_cause_one_question() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    let (oidc, at) = (&oidc, now());
    let all = futures_util::future::join_all((0..20).map(|_| async move { oidc.start(Channel::Web, at).await }));
    assert!(all.await.iter().all(Result::is_ok));
    assert_eq!((provider.hits(DISCOVERY), provider.hits("/keys")), (1, 1));
}

#[actix_web::test]
async fn certificates_are_checked() {
    let provider = Provider::start_tls();
    assert!(provider.issuer().starts_with("https://localhost:"));
    sign_in(&provider).await.unwrap();
    let untrusting = SignInSettings { http: ProviderHttp::default(), ..provider.settings() };
    let found = sign_in_with(&provider, untrusting).await.unwrap_err();
    let OidcError::Provider(ProviderError::Fetch { cause: FetchError::Unreachable(reason), .. }) = &found else {
        panic!("{found:?}");
    };
    assert!(reason.contains("certificate"), "{reason}");
    // A provider on https leads nobody to plain http, not even on this machine.
    provider.set(|knobs| knobs.discovery = Answer::With(json!({"jwks_uri": "http://127.0.0.1:1/keys"})));
    let found = sign_in(&provider).await.unwrap_err();
    let address = "http://127.0.0.1:1/keys".to_owned();
    assert_eq!(found, OidcError::Provider(ProviderError::Fetch { address, cause: FetchError::NotHttps }));
    let set = |ca: &str| {
        let http = ProviderHttp { ca: Some(ca.as_bytes().to_vec()), ..ProviderHttp::default() };
        Oidc::new(SignInSettings { http, ..provider.settings() }, PUBLIC)
    };
    for ca in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(set(ca), Err(SetupError::Client(_))), "{ca}");
    }
    let plain = SignInSettings { issuer: "http://login.example.com".to_owned(), ..provider.settings() };
    assert!(matches!(Oidc::new(plain, PUBLIC), Err(SetupError::Address { .. })));
    assert!(matches!(Oidc::new(provider.settings(), "gateway"), Err(SetupError::Address { what: "DOMAIN" })));
}
