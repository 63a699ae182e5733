//! Subcommands of `rack-gateway-api`, one file each. They write to what they are given, so that
//! tests read it; only here are errors turned into exit codes.

mod admin;
mod anchor;
mod audit;
mod audit_init;
mod config;
#[cfg(feature = "dev")]
mod dev;
mod erase;
mod health;
mod migrate;
mod openapi;
mod policy;
mod routes;
mod runtime;
mod secrets;
mod serve;
mod token;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Policy-enforcing, provably audited gateway in front of one Convox rack.
#[derive(Debug, Parser)]
#[command(name = "rack-gateway-api", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: read the settings from the environment and guard the rack.
    Serve(serve::ServeArguments),
    /// Run the whole development set-up: gateway, rack, users, tokens.
    #[cfg(feature = "dev")]
    Dev(dev::DevArguments),
    /// Bring the database to the schema of this version.
    Migrate,
    /// Check, test and print policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Verify and read the audit log.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Make anchors of the audit log, as a process of its own (`AUDIT_ANCHOR_MODE=separate`).
    Anchor(anchor::AnchorArguments),
    /// Make, list and revoke tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show under which keys stored secrets are, and change the key.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Add the first administrator; help people who cannot get in.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Print the description of the API (OpenAPI).
    Openapi,
    /// Print the route table.
    Routes(routes::RoutesArguments),
    /// Check the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask a running gateway whether it lives (for container health checks).
    Health(health::HealthArguments),
}

/// Where a command writes.
pub(crate) struct Output<'a> {
    /// Results.
    pub(crate) out: &'a mut dyn Write,
    /// Progress and complaints.
    pub(crate) err: &'a mut dyn Write,
}

/// Why a command failed: what to print, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    /// The command ran and the answer is no.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The command could not run.
    pub(crate) fn could_not_run(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 3 }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::could_not_run(message)
    }
}

pub(crate) type Done = Result<ExitCode, Failure>;

/// Runs the command line and says how it went: 0 for yes, 1 for no, 2 for a wrong command line or
/// an incomplete answer, 3 when it could not run.
pub fn main(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let written = if error.use_stderr() { write!(err, "{error}") } else { write!(out, "{error}") };
            return ExitCode::from(if written.is_ok() { code } else { 3 });
        }
    };
    match run(arguments.command, &mut Output { out, err }) {
        Ok(code) => code,
        Err(failure) => {
            if writeln!(err, "error: {}", failure.message).is_err() {
                return ExitCode::from(3);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command, output: &mut Output<'_>) -> Done {
    match command {
        Command::Serve(arguments) => serve::serve(&arguments),
        #[cfg(feature = "dev")]
        Command::Dev(arguments) => dev::dev(&arguments, output),
        Command::Migrate => migrate::migrate(output),
        Command::Policy(command) => policy::policy(&command, output),
        Command::Audit(command) => audit::audit(&command, output),
        Command::Anchor(arguments) => anchor::anchor(&arguments, output),
        Command::Token(command) => token::token(&command, output),
        Command::Secrets(command) => secrets::secrets(&command, output),
        Command::Admin(command) => admin::admin(&command, output),
        Command::Openapi => openapi::openapi(output),
        Command::Routes(arguments) => routes::routes(&arguments, output),
        Command::Config(command) => config::config(&command, output),
        Command::Health(arguments) => health::health(&arguments, output),
    }
}
