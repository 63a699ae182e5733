//! `admin`: the first administrator, and help for those who cannot get in, from the machine that holds the
//! database.

use std::process::ExitCode;

use clap::Subcommand;

use super::runtime::{FLUSH, block_on, open_recorded};
use super::{Done, Failure, Output};
use crate::audit::Actor;
use crate::clock::Clock;
use crate::config::is_email;
use crate::identity::{Bootstrap, IssueError, Issuer};
use crate::store::UserRow;

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Add a person as administrator, while there is none.
    Bootstrap {
        /// The e-mail address with which they sign in.
        email: String,
        /// Name for people; the address unless it is said.
        #[arg(long)]
        name: Option<String>,
    },
    /// Let a person in again who is locked.
    Unlock {
        /// Their e-mail address.
        email: String,
    },
    /// Take all second factors, backup codes and trusted browsers from a person and end their sessions:
    /// for somebody who has lost their factors.
    ResetFactors {
        /// Their e-mail address.
        email: String,
    },
}

pub(super) fn admin(command: &AdminCommand, output: &mut Output<'_>) -> Done {
    match command {
        AdminCommand::Bootstrap { email, name } => bootstrap(email, name.as_deref(), output),
        AdminCommand::Unlock { email } => unlock(email, output),
        AdminCommand::ResetFactors { email } => reset_factors(email, output),
    }
}

/// Runs `work` on the record; the log is flushed in either case.
fn recorded<T>(work: impl AsyncFnOnce(&Issuer<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    block_on(async {
        let (store, audit) = open_recorded().await?;
        let actor = Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() };
        let done = work(&Issuer::recording(&store, &audit, actor, Clock::system().now())).await;
        audit.shutdown(FLUSH).await;
        done
    })
}

/// The same for one person who is there.
fn for_person<T>(
    email: &str,
    work: impl AsyncFnOnce(&Issuer<'_>, UserRow) -> Result<T, IssueError>,
) -> Result<T, Failure> {
    recorded(async |issuer| {
        let user = issuer.store().user_find_by_email(email).await?;
        let user = user.ok_or_else(|| Failure::new(format!("there is no user with the address {email}")))?;
        Ok(work(issuer, user).await?)
    })
}

fn bootstrap(email: &str, name: Option<&str>, output: &mut Output<'_>) -> Done {
    if !is_email(email) {
        return Err(Failure::new(format!("{email} is no e-mail address")));
    }
    let done = recorded(async |issuer| Ok(issuer.bootstrap(&[(email, name.unwrap_or(email))]).await?))?;
    match done {
        Bootstrap::Done { known, .. } if known.is_empty() => {
            writeln!(output.out, "{email} is an administrator, and may sign in")?;
            Ok(ExitCode::SUCCESS)
        }
        Bootstrap::Done { .. } => {
            Err(Failure::new(format!("{email} is known and keeps the roles it has: use another address")))
        }
        Bootstrap::HasAdmin => {
            let message = "there is an administrator: ask one of them, by PUT /api/v1/users/{user}/roles/{role}";
            Err(Failure::new(message))
        }
    }
}

fn unlock(email: &str, output: &mut Output<'_>) -> Done {
    if for_person(email, async |issuer, user| issuer.unlock(&user).await)? {
        writeln!(
            output.out,
            "{email} is no longer locked, and may sign in; the sessions that the lock ended stay ended"
        )?;
    } else {
        writeln!(output.out, "{email} is not locked: nothing was changed")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reset_factors(email: &str, output: &mut Output<'_>) -> Done {
    let (done, is_locked) =
        for_person(email, async |issuer, user| Ok((issuer.reset_factors(&user).await?, user.is_locked())))?;
    writeln!(
        output.out,
        "{email} has no second factor any more ({} removed, {} sessions ended), and enrols a new one after signing in",
        done.factors, done.sessions
    )?;
    if is_locked {
        writeln!(output.out, "{email} is locked: run `rack-gateway-api admin unlock {email}` as well")?;
    }
    Ok(ExitCode::SUCCESS)
}
