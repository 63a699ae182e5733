//! Hostile requests: each is refused for its own reason, or loses what is hostile in it.
//!
//! `tests/fixtures/hostile-targets.json` is data for the test over HTTP too. `wire: false` marks what
//! no HTTP client can deliver or no HTTP server hand over unchanged, and what the server refuses
//! for a reason of its own before it asks the table; then only the library is asked.

use rack_gateway::routes::{Body, Found, Kind, Outgoing, Target, find};
use serde::Deserialize;

const CASES: &str = include_str!("../../fixtures/hostile-targets.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub method: String,
    pub target: String,
    pub upgrade: Option<String>,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Option<String>,
    pub expect: String,
    pub expect_status: u16,
    /// Text that must not be in what is forwarded.
    #[serde(default)]
    pub absent: Vec<String>,
    pub action: Option<String>,
    pub wire: Option<bool>,
}

type Refusal = (&'static str, u16);

pub fn cases() -> Vec<Case> {
    serde_json::from_str(CASES).expect("cases")
}

impl Case {
    fn kind(&self) -> Option<Kind> {
        Kind::of(&self.method, self.upgrade.as_deref() == Some("websocket"))
    }

    /// All headers, lower-case, as a client would send them.
    fn all_headers(&self) -> Vec<(String, Vec<u8>)> {
        let own = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone().into_bytes()));
        let mut all: Vec<(String, Vec<u8>)> = own.collect();
        let mut add = |name: &str, value: Vec<u8>| all.push((name.to_owned(), value));
        if let Some(value) = &self.content_type {
            add("content-type", value.clone().into_bytes());
        }
        if let Some(body) = &self.body {
            add("content-length", body.len().to_string().into_bytes());
        }
        if let Some(value) = &self.upgrade {
            add("connection", b"Upgrade".to_vec());
            add("upgrade", value.clone().into_bytes());
        }
        all
    }

    fn drive(&self) -> Result<(&'static str, Outgoing, String), Refusal> {
        let target = Target::parse(&self.target).map_err(|error| (error.slug(), error.status()))?;
        let Some(kind) = self.kind() else { return Err(("unknown-route", 404)) };
        let matched = match find(kind, target) {
            Found::Row(matched) => matched,
            other => return Err((other.slug().expect("a refusal"), other.status().expect("a refusal"))),
        };
        let headers = self.all_headers();
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let outgoing = matched.request(&headers).map_err(|error| (error.slug(), error.status()))?;
        let body = match outgoing.body {
            Body::Form { .. } => {
                let raw = self.body.as_deref().unwrap_or_default().as_bytes();
                let form = outgoing.form(raw).map_err(|error| (error.slug(), error.status()))?;
                matched.check_object(&form).map_err(|error| (error.slug(), error.status()))?;
                form.encode()
            }
            Body::None | Body::Inspect { .. } | Body::Stream | Body::Json { .. } => String::new(),
        };
        Ok((matched.row().action, outgoing, body))
    }
}

#[test]
fn every_hostile_request_is_refused_or_stripped() {
    let mut wrong = Vec::new();
    for case in cases() {
        let problem = match case.drive() {
            Err(refusal) => (refusal != (case.expect.as_str(), case.expect_status)).then(|| format!("{refusal:?}")),
            Ok((action, outgoing, body)) => {
                let mut sent = format!("{} {}\n{body}", outgoing.method, outgoing.target);
                for (name, value) in &outgoing.headers {
                    sent += &format!("\n{name}: {}", String::from_utf8_lossy(value));
                }
                let left = case.absent.iter().find(|text| sent.contains(*text));
                let good = case.expect == "stripped" && Some(action) == case.action.as_deref() && left.is_none();
                (!good).then(|| format!("accepted as {action}: {sent}"))
            }
        };
        if let Some(problem) = problem {
            wrong.push(format!("{}: expected {} {}, got {problem}", case.name, case.expect, case.expect_status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The file keeps what the HTTP test needs, and covers every reason for a refusal.
#[test]
fn cases_cover_every_reason() {
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name twice");
    assert!(cases.iter().all(|case| case.expect != "stripped" || (case.action.is_some() && !case.absent.is_empty())));
    assert!(cases.iter().filter(|case| case.wire != Some(false)).count() >= 200);
    let slugs: std::collections::BTreeSet<_> = cases.iter().map(|case| case.expect.as_str()).collect();
    // Targets, queries and forms, headers, bodies, routes, stripped. A body too large is no matter
    // of data: the contract's own tests have the case.
    assert_eq!(slugs.len(), 17 + 7 + 8 + 4 + 5 + 4 + 1, "{slugs:?}");
}
