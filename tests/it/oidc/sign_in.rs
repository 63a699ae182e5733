//! The code flow: what is sent, what must come back, and what is asked beside the token.

use rack_gateway::config::SignInSettings;
use rack_gateway::identity::{Channel, FetchError, Oidc, OidcError, Pending, TokenError, Told};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{PUBLIC, now, pending, sign_in, sign_in_at, sign_in_with};
use crate::harness::provider::{Account, Answer, CLIENT_SECRET, Provider, changed, parameter};

fn code_refused(error: &str, description: &str) -> OidcError {
    OidcError::CodeRefused { error: Told::new(error), description: Told::new(description) }
}

#[actix_web::test]
async fn a_person_signs_in() {
    let provider = Provider::start();
    provider.choose(Account { groups: vec!["ops".to_owned()], ..Account::new("carol") });
    let person = sign_in(&provider).await.unwrap();
    assert_eq!(person.issuer, provider.issuer());
    assert_eq!(person.subject, "subject-of-carol");
    assert_eq!((person.email.as_str(), person.name.as_str()), ("carol@example.com", "carol"));
    assert_eq!(person.groups, ["ops"]);
    provider.set(|knobs| knobs.claims = json!({"name": " \u{7}Carol\n"}));
    assert_eq!(sign_in(&provider).await.unwrap().name, "Carol");
    provider.set(|knobs| knobs.claims = json!({"name": null}));
    assert_eq!(sign_in(&provider).await.unwrap().name, "carol@example.com");
}

#[actix_web::test]
async fn the_browser_is_sent_with_what_the_flow_needs() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), "https://gateway.example.com/").unwrap();
    for (channel, path) in [(Channel::Web, "/api/v1/auth/web/callback"), (Channel::Cli, "/api/v1/auth/cli/callback")] {
        let start = oidc.start(channel, now()).await.unwrap();
        let get = |name| parameter(&start.url, name).unwrap_or_default();
        assert!(start.url.as_str().starts_with(&format!("{}/authorize?", provider.issuer())));
        assert_eq!(get("response_type"), "code");
        assert_eq!(get("redirect_uri"), format!("{PUBLIC}{path}"));
        assert_eq!(get("scope"), "openid profile email");
        assert_eq!(get("code_challenge_method"), "S256");
        assert_eq!(get("state"), start.state.expose_secret());
        assert_eq!(get("nonce"), start.nonce.expose_secret());
        assert_eq!(parameter(&start.url, "hd"), None);
        assert!(!start.url.as_str().contains(start.verifier.expose_secret()));
        assert!([&start.state, &start.nonce, &start.verifier].iter().all(|one| one.expose_secret().len() >= 43));
        let again = oidc.start(channel, now()).await.unwrap();
        assert_ne!(again.state.expose_secret(), start.state.expose_secret());
        assert_ne!(again.nonce.expose_secret(), start.nonce.expose_secret());
        assert_ne!(again.verifier.expose_secret(), start.verifier.expose_secret());
        let shown = format!("{:?} {:?} {oidc:?}", start.verifier, pending(&start, channel));
        assert!(!shown.contains(start.verifier.expose_secret()) && !shown.contains(CLIENT_SECRET), "{shown}");
    }
}

#[actix_web::test]
async fn google_is_told_the_one_domain() {
    let provider = Provider::start();
    for (google, domains, expected) in [
        (true, vec!["example.com"], Some("example.com")),
        (true, vec!["example.com", "example.org"], None),
        (true, vec![], None),
        (false, vec!["example.com"], None),
    ] {
        let allowed_domains = domains.into_iter().map(str::to_owned).collect();
        let oidc = Oidc::new(SignInSettings { google, allowed_domains, ..provider.settings() }, PUBLIC).unwrap();
        let start = oidc.start(Channel::Web, now()).await.unwrap();
        assert_eq!(parameter(&start.url, "hd").as_deref(), expected);
        // Others may refuse what they do not know.
        assert_eq!(parameter(&start.url, "prompt").as_deref(), google.then_some("select_account"));
    }
}

