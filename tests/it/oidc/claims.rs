//! Identity tokens of people, one fault each: which are believed.

use rack_gateway::config::SignInSettings;
use rack_gateway::identity::{Oidc, OidcError, TokenError};
use serde_json::{Value, json};

use super::{PUBLIC, now, sign_in, sign_in_at, sign_in_with};
use crate::harness::provider::{CLIENT_ID, Knobs, Provider};
use crate::harness::signer::Algorithm;

type Expected = Result<(), OidcError>;

/// Signs in once for each case, each time with a gateway that knows nothing yet.
async fn check(provider: &Provider, cases: &[(&str, Knobs, Expected)]) {
    for (name, knobs, expected) in cases {
        provider.set(|all| *all = knobs.clone());
        let found = sign_in(provider).await.map(|_| ());
        assert_eq!(&found, expected, "{name}");
    }
}

fn claims(changes: Value) -> Knobs {
    Knobs { claims: changes, ..Knobs::default() }
}

fn header(changes: Value) -> Knobs {
    Knobs { header: changes, ..Knobs::default() }
}

fn signed(algorithm: Algorithm) -> Knobs {
    Knobs { algorithm, ..Knobs::default() }
}

fn token(error: TokenError) -> Expected {
    Err(OidcError::Token(error))
}

#[actix_web::test]
async fn a_token_is_believed_for_its_signature_alone() {
    let provider = Provider::start();
    let algorithm = || token(TokenError::Algorithm);
    let cases = [
        ("ES256", signed(Algorithm::Es256), Ok(())),
        ("RS256", signed(Algorithm::Rs256), Ok(())),
        ("EdDSA", signed(Algorithm::EdDsa), Ok(())),
        ("RS512", signed(Algorithm::Rs512), algorithm()),
        ("PS256", signed(Algorithm::Ps256), algorithm()),
        ("HS256 with the client secret", signed(Algorithm::Hs256), algorithm()),
        ("HS256 with the public key", signed(Algorithm::Hs256OfPublicKey), algorithm()),
        ("none", signed(Algorithm::Nothing), algorithm()),
        ("forged under the name of a published key", signed(Algorithm::Forged), token(TokenError::Signature)),
        ("broken", signed(Algorithm::Broken), token(TokenError::Signature)),
        ("unknown key", header(json!({"kid": "another"})), token(TokenError::UnknownKey)),
        ("no key named, one of its kind", header(json!({"kid": null})), Ok(())),
        ("an algorithm that nobody knows", header(json!({"alg": "XX1"})), Err(OidcError::Answer)),
        ("RS256 claimed of an EC signature", header(json!({"alg": "RS256"})), token(TokenError::UnknownKey)),
        (
            "a key of its own in the header",
            header(json!({"jwk": {"kty": "oct", "k": "eA"}, "kid": "x"})),
            token(TokenError::UnknownKey),
        ),
        ("an access token (RFC 9068)", header(json!({"typ": "at+jwt"})), token(TokenError::Type)),
        ("a logout token", header(json!({"typ": "logout+jwt"})), token(TokenError::Type)),
        ("no type", header(json!({"typ": null})), Ok(())),
        ("a critical extension", header(json!({"crit": ["b64"], "b64": false})), token(TokenError::Type)),
        ("a nested token", header(json!({"cty": "JWT"})), token(TokenError::Type)),
    ];
    check(&provider, &cases).await;
}

#[actix_web::test]
async fn a_key_that_is_not_for_signing_signs_nothing() {
    let provider = Provider::start();
    let keys = provider.public_keys();
    for (change, expected) in [
        (json!({}), Ok(())),
        (json!({"use": "enc"}), token(TokenError::UnknownKey)),
        (json!({"alg": "ES384"}), token(TokenError::UnknownKey)),
        (json!({"crv": "P-384"}), token(TokenError::Signature)),
    ] {
        let key = crate::harness::provider::changed(keys[0].clone(), &change);
        provider.set(|knobs| knobs.keys = crate::harness::provider::Answer::With(json!({"keys": [key]})));
        assert_eq!(sign_in(&provider).await.map(|_| ()), expected, "{change}");
    }
}

