//! An upstream that costs next to nothing: one JSON answer, one long answer, sockets that echo.

use std::sync::Arc;

use actix_http::ws::hash_key;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{Failure, Options};

/// Length of the long answer, of every path with `big` in it.
const LONG: u64 = 1 << 30;

/// Serves on `--listen` until it is killed. One thread: the cores belong to the proxies.
pub(crate) fn serve(options: &Options) -> Result<Value, Failure> {
    let listen = options.text("listen")?.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(&listen).await?;
        let short = Arc::new(short());
        loop {
            let (stream, _) = listener.accept().await?;
            let short = Arc::clone(&short);
            // A client that leaves is no failure of the upstream.
            tokio::spawn(async move { drop(connection(stream, &short).await) });
        }
    })
}

/// An answer of the size of a list of five apps.
fn short() -> Vec<u8> {
    let app = |n: usize| {
        json!({ "name": format!("app{n}"), "release": "RABCDEFGHIJ", "status": "running",
        "generation": "3", "locked": false, "router": "router.example.com", "parameters": { "Count": "2" } })
    };
    let body = Value::from((0..5).map(app).collect::<Vec<_>>()).to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

async fn connection(stream: TcpStream, short: &[u8]) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut target = String::new();
        if stream.read_line(&mut target).await? == 0 {
            return Ok(());
        }
        let mut key = None;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("sec-websocket-key") {
                key = Some(value.trim().to_owned());
            }
        }
        if let Some(key) = key {
            return echo(stream, &key).await;
        }
        if target.contains("big") {
            long(&mut stream).await?;
        } else {
            stream.write_all(short).await?;
        }
    }
}

async fn long(stream: &mut BufReader<TcpStream>) -> Result<(), Failure> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {LONG}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![0x5a; 256 << 10];
    for _ in 0..LONG / piece.len() as u64 {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// Sends each short frame back, unmasked.
async fn echo(mut stream: BufReader<TcpStream>, key: &str) -> Result<(), Failure> {
    let accept = hash_key(key.as_bytes());
    let accept = std::str::from_utf8(&accept)?;
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut frame = [0; 6 + 125];
    loop {
        stream.read_exact(&mut frame[..6]).await?;
        let length = usize::from(frame[1] & 0x7f);
        if length > 125 {
            return Err("only short frames are echoed".into());
        }
        let mask = [frame[2], frame[3], frame[4], frame[5]];
        stream.read_exact(&mut frame[6..6 + length]).await?;
        for (at, byte) in frame[6..6 + length].iter_mut().enumerate() {
            *byte ^= mask[at % 4];
        }
        // Head and payload side by side, so that one write sends them.
        frame[4] = frame[0];
        frame[5] = length as u8;
        stream.write_all(&frame[4..6 + length]).await?;
        if frame[4] & 0x0f == 8 {
            return Ok(());
        }
    }
}