#[actix_web::test]
async fn a_code_is_good_once_and_for_who_began() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    let start = oidc.start(Channel::Web, now()).await.unwrap();
    let back = provider.visit(&start.url);
    let code = parameter(&back, "code").unwrap();
    let iss = parameter(&back, "iss");
    let finish = |pending: Pending, code: String, iss: Option<String>| {
        let oidc = &oidc;
        async move { oidc.finish(&pending, &code, iss.as_deref(), now()).await }
    };
    let right = || pending(&start, Channel::Web);
    assert!(finish(right(), code.clone(), iss.clone()).await.is_ok());
    let again = finish(right(), code, iss.clone()).await.unwrap_err();
    assert_eq!(again, code_refused("invalid_grant", "<b>no</b>"));
    assert!(again.help().contains("used before"), "{}", again.help());

    let fresh = || parameter(&provider.visit(&start.url), "code").unwrap();
    let grant = code_refused("invalid_grant", "<b>no</b>");
    let other_verifier = Pending { verifier: SecretString::from("x".repeat(43)), ..right() };
    assert_eq!(finish(other_verifier, fresh(), iss.clone()).await.unwrap_err(), grant);
    let other_channel = Pending { channel: Channel::Cli, ..right() };
    assert_eq!(finish(other_channel, fresh(), iss.clone()).await.unwrap_err(), grant);
    let other_nonce = Pending { nonce: SecretString::from("x".repeat(43)), ..right() };
    let found = finish(other_nonce, fresh(), iss.clone()).await.unwrap_err();
    assert_eq!(found, OidcError::Token(TokenError::Nonce));
    let no_nonce = Pending { nonce: SecretString::from(""), ..right() };
    provider.set(|knobs| knobs.claims = json!({"nonce": ""}));
    let found = finish(no_nonce, fresh(), iss.clone()).await.unwrap_err();
    assert_eq!(found, OidcError::Token(TokenError::Nonce));
    let asked = provider.hits("/token");
    for code in [String::new(), "x".repeat(4097)] {
        assert_eq!(finish(right(), code, iss.clone()).await.unwrap_err(), OidcError::Answer);
    }
    assert_eq!(provider.hits("/token"), asked);
}

#[actix_web::test]
async fn the_provider_that_answers_is_the_one_that_was_asked() {
    let provider = Provider::start();
    for (names_itself, iss, is_fine) in [
        (true, Some(provider.issuer().to_owned()), true),
        (true, None, false),
        (true, Some("https://evil.example.com".to_owned()), false),
        (true, Some(format!("{}/", provider.issuer())), false),
        (true, Some(String::new()), false),
        (false, None, true),
        (false, Some(provider.issuer().to_owned()), true),
        (false, Some("https://evil.example.com".to_owned()), false),
    ] {
        provider.set(|knobs| knobs.names_itself = names_itself);
        let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
        let start = oidc.start(Channel::Web, now()).await.unwrap();
        let code = parameter(&provider.visit(&start.url), "code").unwrap();
        let (asked, waiting) = (provider.hits("/token"), pending(&start, Channel::Web));
        let found = oidc.finish(&waiting, &code, iss.as_deref(), now()).await;
        if is_fine {
            assert!(found.is_ok(), "{names_itself} {iss:?}: {found:?}");
        } else {
            assert_eq!(found.unwrap_err(), OidcError::AnsweredByAnother, "{names_itself} {iss:?}");
            // The code of another provider is sent nowhere.
            assert_eq!(provider.hits("/token"), asked);
        }
    }
}

#[actix_web::test]
async fn the_client_proves_itself_as_the_provider_wants_it() {
    let provider = Provider::start();
    let lacks = rack_gateway::identity::ProviderError::Lacks("way to authenticate with a client secret");
    for (methods, expected) in [
        (json!(null), Ok(true)),
        (json!(["client_secret_basic", "client_secret_post"]), Ok(true)),
        (json!(["client_secret_post", "private_key_jwt"]), Ok(false)),
        (json!(["private_key_jwt"]), Err(OidcError::Provider(lacks))),
    ] {
        let changes = json!({"token_endpoint_auth_methods_supported": methods});
        provider.set(|knobs| knobs.discovery = Answer::With(changes));
        let found = sign_in(&provider).await.map(|_| provider.asked().1);
        assert_eq!(found, expected, "{methods}");
    }
    let (form, _) = provider.asked();
    let keys: Vec<_> = form.keys().map(String::as_str).collect();
    assert_eq!(keys, ["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri"]);
    provider.set(|knobs| knobs.discovery = Answer::Right);
    let settings = SignInSettings { client_secret: SecretString::from("wrong"), ..provider.settings() };
    let refused = sign_in_with(&provider, settings).await.unwrap_err();
    assert_eq!(refused, code_refused("invalid_client", "no reason given"));
    assert!(refused.help().contains("client secret"), "{}", refused.help());
}

#[actix_web::test]
async fn an_answer_to_the_code_is_used_only_if_it_is_one() {
    let provider = Provider::start();
    let refusal = json!({"error": "access_denied", "error_description": "x".repeat(300)});
    let shortened = format!("{}...", "x".repeat(200));
    let cases = [
        (Answer::With(json!({"token_type": "mac"})), OidcError::Answer),
        (Answer::With(json!({"token_type": null})), OidcError::Answer),
        (Answer::With(json!({"id_token": null})), OidcError::Answer),
        (Answer::With(json!({"id_token": "a.b.c"})), OidcError::Answer),
        (Answer::With(json!({"id_token": 7})), OidcError::Answer),
        (Answer::With(json!({"access_token": null})), OidcError::Answer),
        (Answer::Text, OidcError::Answer),
        (Answer::Redirect, OidcError::NoAnswer(FetchError::Redirected)),
        (Answer::Huge, OidcError::NoAnswer(FetchError::TooLong)),
        (Answer::Silence, OidcError::NoAnswer(FetchError::Timeout)),
        (Answer::Status(500, json!({})), OidcError::NoAnswer(FetchError::Status(500))),
        (Answer::Status(400, json!({})), OidcError::Answer),
        (Answer::Status(403, refusal), code_refused("access_denied", &shortened)),
        (
            Answer::Status(400, json!({"error": "a\r\nb", "error_description": "\u{1b}[2J\u{202e}"})),
            code_refused("a??b", "?[2J?"),
        ),
    ];
    for (answer, expected) in cases {
        provider.set(|knobs| knobs.token = answer.clone());
        let mut settings = provider.settings();
        if answer == Answer::Silence {
            settings.http.timeout = std::time::Duration::from_millis(200);
        }
        let found = sign_in_with(&provider, settings).await.unwrap_err();
        assert_eq!(found, expected, "{answer:?}");
        assert!(!format!("{found} {found:?} {}", found.help()).contains("eyJ"), "{found:?}");
    }
    assert_eq!(provider.hits("/moved/token"), 0);
}

