//! `rack-gateway-api`: the server, and what its operator, its security team and its auditors need.

use std::process::ExitCode;

/// The path of a request makes many small allocations; this allocator halves what they cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rack_gateway::cli::main(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr())
}
