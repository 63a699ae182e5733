//! What a start brings the database to, before anything is served: administrators where there are
//! none, and sessions that last as long as the operator has pinned.

use crate::audit::Actor;
use crate::config::Catalog;
use crate::identity::{Bootstrap, IssueError, Issuer, Rules};
use crate::pep::Gate;
use crate::store::{CredentialKind, StoreError};

/// Adds the listed people as administrators while there is none.
pub(super) async fn administrators(gate: &Gate, emails: &[String]) -> Result<(), IssueError> {
    if emails.is_empty() {
        return Ok(());
    }
    let actor = Actor { kind: "Operator".to_owned(), id: "ADMIN_USERS".to_owned() };
    let issuer = Issuer::recording(&gate.store, &gate.audit, actor, gate.clock.now());
    let people: Vec<(&str, &str)> = emails.iter().map(|email| (email.as_str(), email.as_str())).collect();
    let done = match issuer.bootstrap(&people).await? {
        Bootstrap::HasAdmin => "changes nothing: there is an administrator".to_owned(),
        Bootstrap::Done { created, known } => {
            format!(
                "added [{}] as administrators; known already and unchanged: [{}]",
                created.join(","),
                known.join(",")
            )
        }
    };
    tracing::info!("ADMIN_USERS {done}");
    Ok(())
}

/// Live sessions keep to the limits that are set now: a pin may be new.
pub(super) async fn session_limits(gate: &Gate, catalog: &Catalog) -> Result<(), StoreError> {
    let rules = match Rules::load(&gate.store, catalog).await {
        Ok(rules) => rules,
        // A setting that cannot be read stops sign-in, not the gateway.
        Err(StoreError::Corrupt(problem)) => {
            tracing::error!(problem, "a stored setting cannot be used: correct it by the API");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let now = gate.clock.now();
    gate.store.sessions_set_idle(CredentialKind::Web, rules.web_idle, now).await?;
    gate.store.sessions_set_idle(CredentialKind::Cli, rules.cli_idle, now).await?;
    Ok(())
}
