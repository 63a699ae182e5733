//! `deploy-approval wait`: until somebody has decided.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::text::plain;
use super::super::{Done, World};
use super::find::Caller;
use super::{Approval, WaitArguments};

/// Longest single question.
const QUESTION: Duration = Duration::from_mins(5);
/// How much longer than that the gateway may take to answer.
const GRACE: Duration = Duration::from_secs(30);
/// After an answer that is none.
const PAUSE: Duration = Duration::from_secs(2);
/// Answers that are no answers, one after another, before the wait is given up.
const PATIENCE: u32 = 10;

pub(super) async fn wait(arguments: &WaitArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let caller = Caller::new(&gateway, &target, world)?;
    let (app, id) = caller.find(&arguments.which).await?;
    until(&caller, &app, &id, arguments.until.timeout, global, world).await
}

/// Waits, says what came of it, and ends as that says.
pub(super) async fn until(
    caller: &Caller<'_>,
    app: &str,
    id: &str,
    timeout: Duration,
    global: &Global,
    world: &mut World<'_>,
) -> Done {
    let whole = decided(caller, app, id, timeout).await?;
    let approval: Approval = serde_json::from_value(whole.clone())?;
    if global.json {
        writeln!(world.out, "{whole:#}")?;
    } else {
        let [id, app, commit, state] =
            [&approval.id, &approval.app, &approval.commit, &approval.state].map(|text| plain(text));
        let reason = approval.reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map_or(String::new(), |reason| format!(": {}", plain(reason)));
        writeln!(world.out, "{state}: {id} of {app}, commit {commit}{reason}")?;
    }
    Ok(match approval.state.as_str() {
        "approved" | "deployed" => ExitCode::SUCCESS,
        "pending" => {
            writeln!(world.err, "nobody has decided yet")?;
            ExitCode::from(2)
        }
        _ => ExitCode::from(1),
    })
}

/// The request once it is no longer pending, or as it is at the timeout.
async fn decided(caller: &Caller<'_>, app: &str, id: &str, timeout: Duration) -> Result<Value, ClientError> {
    let end = Instant::now() + timeout;
    let mut failures = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match ask(caller, app, id, left.min(QUESTION)).await {
            Ok(whole) if !is_pending(&whole) || Instant::now() >= end => return Ok(whole),
            Ok(_) => {
                // Before its time: not again at once.
                failures = 0;
                tokio::time::sleep(PAUSE.min(left)).await;
            }
            // What breaks off says nothing.
            Err(error) if is_passing(&error) && failures < PATIENCE && Instant::now() < end => {
                failures += 1;
                tokio::time::sleep(PAUSE.min(end.saturating_duration_since(Instant::now()))).await;
            }
            Err(error) => return Err(caller.target.explain(error)),
        }
    }
}

async fn ask(caller: &Caller<'_>, app: &str, id: &str, time: Duration) -> Result<Value, ClientError> {
    let path = ["api", "v1", "apps", app, "deploy-approvals", id, "wait"];
    let seconds = time.as_secs().max(1);
    let query = [("timeout", seconds.to_string())];
    let answer = caller.gateway.get_within(&path, &query, caller.token, time + GRACE).await?;
    answer.expect_status(200)?.json()
}

fn is_pending(whole: &Value) -> bool {
    whole.get("state").and_then(Value::as_str) == Some("pending")
}

/// Whether the next try may go better.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::NotAGateway { .. } => true,
        ClientError::Refused(problem) => problem.status >= 500 || problem.status == 429,
        _ => false,
    }
}
