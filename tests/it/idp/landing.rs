//! Where a browser lands after a sign-in: a server that says one thing to everybody.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PAGE: &str = "<!doctype html><html lang=en><title>Back</title><h1>You are back</h1>";

/// It ends with this value.
pub(super) struct Landing {
    /// The redirect URI to register.
    pub(super) uri: String,
    task: JoinHandle<()>,
}

impl Landing {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/back", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Self { uri, task }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the head of a request; a browser may also open connections and say nothing.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let length = PAGE.len();
    let fields = format!("Content-Type: text/html\r\nContent-Length: {length}\r\nConnection: close");
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{PAGE}").as_bytes()).await?;
    stream.shutdown().await
}