#[actix_web::test]
async fn a_token_is_for_us_from_the_issuer_for_this_sign_in() {
    let provider = Provider::start();
    let slash = format!("{}/", provider.issuer());
    let cases = [
        ("another issuer", claims(json!({"iss": "https://evil.example.com"})), token(TokenError::Issuer)),
        ("the issuer with a slash", claims(json!({"iss": slash})), token(TokenError::Issuer)),
        ("no issuer", claims(json!({"iss": null})), Err(OidcError::Answer)),
        ("another audience", claims(json!({"aud": "another"})), token(TokenError::Audience)),
        ("the audience in other letters", claims(json!({"aud": "Rack-Gateway"})), token(TokenError::Audience)),
        ("no audience", claims(json!({"aud": null})), token(TokenError::Audience)),
        ("an empty list", claims(json!({"aud": []})), token(TokenError::Audience)),
        ("a list of us", claims(json!({"aud": [CLIENT_ID]})), Ok(())),
        ("two, given to nobody", claims(json!({"aud": [CLIENT_ID, "b"]})), token(TokenError::Party)),
        ("two, given to us", claims(json!({"aud": [CLIENT_ID, "b"], "azp": CLIENT_ID})), Ok(())),
        ("two, given to the other", claims(json!({"aud": [CLIENT_ID, "b"], "azp": "b"})), token(TokenError::Party)),
        ("one, given to another", claims(json!({"azp": "b"})), token(TokenError::Party)),
        ("one, given to us", claims(json!({"azp": CLIENT_ID})), Ok(())),
        ("the other alone, given to us", claims(json!({"aud": "b", "azp": CLIENT_ID})), token(TokenError::Audience)),
        ("another nonce", claims(json!({"nonce": "another"})), token(TokenError::Nonce)),
        ("an empty nonce", claims(json!({"nonce": ""})), token(TokenError::Nonce)),
        ("no nonce", claims(json!({"nonce": null})), token(TokenError::Nonce)),
        (
            "of another access token",
            claims(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})),
            token(TokenError::AccessToken),
        ),
        ("of no access token", claims(json!({"at_hash": null})), Ok(())),
        ("no subject", claims(json!({"sub": null})), Err(OidcError::Answer)),
        ("an empty subject", claims(json!({"sub": ""})), token(TokenError::Malformed)),
        ("an endless subject", claims(json!({"sub": "x".repeat(256)})), token(TokenError::Malformed)),
    ];
    check(&provider, &cases).await;
}

#[actix_web::test]
async fn a_token_is_of_this_hour() {
    let provider = Provider::start();
    let at = now().unix_timestamp();
    let times = |issued: i64, expires: i64| json!({"iat": at + issued, "exp": at + expires});
    let cases = [
        (times(0, 300), Ok(())),
        (times(-300, -45), Ok(())),
        (times(-300, -75), token(TokenError::Expired)),
        (times(-300, -86_400), token(TokenError::Expired)),
        (times(45, 300), Ok(())),
        (times(75, 300), token(TokenError::NotYet)),
        (times(-645, 300), Ok(())),
        (times(-675, 300), token(TokenError::TooOld)),
        (json!({"nbf": at + 45}), Ok(())),
        (json!({"nbf": at + 75}), token(TokenError::NotYet)),
        (json!({"nbf": "soon"}), token(TokenError::Malformed)),
        (json!({"exp": null}), Err(OidcError::Answer)),
        (json!({"iat": null}), Err(OidcError::Answer)),
        (json!({"exp": i64::MAX}), Err(OidcError::Answer)),
    ];
    for (changes, expected) in cases {
        provider.set(|knobs| knobs.claims = changes.clone());
        assert_eq!(sign_in(&provider).await.map(|_| ()), expected, "{changes}");
    }
    // The clock that counts is the one that is passed in.
    provider.set(|knobs| knobs.claims = json!({}));
    for (shift, expected) in [(0, Ok(())), (-3600, token(TokenError::NotYet)), (3600, token(TokenError::Expired))] {
        let oidc = Oidc::new(provider.settings(), PUBLIC).unwrap();
        let found = sign_in_at(&oidc, &provider, now() + time::Duration::seconds(shift)).await;
        assert_eq!(found.map(|_| ()), expected, "{shift}");
    }
}

fn domain(of: &str) -> Expected {
    Err(OidcError::Domain(rack_gateway::identity::Told::new(of)))
}

