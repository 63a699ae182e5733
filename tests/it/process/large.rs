//! 1 GiB up and down through the gateway, in constant memory.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::binary::{Serving, create_token};
use crate::harness::{Db, basic};

const GIB: usize = 1 << 30;
const CHUNK: usize = 64 << 10;
/// Most memory that a transfer may add, in KiB.
const EXTRA_KIB: u64 = 32 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_each_way_in_constant_memory() {
    let db = Db::sqlite().await;
    let rack = bulk_rack().await;
    let token =
        create_token(&db.url().await, &["--user", "admin@example.com", "--role", "admin", "--name", "bulk"]).await;
    let serving = Serving::start(&db.url().await, rack, &[]).await.unwrap();
    let authorization = basic(&token);
    // The first small requests fill pools and buffers.
    for _ in 0..20 {
        assert_eq!(download(serving.addr, &authorization, "tmp/small").await, 1);
    }
    let (before, _) = serving.memory();
    for chunked in [false, true] {
        assert_eq!(upload(serving.addr, &authorization, chunked).await, format!("{GIB}\n"), "chunked: {chunked}");
    }
    assert_eq!(download(serving.addr, &authorization, "tmp/large").await, GIB);
    let (after, _) = serving.memory();
    assert!(after - before < EXTRA_KIB, "grew from {before} KiB to {after} KiB");
    assert!(serving.terminate().await.success());
}

/// Counts what is uploaded; sends zeros.
async fn bulk_rack() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

async fn serve(mut stream: TcpStream) {
    loop {
        let (head, rest) = read_head(&mut stream).await;
        if head.is_empty() {
            return;
        }
        let answer = if head.starts_with("POST") {
            let count = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
                count_chunked(&mut stream, rest).await
            } else {
                count_plain(&mut stream, rest.len()).await
            };
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}\n", count.to_string().len() + 1)
        } else {
            let length = if head.contains("large") { GIB } else { 1 };
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await.unwrap();
            let zeros = vec![0; CHUNK.min(length)];
            for _ in 0..length / zeros.len() {
                stream.write_all(&zeros).await.unwrap();
            }
            continue;
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn read_head(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            return (String::from_utf8_lossy(&buffer).into_owned(), rest);
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
            _ => return (String::new(), Vec::new()),
        }
    }
}

async fn count_plain(stream: &mut TcpStream, mut count: usize) -> usize {
    let mut chunk = vec![0; CHUNK];
    while count < GIB {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => count += read,
            _ => break,
        }
    }
    count
}

/// Adds the sizes of chunks (RFC 9112 §7.1) without keeping them.
async fn count_chunked(stream: &mut TcpStream, rest: Vec<u8>) -> usize {
    let mut reader = tokio::io::BufReader::with_capacity(CHUNK, std::io::Cursor::new(rest).chain(stream));
    let mut total = 0;
    loop {
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut line).await.unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut body = tokio::io::AsyncReadExt::take(&mut reader, size as u64 + 2);
        tokio::io::copy(&mut body, &mut tokio::io::sink()).await.unwrap();
        total += size;
        if size == 0 {
            return total;
        }
    }
}

async fn upload(addr: SocketAddr, authorization: &str, chunked: bool) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let framing = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {GIB}") };
    let head = format!(
        "POST /apps/myapp/objects/tmp/large.tgz? HTTP/1.1\r\nHost: gateway.example.com\r\n\
         Authorization: {authorization}\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let zeros = vec![0; CHUNK];
    for _ in 0..GIB / CHUNK {
        if chunked {
            stream.write_all(format!("{CHUNK:x}\r\n").as_bytes()).await.unwrap();
        }
        stream.write_all(&zeros).await.unwrap();
        if chunked {
            stream.write_all(b"\r\n").await.unwrap();
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    let answer = crate::replay::peer::Wire::new(stream).message(false).await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

/// Bytes of the body, not kept.
async fn download(addr: SocketAddr, authorization: &str, key: &str) -> usize {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "GET /apps/myapp/objects/{key}? HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: {authorization}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (head, rest) = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut count = rest.len();
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk).await.unwrap() {
            0 => return count,
            read => count += read,
        }
    }
}
