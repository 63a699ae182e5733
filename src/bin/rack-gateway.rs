//! `rack-gateway`: signs people and CI in at a gateway, and hands what they get to `convox`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rack_gateway::client::main(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr())
}
