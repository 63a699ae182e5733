//! `env` and `run`: what `convox` needs to use the gateway.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use serde_json::json;

use super::arguments::Global;
use super::error::ClientError;
use super::target::Target;
use super::text::plain;
use super::{Done, World};

fn rack_url(global: &Global, world: &World<'_>) -> Result<String, ClientError> {
    let target = Target::find(global, world)?;
    Ok(target.address.rack_url(target.token(world)?.expose()))
}

/// A URL as one word of a shell: an IPv6 address has brackets, which shells take for a pattern.
fn shell_word(url: &str) -> String {
    if url.contains('[') { format!("'{url}'") } else { url.to_owned() }
}

pub(super) fn env(global: &Global, world: &mut World<'_>) -> Done {
    let url = rack_url(global, world)?;
    if world.is_terminal.out {
        writeln!(world.err, "this shows your token; use it as: eval \"$(rack-gateway env)\"")?;
    }
    if global.json {
        writeln!(world.out, "{:#}", json!({ "RACK_URL": url }))?;
    } else {
        writeln!(world.out, "export RACK_URL={}", shell_word(&url))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run(command: &[OsString], global: &Global, world: &mut World<'_>) -> Done {
    let url = rack_url(global, world)?;
    let Some((program, arguments)) = command.split_first() else { return Err(ClientError::NoCommand) };
    let mut child = Command::new(program);
    child.args(arguments).env("RACK_URL", url);
    let cause = match replace_this_process(&mut child) {
        Ok(code) => return Ok(code),
        Err(cause) => cause,
    };
    Err(ClientError::Command { command: plain(&program.to_string_lossy()), cause })
}

/// The command takes the place of this process: terminal, signals and exit code are its own.
#[cfg(unix)]
fn replace_this_process(child: &mut Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(child.exec())
}

/// The command runs, and its exit code is passed on.
#[cfg(not(unix))]
fn replace_this_process(child: &mut Command) -> std::io::Result<ExitCode> {
    let code = child.status()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(shell_word("https://convox:rgw_a@host:1"), "https://convox:rgw_a@host:1");
        assert_eq!(shell_word("http://convox:rgw_a@[::1]:1"), "'http://convox:rgw_a@[::1]:1'");
    }
}
