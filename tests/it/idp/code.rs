//! The code flow, byte by byte: what a correct client gets, and what each incorrect one is told.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::AuthType;
use rack_gateway::dev::idp::{Idp, IdpClient, IdpOptions};
use reqwest::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::party::{Party, http};

/// Needs every kind of escaping, and is nobody's.
const BACK: &str = "http://127.0.0.1:9/back?a=1";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn start() -> Idp {
    let options = IdpOptions { redirect_uris: vec![BACK.to_owned()], ..IdpOptions::default() };
    Idp::start("127.0.0.1:0".parse().unwrap(), options).unwrap()
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

async fn post(url: &str, form: &[(&str, &str)]) -> Response {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = http().post(url).header("Content-Type", "application/x-www-form-urlencoded");
    request.body(body).send().await.unwrap()
}

/// The request that its page carries on.
fn request_of(page: &str) -> String {
    let (_, rest) = page.split_once(r#"name="request" value=""#).unwrap_or_else(|| panic!("{page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn location(answer: &Response) -> Url {
    assert_eq!(answer.status(), 303);
    answer.headers()["location"].to_str().unwrap().parse().unwrap()
}

fn query(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

/// Presses a button for this request; gives the answer's parameters.
async fn choose(idp: &Idp, url: &Url, person: &str) -> Url {
    let page = http().get(url.clone()).send().await.unwrap();
    assert_eq!(page.status(), 200, "{url}");
    let request = request_of(&page.text().await.unwrap());
    location(&post(&format!("{}/choose", idp.issuer), &[("request", &request), ("person", person)]).await)
}

/// A code for the admin.
async fn code(idp: &Idp) -> String {
    let url = authorize_url(idp);
    query(&choose(idp, &url, "admin").await)["code"].clone()
}

fn authorize_url(idp: &Idp) -> Url {
    let challenge = challenge();
    let parameters = [
        ("client_id", "rack-gateway"),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "a state, with & and ü"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    Url::parse_with_params(&format!("{}/authorize", idp.issuer), parameters).unwrap()
}

/// What is changed, the status, the error.
type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);

/// A token request that is right but for what is changed; an empty value leaves one out.
async fn redeem(idp: &Idp, code: &str, changed: &[(&str, &str)]) -> Response {
    let IdpClient { client_id, client_secret, .. } = idp.client();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("client_id", &client_id),
        ("client_secret", client_secret.expose_secret()),
    ];
    form.retain(|(name, _)| changed.iter().all(|(n, _)| n != name));
    form.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
    post(&format!("{}/token", idp.issuer), &form).await
}

async fn json_of(answer: Response) -> Value {
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correct_client_is_served_whichever_way_it_authenticates() {
    let idp = start();
    let IdpClient { issuer, client_id, client_secret } = idp.client();
    for how in [AuthType::BasicAuth, AuthType::RequestBody] {
        let party = Party::discover(&issuer, &client_id, client_secret.expose_secret(), BACK).await;
        let party = party.authenticating(how);
        let begun = party.begin();
        let back = choose(&idp, &begun.url, "auditor").await;
        assert!(back.as_str().starts_with(BACK), "{back}");
        let verified = party.end(begun, &back).await;
        assert_eq!(verified.claims.email().map(|email| email.as_str()), Some("auditor@example.com"));
        assert!(verified.claims.auth_time().is_some() && verified.claims.access_token_hash().is_some());
    }
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_with_comes_back() {
    let idp = start();
    let back = choose(&idp, &authorize_url(&idp), "unverified").await;
    let answer = query(&back);
    assert_eq!(answer["state"], "a state, with & and ü");
    assert_eq!((&answer["iss"], &answer["a"]), (&idp.issuer, &"1".to_owned()));
    let tokens = json_of(redeem(&idp, &answer["code"], &[]).await).await;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload(&tokens["id_token"])).unwrap()).unwrap();
    assert_eq!(claims["email_verified"], false);
    assert_eq!((claims.get("name"), claims.get("nonce")), (None, None), "neither was asked for: {claims}");
    let asked_by_post = post(&format!("{}/authorize", idp.issuer), &pairs(&authorize_url(&idp))).await;
    assert!(asked_by_post.text().await.unwrap().contains("Who do you want to be?"));
    idp.stop().await;
}

fn payload(token: &Value) -> &str {
    token.as_str().unwrap().split('.').nth(1).unwrap()
}

fn pairs(url: &Url) -> Vec<(&'static str, &'static str)> {
    let leak = |text: std::borrow::Cow<'_, str>| &*text.into_owned().leak();
    url.query_pairs().map(|(name, value)| (leak(name), leak(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_redeemed_once_and_only_by_whom_it_was_made_for() {
    let idp = start();
    let secret = idp.client().client_secret.expose_secret().to_owned();
    let cases: &[Case<'_>] = &[
        (&[("client_secret", "wrong")], 401, "invalid_client"),
        (&[("client_secret", "")], 401, "invalid_client"),
        (&[("client_id", "another")], 401, "invalid_client"),
        (&[("client_id", "")], 401, "invalid_client"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[("grant_type", "")], 400, "invalid_request"),
        (&[("code", "unknown")], 400, "invalid_grant"),
        (&[("code", "")], 400, "invalid_request"),
        (&[("redirect_uri", "http://127.0.0.1:9/back")], 400, "invalid_grant"),
        (&[("redirect_uri", "")], 400, "invalid_grant"),
        (&[("code_verifier", "")], 400, "invalid_request"),
        (&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-")], 400, "invalid_grant"),
        (&[("client_secret", &secret), ("client_secret", &secret)], 400, "invalid_request"),
    ];
    for (changed, status, error) in cases {
        let answer = redeem(&idp, &code(&idp).await, changed).await;
        assert_eq!(answer.status(), *status, "{changed:?}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), *status == 401, "{changed:?}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(json_of(answer).await["error"], *error, "{changed:?}");
    }
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_code_takes_back_what_it_gave() {
    let idp = start();
    let code = code(&idp).await;
    let tokens = json_of(redeem(&idp, &code, &[]).await).await;
    let user_info = async || {
        let bearer = tokens["access_token"].as_str().unwrap();
        http().get(format!("{}/userinfo", idp.issuer)).bearer_auth(bearer).send().await.unwrap()
    };
    let known = json!({"sub": "dev-admin", "email": "admin@example.com", "email_verified": true});
    assert_eq!(json_of(user_info().await).await, known);
    let replayed = redeem(&idp, &code, &[]).await;
    assert_eq!((replayed.status().as_u16(), &json_of(replayed).await["error"]), (400, &json!("invalid_grant")));
    let refused = user_info().await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_spends_the_code() {
    let idp = start();
    let code = code(&idp).await;
    assert_eq!(redeem(&idp, &code, &[("code_verifier", &"x".repeat(43))]).await.status(), 400);
    assert_eq!(redeem(&idp, &code, &[]).await.status(), 400);
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_header_are_read_as_oauth_writes_them() {
    let idp = start();
    let secret = idp.client().client_secret.expose_secret().to_owned();
    let good = format!("rack%2Dgateway:{secret}");
    let cases = [
        (format!("Basic {}", STANDARD.encode(&good)), "", 200),
        (format!("basic {}", STANDARD.encode(&good)), "client_id=rack-gateway", 200),
        (format!("Basic {}", STANDARD.encode(&good)), "client_id=another", 400),
        (format!("Basic {}", STANDARD.encode(&good)), "client_secret=x", 400),
        (format!("Basic {}", STANDARD.encode(format!("{good}x"))), "", 401),
        (format!("Basic {}", STANDARD.encode("rack-gateway")), "", 401),
        (format!("Bearer {}", STANDARD.encode(&good)), "", 401),
        ("Basic".to_owned(), "", 401),
    ];
    for (header, more, status) in cases {
        let code = code(&idp).await;
        let back: String = url::form_urlencoded::byte_serialize(BACK.as_bytes()).collect();
        let body =
            format!("grant_type=authorization_code&code={code}&redirect_uri={back}&code_verifier={VERIFIER}&{more}");
        let request = http().post(format!("{}/token", idp.issuer)).header("Authorization", &header);
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{header} {more}");
    }
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_used_once() {
    let idp = start();
    let page = http().get(authorize_url(&idp)).send().await.unwrap().text().await.unwrap();
    let request = request_of(&page);
    let choose = format!("{}/choose", idp.issuer);
    assert_eq!(post(&choose, &[("request", &request), ("person", "viewer")]).await.status(), 303);
    for form in [[("request", request.as_str()), ("person", "viewer")], [("request", "x"), ("person", "viewer")]] {
        assert_eq!(post(&choose, &form).await.status(), 400, "{form:?}");
    }
    idp.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_redirect_uri_is_not_followed() {
    let idp = start();
    let elsewhere = "http://127.0.0.1:9/elsewhere";
    let changed: Vec<_> = pairs(&authorize_url(&idp))
        .into_iter()
        .map(|(name, value)| (name, if name == "redirect_uri" { elsewhere } else { value }))
        .collect();
    let url = Url::parse_with_params(&format!("{}/authorize", idp.issuer), changed).unwrap();
    let answer = http().get(url.clone()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("location")), (400, None));
    idp.allow_redirect(elsewhere);
    assert!(choose(&idp, &url, "viewer").await.as_str().starts_with(elsewhere));
    idp.stop().await;
}
