//! Settings of sign-in and workload identity: what is taken, what is refused.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Config, ConfigErrors, GOOGLE_ISSUER, Pattern, SignInSettings, WorkloadIssuer, YubicoSettings, provider_url,
};

type Pairs<'a> = &'a [(&'a str, &'a str)];

const GOOGLE: Pairs<'_> =
    &[("GOOGLE_CLIENT_ID", "id"), ("GOOGLE_CLIENT_SECRET", "hunter2"), ("GOOGLE_ALLOWED_DOMAIN", "Example.com")];
const GENERIC: Pairs<'_> =
    &[("OIDC_ISSUER", "https://login.example.com/realm/"), ("OIDC_CLIENT_ID", "id"), ("OIDC_CLIENT_SECRET", "hunter2")];

fn read(base: Pairs<'_>, changes: Pairs<'_>) -> Result<Config, ConfigErrors> {
    let rack = [("RACK", "acme/prod"), ("RACK_HOST", "https://rack.internal"), ("RACK_TOKEN", "made-up")];
    let own = [("DOMAIN", "gateway.example.com"), ("APP_SECRET_KEY", "made-up-key-yf6nKq2Ws8Zt0Lb4xT3E")];
    let all = rack.iter().chain(&own).chain(base).chain(changes);
    Config::from_env(&all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>())
}

fn sign_in(base: Pairs<'_>, changes: Pairs<'_>) -> SignInSettings {
    read(base, changes).unwrap().sign_in.unwrap()
}

#[test]
fn without_a_provider_sign_in_is_off() {
    let config = read(&[], &[]).unwrap();
    assert!(config.sign_in.is_none() && config.workloads.issuers.is_empty());
}

#[test]
fn google_is_an_issuer_with_a_domain() {
    let settings = sign_in(GOOGLE, &[]);
    assert_eq!((settings.issuer.as_str(), settings.google), (GOOGLE_ISSUER, true));
    assert_eq!(settings.allowed_domains, ["example.com"]);
    assert_eq!(settings.client_secret.expose_secret(), "hunter2");
    assert!(!format!("{settings:?}").contains("hunter2"));
    let several = sign_in(GOOGLE, &[("GOOGLE_ALLOWED_DOMAIN", "a.org, B.org")]);
    assert_eq!(several.allowed_domains, ["a.org", "b.org"]);
    assert!(sign_in(GOOGLE, &[("GOOGLE_ALLOWED_DOMAIN", "*")]).allowed_domains.is_empty());
    let generic = sign_in(GENERIC, &[("OIDC_ISSUER", GOOGLE_ISSUER), ("OIDC_ALLOWED_DOMAINS", "a.org")]);
    assert!(generic.google);
}

#[test]
fn any_provider_has_defaults() {
    let settings = sign_in(GENERIC, &[]);
    assert_eq!(settings.issuer, "https://login.example.com/realm/", "kept as it is written");
    assert_eq!(settings.scopes, ["openid", "profile", "email"]);
    assert_eq!((settings.groups_claim.as_str(), settings.google), ("groups", false));
    assert!(settings.allowed_domains.is_empty());
    let other = sign_in(
        GENERIC,
        &[("OIDC_SCOPES", "openid  email groups"), ("OIDC_GROUPS_CLAIM", "roles"), ("OIDC_ALLOWED_DOMAINS", "a.org")],
    );
    assert_eq!(other.scopes, ["openid", "email", "groups"]);
    assert_eq!((other.groups_claim.as_str(), other.allowed_domains), ("roles", vec!["a.org".to_owned()]));
}

