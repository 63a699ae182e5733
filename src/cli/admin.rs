//! `admin`: the first administrator, from the machine that holds the database.

use std::process::ExitCode;

use clap::Subcommand;

use super::runtime::{FLUSH, block_on, open_recorded};
use super::{Done, Failure, Output};
use crate::audit::Actor;
use crate::clock::Clock;
use crate::config::is_email;
use crate::identity::{Bootstrap, Issuer};

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
}

pub(super) fn admin(command: &AdminCommand, output: &mut Output<'_>) -> Done {
    let AdminCommand::Bootstrap { email, name } = command;
    if !is_email(email) {
        return Err(Failure::new(format!("{email} is no e-mail address")));
    }
    let done = block_on(async {
        let (store, audit) = open_recorded().await?;
        let actor = Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() };
        let issuer = Issuer::recording(&store, &audit, actor, Clock::system().now());
        let done = issuer.bootstrap(&[(email, name.as_deref().unwrap_or(email))]).await;
        audit.shutdown(FLUSH).await;
        Ok(done?)
    })?;
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
