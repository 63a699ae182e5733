//! A person at the browser says whether a CLI may act as them.

use serde::Deserialize;

use crate::api::action::CliLoginConfirm;
use crate::api::{Answer, Call, Problem, Reply, limit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    user_code: String,
    approve: bool,
}

/// `POST /api/v1/auth/cli/confirm`: once, and only while the code is good.
pub(in crate::api) async fn confirm(call: Call<CliLoginConfirm>) -> Answer {
    let asked: Confirm = call.json()?;
    let identity = call.identity()?;
    limit::CONFIRM.spare(call.store(), &identity.id, call.now()).await?;
    let over = || Problem::new(404, "cli-login-unknown", "no CLI waits with this code: it is over, or mistyped");
    let code = asked.user_code.trim().to_ascii_uppercase();
    let login = call.store().cli_login_find_by_code(&code).await?.ok_or_else(over)?;
    let answer = if asked.approve { "approved" } else { "refused" };
    let change = [("cli_login", login.id.as_str()), ("device", &login.device_name), ("answer", answer)];
    call.record_change(&change).await?;
    // What was shown at the browser is what the CLI's session has shown.
    let factor = identity.assurance.factor();
    match call.store().cli_login_decide(&code, &identity.id, asked.approve, factor, call.now()).await? {
        true => Ok(Reply::done()),
        false => Err(over()),
    }
}
