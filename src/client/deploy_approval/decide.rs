//! `deploy-approval approve` and `reject`.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::target::Target;
use super::super::text::plain;
use super::super::{Done, World};
use super::find::Caller;
use super::{Approval, ApproveArguments, Factor, RejectArguments, Which, step_up};

pub(super) async fn approve(arguments: &ApproveArguments, global: &Global, world: &mut World<'_>) -> Done {
    let notes = arguments.notes.clone().map(|notes| ("notes".to_owned(), json!(notes)));
    let body = Value::Object(Map::from_iter(notes));
    decide("approve", &arguments.which, &body, &arguments.factor, global, world).await
}

pub(super) async fn reject(arguments: &RejectArguments, global: &Global, world: &mut World<'_>) -> Done {
    let body = json!({ "reason": arguments.reason });
    decide("reject", &arguments.which, &body, &arguments.factor, global, world).await
}

async fn decide(
    verb: &str,
    which: &Which,
    body: &Value,
    factor: &Factor,
    global: &Global,
    world: &mut World<'_>,
) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let caller = Caller::new(&gateway, &target, world)?;
    let (app, id) = caller.find(which).await?;
    let path = ["api", "v1", "apps", &app, "deploy-approvals", &id, verb];
    let whole: Value = step_up::post(&caller, &path, body, factor.mfa_code.as_deref(), world).await?.json()?;
    if global.json {
        writeln!(world.out, "{whole:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let decided: Approval = serde_json::from_value(whole)?;
    let [id, app, commit, state] = [&decided.id, &decided.app, &decided.commit, &decided.state].map(|text| plain(text));
    match (state.as_str(), decided.needed) {
        ("pending", Some(more)) => writeln!(world.out, "noted: {id} of {app}, commit {commit}, needs {more} more")?,
        ("pending", None) => writeln!(world.out, "noted: {id} of {app}, commit {commit}, needs others as well")?,
        _ => writeln!(world.out, "{state}: {id} of {app}, commit {commit}")?,
    }
    Ok(ExitCode::SUCCESS)
}
