//! `health`: one request to the local listener, for container health checks. Plain HTTP over a
//! socket, so that the image needs no other program.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Done, Failure, Output};

#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// Address of the gateway.
    #[arg(long, default_value = "127.0.0.1:8447")]
    address: SocketAddr,
    /// Ask whether it can do its work, not only whether it lives.
    #[arg(long)]
    ready: bool,
}

pub(super) fn health(arguments: &HealthArguments, output: &mut Output<'_>) -> Done {
    let limit = Duration::from_secs(5);
    let path = if arguments.ready { "/api/v1/ready" } else { "/api/v1/health" };
    let mut stream = TcpStream::connect_timeout(&arguments.address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", arguments.address)?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.starts_with("HTTP/1.1 200") {
        writeln!(output.out, "{}", body.trim())?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(body.trim().to_owned()))
}
