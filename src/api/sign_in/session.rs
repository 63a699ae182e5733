//! Signing out.

use crate::api::action::SessionEnd;
use crate::api::{Answer, Call, Problem, Reply, cookie};
use crate::store::CredentialKind;

/// `POST /api/v1/auth/logout`: ends the session that asks, everywhere and at once.
pub(in crate::api) async fn end(call: Call<SessionEnd>) -> Answer {
    let credential = &call.identity()?.credential;
    match credential.kind {
        CredentialKind::Web | CredentialKind::Cli => {}
        CredentialKind::Api | CredentialKind::Workload => {
            return Err(Problem::new(409, "no-session", "a token is no session: an administrator revokes it"));
        }
    }
    call.record_change(&[("session", &credential.id)]).await?;
    call.store().credential_revoke(&credential.id, "signed out", call.now()).await?;
    Ok(Reply::done().header("set-cookie", cookie::clear_session()).header("clear-site-data", "\"cache\"".to_owned()))
}
