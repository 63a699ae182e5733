//! The program of people and CI: sign-in, sessions, and credentials for `convox`.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Signs you in at a Rack Gateway, and runs `convox` with what you get.
#[derive(Debug, Parser)]
#[command(name = "rack-gateway", version)]
struct Arguments {}

/// Runs the command line and says how it went: 0 for yes, 1 for no, 2 for a wrong command line, 3 when
/// it could not run.
pub fn main(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    match Arguments::try_parse_from(args) {
        Ok(Arguments {}) => ExitCode::SUCCESS,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let written = if error.use_stderr() { write!(err, "{error}") } else { write!(out, "{error}") };
            ExitCode::from(if written.is_ok() { code } else { 3 })
        }
    }
}
