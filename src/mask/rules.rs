//! Which variables and parameters are secret: by name, by the lists of an app, by what their value looks like.

use super::url::has_credentials;

/// Parts that make a name secret wherever they stand.
const PARTS: &[&str] = &["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "PWD", "PRIVATE", "CREDENTIAL"];

/// Whole names, or last parts after an underscore, that make a name secret.
const ENDS: &[&str] = &[
    "KEY",
    "KEYS",
    "KEY_ID",
    "APIKEY",
    "SSHKEY",
    "SSLKEY",
    "DSN",
    "DATABASE_URL",
    "DATABASE_URI",
    "DB_URL",
    "DB_URI",
    "CONNECTION_STRING",
    "PASS",
    "PW",
    "AUTH",
    "AUTHENTICATION",
    "AUTHORIZATION",
    "SALT",
    "PEPPER",
    "JWT",
    "COOKIE",
    "SIGNATURE",
    "SIG",
    "WEBHOOK",
    "WEBHOOK_URL",
];

/// Parameters of racks and apps that sound secret and are not (convox `rack params`).
const HARMLESS_PARAMETERS: &[&str] =
    &["IMDS_HTTP_TOKENS", "KEY_PAIR_NAME", "PRIVATE", "PRIVATE_API", "PRIVATE_BUILD", "PRIVATE_EKS_HOST"];

/// Beginnings of tokens that say what they are, and how many characters follow at least.
const TOKENS: &[(&str, usize)] = &[
    ("rgw_", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 12),
    ("xoxb-", 8),
    ("xoxa-", 8),
    ("xoxp-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("whsec_", 8),
    ("sk-", 20),
    ("npm_", 16),
    ("pypi-", 16),
    ("dop_v1_", 16),
    ("hvs.", 16),
    ("SG.", 20),
    ("AIza", 20),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AGE-SECRET-KEY-", 16),
];

/// What is secret, and what nobody changes, among the variables of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    secret: Vec<String>,
    protected: Vec<String>,
    all: bool,
}

impl Rules {
    /// From the lists of an app: names that are secret, names that nobody changes, and the names that its own
    /// `cli-env-mask` hides. In all of them case does not matter, and `*` stands for any characters.
    #[must_use]
    pub fn new(secret: &[String], protected: &[String], app_masks: &[String]) -> Self {
        let upper = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| name.trim().to_uppercase()).filter(|name| !name.is_empty()).collect()
        };
        let mut all_secret = upper(secret);
        all_secret.extend(upper(app_masks));
        Self { secret: all_secret, protected: upper(protected), all: false }
    }

    /// Everything is secret: for when it cannot be known what the app hides.
    #[must_use]
    pub fn with_all_secret(mut self) -> Self {
        self.all = true;
        self
    }

    /// Whether the value of this variable is a secret. Everything protected is.
    #[must_use]
    pub fn is_secret(&self, name: &str, value: &str) -> bool {
        self.all || is_secret_name(name) || is_listed(&self.secret, name) || is_secret_value(value)
    }

    /// Whether nobody changes this variable through the gateway.
    #[must_use]
    pub fn is_protected(&self, name: &str) -> bool {
        is_listed(&self.protected, name)
    }
}

/// Whether a name says that its value is secret, by the rules that always hold.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = normal(name);
    PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| ends_in(&name, end))
}

/// Whether a parameter of a rack, an app or a resource is sensitive.
#[must_use]
pub fn is_secret_parameter(name: &str, value: &str) -> bool {
    if value.is_empty() || matches!(value.to_ascii_lowercase().as_str(), "true" | "false") {
        return false;
    }
    let plain = normal(name);
    let is_harmless = HARMLESS_PARAMETERS.contains(&plain.as_str()) || plain.contains("SUBNET");
    is_secret_value(value) || (!is_harmless && is_secret_name(name))
}

/// Whether a value is a secret whatever its name: a URL with credentials, a private key, a token that says so.
#[must_use]
pub fn is_secret_value(value: &str) -> bool {
    has_private_key(value) || value.split(is_break).any(is_token) || has_credentials(value)
}

/// A private key in PEM (RFC 7468), however the lines are broken.
pub(super) fn has_private_key(value: &str) -> bool {
    value.contains("-----BEGIN") && value.contains("PRIVATE KEY")
}

/// What ends a word: nothing of it is in a token.
pub(super) fn is_break(letter: char) -> bool {
    !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'))
}

/// A word that begins as tokens of a known kind do, or is a JWT (RFC 7519).
pub(super) fn is_token(word: &str) -> bool {
    let long = |rest: &str, least: usize| {
        rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count() >= least
    };
    TOKENS.iter().any(|(start, least)| word.strip_prefix(start).is_some_and(|rest| long(rest, *least))) || is_jwt(word)
}

fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let (head, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    head.starts_with("eyJ") && payload.starts_with("eyJ") && parts.next().is_some()
}

/// In capitals, words joined by underscores: `apiKey`, `api-key` and `api.key` are `API_KEY`.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len().saturating_add(4));
    let mut after_small = false;
    for letter in name.chars() {
        if after_small && letter.is_uppercase() {
            out.push('_');
        }
        after_small = letter.is_lowercase();
        if matches!(letter, '-' | '.' | ' ' | '/' | ':') {
            out.push('_');
        } else {
            out.extend(letter.to_uppercase());
        }
    }
    out
}

fn ends_in(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

fn is_listed(patterns: &[String], name: &str) -> bool {
    let name = name.to_uppercase();
    patterns.iter().any(|pattern| matches(pattern, &name))
}

/// Whether the whole name is what the pattern says; `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret() {
        let secret = [
            "SECRET",
            "CLIENT_SECRET_V2",
            "GITHUB_TOKEN",
            "token",
            "DB_PASSWORD",
            "db_passwd",
            "PGPWD",
            "PRIVATE_KEY",
            "PRIVATE_CERT",
            "AWS_CREDENTIALS",
            "STRIPE_KEY",
            "KEY",
            "AWS_ACCESS_KEY_ID",
            "apiKey",
            "api-key",
            "db.password",
            "APIKEY",
            "SENTRY_DSN",
            "DSN",
            "DATABASE_URL",
            "ORDERS_DATABASE_URL",
            "DB_URL",
            "SMTP_PASS",
            "PASSPHRASE",
            "SLACK_WEBHOOK_URL",
            "SECRET_KEY_BASE",
            "X-Amz-Signature",
            "sslkey",
        ];
        for name in secret {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "PORT", "MONKEY", "KEYBOARD", "GREETING", "COMPASS", "HOST", "DESIGN", "RAILS_ENV", "DSN_HOST"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_say_it_too() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc";
        let bearer = format!("Bearer {jwt}");
        let secret = [pem, jwt, &bearer, "postgres://u:p@h/db", "ghp_0123456789abcdefghij", "see AKIAIOSFODNN7EXAMPLE"];
        for value in secret {
            assert!(is_secret_value(value), "{value}");
        }
        for value in ["", "hello", "https://example.org/x?y=1", "rgw_", "sk-short", "-----BEGIN CERTIFICATE-----"] {
            assert!(!is_secret_value(value), "{value}");
        }
    }

    #[test]
    fn lists_add_to_the_rules() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let rules = Rules::new(&list(&["Billing_*", "*INTERNAL*", " "]), &list(&["FROZEN"]), &list(&["greeting"]));
        for name in ["BILLING_ID", "billing_", "GREETING", "MY_INTERNAL_HOST", "internal", "A_TOKEN"] {
            assert!(rules.is_secret(name, "x"), "{name}");
        }
        for name in ["BILLIN", "MY_BILLING_ID", "GREETING2", "PORT", "", "FROZEN"] {
            assert!(!rules.is_secret(name, "x"), "{name}");
        }
        assert!(rules.is_protected("frozen") && !rules.is_protected("FROZEN_2"));
        assert!(rules.clone().with_all_secret().is_secret("PORT", "1"));
        assert!(!rules.with_all_secret().is_protected("PORT"));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        let yes =
            [("*", ""), ("*", "A"), ("A*", "A"), ("*A", "BA"), ("A*B*C", "AXBYC"), ("A**C", "AC"), ("*A*", "XAX")];
        for (pattern, name) in yes {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("A*B*C", "AXC"), ("A*A", "A"), ("*A", "AB"), ("", "A"), ("A*B*B", "AB")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn parameters_of_a_rack_keep_what_only_sounds_secret() {
        let plain = [
            ("private", "true"),
            ("imds_http_tokens", "required"),
            ("key_pair_name", "mine"),
            ("private_subnets_ids", "subnet-1"),
            ("docker_hub_password", ""),
            ("region", "us-east-1"),
        ];
        for (name, value) in plain {
            assert!(!is_secret_parameter(name, value), "{name}");
        }
        let secret = [
            ("docker_hub_password", "x"),
            ("private_eks_pass", "x"),
            ("syslog", "https://user:pass@logs.example.org"),
            ("Password", "x"),
            ("imds_http_tokens", "ghp_0123456789abcdefghij"),
        ];
        for (name, value) in secret {
            assert!(is_secret_parameter(name, value), "{name}");
        }
    }
}
