//! `rack-gateway`: signs people and CI in at a gateway, and hands what they get to `convox`.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use rack_gateway::client::{self, Environment, World};
use rack_gateway::clock::Clock;

fn main() -> ExitCode {
    let clock = Clock::system();
    let mut world = World {
        is_terminal: client::Terminals { out: stdout().is_terminal(), err: stderr().is_terminal() },
        out: &mut stdout(),
        err: &mut stderr(),
        environment: Environment::of_process(),
        now: &|| clock.now(),
    };
    client::main(std::env::args_os(), &mut world)
}
