//! The program of people and CI: sign-in, sessions, and credentials for `convox`.
//!
//! It is a stranger to the server and knows it only by its HTTP interface. What it keeps is one file
//! of racks and tokens (`config`); what it is given comes in a [`World`], so that tests can read it.

mod account;
mod address;
mod api;
mod arguments;
mod audit;
mod config;
mod deploy_approval;
mod environment;
mod error;
mod exchange;
mod login;
mod racks;
mod run;
mod target;
mod text;
mod token;
mod trust;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use time::OffsetDateTime;

use arguments::{Arguments, Command, SessionsCommand, TokenCommand};
pub use environment::Environment;
use error::ClientError;

/// What surrounds the program.
pub struct World<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Progress, questions and complaints.
    pub err: &'a mut dyn Write,
    /// Which of the two a person looks at.
    pub is_terminal: Terminals,
    /// The environment variables.
    pub environment: Environment,
    /// The time now.
    pub now: &'a dyn Fn() -> OffsetDateTime,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

/// Which outputs are terminals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminals {
    /// The results.
    pub out: bool,
    /// The rest.
    pub err: bool,
}

/// How a command went.
type Done = Result<ExitCode, ClientError>;

/// Runs the command line and says how it went: 0 for yes, 1 for no (refused, denied, session ended), 2 for a
/// wrong command line or setting, 3 when it could not run, 130 when it was interrupted. `run` ends as the
/// command does that it runs.
pub fn main(args: impl IntoIterator<Item = OsString>, world: &mut World<'_>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let text = error.render();
            let written = if error.use_stderr() { write!(world.err, "{text}") } else { write!(world.out, "{text}") };
            return ExitCode::from(if written.is_ok() { code } else { 3 });
        }
    };
    match dispatch(&arguments, world) {
        Ok(code) => code,
        Err(error) => {
            let written = writeln!(world.err, "error: {error}");
            ExitCode::from(if written.is_ok() { error.code() } else { 3 })
        }
    }
}

fn dispatch(arguments: &Arguments, world: &mut World<'_>) -> Done {
    let global = &arguments.global;
    match &arguments.command {
        Command::Login(login) => block_on(login::login(login, global, world)),
        Command::Logout(logout) => block_on(account::logout(logout, global, world)),
        Command::Racks => racks::racks(global, world),
        Command::Switch { name } => racks::switch(name, global, world),
        Command::Whoami { actions } => block_on(account::whoami(*actions, global, world)),
        Command::Env => run::env(global, world),
        Command::Sessions(SessionsCommand::List) => block_on(account::list(global, world)),
        Command::Sessions(SessionsCommand::Revoke { id }) => block_on(account::revoke(id, global, world)),
        Command::Token(TokenCommand::Exchange(exchange)) => block_on(exchange::exchange(exchange, global, world)),
        Command::Audit(command) => audit::audit(command, global, world),
        Command::DeployApproval(command) => deploy_approval::deploy_approval(command, global, world),
        Command::Run { command } => run::run(command, global, world),
    }
}

fn block_on(future: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(future)
}
