//! Tokens of CI runs: signed by an issuer of their own, with the claims that were asked for.

use std::collections::HashMap;

use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{ClientId, IssuerUrl, Nonce};
use rack_gateway::dev::idp::{Idp, IdpOptions};
use serde_json::{Value, json};

use super::party::http;

async fn json_of(url: &str) -> Value {
    http().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_ci_token_is_verified_by_its_own_issuer_and_by_no_other() {
    let idp = Idp::start("127.0.0.1:0".parse().unwrap(), IdpOptions::default()).unwrap();
    let issuer = idp.ci_issuer();
    let asked = json!({"repository": "acme/api", "ref": "refs/heads/main", "ref_protected": "true", "sha": "ab",
        "environment": "prod", "run_id": "7", "aud": "https://gateway.example.com", "jti": "once"});
    let minted = http().post(format!("{}/ci-token", idp.issuer)).body(asked.to_string()).send().await.unwrap();
    assert_eq!(minted.headers()["content-type"], "application/jwt");
    let token: CoreIdToken = minted.text().await.unwrap().parse().unwrap();

    let discovered = json_of(&format!("{issuer}/.well-known/openid-configuration")).await;
    assert_eq!(discovered["issuer"], issuer);
    let own = json_of(discovered["jwks_uri"].as_str().unwrap()).await;
    let of_people = json_of(&format!("{}/jwks", idp.issuer)).await;
    for (keys, verifies) in [(own, true), (of_people, false)] {
        let keys: CoreJsonWebKeySet = serde_json::from_value(keys).unwrap();
        let audience = ClientId::new("https://gateway.example.com".to_owned());
        let issuer = IssuerUrl::new(issuer.clone()).unwrap();
        let verifier = CoreIdTokenVerifier::new_public_client(audience, issuer, keys);
        let verifier = verifier.set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256]);
        let any_nonce = |_: Option<&Nonce>| Ok(());
        let verified = token.claims(&verifier, any_nonce);
        assert_eq!(verified.is_ok(), verifies, "{verified:?}");
    }
    let payload = token.to_string();
    let payload = payload.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    let claims: HashMap<String, Value> = serde_json::from_slice(&claims).unwrap();
    for (name, value) in asked.as_object().unwrap() {
        assert_eq!(&claims[name], value, "{name}");
    }
    assert_eq!(claims["sub"], "repo:acme/api:environment:prod");
    idp.stop().await;
}

#[tokio::test]
async fn claims_are_an_object() {
    let idp = Idp::start("127.0.0.1:0".parse().unwrap(), IdpOptions::default()).unwrap();
    for (body, status) in [("", 200), ("{}", 200), ("[]", 400), ("a=1", 400), ("{\"a\":}", 400)] {
        let answer = http().post(format!("{}/ci-token", idp.issuer)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
    }
    assert_eq!(http().get(format!("{}/ci-token", idp.issuer)).send().await.unwrap().status(), 404);
    idp.stop().await;
}
