//! Identity tokens of CI runs: whose are believed, and what is read from them.

use rack_gateway::config::{ProviderHttp, WorkloadIssuer, WorkloadSettings};
use rack_gateway::identity::{FetchError, ProviderError, TokenError, WorkloadClaims, WorkloadError, Workloads};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::now;
use crate::harness::provider::{Answer, Provider, changed};
use crate::harness::signer::Algorithm;

const AUDIENCE: &str = "https://gateway.example.com";

/// A gateway that takes tokens of `provider`, by these settings.
fn workloads(provider: &Provider, entry: Value) -> Workloads {
    let entry = changed(json!({"issuer": provider.issuer(), "audience": AUDIENCE}), &entry);
    let issuers = WorkloadIssuer::parse_list(&json!([entry]).to_string()).unwrap();
    Workloads::new(WorkloadSettings { issuers, http: ProviderHttp::default() }).unwrap()
}

fn github(provider: &Provider) -> Workloads {
    workloads(provider, json!({"preset": "github", "require": {"repository_owner": "acme"}}))
}

/// What GitHub says of a run, with changes.
fn run(provider: &Provider, changes: &Value) -> Value {
    let at = now().unix_timestamp();
    let right = json!({
        "iss": provider.issuer(),
        "aud": AUDIENCE,
        "sub": "repo:acme/shop:ref:refs/heads/main",
        "iat": at,
        "nbf": at - 5,
        "exp": at + 300,
        "jti": "one",
        "repository": "acme/shop",
        "repository_owner": "acme",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "sha": "3f786850e387550fdab836ed7e6dc881de23001b",
        "environment": "production",
        "run_id": "4711",
    });
    changed(right, changes)
}

async fn verify(workloads: &Workloads, provider: &Provider, changes: &Value) -> Result<WorkloadClaims, WorkloadError> {
    workloads.verify(&provider.mint(&run(provider, changes)), now()).await
}

fn token<T>(error: TokenError) -> Result<T, WorkloadError> {
    Err(WorkloadError::Token(error))
}

#[actix_web::test]
async fn a_run_is_read_as_its_platform_writes_it() {
    let provider = Provider::start();
    let found = verify(&github(&provider), &provider, &json!({})).await.unwrap();
    let expected = WorkloadClaims {
        issuer_name: "github".to_owned(),
        issuer: provider.issuer().to_owned(),
        subject: "repo:acme/shop:ref:refs/heads/main".to_owned(),
        repository: "acme/shop".to_owned(),
        git_ref: "refs/heads/main".to_owned(),
        ref_protected: true,
        sha: "3f786850e387550fdab836ed7e6dc881de23001b".to_owned(),
        environment: "production".to_owned(),
        run: "4711".to_owned(),
        token_id: "one".to_owned(),
        expires_at: found.expires_at,
    };
    assert_eq!(found, expected);
    assert!((290..=300).contains(&(found.expires_at - now()).whole_seconds()));

    let gitlab = workloads(&provider, json!({"preset": "gitlab", "require": {"namespace_path": "acme"}}));
    let says =
        json!({"namespace_path": "acme", "project_path": "acme/shop", "ref": "v1", "ref_type": "tag", "job_id": 42});
    let found = verify(&gitlab, &provider, &says).await.unwrap();
    assert_eq!(
        (found.repository.as_str(), found.git_ref.as_str(), found.run.as_str()),
        ("acme/shop", "refs/tags/v1", "42")
    );
    let branch = json!({"namespace_path": "acme", "ref": "v1", "ref_type": "branch", "ref_protected": true});
    let found = verify(&gitlab, &provider, &branch).await.unwrap();
    assert_eq!((found.git_ref.as_str(), found.ref_protected), ("refs/heads/v1", true));
    for kind in [json!(null), json!("heads"), json!(7)] {
        let found = verify(&gitlab, &provider, &json!({"namespace_path": "acme", "ref_type": kind})).await;
        assert_eq!(found.unwrap_err(), WorkloadError::Claim("ref_type".to_owned()), "{kind}");
    }
}

#[actix_web::test]
async fn what_a_platform_does_not_say_is_empty_and_not_protected() {
    let provider = Provider::start();
    let claims = json!({"repository": "oidc.circleci.com/vcs-origin", "ref": "oidc.circleci.com/vcs-ref"});
    let entry = json!({"name": "circle", "require": {"sub": "org/acme/*"}, "claims": claims});
    let circle = workloads(&provider, entry);
    let says = json!({
        "sub": "org/acme/project/x", "jti": null,
        "oidc.circleci.com/vcs-origin": "github.com/acme/shop", "oidc.circleci.com/vcs-ref": "refs/heads/main",
    });
    let text = provider.mint(&run(&provider, &says));
    let found = circle.verify(&text, now()).await.unwrap();
    assert_eq!((found.issuer_name.as_str(), found.repository.as_str()), ("circle", "github.com/acme/shop"));
    assert_eq!(found.git_ref, "refs/heads/main");
    assert_eq!((found.sha, found.environment, found.run), (String::new(), String::new(), String::new()));
    assert!(!found.ref_protected);
    let (signed, _) = text.rsplit_once('.').unwrap();
    assert_eq!(found.token_id, hex::encode(Sha256::digest(signed)));
    // Another signature over the same claims is the same token.
    let again = format!("{signed}.{}", provider.signature(signed));
    assert_ne!(again, text);
    assert_eq!(circle.verify(&again, now()).await.unwrap().token_id, found.token_id);
}

