//! `/api/v1/health` (the process lives) and `/api/v1/ready` (it can do its work, or what is wrong).
//! Public: they name no user, no route and no secret.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::audit::{AnchorLevel, AnchorState, LastAnchor};
use crate::outbox::OutboxStates;
use crate::pep::{BundleStatus, Gate};
use crate::upstream::{self, Rack};

use super::answer::json as answer_json;

#[derive(Serialize)]
struct Ready {
    ready: bool,
    database: Check,
    audit: Check,
    anchors: Anchoring,
    policy: Check,
    rack: Check,
    outbox: Outbox,
}

#[derive(Serialize)]
struct Check {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// How well the log is anchored outside the database. Told, and no reason to take a replica out: that
/// would mend nothing, and make an outage of the bucket one of the rack. Policy refuses what must wait.
#[derive(Serialize)]
struct Anchoring {
    ok: bool,
    /// `off`, `green`, `amber`, `red` or `overdue`.
    state: &'static str,
    /// Seconds since the oldest record was written that no anchor covers.
    unanchored_s: u64,
    /// Records that no anchor covers.
    unanchored: u64,
    /// A folder or a software key stands in for S3 and KMS: nobody is kept from changing anchors.
    development: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastAnchor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// How notices are doing. Told, and no reason to take a replica out: nobody's request waits for them.
#[derive(Serialize)]
struct Outbox {
    ok: bool,
    /// `on`, or `off` where there is nobody to send to.
    state: &'static str,
    /// Notices that wait.
    waiting: u64,
    /// Age of the oldest of them, in seconds.
    oldest_s: u64,
    /// Notices that were given up in the last seven days.
    dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Outbox {
    fn of(states: &OutboxStates, now: OffsetDateTime) -> Self {
        let state = states.now();
        let problem = state.problem(now);
        Self {
            ok: problem.is_none(),
            state: if state.is_on { "on" } else { "off" },
            waiting: state.counts.waiting,
            oldest_s: state.oldest_s(now),
            dead: state.counts.dead,
            problem,
        }
    }
}

impl Anchoring {
    fn of(state: AnchorState) -> Self {
        let ok = matches!(state.level, AnchorLevel::Off | AnchorLevel::Green) && state.fault.is_none();
        Self {
            ok,
            state: state.level.as_str(),
            unanchored_s: state.unanchored_s,
            unanchored: state.unanchored,
            development: state.development,
            last: state.last,
            problem: state.fault,
        }
    }
}

impl Check {
    const fn good(detail: Option<String>) -> Self {
        Self { ok: true, problem: None, detail }
    }

    const fn bad(problem: String) -> Self {
        Self { ok: false, problem: Some(problem), detail: None }
    }
}

/// The process lives.
pub(super) async fn health() -> HttpResponse {
    answer_json(StatusCode::OK, &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// It can do its work, or what is wrong.
pub(super) async fn ready(
    gate: Data<Gate>,
    rack: Data<Rack>,
    bundle: Data<BundleStatus>,
    outbox: Data<OutboxStates>,
) -> HttpResponse {
    let database = match gate.store.ping().await {
        Ok(()) => Check::good(None),
        Err(error) => Check::bad(format!("the database does not answer: {error}")),
    };
    let rack = match upstream::ping(&rack).await {
        Ok(()) => Check::good(None),
        Err(error) => Check::bad(format!("the rack does not answer: {error}")),
    };
    let audit = audit(&gate);
    let anchors = Anchoring::of(gate.anchors.state());
    let outbox = Outbox::of(&outbox, gate.clock.now());
    let policy = match bundle.problem() {
        None => Check::good(Some(gate.active.load().digest().to_owned())),
        Some(problem) => Check { detail: Some(gate.active.load().digest().to_owned()), ..Check::bad(problem) },
    };
    // A bundle that failed to load leaves the one before it at work: a warning, not an outage.
    let ready = database.ok && audit.ok && rack.ok;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer_json(status, &Ready { ready, database, audit, anchors, policy, rack, outbox })
}

fn audit(gate: &Gate) -> Check {
    let status = gate.audit.status();
    match (status.healthy, status.accepting) {
        (true, true) => Check::good(Some(format!("last record {}", status.head))),
        (false, _) => Check::bad("the last records could not be written; nothing passes until they can".to_owned()),
        (true, false) => Check::bad(format!("{} outcomes wait to be written; nothing passes", status.backlog)),
    }
}
