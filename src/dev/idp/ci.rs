//! Tokens as a CI system gives them to its runs, for trying workload identity by hand. They have an
//! issuer and a key of their own, as in life: nobody can sign in with one.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::pages;
use super::provider::Provider;

/// Life of a token, unless `exp` says otherwise.
const LIFE: Duration = Duration::minutes(5);

/// `POST /ci-token`: the JWT with the claims of the body, in plain text, ready for `$(curl …)`.
pub(super) fn ci_token(provider: &Provider, body: &[u8]) -> HttpResponse {
    let given = if body.is_empty() { Ok(Map::new()) } else { serde_json::from_slice(body) };
    let Ok(given) = given else {
        return HttpResponse::BadRequest().json(json!({"error": "the body must be a JSON object of claims"}));
    };
    let claims = claims(given, &provider.ci_issuer(), &provider.client_id, provider.clock.now());
    match provider.ci_key.sign(&claims.into()) {
        Ok(token) => HttpResponse::Ok().content_type("application/jwt").body(token),
        Err(error) => pages::broken(&error),
    }
}

/// What is given counts; the rest is a run on the main branch. `null` leaves a claim out.
fn claims(given: Map<String, Value>, issuer: &str, audience: &str, now: OffsetDateTime) -> Map<String, Value> {
    let text = |name: &str, or: &str| given.get(name).and_then(Value::as_str).unwrap_or(or).to_owned();
    let repository = text("repository", "acme/myapp");
    let subject = match given.get("environment").and_then(Value::as_str) {
        Some(environment) => format!("repo:{repository}:environment:{environment}"),
        None => format!("repo:{repository}:ref:{}", text("ref", "refs/heads/main")),
    };
    let defaults = [
        ("iss", json!(issuer)),
        ("sub", json!(subject)),
        ("aud", json!(audience)),
        ("iat", json!(now.unix_timestamp())),
        ("nbf", json!(now.unix_timestamp())),
        ("exp", json!((now + LIFE).unix_timestamp())),
        ("jti", json!(Uuid::now_v7())),
        ("repository", json!(repository)),
        ("ref", json!("refs/heads/main")),
        ("ref_protected", json!("true")),
        ("sha", json!("0123456789abcdef0123456789abcdef01234567")),
        ("run_id", json!("1")),
    ];
    let mut claims: Map<_, _> = defaults.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    claims.extend(given);
    claims.retain(|_, value| !value.is_null());
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-02 03:04:05 UTC);

    #[test]
    fn what_is_given_counts() {
        let of = |given: Value| match given {
            Value::Object(given) => Value::Object(claims(given, "http://ci", "rack-gateway", NOW)),
            other => panic!("{other}"),
        };
        let plain = of(json!({}));
        assert_eq!(plain["sub"], "repo:acme/myapp:ref:refs/heads/main");
        assert_eq!((&plain["iss"], &plain["aud"]), (&json!("http://ci"), &json!("rack-gateway")));
        assert_eq!(plain["exp"].as_i64().unwrap() - plain["iat"].as_i64().unwrap(), 300);
        assert_eq!(plain.get("environment"), None);
        assert_ne!(plain["jti"], of(json!({}))["jti"], "each token is another");
        let given = of(json!({"repository": "acme/api", "ref": "refs/heads/x", "aud": ["a", "b"], "sha": null}));
        assert_eq!(given["sub"], "repo:acme/api:ref:refs/heads/x");
        assert_eq!((&given["aud"], given.get("sha")), (&json!(["a", "b"]), None));
        let deployed = of(json!({"environment": "prod", "jti": "once", "exp": 1}));
        assert_eq!(deployed["sub"], "repo:acme/myapp:environment:prod");
        assert_eq!((&deployed["jti"], &deployed["exp"]), (&json!("once"), &json!(1)));
    }
}
