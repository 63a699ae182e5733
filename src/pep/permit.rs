//! The proof that a request may go on.

use actix_web::web::Bytes;

use crate::audit::Intent;
use crate::pdp::{Decision, Verdict};
use crate::routes::{Kind, Outgoing, Row};

use super::follow::Followers;
use super::{Granted, Recheck};

/// Proof that the decision point allowed this very request, and that an intent record of it is
/// durable.
///
/// # Invariants
/// Only `Gathered::decide` makes one. Neither `Clone` nor `Default`; consumed on use: one
/// decision forwards at most one request.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    row: &'static Row,
    prepared: Prepared,
    intent: Intent,
    followers: Followers,
}

/// The same proof for a row that the gateway answers itself.
#[derive(Debug)]
#[must_use]
pub struct OwnPermit {
    granted: Granted,
    intent: Intent,
}

/// What a decision that allows leads to.
#[derive(Debug)]
#[must_use]
pub enum Passed {
    /// To the rack, with the question for as long as it lasts.
    Rack(Box<Permit>, Box<Recheck>),
    /// To the gateway's own answer.
    Own(Box<OwnPermit>),
}

/// A request as the rack will get it, rebuilt from what was classified.
#[derive(Debug)]
pub struct Prepared {
    /// Method, target and headers.
    pub outgoing: Outgoing,
    /// Body.
    pub body: PreparedBody,
    /// Who acts, for the rack's own log (`Convox-Actor`).
    pub actor: String,
    /// Id of the request (`Convox-TID`).
    pub request_id: String,
    /// HTTP or socket.
    pub kind: Kind,
}

/// Where the body comes from.
#[derive(Debug)]
pub enum PreparedBody {
    /// There is none.
    Empty,
    /// Read, checked and written again.
    Bytes(Bytes),
    /// Still with the client; it is streamed.
    Stream,
}

impl Permit {
    /// The one constructor: none without an Allow, and none without a durable intent.
    pub(super) fn new(
        decision: &Decision,
        row: &'static Row,
        prepared: Prepared,
        intent: Intent,
        followers: Followers,
    ) -> Option<Self> {
        (decision.verdict() == Verdict::Allow).then_some(Self { row, prepared, intent, followers })
    }

    /// Which line of the table it permits.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// Id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.prepared.request_id
    }

    /// What to send, the intent to complete, and what to do with the answer. Spends the permit.
    pub(crate) fn into_parts(self) -> (Prepared, Intent, Followers) {
        (self.prepared, self.intent, self.followers)
    }
}

impl OwnPermit {
    /// The one constructor.
    pub(super) fn new(decision: &Decision, granted: Granted, intent: Intent) -> Option<Self> {
        (decision.verdict() == Verdict::Allow).then_some(Self { granted, intent })
    }

    /// What was granted, and the intent to complete. Spends the permit.
    pub(crate) fn into_parts(self) -> (Granted, Intent) {
        (self.granted, self.intent)
    }
}
