//! Starting and stopping.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_rt::net::TcpStream;
use actix_web::dev::{Server, ServerHandle, Service, ServiceFactory, fn_service};
use futures_util::future::{LocalBoxFuture, TryFutureExt as _};

use super::entry;
use super::options::RackOptions;
use super::state::RackState;
use super::wire::Wire;

/// How long an idle connection stays open (convox `stdapi` `Server.Listen`).
const IDLE: Duration = Duration::from_secs(120);
/// How long a client may take to send its headers (same place).
const HEADERS: Duration = Duration::from_secs(30);

/// Starts development racks.
#[derive(Clone, Copy, Debug)]
pub struct Rack;

impl Rack {
    /// A rack on a thread of its own, listening when this returns. Port 0 picks a free port.
    ///
    /// # Errors
    /// The address cannot be bound, or the thread cannot be started.
    pub fn start(addr: impl ToSocketAddrs, options: RackOptions) -> io::Result<RackServer> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let state = RackState::new(options, addr);
        let (tell, told) = mpsc::channel();
        let inner = state.clone();
        let thread = std::thread::Builder::new().name("dev-rack".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(async move {
                match assemble(listener, inner) {
                    Ok(server) => {
                        if tell.send(Ok(server.handle())).is_ok() {
                            server.await
                        } else {
                            Ok(())
                        }
                    }
                    Err(error) => tell.send(Err(error)).map_err(|_| io::Error::other("nobody waits for the rack")),
                }
            })
        })?;
        let handle = told.recv().map_err(|_| io::Error::other("the rack's thread ended before it listened"))??;
        Ok(RackServer { addr, handle, state, thread: Some(thread) })
    }

    /// A rack on the caller's actix system: the rack serves while the second value is awaited
    /// or spawned.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn on_this_system(addr: impl ToSocketAddrs, options: RackOptions) -> io::Result<(RackServer, Server)> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let state = RackState::new(options, addr);
        let server = assemble(listener, state.clone())?;
        Ok((RackServer { addr, handle: server.handle(), state, thread: None }, server))
    }
}

/// One HTTP/1.1 service over a tapped stream. HTTP/2 is not offered: a rack does not.
fn assemble(listener: TcpListener, state: RackState) -> io::Result<Server> {
    let workers = state.options().workers.max(1);
    let factory = move || {
        let tapped = state.clone();
        let served = state.clone();
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(IDLE))
            .client_request_timeout(HEADERS)
            .on_connect_ext(|wire: &Wire, data: &mut actix_http::Extensions| {
                data.insert(wire.arrivals());
            })
            .h1(fn_service(move |request| entry::serve(served.clone(), request)));
        Tapped { inner: http, state: tapped }
    };
    Ok(Server::build()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(1)
        .listen("dev-rack", listener, factory)?
        .run())
}

/// A service for connections, behind a tap.
struct Tapped<S> {
    inner: S,
    state: RackState,
}

/// A tapped stream and where it comes from, as the HTTP service takes it.
type Connection = (Wire, Option<SocketAddr>);

impl<F> ServiceFactory<TcpStream> for Tapped<F>
where
    F: ServiceFactory<Connection, Config = ()>,
    F::Future: 'static,
{
    type Response = F::Response;
    type Error = F::Error;
    type Config = ();
    type Service = Tapped<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, F::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let state = self.state.clone();
        Box::pin(self.inner.new_service(()).map_ok(move |inner| Tapped { inner, state }))
    }
}

impl<S: Service<Connection>> Service<TcpStream> for Tapped<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        let peer = stream.peer_addr().ok();
        self.inner.call((Wire::new(stream, self.state.clone()), peer))
    }
}

/// A running rack; it stops when it is dropped.
pub struct RackServer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Stops it.
    pub handle: ServerHandle,
    /// What it holds and what it received.
    pub state: RackState,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RackServer {
    /// The address as the gateway is configured with it: scheme, host and port, no credentials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops serving; open connections are cut.
    pub async fn stop(mut self) {
        self.handle.stop(false).await;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the development rack ended badly");
        }
    }
}

impl Drop for RackServer {
    fn drop(&mut self) {
        // The command is sent when the future is made; nobody needs to wait for the end.
        drop(self.handle.stop(false));
    }
}

impl fmt::Debug for RackServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RackServer").field("addr", &self.addr).finish_non_exhaustive()
    }
}
