//! The people of the development set-up: one for each role, each with a token for the CLI.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::audit::Actor;
use crate::identity::{Issuer, Token};
use crate::pep::Gate;

/// One of them.
#[derive(Debug)]
pub struct Person {
    /// E-mail address.
    pub email: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Token, in clear: development only.
    pub token: String,
}

/// Name and role are the same word.
pub(super) const ROLES: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor"];

/// How long their tokens are good.
const GOOD: time::Duration = time::Duration::days(365);

/// Makes the people that are missing, and tokens for those whose token is not in `file`, which
/// keeps them so that a pasted line goes on working after a restart.
///
/// # Errors
/// When the database or the file cannot be used.
pub async fn people(gate: &Gate, file: &Path) -> Result<Vec<Person>, String> {
    let mut kept = read(file)?;
    let mut people = Vec::new();
    for role in ROLES {
        let email = format!("{role}@example.com");
        let roles = vec![(*role).to_owned()];
        let known = match kept.get(&email).and_then(|text| Token::parse(text)) {
            Some(token) => {
                let row = gate.store.credential_find(&token.hash().0).await.map_err(|error| error.to_string())?;
                row.is_some_and(|row| row.is_live(gate.clock.now()))
            }
            None => false,
        };
        if !known {
            let actor = Actor { kind: "Operator".to_owned(), id: "dev".to_owned() };
            let issuer = Issuer::recording(&gate.store, &gate.audit, actor, gate.clock.now());
            let token = issuer.cli_token(&email, "development", Some(&roles), issuer.now + GOOD).await;
            let token = token.map_err(|error| error.to_string())?;
            kept.insert(email.clone(), token.expose().to_owned());
        }
        let token = kept.get(&email).cloned().unwrap_or_default();
        people.push(Person { email, roles, token });
    }
    write(file, &kept)?;
    Ok(people)
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn write(file: &Path, kept: &BTreeMap<String, String>) -> Result<(), String> {
    let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = serde_json::to_vec_pretty(kept).map_err(|error| problem(&error))?;
    std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(&text))
        .map_err(|error| problem(&error))
}
