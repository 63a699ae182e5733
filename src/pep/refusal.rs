//! What stops a request: the reason, its record, and what the caller is told.

use crate::audit::Unavailable;
use crate::factor::FactorError;
use crate::identity::{CredentialError, IdentifyError};
use crate::pdp::{Decision, Verdict};
use crate::routes::{BadParameter, ContractError, Refused, Row, TargetError};

use super::{ErrandError, Gate, Posed, Trace, Wanted, Way, event};

/// Why a request stops.
#[derive(Debug)]
pub enum Refusal {
    /// The target has no single meaning.
    BadTarget(TargetError),
    /// The request has no single meaning: stable name, sentence for people.
    BadRequest(&'static str, &'static str),
    /// Together with what the rack holds, the request has no single meaning: stable name, sentence for people.
    Unclear(&'static str, String),
    /// The `Host` is another one.
    WrongHost,
    /// A page of another site makes the browser ask: stable name, sentence for people.
    CrossSite(&'static str, &'static str),
    /// Too often: seconds until the next try may pass.
    TooMany(u64),
    /// Signing in fails.
    SignIn(Box<SignInRefusal>),
    /// A path parameter has a value that nothing on a rack can have.
    BadParameter(BadParameter),
    /// Nobody is calling, or it cannot be known.
    Credential(IdentifyError),
    /// No line of the table: stable name.
    UnknownRoute(&'static str),
    /// A line that never passes.
    RefusedRoute(&'static Refused),
    /// The request carries what its row does not.
    BadContract(ContractError),
    /// Policy denies.
    Denied(Box<Decision>),
    /// Policy denies, and says what would help; and what the person was asked for, where there is
    /// something to ask.
    Challenged(Box<Decision>, Option<Box<Wanted>>),
    /// Policy asks for an approval of this deploy: what to do, for people.
    Unapproved(Box<Decision>, String),
    /// A socket was refused before, and this is the place to ask for what it needs.
    BeforeSocket(Box<Posed>),
    /// A second factor came with the request and does not hold.
    Factor(FactorError),
    /// What the request means could not be looked up on the rack.
    Rack(ErrandError),
    /// No record, no forward.
    Unrecorded(Unavailable),
}

/// Why somebody could not sign in.
#[derive(Debug)]
pub struct SignInRefusal {
    /// HTTP status.
    pub status: u16,
    /// Stable name.
    pub slug: &'static str,
    /// What happened.
    pub what: String,
    /// What an operator or the person may look at, a sentence each.
    pub check: Vec<String>,
}

impl Refusal {
    /// Of a decision that does not allow.
    pub(super) fn of(decision: Decision, wanted: Option<Wanted>) -> Self {
        match decision.verdict() {
            Verdict::Challenge => Self::Challenged(Box::new(decision), wanted.map(Box::new)),
            Verdict::Allow | Verdict::Deny => Self::Denied(Box::new(decision)),
        }
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadTarget(error) => error.status(),
            Self::BadParameter(error) => error.status(),
            Self::BadRequest(..) | Self::Unclear(..) => 400,
            Self::WrongHost => 421,
            Self::TooMany(_) => 429,
            Self::SignIn(refusal) => refusal.status,
            Self::BadContract(error) => error.status(),
            Self::Credential(IdentifyError::Unavailable(_)) | Self::Unrecorded(_) => 503,
            Self::Credential(_) => 401,
            Self::Rack(ErrandError::Missing) | Self::UnknownRoute(_) => 404,
            Self::Rack(_) => 502,
            Self::Challenged(..) | Self::BeforeSocket(_) => self.wanted().map_or(403, |wanted| wanted.status()),
            Self::Factor(error) => error.status(),
            Self::CrossSite(..) | Self::RefusedRoute(_) | Self::Denied(_) | Self::Unapproved(..) => 403,
        }
    }

    /// Stable name, for records and programs.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::BadTarget(error) => error.slug(),
            Self::BadRequest(slug, _)
            | Self::Unclear(slug, _)
            | Self::CrossSite(slug, _)
            | Self::UnknownRoute(slug) => slug,
            Self::WrongHost => "host",
            Self::TooMany(_) => "too-many",
            Self::SignIn(refusal) => refusal.slug,
            Self::BadParameter(error) => error.slug(),
            Self::Credential(error) => error.slug(),
            Self::RefusedRoute(_) => "refused-route",
            Self::BadContract(error) => error.slug(),
            Self::Denied(_) => "denied",
            Self::Challenged(_, Some(wanted)) if matches!(**wanted, Wanted::Enrol) => "enrolment",
            Self::Challenged(..) | Self::BeforeSocket(_) => "challenge",
            Self::Unapproved(..) => "approval-needed",
            Self::Factor(error) => error.slug(),
            Self::Rack(ErrandError::Missing) => "rack-missing",
            Self::Rack(_) => "rack-unreadable",
            Self::Unrecorded(_) => "audit-unavailable",
        }
    }

