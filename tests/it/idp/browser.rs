//! Signing in with a browser: at the development provider, and at one that is not ours.

use std::path::Path;
use std::time::Duration;

use openidconnect::core::CoreJwsSigningAlgorithm;
use rack_gateway::dev::idp::{Idp, IdpOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::landing::Landing;
use super::party::{Begun, Party, Verified};
use crate::harness::browser::{OidcProvider, Script};

/// The development provider, and a client of it that lands at `uri`.
async fn development(uri: &str) -> (Idp, Party) {
    let options = IdpOptions { redirect_uris: vec![uri.to_owned()], ..IdpOptions::default() };
    let idp = Idp::start("127.0.0.1:0".parse().unwrap(), options).unwrap();
    let client = idp.client();
    let party = Party::discover(&client.issuer, &client.client_id, client.client_secret.expose_secret(), uri).await;
    (idp, party)
}

async fn sign_in(begun: &Begun, provider: &str, person: &str, back: &str) -> (Url, Value) {
    let input = json!({"url": begun.url, "provider": provider, "person": person, "back": back, "pictures": provider});
    let output = Script::run("sign-in.mjs", &input).await;
    (output["url"].as_str().unwrap().parse().unwrap(), output)
}

fn assert_is(verified: &Verified, subject: &str, email: &str, group: &str) {
    let claims = &verified.claims;
    assert_eq!(verified.algorithm, CoreJwsSigningAlgorithm::EcdsaP256Sha256);
    assert_eq!(claims.subject().as_str(), subject);
    assert_eq!(claims.email().map(|email| email.as_str()), Some(email));
    assert_eq!(claims.email_verified(), Some(true));
    assert!(claims.name().is_some());
    assert_eq!(claims.additional_claims().groups, [group]);
    assert_eq!(verified.user_info.email(), claims.email());
    assert_eq!(verified.user_info.additional_claims().groups, [group]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_at_the_development_provider() {
    let landing = Landing::start().await;
    let (idp, party) = development(&landing.uri).await;
    let begun = party.begin();
    let (back, output) = sign_in(&begun, "dev", "admin", &landing.uri).await;
    assert_eq!(output["title"], "Sign in · development identity provider");
    assert_eq!(output["complaints"], json!([]), "style sheet, redirect of the form: the page's own policy allows them");
    let pictures = output["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 2);
    for picture in pictures {
        let bytes = std::fs::read(Path::new(picture.as_str().unwrap())).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"), "{picture}");
    }
    assert_is(&party.end(begun, &back).await, "dev-admin", "admin@example.com", "admin");
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_cancels_at_the_development_provider() {
    let landing = Landing::start().await;
    let (idp, party) = development(&landing.uri).await;
    let (back, _) = sign_in(&party.begin(), "dev", "", &landing.uri).await;
    assert!(back.query_pairs().any(|pair| pair == ("error".into(), "access_denied".into())), "{back}");
    assert!(back.query_pairs().any(|pair| pair == ("iss".into(), idp.issuer.as_str().into())), "{back}");
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_at_a_provider_that_is_not_ours() {
    let landing = Landing::start().await;
    let accounts = json!([{
        "sub": "u-1", "email": "ada@example.com", "email_verified": true, "name": "Ada", "groups": ["ops"],
    }]);
    let provider = OidcProvider::start(&[&landing.uri], &accounts).await;
    let OidcProvider { issuer, client_id, client_secret, .. } = &provider;
    let party = Party::discover(issuer, client_id, client_secret, &landing.uri).await;
    let begun = party.begin();
    let (back, _) = sign_in(&begun, "panva", "u-1", &landing.uri).await;
    assert_is(&party.end(begun, &back).await, "u-1", "ada@example.com", "ops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_says_why_and_leaves_a_picture() {
    let landing = Landing::start().await;
    let input = json!({"url": landing.uri, "patience": 500});
    let failure = Script::try_run("waits-in-vain.mjs", &input, Duration::from_secs(60)).await.unwrap_err();
    let said = failure.to_string();
    assert!(said.contains("waits-in-vain") && said.contains("what no page has"), "{said}");
    assert!(said.contains(&format!("page 1 is at {}", landing.uri)), "{said}");
    assert!(failure.pictures.join("failed-1.png").exists(), "{said}");
    let page = std::fs::read_to_string(failure.pictures.join("failed-1.html")).unwrap();
    assert!(page.contains("You are back"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_late_is_stopped() {
    let landing = Landing::start().await;
    let input = json!({"url": landing.uri, "patience": 600_000});
    let failure = Script::try_run("waits-in-vain.mjs", &input, Duration::from_millis(500)).await.unwrap_err();
    assert!(failure.said.contains("waits-in-vain is not done after 500 ms"), "{failure}");
}
