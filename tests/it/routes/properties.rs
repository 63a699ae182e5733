//! Properties over generated requests: close to real ones, with what attackers put in them.

use proptest::prelude::*;
use proptest::sample::select;
use rack_gateway::routes::{CONSOLE, Kind, RACK, REFUSED, Target};

use super::oracle::{KINDS, check_contract, check_form, check_target, form_keys};

/// Pieces that have meant two things to two readers somewhere.
const NASTY: &[&str] = &[
    "/",
    "//",
    ".",
    "..",
    "/../",
    "/./",
    "%2F",
    "%2f",
    "%252F",
    "%25252f",
    "%5C",
    "\\",
    "%2e",
    "%2E%2E",
    "..%2f",
    "%3F",
    "%3f",
    "?",
    "??",
    "#",
    "%23",
    "%25",
    "%",
    "%0",
    "%zz",
    "%00",
    "%0a",
    "%0D%0A",
    "%7F",
    "%C2%85",
    "%c0%af",
    "%e0%80%af",
    "%ef%bc%8f",
    "%E2%88%95",
    "%ff",
    ";",
    ";v=1",
    "%3B",
    "&",
    "=",
    "+",
    "%20",
    " ",
    "\t",
    "\0",
    "é",
    "／",
    "%61",
    "%41",
    "http://rack/",
    "@",
    ":",
    "[",
    "]",
    "{",
    "}",
    "|",
    "^",
    "`",
    "<",
    "\"",
    "'",
    "*",
    "!",
    "$",
    ",",
    "~",
    "-",
    "_",
    "0",
    "exec",
    "logs",
    "files",
    "import",
    ".tgz",
    ".tgz.tgz",
    "generate",
    "keyroll",
    "data",
    "objects",
    "promote",
    "system",
    "jwt",
    "token",
    "env",
    "command=sh",
    "limit=1",
    "force=true",
    "App",
    "K",
    "ſ",
];

const VALUES: &[&str] = &[
    "myapp",
    "web-1",
    "BTWTPUOVZVQ",
    "RAVUYHNASLL",
    "R1.tgz",
    "logs",
    "exec",
    "import",
    "generate",
    "keyroll",
    "443",
    "65536",
    "db.internal",
    "10.0.0.1",
    "::1",
    "2001:db8::1",
    "index.docker.io/v1/",
    "tmp/x.tgz",
    "a/b/c",
    "cert-1",
];

/// Names of headers and keys that mean something somewhere.
const NAMES: &[&str] = &[
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "expect",
    "user-agent",
    "version",
    "host",
    "authorization",
    "session",
    "rack",
    "convox-actor",
    "x-convox-actor",
    "x_convox_actor",
    "convox-tid",
    "x-host",
    "x-port",
    "cookie",
    "origin",
    "connection",
    "upgrade",
    "command",
    "Command",
    "entrypoint",
    "height",
    "width",
    "tty",
    "image",
    "environment",
    "volumes",
    "privileged",
    "private-key",
    "private_key",
    "filter",
    "prefix",
    "public",
    "force",
    "env",
    "x-anything",
];

fn kind() -> impl Strategy<Value = Kind> {
    select(&KINDS[..])
}

fn template() -> impl Strategy<Value = &'static str> {
    let all = RACK.iter().chain(CONSOLE).map(|row| row.path).chain(REFUSED.iter().map(|refused| refused.path));
    select(all.collect::<Vec<_>>())
}

/// A path of some template, with values of any parameter.
fn plain_path() -> impl Strategy<Value = String> {
    (template(), prop::collection::vec(select(VALUES), 4)).prop_map(|(template, values)| {
        let mut values = values.into_iter();
        let fill = |(index, part): (usize, &str)| match part.split_once('}') {
            Some((_, rest)) if index > 0 => format!("{}{rest}", values.next().unwrap_or("x")),
            _ => part.to_owned(),
        };
        template.split('{').enumerate().map(fill).collect()
    })
}

fn query() -> impl Strategy<Value = String> {
    let key = select(
        RACK.iter().flat_map(|row| row.contract.query.iter().copied()).chain(["command", "x"]).collect::<Vec<_>>(),
    );
    let value = prop_oneof!["[a-z0-9,%+=;-]{0,8}", select(NASTY).prop_map(str::to_owned)];
    let pair = (key, value).prop_map(|(key, value)| format!("{key}={value}"));
    prop_oneof![
        3 => Just(String::new()),
        2 => Just("?".to_owned()),
        3 => prop::collection::vec(pair, 1..3).prop_map(|pairs| format!("?{}", pairs.join("&"))),
    ]
}

