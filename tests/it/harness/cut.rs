//! A line to PostgreSQL that breaks exactly when a transaction is to be committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where the line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The commit never arrives.
    Before = 1,
    /// The commit arrives, its answer does not.
    After = 2,
}

/// The line. Forwards everything until it is told to break.
pub struct Line {
    pub port: u16,
    next: Arc<AtomicU8>,
}

impl Line {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let next = Arc::new(AtomicU8::new(0));
        let armed = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
                tokio::spawn(carry(client, server, Arc::clone(&armed)));
            }
        });
        Self { port: own, next }
    }

    /// Breaks the next connection that commits; those after it work again.
    pub fn cut(&self, cut: Cut) {
        self.next.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether the break is still to come.
    pub fn is_armed(&self) -> bool {
        self.next.load(Ordering::SeqCst) != 0
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(bytes) = read.ok().and_then(|n| up.get(..n)).filter(|b| !b.is_empty()) else { return };
                let commits = bytes.windows(7).any(|w| w == b"COMMIT\0");
                let cut = if commits { armed.swap(0, Ordering::SeqCst) } else { 0 };
                if cut == Cut::Before as u8 || server.write_all(bytes).await.is_err() {
                    return;
                }
                if cut == Cut::After as u8 {
                    // The answer shows that it is done; nobody else gets to see it.
                    assert!(server.read(&mut down).await.expect("an answer") > 0);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Some(bytes) = read.ok().and_then(|n| down.get(..n)).filter(|b| !b.is_empty()) else { return };
                if client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