#[actix_web::test]
async fn what_the_token_lacks_is_taken_from_the_user_info() {
    let provider = Provider::start();
    let bare = json!({"email": null, "email_verified": null, "name": null, "groups": null});
    let all = json!({"email": "alice@example.com", "email_verified": true, "name": "Alice", "groups": ["b", "a"]});
    provider.set(|knobs| (knobs.claims, knobs.user_info) = (bare.clone(), Some(all.clone())));
    let person = sign_in(&provider).await.unwrap();
    assert_eq!((person.email.as_str(), person.name.as_str()), ("alice@example.com", "Alice"));
    assert_eq!(person.groups, ["a", "b"]);

    // Some providers write the word as text there.
    for (word, is_fine) in [(json!("true"), true), (json!("false"), false), (json!("yes"), false), (json!(1), false)] {
        provider.set(|knobs| knobs.user_info = Some(changed(all.clone(), &json!({"email_verified": word}))));
        let found = sign_in(&provider).await.map(|_| ());
        assert_eq!(found, if is_fine { Ok(()) } else { Err(OidcError::EmailUnverified) }, "{word}");
    }

    // An address of one and a word of the other do not make a verified address.
    provider.set(|knobs| knobs.claims = json!({"email": null, "email_verified": true, "groups": null}));
    provider.set(|knobs| knobs.user_info = Some(json!({"email": "root@example.com"})));
    assert_eq!(sign_in(&provider).await.unwrap_err(), OidcError::EmailUnverified);
    provider.set(|knobs| knobs.claims = json!({"email_verified": null, "groups": null}));
    provider.set(|knobs| knobs.user_info = Some(json!({"email_verified": true})));
    assert_eq!(sign_in(&provider).await.unwrap_err(), OidcError::EmailUnverified);
}

#[actix_web::test]
async fn user_info_is_about_the_same_person_or_nothing() {
    let provider = Provider::start();
    let unreachable = |cause| Err(OidcError::UserInfo(cause));
    let cases = [
        (json!({"groups": ["a"]}), Answer::Right, Ok(vec!["a".to_owned()])),
        (json!({}), Answer::Right, Ok(vec![])),
        (json!({"sub": "another", "groups": ["admins"]}), Answer::Right, Err(OidcError::AnotherPerson)),
        (json!({"sub": null, "groups": ["admins"]}), Answer::Right, Err(OidcError::AnotherPerson)),
        (json!({"groups": ["a"]}), Answer::Status(401, json!({})), unreachable(FetchError::Status(401))),
        (json!({"groups": ["a"]}), Answer::Redirect, unreachable(FetchError::Redirected)),
        (json!({"groups": ["a"]}), Answer::Huge, unreachable(FetchError::TooLong)),
        (json!({"groups": ["a"]}), Answer::Text, unreachable(FetchError::Unreadable)),
    ];
    for (info, answer, expected) in cases {
        provider.set(|knobs| {
            (knobs.claims, knobs.user_info, knobs.info) = (json!({"groups": null}), Some(info.clone()), answer.clone());
        });
        assert_eq!(sign_in(&provider).await.map(|person| person.groups), expected, "{info} {answer:?}");
    }
    assert_eq!(provider.hits("/moved/userinfo"), 0);
    // Who is whole in the token is not asked about, and Google is not asked for groups.
    let asked = provider.hits("/userinfo");
    provider.set(|knobs| knobs.claims = json!({}));
    sign_in(&provider).await.unwrap();
    provider.set(|knobs| knobs.claims = json!({"groups": null, "hd": "example.com"}));
    let settings = SignInSettings { google: true, ..provider.settings() };
    sign_in_with(&provider, settings).await.unwrap();
    assert_eq!(provider.hits("/userinfo"), asked);
}

#[actix_web::test]
async fn every_refusal_has_a_name_and_a_help() {
    let provider = Provider::start();
    let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
    sign_in_at(&oidc, &provider, now()).await.unwrap();
    let refused = OidcError::refused("access_denied", Some("<script>"));
    assert_eq!(refused.slug(), "provider-refused");
    assert!(refused.to_string().contains("access_denied (<script>)"));
    let addresses = OidcError::refused("redirect_uri_mismatch", None).help();
    for channel in [Channel::Web, Channel::Cli] {
        assert!(addresses.contains(channel.callback()), "{addresses}");
        assert!(oidc.redirect_url(channel).ends_with(channel.callback()));
    }
}