    /// What happened and what to do next, for people; without the character that the CLI would
    /// take for a format.
    fn message(&self, gate: &Gate) -> String {
        let text = match self {
            Self::BadTarget(error) => format!("refused: {error}"),
            Self::BadRequest(_, text) | Self::CrossSite(_, text) => format!("refused: {text}"),
            Self::Unclear(_, text) => format!("refused: {text}"),
            Self::WrongHost => format!("refused: this gateway answers as {} only", gate.site.domain()),
            Self::TooMany(seconds) => format!("too many attempts: try again in {seconds} seconds"),
            Self::SignIn(refusal) => refusal.what.clone(),
            Self::BadParameter(error) => format!("refused: {error}"),
            Self::Credential(error) => return credential(error, gate.site.domain()),
            Self::UnknownRoute(_) => "refused: no such route on this rack".to_owned(),
            Self::RefusedRoute(refused) => format!("refused: {}", refused.reason),
            Self::BadContract(error) => format!("refused: {error}"),
            Self::Denied(decision) => decision.explain(),
            Self::Challenged(decision, wanted) => challenged(&decision.explain(), wanted.as_deref(), gate),
            Self::Unapproved(decision, what) => format!("{}; {what}", decision.explain()),
            Self::BeforeSocket(posed) => told("a second factor is needed for what was refused before", posed),
            Self::Factor(error) => error.to_string(),
            Self::Rack(ErrandError::Missing) => {
                "refused: the rack has nothing of that name, so what this would change cannot be known".to_owned()
            }
            Self::Rack(error) => format!("what this would change cannot be looked up: {error}; try again"),
            Self::Unrecorded(_) => {
                "the audit log cannot be written, so nothing passes; try again, and tell the operator".to_owned()
            }
        };
        text.replace('%', "")
    }

    /// The decision, where policy was asked.
    pub(super) fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Denied(decision) | Self::Challenged(decision, _) | Self::Unapproved(decision, _) => Some(decision),
            Self::BadTarget(_)
            | Self::BadRequest(..)
            | Self::Unclear(..)
            | Self::WrongHost
            | Self::CrossSite(..)
            | Self::TooMany(_)
            | Self::SignIn(_)
            | Self::BadParameter(_)
            | Self::Credential(_)
            | Self::UnknownRoute(_)
            | Self::RefusedRoute(_)
            | Self::BadContract(_)
            | Self::BeforeSocket(_)
            | Self::Factor(_)
            | Self::Rack(_)
            | Self::Unrecorded(_) => None,
        }
    }

    /// What the person is asked for.
    fn wanted(&self) -> Option<Wanted> {
        match self {
            Self::Challenged(_, wanted) => wanted.as_deref().cloned(),
            Self::BeforeSocket(posed) => Some(Wanted::Answer((**posed).clone())),
            _ => None,
        }
    }
}

fn challenged(explained: &str, wanted: Option<&Wanted>, gate: &Gate) -> String {
    match wanted {
        Some(Wanted::Answer(posed)) => told(explained, posed),
        Some(Wanted::Enrol) => {
            format!("{explained}; you have no second factor yet: set one up at {}/app/factors", gate.site.origin)
        }
        None => explained.to_owned(),
    }
}

