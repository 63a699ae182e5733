//! Secrets in free text: commands, manifests, messages. What is recognised is masked; a text can hold secrets
//! that nothing recognises, so this is a net under the rules, not the rule.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex, Replacer};

use super::rules::{has_private_key, is_break, is_secret_name, is_token};
use super::stand_in::MASK;
use super::url::{has_credentials, mask_url};

/// A value on a command line: quoted and bare pieces without a space between them. An open quote goes to the end.
macro_rules! word {
    () => {
        r#"(?:"(?:[^"\\]|\\.)*"|'[^']*'|["'][^\n]*|\\.|[^\s"'])+"#
    };
}

static PEM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)-----BEGIN[A-Z0-9 ]*PRIVATE KEY.*?(?:-----END[A-Z0-9 ]*-----|\z)").ok());
static URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"[A-Za-z0-9+.-]+://[^\s"'<>`]+"#).ok());
/// `NAME=value`.
static PAIR: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(concat!(r#"([A-Za-z_][A-Za-z0-9_.-]*)(["']?\s*=\s*)("#, word!(), ")")).ok());
/// `name: value`, as in YAML, JSON and headers: to the end of the line or of the quotes.
static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z_][A-Za-z0-9_.-]*)(["']?\s*:[ \t]*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'*][^\n"']*)"#).ok()
});
/// `--name value`.
static FLAG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(concat!(r"(-[A-Za-z-][A-Za-z0-9-]*)([ \t]+)(", word!(), ")")).ok());
/// `-u user:password`.
static LOGIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(concat!(r"((?:-u|--user|--proxy-user))([ \t=]+)(", word!(), ")")).ok());
/// `-p` with the password right behind it, of the programs that take one so.
static SHORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(concat!(r"(\s-[pa])([ \t]*)(", word!(), ")")).ok());
const SHORT_OF: &[&str] = &["mysql", "mariadb", "sshpass", "redis-cli", "mongo"];

/// Masks what is recognised: private keys, URLs with credentials, values behind secret names, known tokens.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut out = text.to_owned();
    if has_private_key(&out) {
        out = replaced(&PEM, &out, MASK);
    }
    if has_credentials(&out) {
        out = replaced(&URL, &out, |found: &Captures<'_>| {
            let url = found.get(0).map_or("", |url| url.as_str());
            if has_credentials(url) { mask_url(url).into_owned() } else { url.to_owned() }
        });
    }
    for pattern in [&PAIR, &FIELD, &FLAG] {
        out = replaced(pattern, &out, named);
    }
    out = replaced(
        &LOGIN,
        &out,
        |found: &Captures<'_>| if part(found, 3).contains(':') { hidden(found) } else { whole(found) },
    );
    if SHORT_OF.iter().any(|program| out.contains(program)) {
        out = replaced(&SHORT, &out, hidden);
    }
    words(&out, is_break, is_token)
}

/// The same, and every word that looks made by a generator rather than by a person: for records and logs,
/// which say too little rather than too much.
#[must_use]
pub fn scrub_hard(text: &str) -> String {
    words(&scrub(text), is_plain_break, is_random)
}

/// A message, as a record shows it: words that say that they are tokens are masked.
#[must_use]
pub fn scrub_tokens(text: &str) -> String {
    words(text, is_break, is_token)
}

/// A path or a name, as a record shows it: what stands there is what somebody acted on, so only what is a secret
/// beyond doubt is masked.
#[must_use]
pub fn scrub_name(text: &str) -> Cow<'_, str> {
    let plain = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    let is_secret = |text: &str| {
        has_credentials(text) || has_private_key(text) || text.split(['/', '?', '=', ':', '@', ' ']).any(is_token)
    };
    if !is_secret(text) && !is_secret(&plain) {
        return Cow::Borrowed(text);
    }
    let segments = plain.split('/').map(|part| if is_secret(part) { MASK } else { part });
    let joined = segments.collect::<Vec<_>>().join("/");
    Cow::Owned(if is_secret(&joined) { MASK.to_owned() } else { joined })
}

fn replaced(pattern: &LazyLock<Option<Regex>>, text: &str, by: impl Replacer) -> String {
    match &**pattern {
        Some(pattern) => pattern.replace_all(text, by).into_owned(),
        None => MASK.to_owned(),
    }
}

/// A value behind a name, masked if the name says so.
fn named(found: &Captures<'_>) -> String {
    let name = part(found, 1).trim_start_matches('-');
    let value = part(found, 3);
    let is_flag_after_flag = part(found, 1).starts_with('-') && value.starts_with("--");
    if is_secret_name(name) && !is_flag_after_flag && !value.is_empty() { hidden(found) } else { whole(found) }
}

/// The quotes of a value that is one quoted piece stay: JSON stays JSON.
fn hidden(found: &Captures<'_>) -> String {
    let value = part(found, 3);
    let is_quoted = |quote: &str| {
        value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).is_some_and(|inner| !inner.contains(quote))
    };
    let quote = ["\"", "'"].into_iter().find(|quote| is_quoted(quote)).unwrap_or_default();
    format!("{}{}{quote}{MASK}{quote}", part(found, 1), part(found, 2))
}

fn whole(found: &Captures<'_>) -> String {
    part(found, 0).to_owned()
}

fn part<'a>(found: &'a Captures<'_>, at: usize) -> &'a str {
    found.get(at).map_or("", |part| part.as_str())
}

/// The text with every word masked that `is_secret` says so of.
fn words(text: &str, is_break: impl Fn(char) -> bool, is_secret: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(&is_break) {
        let word = piece.trim_end_matches(&is_break).trim_end_matches('.');
        let rest = piece.strip_prefix(word).unwrap_or_default();
        out.push_str(if is_secret(word) { MASK } else { word });
        out.push_str(rest);
    }
    out
}

