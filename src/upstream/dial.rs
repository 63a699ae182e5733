//! Connections to the rack: always to the configured rack, whatever a request says.
//!
//! awc's own connector would put TLS above ours. Dialing TLS here keeps [`RackIo`] on top, where it
//! sees the end of the stream as HTTP does, `close_notify` included.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::rustls_0_23::reexports::AsyncTlsStream;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::dev::{Service, always_ready};
use actix_web::http::Uri;
use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::config::RackConfig;
use super::io::{End, RackIo};

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Requests and answers.
    Exchange,
    /// One upgrade, then bytes.
    Tunnel,
}

/// The connector that awc calls. All its connections share `spoiled`.
#[derive(Clone)]
pub(super) struct Dialer {
    config: RackConfig,
    purpose: Use,
    spoiled: Rc<Cell<bool>>,
}

impl Dialer {
    pub(super) fn new(config: &RackConfig, purpose: Use, spoiled: &Rc<Cell<bool>>) -> Self {
        Self { config: config.clone(), purpose, spoiled: Rc::clone(spoiled) }
    }

    async fn dial(self) -> io::Result<RackIo<Transport>> {
        let host = self.config.hostname().to_owned();
        let tcp = TcpStream::connect((host.as_str(), self.config.port)).await?;
        tcp.set_nodelay(true)?;
        let transport = match &self.config.tls {
            None => Transport::Plain(tcp),
            Some(tls) => {
                let secured = TlsConnector::service(Arc::clone(tls)).call(Connection::new(host, tcp)).await?;
                Transport::Tls(Box::new(secured.into_parts().0))
            }
        };
        let end = match self.purpose {
            Use::Exchange => End::IsAnError,
            Use::Tunnel => End::IsAnEnd,
        };
        Ok(RackIo::new(transport, end, self.spoiled))
    }
}

impl Service<ConnectInfo<Uri>> for Dialer {
    type Response = Connection<Uri, RackIo<Transport>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    always_ready!();

    fn call(&self, request: ConnectInfo<Uri>) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let io = dialer.dial().await.map_err(ConnectError::Io)?;
            Ok(Connection::new(request.request().clone(), io))
        })
    }
}

/// TCP, or TLS over TCP.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<AsyncTlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl ActixStream for Transport {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.tcp().poll_read_ready(cx).map_ok(|()| Ready::READABLE)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.tcp().poll_write_ready(cx).map_ok(|()| Ready::WRITABLE)
    }
}
