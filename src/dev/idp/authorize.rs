//! The authorization endpoint: code flow with PKCE (RFC 6749 §4.1, RFC 7636, OpenID Connect Core §3.1.2).

use actix_web::HttpResponse;
use actix_web::http::header;
use url::Url;

use super::accounts::Account;
use super::book::{Asked, Code};
use super::pages;
use super::params::Params;
use super::provider::Provider;

/// Characters of a SHA-256 in base64url.
const CHALLENGE: usize = 43;

/// Why a request is not asked about.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Told on a page: who sent it is not known (RFC 6749 §4.1.2.1).
    Here(&'static str),
    /// Told to the client.
    There { redirect: Box<Url>, state: Option<String>, error: &'static str, description: &'static str },
}

/// Reads a request. `registered` are the redirect URIs of `client_id`.
fn asked(params: &Params, client_id: &str, registered: &[String]) -> Result<Asked, Refused> {
    if params.get("client_id") != Some(client_id) {
        return Err(Refused::Here("No client of this name is registered here."));
    }
    let redirect_uri = params.owned("redirect_uri").ok_or(Refused::Here("The redirect URI is missing."))?;
    let unknown = Refused::Here("This redirect URI is not registered for the client.");
    if !registered.contains(&redirect_uri) {
        return Err(unknown);
    }
    let redirect = Url::parse(&redirect_uri).map_err(|_| unknown)?;
    let state = params.owned("state");
    if let Some((error, description)) = fault(params) {
        return Err(Refused::There { redirect: Box::new(redirect), state, error, description });
    }
    Ok(Asked {
        redirect_uri,
        redirect,
        state,
        nonce: params.owned("nonce"),
        challenge: params.owned("code_challenge").unwrap_or_default(),
        scopes: params.words("scope"),
    })
}

/// What is wrong with a request whose sender is known: error code and explanation.
fn fault(params: &Params) -> Option<(&'static str, &'static str)> {
    let challenge = params.get("code_challenge").unwrap_or_default();
    let is_challenge = challenge.len() == CHALLENGE
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let prompts = params.words("prompt");
    let silent = prompts.iter().any(|prompt| prompt == "none");
    let checks = [
        (params.get("request").is_some(), "request_not_supported", "send plain parameters"),
        (params.get("request_uri").is_some(), "request_uri_not_supported", "send plain parameters"),
        (params.get("registration").is_some(), "registration_not_supported", "the client is registered already"),
        (params.get("response_type").is_none(), "invalid_request", "response_type is missing"),
        (params.get("response_type") != Some("code"), "unsupported_response_type", "response_type must be code"),
        (
            params.get("response_mode").is_some_and(|mode| mode != "query"),
            "invalid_request",
            "response_mode must be query",
        ),
        (!params.words("scope").iter().any(|scope| scope == "openid"), "invalid_scope", "the scope lacks openid"),
        (
            params.get("code_challenge_method") != Some("S256"),
            "invalid_request",
            "PKCE is required: code_challenge_method must be S256",
        ),
        (!is_challenge, "invalid_request", "code_challenge is not a SHA-256 in base64url"),
        (silent && prompts.len() > 1, "invalid_request", "prompt none goes with nothing else"),
        (silent, "login_required", "nobody stays signed in here"),
    ];
    checks.into_iter().find(|(wrong, _, _)| *wrong).map(|(_, error, description)| (error, description))
}

/// An authorization request: the page that asks who to be, or a refusal.
pub(super) fn authorize(provider: &Provider, bytes: &[u8]) -> HttpResponse {
    let Ok(params) = Params::parse(bytes) else {
        return pages::problem("A parameter comes twice.");
    };
    match asked(&params, &provider.client_id, &provider.redirect_uris()) {
        Ok(asked) => {
            let redirect = asked.redirect.clone();
            match provider.book().ask(asked, provider.clock.now()) {
                Ok(request) => pages::choose(&provider.client_id, &redirect, &request),
                Err(error) => pages::broken(&error),
            }
        }
        Err(Refused::Here(message)) => pages::problem(message),
        Err(Refused::There { redirect, state, error, description }) => {
            let answer = [("error", error), ("error_description", description)];
            back(provider, &redirect, state.as_deref(), &answer)
        }
    }
}