/// What happened, and where to go. The CLI shows its own link, and so does a terminal that waits.
fn told(explained: &str, posed: &Posed) -> String {
    match posed.way {
        Way::Link => format!("{explained}; confirm it at {} and run the same command again", posed.url),
        Way::Web | Way::Console | Way::Socket => explained.to_owned(),
    }
}

/// The only text that reaches a person from `GET /racks` is the one about expiry, so it stands for
/// every credential that once was good.
fn credential(error: &IdentifyError, domain: &str) -> String {
    match error {
        IdentifyError::Expired | IdentifyError::Revoked => {
            format!("cli token is expired; run convox login {domain}")
        }
        IdentifyError::Unknown => format!("the credential is not known; run convox login {domain}"),
        IdentifyError::Credential(CredentialError::Missing) => {
            format!("no credential was sent; set RACK_URL to https://convox:TOKEN@{domain}")
        }
        IdentifyError::Credential(CredentialError::Malformed) => {
            format!("the Authorization header cannot be read; set RACK_URL to https://convox:TOKEN@{domain}")
        }
        IdentifyError::Unavailable(_) => {
            "the database of credentials cannot be read, so nothing passes; try again, and tell the operator".to_owned()
        }
    }
}

/// A request that stopped, not yet recorded. It cannot be answered before it is.
#[derive(Debug)]
#[must_use]
pub struct Stopped {
    trace: Trace,
    refusal: Refusal,
}

/// A request that stopped and whose record is durable, or that says it could not be made so.
#[derive(Debug)]
#[must_use]
pub struct Recorded {
    /// HTTP status.
    pub status: u16,
    /// Stable name.
    pub slug: &'static str,
    /// For people.
    pub message: String,
    /// Id of the request and of its record.
    pub request_id: String,
    /// The row, where one was found.
    pub row: Option<&'static Row>,
    /// Whether a websocket was asked for.
    pub socket: bool,
    /// Whether the caller is known.
    pub identified: bool,
    /// Seconds until the next try may pass, when there were too many.
    pub retry_after: Option<u64>,
    /// What to look at when signing in failed.
    pub check: Vec<String>,
    /// What the person is asked for, where policy says that it would help.
    pub wanted: Option<Wanted>,
}

impl Stopped {
    pub(super) fn new(trace: Trace, refusal: Refusal) -> Box<Self> {
        Box::new(Self { trace, refusal })
    }

    /// Records why the request stopped. When that cannot be made durable the caller is told so
    /// instead of the reason.
    pub async fn record(self, gate: &Gate) -> Recorded {
        let Self { trace, refusal } = self;
        let message = refusal.message(gate);
        let status = refusal.status();
        let appended = match &refusal {
            Refusal::Unrecorded(_) => Ok(()),
            refusal => gate.audit.append(event::stopped(&trace, refusal, &message)).await.map(|_| ()),
        };
        if let Refusal::Credential(IdentifyError::Unavailable(error)) = &refusal {
            tracing::error!(request.id = trace.request_id, %error, "credentials cannot be read");
        }
        match appended {
            Ok(()) => {
                let wanted = refusal.wanted();
                let recorded = Recorded { wanted, ..recorded(trace, status, refusal.slug(), message) };
                match refusal {
                    Refusal::TooMany(seconds) => Recorded { retry_after: Some(seconds), ..recorded },
                    Refusal::SignIn(refusal) => Recorded { check: refusal.check, ..recorded },
                    _ => recorded,
                }
            }
            Err(error) => {
                let refusal = Refusal::Unrecorded(error);
                let message = refusal.message(gate);
                recorded(trace, refusal.status(), refusal.slug(), message)
            }
        }
    }
}

fn recorded(trace: Trace, status: u16, slug: &'static str, message: String) -> Recorded {
    tracing::info!(
        request.id = trace.request_id,
        route = trace.row.map(|row| row.path),
        status,
        reason = slug,
        "request refused"
    );
    Recorded {
        status,
        slug,
        message,
        row: trace.row,
        socket: trace.socket,
        identified: trace.identity.is_some(),
        retry_after: None,
        check: Vec::new(),
        wanted: None,
        request_id: trace.request_id,
    }
}
