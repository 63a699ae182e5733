//! The ways to sign in: a person at the browser, a person at a CLI, a CI run. Each begins with
//! somebody unknown, proves who it is, and ends in a decision of policy about exactly that.

mod cli;
mod confirm;
mod person;
mod session;
mod token;
mod web;

pub(super) use cli::{complete as cli_complete, start as cli_start};
pub(super) use confirm::confirm as cli_confirm;
pub(super) use session::end as session_end;
pub(super) use token::exchange;
pub(super) use web::{cli_callback, login, web_callback};

use url::form_urlencoded;

use super::public::Visit;
use super::{Problem, Reply};
use crate::identity::{IdentifyError, IssueError, Rules};
use crate::pep::{Accepted, Refusal, SignInRefusal};
use crate::store::StoreError;

/// Ends a sign-in that fails: status, stable name, what happened, what to check.
fn refusal(status: u16, slug: &'static str, what: impl Into<String>, check: &[&str]) -> Refusal {
    let check = check.iter().map(|line| (*line).to_owned()).collect();
    Refusal::SignIn(Box::new(SignInRefusal { status, slug, what: what.into(), check }))
}

fn unreadable(error: StoreError) -> Refusal {
    Refusal::Credential(IdentifyError::Unavailable(error))
}

fn not_issued(error: &IssueError) -> Refusal {
    tracing::error!(%error, "no credential could be made");
    refusal(503, "not-issued", "no credential could be made; try again, and tell the operator", &[])
}

/// What the settings say now.
async fn rules(visit: &Visit) -> Result<Rules, Refusal> {
    let unset = |_: Problem| refusal(503, "settings", "the settings cannot be read; try again", &[]);
    visit.services.rules().await.map_err(unset)
}

/// The parameters of the query. One that is there twice has two meanings.
fn query(accepted: &Accepted) -> Result<Vec<(String, String)>, Refusal> {
    let raw = accepted.request().uri().query().unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
    let twice = |name: &str| pairs.iter().filter(|(known, _)| known == name).count() > 1;
    match pairs.iter().any(|(name, _)| twice(name)) {
        true => Err(Refusal::BadRequest("parameter-duplicate", "a parameter is there twice")),
        false => Ok(pairs),
    }
}

fn parameter<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// JSON of a known shape out of a body.
fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let unusable =
        |error: serde_json::Error| refusal(400, "body-shape", format!("the body cannot be read: {error}"), &[]);
    serde_json::from_slice(body).map_err(unusable)
}

/// An answer in JSON; the values that are answered here always have that form.
fn answer(value: &serde_json::Value) -> Reply {
    Reply::json(value).unwrap_or_else(|_| Reply::done())
}

/// Ends the visit with `Err` when something refuses.
macro_rules! or_stop {
    ($accepted:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(refusal) => return Err($accepted.stop(refusal)),
        }
    };
}
use or_stop;
