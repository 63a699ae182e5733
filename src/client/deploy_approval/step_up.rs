//! A request that needs a second factor of its own: the gateway names a page, the person answers there, and the same
//! request is sent again.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::super::World;
use super::super::address::safe_url;
use super::super::api::{Answer, Body};
use super::super::error::ClientError;
use super::super::text::plain;
use super::find::Caller;

/// Between two questions whether the page was answered.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for the person.
const LONGEST: Duration = Duration::from_mins(10);
/// Answers that are no answers, one after another, before the wait is given up.
const PATIENCE: u32 = 5;

/// What is to be answered.
#[derive(Deserialize)]
struct Challenge {
    id: String,
    url: String,
}

#[derive(Deserialize)]
struct Challenged {
    challenge: Challenge,
}

#[derive(Deserialize)]
struct State {
    state: String,
}

/// Sends a request that the gateway may want a second factor for; gives the answer that says yes.
pub(super) async fn post(
    caller: &Caller<'_>,
    path: &[&str],
    body: &Value,
    code: Option<&str>,
    world: &mut World<'_>,
) -> Result<Answer, ClientError> {
    let first = send(caller, path, body, code).await?;
    let challenge = match challenge(&first) {
        // A code that was shown and is not enough is no reason to show another.
        Some(challenge) if code.is_none() => challenge,
        Some(_) | None => return first.expect_status(200).map_err(|error| caller.target.explain(error)),
    };
    safe_url(&challenge.url).map_err(|error| caller.gateway.is_none(format!("its page to confirm: {error}")))?;
    writeln!(world.err, "confirm it with your second factor:\n\n    {}\n", plain(&challenge.url))?;
    answered(caller, &challenge.id).await?;
    let second = send(caller, path, body, None).await?;
    second.expect_status(200).map_err(|error| caller.target.explain(error))
}

async fn send(caller: &Caller<'_>, path: &[&str], body: &Value, code: Option<&str>) -> Result<Answer, ClientError> {
    let factor = code.map(|code| format!("totp={}", code.trim()));
    caller.gateway.send_with_factor(Method::POST, path, caller.token, Body::Json(body), factor.as_deref()).await
}

fn challenge(answer: &Answer) -> Option<Challenge> {
    if !matches!(answer.status, 401 | 403) {
        return None;
    }
    answer.json::<Challenged>().ok().map(|challenged| challenged.challenge)
}

/// Waits until the person has answered.
async fn answered(caller: &Caller<'_>, id: &str) -> Result<(), ClientError> {
    let end = Instant::now() + LONGEST;
    let mut failures = 0;
    while Instant::now() < end {
        tokio::time::sleep(PAUSE).await;
        let answer = match caller.gateway.get(&["api", "v1", "challenges", id], caller.token).await {
            Ok(answer) if answer.status < 500 && answer.status != 429 => answer,
            Ok(_) | Err(ClientError::Unreachable { .. }) if failures < PATIENCE => {
                failures += 1;
                continue;
            }
            Ok(answer) => return Err(answer.problem()),
            Err(error) => return Err(error),
        };
        failures = 0;
        let answer = answer.expect_status(200).map_err(|error| caller.target.explain(error))?;
        match answer.json::<State>()?.state.as_str() {
            "open" => {}
            "answered" | "completed" => return Ok(()),
            _ => break,
        }
    }
    Err(ClientError::Unconfirmed)
}