#[actix_web::test]
async fn only_verified_addresses_of_allowed_domains_sign_in() {
    let provider = Provider::start();
    let email = |email: &str| claims(json!({"email": email}));
    let verified = |value: Value| claims(json!({"email_verified": value}));
    let cases = [
        ("of the domain", email("bob@example.com"), Ok(())),
        ("in other letters", email("Bob@EXAMPLE.com"), Ok(())),
        ("of a domain below", email("bob@mail.example.com"), domain("mail.example.com")),
        ("of a domain that ends so", email("bob@evilexample.com"), domain("evilexample.com")),
        ("of a domain that begins so", email("bob@example.com.evil.org"), domain("example.com.evil.org")),
        ("with two ats", email("bob@example.com@evil.org"), domain("evil.org")),
        ("with a dot behind", email("bob@example.com."), domain("example.com.")),
        ("in the user part", email("example.com@evil.org"), domain("evil.org")),
        ("no local part", email("@example.com"), Err(OidcError::NoEmail)),
        ("no domain", email("bob@"), Err(OidcError::NoEmail)),
        ("no at", email("example.com"), Err(OidcError::NoEmail)),
        ("a line break", email("bob@evil.org\n@example.com"), Err(OidcError::NoEmail)),
        ("a space", email("bob <x@example.com"), Err(OidcError::NoEmail)),
        ("endless", email(&format!("{}@example.com", "x".repeat(255))), Err(OidcError::NoEmail)),
        ("none", claims(json!({"email": null})), Err(OidcError::NoEmail)),
        ("said in text", verified(json!("true")), Err(OidcError::Answer)),
        ("not verified", verified(json!(false)), Err(OidcError::EmailUnverified)),
        ("nothing said", verified(Value::Null), Err(OidcError::EmailUnverified)),
        ("said in a number", verified(json!(1)), Err(OidcError::Answer)),
        ("an organisation of ours", claims(json!({"hd": "example.com"})), Ok(())),
        ("another organisation", claims(json!({"hd": "evil.org"})), Err(OidcError::Organisation)),
        ("an organisation below", claims(json!({"hd": "mail.example.com"})), Err(OidcError::Organisation)),
        ("an odd organisation", claims(json!({"hd": ["example.com"]})), Err(OidcError::Organisation)),
    ];
    check(&provider, &cases).await;
}

#[actix_web::test]
async fn settings_say_which_domains_are_let_in() {
    let provider = Provider::start();
    let set = |google: bool, domains: &[&str]| SignInSettings {
        google,
        allowed_domains: domains.iter().map(|one| (*one).to_owned()).collect(),
        ..provider.settings()
    };
    let cases = [
        ("any", set(false, &[]), json!({"email": "a@b.org"}), Ok(())),
        ("any, of an organisation", set(false, &[]), json!({"email": "a@b.org", "hd": "b.org"}), Ok(())),
        ("one of two", set(false, &["a.org", "b.org"]), json!({"email": "a@b.org"}), Ok(())),
        ("none of two", set(false, &["a.org", "b.org"]), json!({"email": "a@c.org"}), domain("c.org")),
        ("an organisation", set(true, &["example.com"]), json!({"hd": "example.com"}), Ok(())),
        ("a private account", set(true, &["example.com"]), json!({}), Err(OidcError::Organisation)),
        ("all of Google", set(true, &[]), json!({"email": "a@gmail.com"}), Ok(())),
    ];
    for (name, settings, changes, expected) in cases {
        provider.set(|knobs| knobs.claims = changes);
        assert_eq!(sign_in_with(&provider, settings).await.map(|_| ()), expected, "{name}");
    }
}

#[actix_web::test]
async fn groups_are_names_and_not_too_many() {
    let provider = Provider::start();
    let many = |count: usize| (0..count).map(|n| format!("g{n:03}")).collect::<Vec<_>>();
    let refused = |why: &'static str| Err::<Vec<String>, _>(OidcError::Groups(why));
    let length = "a name is empty or longer than 200 bytes";
    let cases = [
        (json!(["b", "a", "b"]), Ok(vec!["a".to_owned(), "b".to_owned()])),
        (json!("one"), Ok(vec!["one".to_owned()])),
        (json!([]), Ok(vec![])),
        (json!(many(200)), Ok(many(200))),
        (json!(many(201)), refused("there are more than 200")),
        (json!(["x".repeat(200)]), Ok(vec!["x".repeat(200)])),
        (json!(["x".repeat(201)]), refused(length)),
        (json!(["a", ""]), refused(length)),
        (json!(["a", 1]), refused("the claim lists something other than names")),
        (json!({"admin": true}), refused("the claim is no list of names")),
    ];
    for (groups, expected) in cases {
        provider.set(|knobs| knobs.claims = json!({"groups": groups}));
        assert_eq!(sign_in(&provider).await.map(|person| person.groups), expected, "{groups}");
    }
    provider.set(|knobs| knobs.claims = json!({"groups": null, "_claim_names": {"groups": "src1"}}));
    let found = sign_in(&provider).await.map(|person| person.groups);
    assert_eq!(found, refused("there are too many for the provider to list"));
    provider.set(|knobs| knobs.claims = json!({"roles": ["x"]}));
    let settings = SignInSettings { groups_claim: "roles".to_owned(), ..provider.settings() };
    assert_eq!(sign_in_with(&provider, settings).await.unwrap().groups, ["x"]);
}
