//! What is recorded of proofs, and what the person is told. Never what they answered.

use super::{Desk, FactorError, Method};
use crate::audit::{Actor, Event, EventKind};

/// Why the gateway locks somebody.
pub(super) const LOCKED: &str = "five wrong answers to the second factor within five minutes";

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Verified,
    Rejected,
    /// Nobody could tell.
    Unavailable,
}

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        }
    }

    /// How something ended that gave this.
    pub(super) const fn of<T>(result: &Result<T, FactorError>) -> Self {
        match result {
            Ok(_) => Self::Verified,
            Err(FactorError::Unavailable(_)) => Self::Unavailable,
            Err(_) => Self::Rejected,
        }
    }
}

/// What a verification is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Proof,
    Enrolment,
}

/// Records that somebody showed something.
pub(super) async fn verified(
    desk: &Desk<'_>,
    user_id: &str,
    (purpose, method): (Purpose, Method),
    ended: Ended,
    factor_id: Option<&str>,
) -> Result<(), FactorError> {
    let mut event = event(desk, user_id, "factor:verify");
    event.actor = Some(Actor { kind: "User".to_owned(), id: user_id.to_owned() });
    let purpose = match purpose {
        Purpose::Proof => "proof",
        Purpose::Enrolment => "enrolment",
    };
    for (name, value) in [("method", method.as_str()), ("result", ended.as_str()), ("purpose", purpose)] {
        event.detail.insert(name.to_owned(), value.to_owned());
    }
    if let Some(id) = factor_id {
        event.detail.insert("factor".to_owned(), id.to_owned());
    }
    desk.audit.append(event).await?;
    Ok(())
}

/// Records that the gateway locks somebody.
pub(super) async fn locked(desk: &Desk<'_>, user_id: &str) -> Result<(), FactorError> {
    let mut event = event(desk, user_id, "user:lock");
    event.detail.insert("reason".to_owned(), LOCKED.to_owned());
    event.detail.insert("by".to_owned(), "gateway".to_owned());
    desk.audit.append(event).await?;
    Ok(())
}

/// Tells the person something on their account page. What was done stays done when that fails.
pub(super) async fn tell(desk: &Desk<'_>, user_id: &str, kind: &str, text: &str) {
    if let Err(error) = desk.store.notice_add(user_id, kind, text, desk.now).await {
        tracing::error!(%error, user = user_id, kind, "a person is not told what happened to their account");
    }
}

fn event(desk: &Desk<'_>, user_id: &str, action: &'static str) -> Event {
    Event {
        source_ip: desk.source_ip,
        resource: Some(format!("User::{user_id}")),
        ..Event::new(EventKind::System, desk.request_id, action)
    }
}
