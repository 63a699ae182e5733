//! `deploy-approval request`: asks, and waits where that is wanted.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::super::api::{Body, Gateway};
use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::text::plain;
use super::super::{Done, World};
use super::find::Caller;
use super::{Approval, RequestArguments, checkout, show, wait};

pub(super) async fn request(arguments: &RequestArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let caller = Caller::new(&gateway, &target, world)?;
    let path = ["api", "v1", "apps", &arguments.app, "deploy-approvals"];
    let answer = gateway.post(&path, Some(caller.token), Body::Json(&body(arguments)?)).await?;
    let is_new = answer.status == 201;
    let answer = if is_new { answer } else { answer.expect_status(200).map_err(|error| target.explain(error))? };
    let whole: Value = answer.json()?;
    let asked: Approval = serde_json::from_value(whole.clone())?;
    if arguments.wait {
        writeln!(world.err, "{} {}", if is_new { "asked for" } else { "it was asked for before:" }, line(&asked))?;
        return wait::until(&caller, &asked.app, &asked.id, arguments.until.timeout, global, world).await;
    }
    if global.json {
        writeln!(world.out, "{whole:#}")?;
    } else {
        show::one(&whole, world)?;
        if asked.state == "pending" {
            writeln!(
                world.err,
                "somebody else approves it: rack-gateway deploy-approval approve {}",
                plain(&asked.id)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(asked: &Approval) -> String {
    let [id, app, commit] = [&asked.id, &asked.app, &asked.commit].map(|text| plain(text));
    format!("deploy approval {id} of {app}, commit {commit}")
}

/// What is asked for.
fn body(arguments: &RequestArguments) -> Result<Value, ClientError> {
    let commit = match arguments.git_commit.as_deref() {
        Some(commit) if checkout::is_commit(commit) => commit.to_owned(),
        Some(name) => checkout::commit(name).ok_or_else(|| ClientError::NoCommit(plain(name)))?,
        None => checkout::commit("HEAD").ok_or(ClientError::NoCheckout)?,
    };
    // The branch of the checkout is that of another commit only if another was named.
    let is_checked_out = arguments.git_commit.is_none() || checkout::commit("HEAD").as_ref() == Some(&commit);
    let branch = arguments.branch.clone().or_else(|| if is_checked_out { checkout::branch() } else { None });
    let message = arguments.message.clone().or_else(|| checkout::subject(&commit));
    let message = message.ok_or(ClientError::NoMessage)?;
    let mut body = Map::from_iter([("commit".to_owned(), json!(commit)), ("message".to_owned(), json!(message))]);
    let texts = [("branch", branch), ("pr_url", arguments.pr_url.clone()), ("deployer", arguments.deployer.clone())];
    body.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    body.extend(arguments.ci_metadata.clone().map(|ci| ("ci".to_owned(), ci)));
    Ok(Value::Object(body))
}