#[actix_web::test]
async fn a_token_of_a_run_is_believed_like_one_of_a_person() {
    let provider = Provider::start();
    for (algorithm, expected) in [
        (Algorithm::Es256, Ok("one")),
        (Algorithm::Rs256, Ok("one")),
        (Algorithm::EdDsa, Ok("one")),
        (Algorithm::Rs512, token(TokenError::Algorithm)),
        (Algorithm::Ps256, token(TokenError::Algorithm)),
        (Algorithm::Hs256, token(TokenError::Algorithm)),
        (Algorithm::Hs256OfPublicKey, token(TokenError::Algorithm)),
        (Algorithm::Nothing, token(TokenError::Algorithm)),
        (Algorithm::Forged, token(TokenError::Signature)),
        (Algorithm::Broken, token(TokenError::Signature)),
    ] {
        provider.set(|knobs| knobs.algorithm = algorithm);
        let found = verify(&github(&provider), &provider, &json!({})).await;
        assert_eq!(found.map(|claims| claims.token_id), expected.map(str::to_owned), "{algorithm:?}");
    }
    provider.set(|knobs| knobs.algorithm = Algorithm::Es256);
    for (header, expected) in [
        (json!({"typ": "at+jwt"}), TokenError::Type),
        (json!({"typ": "logout+jwt"}), TokenError::Type),
        (json!({"crit": ["x"]}), TokenError::Type),
        (json!({"kid": "another"}), TokenError::UnknownKey),
        (json!({"alg": "XX1"}), TokenError::Malformed),
    ] {
        provider.set(|knobs| knobs.header = header.clone());
        assert_eq!(verify(&github(&provider), &provider, &json!({})).await, token(expected), "{header}");
    }
}

#[actix_web::test]
async fn a_token_of_a_run_is_for_us_alone_and_of_this_hour() {
    let provider = Provider::start();
    let at = now().unix_timestamp();
    let times = |issued: i64, expires: i64| json!({"iat": at + issued, "exp": at + expires, "nbf": null});
    let cases = [
        (json!({"aud": [AUDIENCE]}), Ok(())),
        (json!({"aud": "https://github.com/acme"}), token(TokenError::Audience)),
        (json!({"aud": format!("{AUDIENCE}/")}), token(TokenError::Audience)),
        (json!({"aud": [AUDIENCE, "another"]}), token(TokenError::Audience)),
        (json!({"aud": [AUDIENCE, "another"], "azp": AUDIENCE}), token(TokenError::Audience)),
        (json!({"aud": null}), token(TokenError::Audience)),
        (json!({"iss": "https://evil.example.com"}), Err(WorkloadError::UnknownIssuer)),
        (json!({"iss": format!("{}/", provider.issuer())}), Err(WorkloadError::UnknownIssuer)),
        (json!({"iss": null}), token(TokenError::Malformed)),
        (json!({"sub": null}), token(TokenError::Malformed)),
        (json!({"exp": null}), token(TokenError::Malformed)),
        (json!({"iat": null}), token(TokenError::Malformed)),
        (times(-300, -45), Ok(())),
        (times(-300, -75), token(TokenError::Expired)),
        (times(75, 300), token(TokenError::NotYet)),
        (json!({"nbf": at + 75}), token(TokenError::NotYet)),
        (times(-3500, 30), Ok(())),
        (times(0, 3600), Ok(())),
        (times(0, 3700), Err(WorkloadError::TooLongLived)),
        (times(0, 86_400), Err(WorkloadError::TooLongLived)),
        (times(-3700, 30), token(TokenError::TooOld)),
    ];
    for (changes, expected) in cases {
        let found = verify(&github(&provider), &provider, &changes).await.map(|_| ());
        assert_eq!(found, expected, "{changes}");
    }
    let hasty = workloads(
        &provider,
        json!({"preset": "github", "require": {"repository_owner": "acme"}, "max_age_seconds": 60}),
    );
    assert!(verify(&hasty, &provider, &times(-100, 300)).await.is_ok());
    assert_eq!(verify(&hasty, &provider, &times(-140, 300)).await, token(TokenError::TooOld));
}