#[test]
fn each_bad_setting_of_sign_in_is_named() {
    let cases: &[(Pairs<'_>, Pairs<'_>, &str)] = &[
        (GOOGLE, GENERIC, "exclude each other"),
        (GOOGLE, &[("OIDC_SCOPES", "openid")], "exclude each other"),
        (GOOGLE, &[("GOOGLE_CLIENT_ID", "")], "GOOGLE_CLIENT_ID is not set"),
        (GOOGLE, &[("GOOGLE_CLIENT_SECRET", "")], "GOOGLE_CLIENT_SECRET is not set"),
        (GOOGLE, &[("GOOGLE_ALLOWED_DOMAIN", "")], "GOOGLE_ALLOWED_DOMAIN is not set: anybody has an account there"),
        (GOOGLE, &[("GOOGLE_ALLOWED_DOMAIN", "a.org,*")], "GOOGLE_ALLOWED_DOMAIN holds `*`"),
        (GOOGLE, &[("GOOGLE_ALLOWED_DOMAIN", "@a.org")], "GOOGLE_ALLOWED_DOMAIN holds `@a.org`"),
        (GENERIC, &[("OIDC_ISSUER", "")], "OIDC_ISSUER is not set"),
        (GENERIC, &[("OIDC_ISSUER", GOOGLE_ISSUER)], "OIDC_ALLOWED_DOMAINS is not set: anybody has an account there"),
        (GENERIC, &[("OIDC_ISSUER", "login.example.com")], "OIDC_ISSUER is not an address"),
        (GENERIC, &[("OIDC_ISSUER", "http://login.example.com")], "OIDC_ISSUER must begin with https://"),
        (GENERIC, &[("OIDC_ISSUER", "https://a@login.example.com")], "OIDC_ISSUER must have no user"),
        (GENERIC, &[("OIDC_CLIENT_ID", "")], "OIDC_CLIENT_ID is not set"),
        (GENERIC, &[("OIDC_CLIENT_SECRET", "")], "OIDC_CLIENT_SECRET is not set"),
        (GENERIC, &[("OIDC_SCOPES", "email profile")], "OIDC_SCOPES lacks `openid`"),
        (GENERIC, &[("OIDC_ALLOWED_DOMAINS", "a.org,,b.org")], "OIDC_ALLOWED_DOMAINS holds ``"),
        (GENERIC, &[("OIDC_ALLOWED_DOMAINS", ".a.org")], "OIDC_ALLOWED_DOMAINS holds `.a.org`"),
        (GENERIC, &[("OIDC_CA_FILE", "/nonexistent/ca.pem")], "OIDC_CA_FILE /nonexistent/ca.pem cannot be read"),
        (
            GENERIC,
            &[(
                "WORKLOAD_ISSUERS",
                r#"[{"issuer":"https://login.example.com/realm/","audience":"id","require":{"sub":"x"}}]"#,
            )],
            "its `audience` is the client id of people",
        ),
        (&[], &[("OIDC_CLIENT_ID", "id")], "OIDC_ISSUER is not set"),
        (&[], &[("WORKLOAD_ISSUERS", "{}")], "WORKLOAD_ISSUERS: it is not the JSON list"),
        (&[], &[("WORKLOAD_ISSUERS", "@/nonexistent/list.json")], "WORKLOAD_ISSUERS: /nonexistent/list.json cannot be"),
        (&[], &[("WORKLOAD_ISSUERS", r#"[{"preset":"github"}]"#)], "WORKLOAD_ISSUERS: entry 1: `audience` is missing"),
    ];
    for (base, changes, expected) in cases {
        let error = read(base, changes).unwrap_err().to_string();
        assert!(error.contains(expected), "{changes:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn plain_http_is_for_this_machine() {
    let cases = [
        ("https://login.example.com", true),
        ("http://localhost:3345", true),
        ("http://127.0.0.1:3345", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:3345/realm", true),
        ("http://login.example.com", false),
        ("http://localhost.example.com", false),
        ("http://127.0.0.1.example.com", false),
        ("http://0.0.0.0", false),
        ("http://10.0.0.1", false),
        ("ftp://localhost", false),
        ("https://user:pw@login.example.com", false),
        ("https://login.example.com?x", false),
        ("https://login.example.com#x", false),
        ("login.example.com", false),
        ("", false),
    ];
    for (text, is_fine) in cases {
        assert_eq!(provider_url(text).is_ok(), is_fine, "{text}");
    }
}

fn parse(entries: &Value) -> Result<Vec<WorkloadIssuer>, Vec<String>> {
    WorkloadIssuer::parse_list(&entries.to_string())
}

#[test]
fn platforms_are_known_by_name() {
    let list = json!([
        {"preset": "github", "audience": "a", "require": {"repository_owner": "acme"}},
        {"preset": "gitlab", "audience": "a", "require": {"project_path": ["acme/shop", "acme/ops/*"]},
         "claims": {"run": "pipeline_id"}, "name": "lab", "max_age_seconds": 60},
        {"preset": "circleci", "issuer": "https://oidc.circleci.com/org/0815"},
        {"issuer": "https://ci.example.com", "audience": "a", "require": {"sub": "x"}, "claims": {"repository": "r"}},
    ]);
    let all = parse(&list).unwrap();
    let short: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.issuer.as_str(), one.audience.as_str())).collect();
    assert_eq!(
        short,
        [
            ("github", "https://token.actions.githubusercontent.com", "a"),
            ("lab", "https://gitlab.com", "a"),
            ("circleci", "https://oidc.circleci.com/org/0815", "0815"),
            ("https://ci.example.com", "https://ci.example.com", "a"),
        ]
    );
    let ages: Vec<_> = all.iter().map(|one| one.max_age_seconds).collect();
    assert_eq!(ages, [3600, 60, 3600, 3600]);
    let patterns = [Pattern::Exact("acme/shop".to_owned()), Pattern::Prefix("acme/ops/".to_owned())];
    assert_eq!(all[1].require["project_path"], patterns);
    let claims: Vec<_> = all.iter().map(|one| (one.claims.repository.as_deref(), one.claims.run.as_deref())).collect();
    assert_eq!(
        claims,
        [
            (Some("repository"), Some("run_id")),
            (Some("project_path"), Some("pipeline_id")),
            (Some("oidc.circleci.com/vcs-origin"), Some("oidc.circleci.com/job-id")),
            (Some("r"), None),
        ]
    );
    assert!(parse(&json!([])).unwrap().is_empty());
    let mut whole = list[1].clone();
    whole["claims"] = json!({"ref": "ref_path"});
    let claims = &parse(&json!([whole])).unwrap()[0].claims;
    assert_eq!((claims.git_ref.as_deref(), claims.ref_type.as_deref()), (Some("ref_path"), None));
}

#[test]
fn each_fault_of_a_platform_is_named() {
    let github = |require: Value| json!([{"preset": "github", "audience": "a", "require": require}]);
    let gitlab = |require: Value| json!([{"preset": "gitlab", "audience": "a", "require": require}]);
    let circle = |issuer: &str| json!([{"preset": "circleci", "issuer": issuer}]);
    let other = |changes: Value| {
        let mut entry = json!({"issuer": "https://ci.example.com", "audience": "a", "require": {"sub": "x"}});
        entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!([entry])
    };
    let stranger = "strangers can choose such a name";
    let public = json!({"issuer": "https://token.actions.githubusercontent.com"});
    let cases = [
        (github(json!({})), "`require` must name one of repository_owner, repository"),
        (github(json!({"ref": "refs/heads/main"})), "everybody in the world"),
        (github(json!({"repository_owner": "*"})), "is met by anything"),
        (github(json!({"repository_owner": ""})), "is met by anything"),
        (github(json!({"repository_owner": []})), "names no value"),
        (github(json!({"repository_owner": "acme*"})), stranger),
        (github(json!({"repository": "acme*"})), stranger),
        (github(json!({"repository": ["acme/shop", "acme*"]})), stranger),
        (github(json!({"repository": "/*"})), stranger),
        (github(json!({"repository_id": "12*"})), stranger),
        (github(json!({"repository": "a*e/shop"})), "only the last character may be `*`"),
        (github(json!({"repository": 7})), "it is not the JSON list it should be"),
        (gitlab(json!({})), "`require` must name one of namespace_path, project_path"),
        (gitlab(json!({"namespace_path": "acme*"})), stranger),
        (circle("https://oidc.circleci.com"), "of CircleCI is https://oidc.circleci.com/org/"),
        (circle("https://oidc.circleci.com/org/"), "of CircleCI is https://oidc.circleci.com/org/"),
        (circle("https://oidc.circleci.com/org/a/b"), "of CircleCI is https://oidc.circleci.com/org/"),
        (json!([{"preset": "circleci"}]), "`issuer` is missing"),
        (json!([{"preset": "jenkins"}]), "unknown variant"),
        (other(json!({"issuer": "http://ci.example.com"})), "`issuer` must begin with https://"),
        (other(json!({"jwks_uri": "http://ci.example.com/keys"})), "`jwks_uri` must begin with https://"),
        (other(json!({"audience": ""})), "`audience` is missing"),
        (other(json!({"require": {}})), "`require` is missing"),
        (other(public), "everybody in the world"),
        (other(json!({"max_age_seconds": 0})), "`max_age_seconds` must be from 1 to 3600"),
        (other(json!({"max_age_seconds": 3601})), "`max_age_seconds` must be from 1 to 3600"),
        (other(json!({"clams": {}})), "unknown field `clams`"),
        (other(json!({"claims": {"branch": "x"}})), "unknown field `branch`"),
        (
            json!([other(json!({}))[0], other(json!({"name": "b"}))[0]]),
            "the issuer https://ci.example.com is there twice",
        ),
        (
            json!([other(json!({"name": "b"}))[0], other(json!({"name": "b", "issuer": "https://b.org"}))[0]]),
            "the name b is there twice",
        ),
    ];
    for (list, expected) in cases {
        let problems = parse(&list).unwrap_err().join("\n");
        assert!(problems.contains(expected), "{list}: {problems}");
    }
    let both = json!([{"preset": "circleci"}, {"preset": "github"}]);
    assert!(parse(&both).unwrap_err().len() >= 4, "all problems show at once");
}

#[test]
fn patterns_match_whole_values_or_their_beginning() {
    let exact = Pattern::Exact("acme/shop".to_owned());
    let prefix = Pattern::Prefix("acme/".to_owned());
    for (value, is_exact, is_prefix) in [
        ("acme/shop", true, true),
        ("acme/shop2", false, true),
        ("acme", false, false),
        ("acme-evil/shop", false, false),
    ] {
        assert_eq!((exact.matches(value), prefix.matches(value)), (is_exact, is_prefix), "{value}");
    }
}

#[test]
fn a_file_may_hold_the_platforms() {
    let file = std::env::temp_dir().join(format!("workloads-{}.json", std::process::id()));
    std::fs::write(&file, r#"[{"preset":"circleci","issuer":"https://oidc.circleci.com/org/0815"}]"#).unwrap();
    let path = format!("@{}", file.display());
    let config = read(&[], &[("WORKLOAD_ISSUERS", &path)]).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(config.workloads.issuers.len(), 1);
}

#[test]
fn yubikeys_are_off_unless_their_service_is_known() {
    let both = [("YUBICO_CLIENT_ID", "4711"), ("YUBICO_SECRET_KEY", "mG5be6ZJU1qBGz24yPh/ESM3UdU=")];
    assert!(read(&[], &[]).unwrap().yubico.is_none());
    let config = read(&both, &[]).unwrap();
    assert!(!format!("{config:?}").contains("mG5be6ZJ"));
    let settings = config.yubico.unwrap();
    assert_eq!((settings.client_id.as_str(), settings.secret.expose_secret().len()), ("4711", 20));
    let urls = |settings: &YubicoSettings| settings.urls.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(urls(&settings), ["https://api.yubico.com/wsapi/2.0/verify"]);
    let own = [("YUBICO_URL", "https://a.example/verify, http://localhost:9/verify")];
    let settings = read(&both, &own).unwrap().yubico.unwrap();
    assert_eq!(urls(&settings), ["https://a.example/verify", "http://localhost:9/verify"]);
    let wrong: [(Pairs<'_>, &str); 5] = [
        (&both[..1], "YUBICO_SECRET_KEY is not set"),
        (&both[1..], "YUBICO_CLIENT_ID is not set"),
        (&[("YUBICO_URL", "https://a.example/verify")], "YUBICO_CLIENT_ID is not set"),
        (&[both[0], ("YUBICO_SECRET_KEY", "not base64")], "YUBICO_SECRET_KEY is not base64"),
        (&[both[0], both[1], ("YUBICO_URL", "http://a.example/verify")], "YUBICO_URL must begin with https://"),
    ];
    for (settings, problem) in wrong {
        let problems = read(settings, &[]).unwrap_err().0;
        assert!(problems.iter().any(|said| said.starts_with(problem)), "{problem}: {problems:?}");
    }
}
