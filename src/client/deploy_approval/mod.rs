//! `deploy-approval`: ask for leave to deploy a commit, wait for it, give it.

mod checkout;
mod decide;
mod find;
mod request;
mod show;
mod step_up;
mod wait;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::arguments::Global;
use super::{Done, World, block_on};

#[derive(Debug, Subcommand)]
pub(super) enum DeployApprovalCommand {
    /// Ask for the approval to deploy a commit of an app: rack-gateway deploy-approval request --app myapp --wait.
    ///
    /// Commit, branch and message are those of the checkout in this folder, unless they are given. Asking again for
    /// the same is no second request.
    Request(RequestArguments),
    /// List the requests that you may see, the newest first.
    List(ListArguments),
    /// Show a request.
    Show(Which),
    /// Agree to a request. You are asked for a second factor, for this request alone.
    Approve(ApproveArguments),
    /// Say no to a request.
    Reject(RejectArguments),
    /// Wait until a request is decided on. Exit code: 0 approved (or deployed already), 1 rejected, expired or revoked,
    /// 2 still waiting at the timeout.
    Wait(WaitArguments),
}

#[derive(Args, Debug)]
pub(super) struct RequestArguments {
    /// App to deploy.
    #[arg(short, long)]
    app: String,
    /// Whole commit, or what git knows it by; the one that is checked out unless it is given.
    #[arg(long, value_name = "COMMIT")]
    git_commit: Option<String>,
    /// Branch; the one that is checked out unless it is given.
    #[arg(long)]
    branch: Option<String>,
    /// What is deployed, for approvers; the commit's subject unless it is given.
    #[arg(short, long)]
    message: Option<String>,
    /// Address of the pull request.
    #[arg(long, value_name = "URL")]
    pr_url: Option<String>,
    /// What the CI system says about itself: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    ci_metadata: Option<Value>,
    /// API token that shall deploy, by name or id, instead of whoever asks.
    #[arg(long, value_name = "TOKEN")]
    deployer: Option<String>,
    /// Wait until it is decided on, as `wait` does.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    until: Until,
}

#[derive(Args, Debug)]
struct Until {
    /// How long to wait, such as 90s, 20m or 2h.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = duration)]
    timeout: Duration,
}

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// Of this app only.
    #[arg(short, long)]
    app: Option<String>,
    /// In this state only: pending, approved, deployed, rejected, expired or revoked.
    #[arg(long)]
    state: Option<String>,
    /// Of this commit only.
    #[arg(long, value_name = "COMMIT")]
    git_commit: Option<String>,
    /// Most requests.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
}

/// Which request.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// Id of the request.
    #[arg(conflicts_with = "git_commit")]
    id: Option<String>,
    /// Its app. With the id it spares a search; with the commit it names the request that waits.
    #[arg(short, long)]
    app: Option<String>,
    /// Its commit, instead of the id.
    #[arg(long, value_name = "COMMIT", requires = "app")]
    git_commit: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ApproveArguments {
    #[command(flatten)]
    which: Which,
    /// What to say about it.
    #[arg(long)]
    notes: Option<String>,
    #[command(flatten)]
    factor: Factor,
}

#[derive(Args, Debug)]
pub(super) struct RejectArguments {
    #[command(flatten)]
    which: Which,
    /// Why, for those who asked.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    factor: Factor,
}

#[derive(Args)]
struct Factor {
    /// Code of your authenticator app, instead of the page in the browser.
    #[arg(long, value_name = "CODE")]
    mfa_code: Option<String>,
}

/// The code stays hidden.
impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factor").field("mfa_code", &self.mfa_code.is_some()).finish()
    }
}

#[derive(Args, Debug)]
pub(super) struct WaitArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    until: Until,
}

/// A request to deploy, as the gateway shows it.
#[derive(Clone, Debug, Deserialize)]
struct Approval {
    id: String,
    app: String,
    commit: String,
    state: String,
    #[serde(default)]
    reason: Option<String>,
    /// How many more people must agree, where the gateway says so.
    #[serde(default)]
    needed: Option<u64>,
}

pub(super) fn deploy_approval(command: &DeployApprovalCommand, global: &Global, world: &mut World<'_>) -> Done {
    block_on(async {
        match command {
            DeployApprovalCommand::Request(arguments) => request::request(arguments, global, world).await,
            DeployApprovalCommand::List(arguments) => show::list(arguments, global, world).await,
            DeployApprovalCommand::Show(which) => show::show(which, global, world).await,
            DeployApprovalCommand::Approve(arguments) => decide::approve(arguments, global, world).await,
            DeployApprovalCommand::Reject(arguments) => decide::reject(arguments, global, world).await,
            DeployApprovalCommand::Wait(arguments) => wait::wait(arguments, global, world).await,
        }
    })
}

fn object(text: &str) -> Result<Value, String> {
    let value = serde_json::from_str(text).ok().filter(Value::is_object);
    value.ok_or_else(|| "write a JSON object, such as {\"run\": \"17\"}".to_owned())
}

/// Longest wait, in seconds.
const LONGEST: u64 = 7 * 24 * 3600;

fn duration(text: &str) -> Result<Duration, String> {
    let how = || "write it as 90s, 20m or 2h, up to a week".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(how)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(how()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).map(Duration::from_secs).ok_or_else(how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait() {
        for (text, seconds) in [("1s", 1), ("20m", 1200), ("2h", 7200), ("168h", LONGEST)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "0s", "20", "-1m", "1.5h", "169h", "1d", "20ä", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_ci_says_is_an_object() {
        assert!(object(r#"{"run": "17"}"#).is_ok());
        for text in ["", "17", "[]", "null", "{", r#""run""#] {
            assert!(object(text).is_err(), "{text}");
        }
    }
}
