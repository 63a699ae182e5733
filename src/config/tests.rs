//! Settings: what is taken, what is refused, and that every problem shows at once.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::{Config, Trust};

const KEY: &str = "made-up-key-yf6nKq2Ws8Zt0Lb4xT3E";
const OLD_KEY: &str = "made-up-key-Hd9vRx3Cm7Jp1Gu5oQ8A";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [
        ("DOMAIN", "gateway.example.com"),
        ("RACK", "acme/prod"),
        ("RACK_HOST", "https://rack.internal:5443"),
        ("RACK_TOKEN", "made-up"),
        ("APP_SECRET_KEY", KEY),
    ];
    base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn defaults_are_taken() {
    let config = Config::from_env(&env(&[])).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8447");
    assert_eq!(config.metrics_listen.to_string(), "127.0.0.1:9447");
    assert_eq!(config.database_url.expose_secret(), "sqlite://rack-gateway.sqlite");
    assert_eq!(config.rack.full_name(), "acme/prod");
    assert_eq!(config.rack.username, "convox");
    assert!(matches!(config.rack.trust, Trust::System));
}

#[test]
fn each_bad_setting_is_named() {
    let pin = "ab".repeat(32);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("RACK", "")], "RACK is not set"),
        (&[("DOMAIN", "")], "DOMAIN is not set"),
        (&[("DOMAIN", "https://gateway.example.com")], "DOMAIN must be"),
        (&[("DOMAIN", "Gateway.example.com")], "DOMAIN must be"),
        (&[("TRUSTED_PROXY_CIDRS", "0.0.0.0/0")], "names everybody"),
        (&[("TRUSTED_PROXY_CIDRS", "10.0.0.0/8,nets")], "holds `nets`"),
        (&[("RACK", "a/b/c")], "RACK must be"),
        (&[("RACK_HOST", "")], "RACK_HOST is not set"),
        (&[("RACK_HOST", "https://user:pw@rack")], "RACK_HOST must be"),
        (&[("RACK_HOST", "https://rack/path")], "RACK_HOST must be"),
        (&[("RACK_HOST", "ftp://rack")], "RACK_HOST must be"),
        (&[("RACK_TOKEN", "")], "RACK_TOKEN is not set"),
        (&[("APP_SECRET_KEY", "")], "APP_SECRET_KEY is not set: make one with `openssl rand -base64 32`"),
        (&[("APP_SECRET_KEY", "made-up")], "APP_SECRET_KEY is too weak: it has 7 bytes"),
        (&[("APP_SECRET_KEY_PREVIOUS", "made-up")], "APP_SECRET_KEY_PREVIOUS is too weak: it has 7 bytes"),
        (&[("APP_SECRET_KEY_PREVIOUS", KEY)], "APP_SECRET_KEY_PREVIOUS is the same key"),
        (&[("RGW_LISTEN", "8447")], "RGW_LISTEN is not an address"),
        (&[("DATABASE_URL", "mysql://x")], "must begin with sqlite: or postgres://"),
        (&[("RACK_CA_FILE", "/nonexistent/ca.pem")], "RACK_CA_FILE /nonexistent/ca.pem cannot be read"),
        (&[("RACK_TLS_PINS", "abcd")], "64 hex digits"),
        (&[("RACK_TLS_PINS", &pin), ("RACK_CA_FILE", "/x")], "exclude each other"),
    ];
    for (pairs, expected) in cases {
        let error = Config::from_env(&env(pairs)).unwrap_err().to_string();
        assert!(error.contains(expected), "{pairs:?}: {error}");
    }
}

#[test]
fn all_problems_show_together_and_no_secret_does() {
    let error = Config::from_env(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.0.len(), 5, "{error}");
    let pairs = [("DATABASE_URL", "postgres://u:hunter2@db/x"), ("APP_SECRET_KEY_PREVIOUS", OLD_KEY)];
    let config = Config::from_env(&env(&pairs)).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("made-up"), "{shown}");
}