/// A button of the page was pressed.
pub(super) fn choose(provider: &Provider, bytes: &[u8]) -> HttpResponse {
    let Ok(params) = Params::parse(bytes) else {
        return pages::problem("A parameter comes twice.");
    };
    let now = provider.clock.now();
    let asked = params.get("request").and_then(|request| provider.book().asked(request, now));
    let Some(asked) = asked else {
        return pages::problem("This page was used already, or is older than ten minutes.");
    };
    let (redirect, state) = (asked.redirect.clone(), asked.state.clone());
    let Some(person) = params.get("person") else {
        let answer = [("error", "access_denied"), ("error_description", "nobody was chosen")];
        return back(provider, &redirect, state.as_deref(), &answer);
    };
    let Some(account) = Account::find(person) else {
        return pages::problem("There is nobody of this name.");
    };
    match provider.book().grant(Code { asked, account, at: now }) {
        Ok(code) => back(provider, &redirect, state.as_deref(), &[("code", &code)]),
        Err(error) => pages::broken(&error),
    }
}

/// Sends the browser back, with `state` as it came and with `iss` (RFC 9207). 303, so that a form
/// is never sent on (RFC 9700 §4.12).
fn back(provider: &Provider, redirect: &Url, state: Option<&str>, answer: &[(&str, &str)]) -> HttpResponse {
    let mut redirect = redirect.clone();
    redirect
        .query_pairs_mut()
        .extend_pairs(answer)
        .extend_pairs(state.map(|state| ("state", state)))
        .append_pair("iss", &provider.issuer);
    HttpResponse::SeeOther().insert_header((header::LOCATION, redirect.as_str())).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK: &str = "http://127.0.0.1:1/back?kept=1";
    const GOOD: &[(&str, &str)] = &[
        ("client_id", "gateway"),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "s p"),
        ("nonce", "n"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];

    /// The good request with one parameter changed; without a value, it is left out.
    fn with(name: &str, value: &str) -> Params {
        let kept = GOOD.iter().copied().filter(|(n, _)| *n != name);
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        Params::parse(text.extend_pairs(kept).append_pair(name, value).finish().as_bytes()).unwrap()
    }

    fn read(params: &Params) -> Result<Asked, Refused> {
        asked(params, "gateway", &[BACK.to_owned()])
    }

    #[test]
    fn a_good_request_is_asked_about() {
        for (name, value) in [("x", "y"), ("prompt", "login"), ("response_mode", "query"), ("max_age", "0")] {
            let asked = read(&with(name, value)).unwrap();
            assert_eq!(asked.redirect_uri, BACK);
            assert_eq!((asked.state.as_deref(), asked.nonce.as_deref()), (Some("s p"), Some("n")));
            assert_eq!(asked.scopes, ["openid", "email"]);
        }
    }

    #[test]
    fn an_unknown_sender_is_told_on_the_page() {
        let cases = [
            ("client_id", ""),
            ("client_id", "Gateway"),
            ("redirect_uri", ""),
            ("redirect_uri", "http://127.0.0.1:1/back"),
            ("redirect_uri", "http://127.0.0.1:1/back?kept=1&more=1"),
            ("redirect_uri", "http://127.0.0.1:1/back?kept=1#"),
            ("redirect_uri", "http://127.0.0.1:2/back?kept=1"),
            ("redirect_uri", "https://127.0.0.1:1/back?kept=1"),
        ];
        for (name, value) in cases {
            assert!(matches!(read(&with(name, value)), Err(Refused::Here(_))), "{name}={value}");
        }
    }

    #[test]
    fn a_known_sender_is_told_by_redirect() {
        let cases = [
            ("response_type", "", "invalid_request"),
            ("response_type", "token", "unsupported_response_type"),
            ("response_type", "code id_token", "unsupported_response_type"),
            ("response_mode", "fragment", "invalid_request"),
            ("scope", "", "invalid_scope"),
            ("scope", "email", "invalid_scope"),
            ("scope", "openid2", "invalid_scope"),
            ("code_challenge", "", "invalid_request"),
            ("code_challenge", "short", "invalid_request"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "invalid_request"),
            ("code_challenge_method", "", "invalid_request"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("prompt", "none", "login_required"),
            ("prompt", "none login", "invalid_request"),
            ("request", "x", "request_not_supported"),
            ("request_uri", "x", "request_uri_not_supported"),
            ("registration", "x", "registration_not_supported"),
        ];
        for (name, value, expected) in cases {
            match read(&with(name, value)) {
                Err(Refused::There { redirect, state, error, .. }) => {
                    assert_eq!(error, expected, "{name}={value}");
                    assert_eq!((redirect.as_str(), state.as_deref()), (BACK, Some("s p")), "{name}={value}");
                }
                other => panic!("{name}={value}: {other:?}"),
            }
        }
    }
}
