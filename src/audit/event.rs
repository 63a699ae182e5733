//! What other rooms tell the record, before it is bounded and spelled.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::proof::canonical::Value;

/// Names of values by which a person can be told: a change that names one does so beside the record, with a
/// commitment in it.
pub const PERSONAL: [&str; 5] = ["email", "q", "subject", "user_name.from", "user_name.to"];

/// What kind of record an event becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something is about to happen; an outcome follows.
    Intent,
    /// Something was refused.
    Denial,
    /// The gateway's own state was changed or read by somebody.
    Admin,
    /// The gateway did something by itself.
    System,
    /// Personal values are about to be erased.
    Erasure,
    /// A break of the log was declared.
    Epoch,
}

impl EventKind {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Denial => "denial",
            Self::Admin => "admin",
            Self::System => "system",
            Self::Erasure => "erasure",
            Self::Epoch => "epoch",
        }
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Entity type, such as `User`.
    pub kind: String,
    /// Entity id.
    pub id: String,
}

/// With which credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Such as `cli-session`; never the credential itself.
    pub credential_kind: String,
    /// Its id.
    pub credential_id: String,
}

/// An event. Every string may come from a client: it is bounded and escaped on its way into the
/// record, so that no value can make the append fail. Secrets must not be put here.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind of record it becomes.
    pub kind: EventKind,
    /// The gateway's id of the request; empty when there was none.
    pub request_id: String,
    /// Who acted, when known.
    pub actor: Option<Actor>,
    /// With which credential, when known.
    pub via: Option<Via>,
    /// From where. It becomes the personal value `src_ip`.
    pub source_ip: Option<IpAddr>,
    /// The method of the route, `SOCKET` for upgrades.
    pub method: Option<Cow<'static, str>>,
    /// The path template of the route.
    pub route: Option<Cow<'static, str>>,
    /// The path that was asked for.
    pub path: Option<String>,
    /// What was asked for, `noun:verb`.
    pub action: Cow<'static, str>,
    /// On what, `Type::id`.
    pub resource: Option<String>,
    /// `allow`, `deny` or `challenge`.
    pub decision: Option<Cow<'static, str>>,
    /// Ids of the policies that determined the decision.
    pub reasons: Vec<String>,
    /// What would have helped.
    pub challenges: Vec<String>,
    /// Errors of the evaluation.
    pub errors: Vec<String>,
    /// What would have been decided under other facts.
    pub hypothetical: Option<Value>,
    /// What policies in shadow mode would have decided.
    pub shadow: Vec<Value>,
    /// Digest of the policy bundle.
    pub bundle: Option<String>,
    /// Status of the answer, when it is known already.
    pub status: Option<u16>,
    /// One line for people.
    pub message: Option<String>,
    /// Anything else. Keys are made lower-case snake.
    pub detail: BTreeMap<String, String>,
    /// Personal values by name: the record holds commitments to them. Keys are made lower-case snake.
    pub private: BTreeMap<String, String>,
    /// Of an erasure: the records by the name of the value. Never cut: at most [`ERASED`] bytes when spelled.
    pub erased: BTreeMap<String, Vec<u64>>,
    /// Of a declared break: the epoch that begins.
    pub epoch: Option<Epoch>,
}

/// Bytes that the list of an erasure may take in its record. Whoever erases more does so in several records.
pub const ERASED: usize = 60 * 1024;

/// A declared break of the log, as its record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The epoch that begins.
    pub number: u64,
    /// Number of the last anchor of the epoch before.
    pub anchor: u64,
    /// SHA-256 of that anchor's checkpoint note.
    pub checkpoint: [u8; 32],
    /// Size of the last anchor whose tree is a prefix of the kept records; 0 if there is none.
    pub kept: u64,
    /// Size of the last anchor.
    pub lost: u64,
}

impl Event {
    /// An event with nothing but what every record has.
    #[must_use]
    pub fn new(kind: EventKind, request_id: impl Into<String>, action: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            request_id: request_id.into(),
            actor: None,
            via: None,
            source_ip: None,
            method: None,
            route: None,
            path: None,
            action: action.into(),
            resource: None,
            decision: None,
            reasons: Vec::new(),
            challenges: Vec::new(),
            errors: Vec::new(),
            hypothetical: None,
            shadow: Vec::new(),
            bundle: None,
            status: None,
            message: None,
            detail: BTreeMap::new(),
            private: BTreeMap::new(),
            erased: BTreeMap::new(),
            epoch: None,
        }
    }

    /// Tells what changes: personal values beside the record, everything else in it.
    pub fn tell(&mut self, change: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in change {
            let map = if PERSONAL.contains(&name.as_str()) { &mut self.private } else { &mut self.detail };
            map.insert(name, value);
        }
    }
}

/// How something that was allowed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeResult {
    /// The rack answered and the answer was passed on in full.
    Completed,
    /// The rack could not be reached or broke off.
    UpstreamError,
    /// The client went away.
    ClientGone,
    /// The gateway let go of it without saying why: never in good order.
    Abandoned,
    /// The gateway ended before the end was known.
    Unknown,
}

impl OutcomeResult {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::UpstreamError => "upstream_error",
            Self::ClientGone => "client_gone",
            Self::Abandoned => "abandoned",
            Self::Unknown => "unknown",
        }
    }
}

/// The second half of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub result: OutcomeResult,
    /// Status that the client was given.
    pub status: Option<u16>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// From the intent to the last byte.
    pub duration_ms: u64,
    /// One line for people.
    pub message: Option<String>,
}

impl Outcome {
    /// An outcome that says nothing but how it ended.
    #[must_use]
    pub const fn of(result: OutcomeResult) -> Self {
        Self { result, status: None, bytes_in: 0, bytes_out: 0, duration_ms: 0, message: None }
    }
}
