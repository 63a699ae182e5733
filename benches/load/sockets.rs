//! Clients of WebSockets: round trips one after the other, and many that do nothing.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Head;
use crate::{Failure, Options};

/// Bytes of each message.
const PAYLOAD: usize = 64;

fn open(options: &Options) -> Result<BufReader<TcpStream>, Failure> {
    let (to, path, authorization) = (options.text("to")?, options.text("path")?, options.text("authorization")?);
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = BufReader::new(stream);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: {authorization}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.get_mut().write_all(request.as_bytes())?;
    let head = Head::read(&mut stream)?;
    if head.status != 101 { Err(format!("status {} instead of 101", head.status).into()) } else { Ok(stream) }
}

/// A masked text frame of `PAYLOAD` bytes; the mask is zero, so the bytes are as they are.
fn message() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];
    frame.resize(frame.len() + PAYLOAD, b'x');
    frame
}

/// `--count` messages, each sent when the one before has come back.
pub(crate) fn round_trips(options: &Options) -> Result<Value, Failure> {
    let count = options.number("count")?;
    let mut socket = open(options)?;
    let message = message();
    let mut echo = [0; 2 + PAYLOAD];
    let began = Instant::now();
    for _ in 0..count {
        socket.get_mut().write_all(&message)?;
        socket.read_exact(&mut echo)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "round_trips": count, "per_s": count as f64 / seconds }))
}

/// `--count` sockets that do nothing; says so, and holds them until its input ends.
pub(crate) fn idle(options: &Options) -> Result<Value, Failure> {
    let count = options.number("count")?;
    let began = Instant::now();
    let sockets = (0..count).map(|_| open(options)).collect::<Result<Vec<_>, _>>()?;
    println!("{}", json!({ "open": sockets.len(), "seconds": began.elapsed().as_secs_f64() }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(json!({ "closed": sockets.len() }))
}
