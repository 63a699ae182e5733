//! The token endpoint and the userinfo endpoint (OpenID Connect Core §3.1.3 and §5.3).

use std::io;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use time::Duration;

use super::book::{ACCESS, Access, Code};
use super::keys;
use super::params::Params;
use super::provider::Provider;

/// Life of an ID token.
const ID_TOKEN: Duration = Duration::minutes(5);

/// A refusal of RFC 6749 §5.2: error code and explanation.
#[derive(Debug)]
struct Refused(&'static str, &'static str);

/// `POST /token`. `authorization` is that header.
pub(super) fn token(provider: &Provider, authorization: Option<&str>, body: &[u8]) -> HttpResponse {
    match exchange(provider, authorization, body) {
        Ok(answer) => answer.unwrap_or_else(|error| super::pages::broken(&error)),
        Err(Refused(error, description)) => {
            let mut answer = HttpResponse::BadRequest();
            if error == "invalid_client" {
                answer.status(StatusCode::UNAUTHORIZED);
                answer.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"development identity provider\""));
            }
            answer.json(json!({"error": error, "error_description": description}))
        }
    }
}

fn exchange(
    provider: &Provider,
    authorization: Option<&str>,
    body: &[u8],
) -> Result<io::Result<HttpResponse>, Refused> {
    let params = Params::parse(body).map_err(|_| Refused("invalid_request", "a parameter comes twice"))?;
    authenticate(provider, authorization, &params)?;
    match params.get("grant_type") {
        Some("authorization_code") => {}
        Some(_) => return Err(Refused("unsupported_grant_type", "grant_type must be authorization_code")),
        None => return Err(Refused("invalid_request", "grant_type is missing")),
    }
    let presented = params.get("code").ok_or(Refused("invalid_request", "code is missing"))?;
    let code = provider.book().redeem(presented, provider.clock.now());
    let code = code.ok_or(Refused("invalid_grant", "this code is unknown, too old, or was used already"))?;
    if params.get("redirect_uri") != Some(&code.asked.redirect_uri) {
        return Err(Refused("invalid_grant", "the redirect URI is not the one that the code was sent to"));
    }
    let verifier = params.get("code_verifier").ok_or(Refused("invalid_request", "code_verifier is missing"))?;
    if !is_verifier(verifier) || keys::digest(verifier.as_bytes()) != code.asked.challenge {
        return Err(Refused("invalid_grant", "the code verifier does not match the challenge"));
    }
    Ok(issue(provider, presented, &code))
}

/// RFC 7636 §4.1.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// `client_secret_basic` or `client_secret_post`, not both (RFC 6749 §2.3.1).
fn authenticate(provider: &Provider, authorization: Option<&str>, params: &Params) -> Result<(), Refused> {
    let posted = params.get("client_secret");
    let (id, secret) = match (authorization, posted) {
        (Some(_), Some(_)) => return Err(Refused("invalid_request", "the client authenticates in two ways")),
        (Some(header), None) => {
            let basic = basic(header).ok_or(Refused("invalid_client", "this is not HTTP Basic"))?;
            if params.get("client_id").is_some_and(|id| id != basic.0) {
                return Err(Refused("invalid_request", "client_id is not the client that authenticates"));
            }
            basic
        }
        (None, posted) => {
            (params.owned("client_id").unwrap_or_default(), posted.map(str::to_owned).unwrap_or_default())
        }
    };
    let same_secret = secret.as_bytes().ct_eq(provider.client_secret.expose_secret().as_bytes());
    if id == provider.client_id && bool::from(same_secret) {
        Ok(())
    } else {
        Err(Refused("invalid_client", "unknown client, or a wrong secret"))
    }
}

/// Name and secret, each form-encoded before they were joined.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let joined = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let joined = String::from_utf8(joined).ok()?;
    let (id, secret) = joined.split_once(':')?;
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().map(Into::into).ok();
    Some((decode(id)?, decode(secret)?))
}

fn issue(provider: &Provider, presented: &str, code: &Code) -> io::Result<HttpResponse> {
    let now = provider.clock.now();
    let scopes = &code.asked.scopes;
    let access = Access { account: code.account, scopes: scopes.clone() };
    let access = provider.book().open(presented, access, now)?;
    let mut claims = code.account.claims(scopes);
    claims.insert("iss".to_owned(), json!(provider.issuer));
    claims.insert("aud".to_owned(), json!(provider.client_id));
    claims.insert("iat".to_owned(), json!(now.unix_timestamp()));
    claims.insert("exp".to_owned(), json!((now + ID_TOKEN).unix_timestamp()));
    claims.insert("auth_time".to_owned(), json!(code.at.unix_timestamp()));
    claims.insert("at_hash".to_owned(), json!(keys::half_digest(&access)));
    if let Some(nonce) = &code.asked.nonce {
        claims.insert("nonce".to_owned(), json!(nonce));
    }
    Ok(HttpResponse::Ok().json(json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": ACCESS.whole_seconds(),
        "scope": scopes.join(" "),
        "id_token": provider.key.sign(&claims.into())?,
    })))
}

/// `GET` and `POST /userinfo`.
pub(super) fn userinfo(provider: &Provider, authorization: Option<&str>) -> HttpResponse {
    let token = authorization.and_then(|header| header.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    match token.map(|token| provider.book().access(token, provider.clock.now())) {
        Some(Some(access)) => HttpResponse::Ok().json(access.account.claims(&access.scopes)),
        // RFC 6750 §3.1: a request without a token is not told what was wrong with it.
        None => HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).finish(),
        Some(None) => HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
            .finish(),
    }
}