#[actix_web::test]
async fn only_runs_of_ours_are_believed() {
    let provider = Provider::start();
    let requirement = |claim: &str| Err(WorkloadError::Requirement(claim.to_owned()));
    let cases = [
        (json!({"repository_owner": "acme"}), json!({}), Ok(())),
        (json!({"repository_owner": "acme"}), json!({"repository_owner": "ACME"}), requirement("repository_owner")),
        (
            json!({"repository_owner": "acme"}),
            json!({"repository_owner": "acme-evil"}),
            requirement("repository_owner"),
        ),
        (json!({"repository_owner": "acme"}), json!({"repository_owner": null}), requirement("repository_owner")),
        (json!({"repository_owner": "acme"}), json!({"repository_owner": ["acme"]}), requirement("repository_owner")),
        (json!({"repository": ["acme/a", "acme/shop"]}), json!({}), Ok(())),
        (json!({"repository": ["acme/a", "acme/b"]}), json!({}), requirement("repository")),
        (json!({"repository": "acme/*"}), json!({}), Ok(())),
        (json!({"repository": "acme/*"}), json!({"repository": "acme-evil/shop"}), requirement("repository")),
        (json!({"repository": "acme/*", "environment": "production"}), json!({}), Ok(())),
        (
            json!({"repository": "acme/*", "environment": "production"}),
            json!({"environment": null}),
            requirement("environment"),
        ),
        (json!({"repository": "acme/*", "ref": "refs/tags/*"}), json!({}), requirement("ref")),
        (json!({"repository_owner_id": "7"}), json!({"repository_owner_id": 7}), Ok(())),
    ];
    for (require, changes, expected) in cases {
        let workloads = workloads(&provider, json!({"preset": "github", "require": require}));
        let found = verify(&workloads, &provider, &changes).await.map(|_| ());
        assert_eq!(found, expected, "{require} {changes}");
    }
    for (changes, claim) in [
        (json!({"repository": ["acme/shop"]}), "repository"),
        (json!({"ref": "refs/heads/a\nb"}), "ref"),
        (json!({"sha": "x".repeat(1025)}), "sha"),
        (json!({"ref_protected": "yes"}), "ref_protected"),
        (json!({"jti": {}}), "jti"),
    ] {
        let found = verify(&github(&provider), &provider, &changes).await;
        assert_eq!(found, Err(WorkloadError::Claim(claim.to_owned())), "{changes}");
    }
}

#[actix_web::test]
async fn what_is_no_token_asks_nobody() {
    let provider = Provider::start();
    let ours = github(&provider);
    let foreign = provider.mint(&run(&provider, &json!({"iss": "https://evil.example.com"})));
    let long = provider.mint(&run(&provider, &json!({"padding": "x".repeat(16 << 10)})));
    let malformed = || WorkloadError::Token(TokenError::Malformed);
    for (text, expected) in [
        ("", malformed()),
        ("a.b.c", malformed()),
        ("..", malformed()),
        ("rgw_x", malformed()),
        (foreign.as_str(), WorkloadError::UnknownIssuer),
        (long.as_str(), WorkloadError::TooLong),
    ] {
        assert_eq!(ours.verify(text, now()).await.unwrap_err(), expected);
    }
    let off = Workloads::new(WorkloadSettings::default()).unwrap();
    let found = verify(&off, &provider, &json!({})).await.unwrap_err();
    assert_eq!((found.slug(), found.is_temporary()), ("workloads-off", false));
    assert_eq!(provider.hits("/.well-known/openid-configuration") + provider.hits("/keys"), 0);
}

#[actix_web::test]
async fn keys_come_from_discovery_or_from_their_address() {
    let provider = Provider::start();
    // Platforms publish no endpoints for people.
    let little = json!({"authorization_endpoint": null, "token_endpoint": null});
    provider.set(|knobs| knobs.discovery = Answer::With(little));
    let discovering = github(&provider);
    verify(&discovering, &provider, &json!({})).await.unwrap();
    provider.rotate();
    verify(&discovering, &provider, &json!({})).await.unwrap();

    provider.set(|knobs| knobs.discovery = Answer::Status(404, json!({})));
    let entry = json!({
        "preset": "github", "require": {"repository_owner": "acme"}, "jwks_uri": format!("{}/keys", provider.issuer()),
    });
    verify(&workloads(&provider, entry), &provider, &json!({})).await.unwrap();
    let found = verify(&github(&provider), &provider, &json!({})).await.unwrap_err();
    assert!(found.is_temporary(), "{found:?}");
    let address = format!("{}/.well-known/openid-configuration", provider.issuer());
    let cause = FetchError::Status(404);
    assert_eq!(found, WorkloadError::Provider(ProviderError::Fetch { address, cause }));
}

#[actix_web::test]
async fn no_character_of_a_token_can_be_changed() {
    let provider = Provider::start();
    let ours = github(&provider);
    let right = provider.mint(&run(&provider, &json!({})));
    let at = now();
    ours.verify(&right, at).await.unwrap();
    for (position, character) in right.char_indices() {
        for other in ['A', 'B', '=', '.', '"', '\u{fc}'] {
            let mut changed = right.clone();
            changed.replace_range(position..=position, other.encode_utf8(&mut [0; 4]));
            assert!(
                character == other || ours.verify(&changed, at).await.is_err(),
                "{position}: {character} -> {other}"
            );
        }
        assert!(ours.verify(&right[..position], at).await.is_err(), "cut at {position}");
    }
    for added in [".", "=", "A", " ", "\n"] {
        assert!(ours.verify(&format!("{right}{added}"), at).await.is_err(), "{added:?} behind");
        assert!(ours.verify(&format!("{added}{right}"), at).await.is_err(), "{added:?} before");
    }
}