/// Encodes some characters, puts nasty pieces somewhere.
fn mutated(path: String, edits: Vec<(usize, u8, &'static str)>) -> String {
    let mut text: Vec<String> = path.chars().map(String::from).collect();
    for (at, how, piece) in edits {
        let at = at % text.len().max(1);
        match how % 5 {
            _ if text.is_empty() => text.push(piece.to_owned()),
            0 => text.insert(at, piece.to_owned()),
            1 => text[at] = text[at].bytes().map(|byte| format!("%{byte:02X}")).collect(),
            2 => text[at] = text[at].bytes().map(|byte| format!("%{byte:02x}")).collect(),
            3 => text[at] = text[at].bytes().map(|byte| format!("%25{byte:02x}")).collect(),
            _ => text[at] = piece.to_owned(),
        }
    }
    text.concat()
}

fn target() -> impl Strategy<Value = String> {
    let edit = (any::<usize>(), any::<u8>(), select(NASTY));
    (plain_path(), query(), prop::collection::vec(edit, 0..4))
        .prop_map(|(path, query, edits)| mutated(path + &query, edits))
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        select(vec![
            "gzip",
            "application/octet-stream",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "0",
            "7"
        ])
        .prop_map(|value| value.as_bytes().to_vec()),
    ];
    prop::collection::vec((select(NAMES), value), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(raw in any::<String>(), kind in kind()) {
        check_target(kind, &raw);
    }

    #[test]
    fn ascii_is_read_or_refused(raw in "/[ -~]{0,40}", kind in kind()) {
        check_target(kind, &raw);
    }

    #[test]
    fn nobody_reads_an_accepted_target_as_another_route(raw in target(), kind in kind()) {
        check_target(kind, &raw);
    }

    /// The strategies reach accepted targets, or the properties above would hold by saying nothing.
    #[test]
    fn canonical_targets_are_fixed_points(raw in target()) {
        if let Ok(target) = Target::parse(&raw) {
            let canonical = target.canonical();
            prop_assert_eq!(Target::parse(&canonical).map(|again| again.canonical()), Ok(canonical));
        }
    }

    #[test]
    fn only_listed_names_pass(raw in target(), kind in kind(), headers in headers()) {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        check_contract(kind, &raw, &headers);
    }

    #[test]
    fn forms_mean_the_same_to_the_rack(row in select(RACK), raw in prop::collection::vec(any::<u8>(), 0..64)) {
        check_form(form_keys(row.contract.body), &raw);
    }

    #[test]
    fn any_values_pass_a_form(row in select(RACK), values in prop::collection::vec("[^\0]{0,24}", 16)) {
        let keys = form_keys(row.contract.body);
        let pairs: Vec<(String, String)> = keys.iter().map(|key| (*key).to_owned()).zip(values).collect();
        let body = rack_gateway::routes::Form { pairs: pairs.clone() }.encode();
        prop_assert_eq!(check_form(keys, body.as_bytes()).map(|form| form.pairs), Some(pairs));
    }

    #[test]
    fn edited_forms_mean_the_same_to_the_rack(
        row in select(RACK),
        values in prop::collection::vec("[ -~]{0,8}", 16),
        edits in prop::collection::vec((any::<usize>(), any::<u8>(), select(NASTY)), 0..4),
    ) {
        let keys = form_keys(row.contract.body);
        let pairs: Vec<String> = keys.iter().zip(values).map(|(key, value)| format!("{key}={value}")).collect();
        check_form(keys, mutated(pairs.join("&"), edits).as_bytes());
    }
}

/// How often the generated targets are accepted: often enough for the properties to mean something.
#[test]
fn generated_targets_are_often_accepted() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = (target(), kind());
    let (mut accepted, mut edited) = (0, 0);
    for _ in 0..4096 {
        let (raw, kind) = strategy.new_tree(&mut runner).expect("a target").current();
        if super::oracle::accept(kind, &raw, &[]).is_some() {
            accepted += 1;
            edited += usize::from(raw.contains('%'));
        }
    }
    assert!(accepted > 100 && edited > 10, "{accepted} accepted, {edited} of them with an escape");
}