fn is_plain_break(letter: char) -> bool {
    !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '+' | '/'))
}

/// Whether a word looks made by a generator: hexadecimal digits, or many changes between capitals, small letters
/// and digits.
fn is_random(word: &str) -> bool {
    let in_parts = word.split('/').any(|part| is_mixed(part) || part.split(['-', '_']).any(is_jumbled));
    // Base64 has slashes as paths do.
    in_parts || (!word.starts_with('/') && word.len() >= 24 && is_mixed(&word.replace('/', "")))
}

/// Digits and letters of one case, as in hexadecimal digits; without a hyphen, or it is a name.
fn is_jumbled(part: &str) -> bool {
    let shape = Shape::of(part);
    let one_case = !(shape.capitals && shape.small);
    part.len() >= 16 && shape.digits && (shape.is_hex || (one_case && shape.changes.saturating_mul(4) >= part.len()))
}

/// Capitals, small letters and digits.
fn is_mixed(part: &str) -> bool {
    let shape = Shape::of(part);
    let all = shape.digits && shape.capitals && shape.small;
    part.len() >= 20 && all && shape.changes.saturating_mul(3) >= part.len()
}

/// What characters a word has, and how often their kind changes.
struct Shape {
    digits: bool,
    capitals: bool,
    small: bool,
    is_hex: bool,
    changes: usize,
}

impl Shape {
    fn of(word: &str) -> Self {
        let class = |byte: &u8| match byte {
            b'0'..=b'9' => 0_u8,
            b'A'..=b'Z' => 1,
            b'a'..=b'z' => 2,
            _ => 3,
        };
        let classes: Vec<u8> = word.as_bytes().iter().map(class).collect();
        Self {
            digits: classes.contains(&0),
            capitals: classes.contains(&1),
            small: classes.contains(&2),
            is_hex: word.bytes().all(|byte| byte.is_ascii_hexdigit()),
            changes: classes.windows(2).filter(|pair| pair.first() != pair.last()).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recognised_goes() {
        let cases = [
            ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=******** psql -h db"),
            ("API_KEY=\"a b\"'c'd run", "API_KEY=******** run"),
            ("API_TOKEN='it is", "API_TOKEN=********"),
            ("export SECRET = x", "export SECRET = ********"),
            ("--token=abc --verbose", "--token=******** --verbose"),
            ("login --password hunter2 --user me", "login --password ******** --user me"),
            ("login --password --user me", "login --password --user me"),
            ("curl -u me:hunter2 https://h", "curl -u me:******** https://h"),
            ("curl -u me https://h", "curl -u me https://h"),
            ("mysql -uroot -phunter2 db", "mysql -uroot -p******** db"),
            ("psql postgres://u:hunter2@h/db -c x", "psql postgres://u:********@h/db -c x"),
            ("curl -H 'Authorization: Bearer hunter2' h", "curl -H 'Authorization: ********' h"),
            ("{\"password\": \"hunter2\", \"port\": 1}", "{\"password\": \"********\", \"port\": 1}"),
            ("API_KEY='a b' run", "API_KEY='********' run"),
            ("  - API_TOKEN=hunter2\n  - PORT=1", "  - API_TOKEN=********\n  - PORT=1"),
            ("  DB_PASSWORD: hunter2\n  PORT: 1", "  DB_PASSWORD: ********\n  PORT: 1"),
            ("see ghp_0123456789abcdefghij.", "see ********."),
            ("a -----BEGIN RSA PRIVATE KEY-----\nxx\n-----END RSA PRIVATE KEY----- b", "a ******** b"),
            ("a -----BEGIN PRIVATE KEY-----\nxx", "a ********"),
        ];
        for (text, shown) in cases {
            let shown = shown.replace("-u me:********", "-u ********");
            assert_eq!(scrub(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let plain = [
            "",
            "sleep 3600",
            "bin/rails db:migrate RAILS_ENV=production",
            "bundle exec rake assets:precompile --trace",
            "sh -c 'echo hello; ls -la /usr/local/bin'",
            "convox-production-2024-worker.service",
            "web-7d9f8b6c5d-x2x4z",
            "Rails5MigrationRunnerTask",
            "2026-11-22T10:00:00.000Z",
            "https://example.org/a/b?c=d",
            "012345678901.dkr.ecr.us-east-1.amazonaws.com/convox/app:web.BABCDEFGHIJ",
        ];
        for text in plain {
            assert_eq!(scrub_hard(text), text);
        }
    }

    #[test]
    fn words_of_generators_are_not_recorded() {
        let secret = [
            "3f786850e387550fdab836ed7e6dc881de23001b",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "dGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0IDEyMzQ1Njc4OTA",
            "Zx8Qm2Lp9Rt4Vb7Ny3Kc",
        ];
        for word in secret {
            for text in [word.to_owned(), format!("run {word} now"), format!("x='{word}'"), format!("a:{word}")] {
                assert!(!scrub_hard(&text).contains(word), "{text}");
            }
        }
    }

    #[test]
    fn names_stay_but_for_secrets_beyond_doubt() {
        let plain = ["/apps/shop/objects/tmp/0123456789abcdef0123456789abcd.tgz", "App::shop", "/a%2Fb", ""];
        for text in plain {
            assert_eq!(scrub_name(text), text);
        }
        let cases = [
            ("/apps/ghp_0123456789abcdefghij", "/apps/********"),
            ("/apps/%67hp_0123456789abcdefghij/x", "/apps/********/x"),
            ("/registries/https://u:p@h/x", "********"),
            ("Registry::https://u:p@h", "********"),
        ];
        for (text, shown) in cases {
            assert_eq!(scrub_name(text), shown);
        }
    }
}
