//! Assembly of the listeners.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use tokio::sync::watch;

use crate::api::{self, Services};
use crate::outbox::OutboxStates;
use crate::pep::BundleStatus;
use crate::upstream::{Rack, RackConfig};

use super::headers;
use super::health::{health, ready};
use super::proxy::proxy;
use super::sockets::Stopping;
use super::visit;
use super::waiting::Places;

/// What a server is made of.
#[derive(Debug)]
pub struct ServerParts {
    /// What endpoints work with, the enforcement point among them.
    pub services: Services,
    /// The rack, ready to be dialled.
    pub rack_config: RackConfig,
    /// Whether the last bundle was good.
    pub bundle: BundleStatus,
    /// How the outbox is doing.
    pub outbox: OutboxStates,
    /// The public listener, bound.
    pub listener: TcpListener,
    /// The listener of metrics, and what renders them.
    pub metrics: Option<(SocketAddr, PrometheusHandle)>,
    /// Threads that serve.
    pub workers: usize,
}

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The public listener cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(std::io::Error),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address of the public listener.
    pub addr: SocketAddr,
    /// The address of the listener of metrics.
    pub metrics_addr: Option<SocketAddr>,
    handles: Vec<ServerHandle>,
    stopping: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
}

/// Longest wait for the head of a request: a slow client holds a connection, never a worker.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the CLI's pool keeps an idle connection, so that the CLI closes first.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// How long running requests get to finish at shutdown, in seconds.
const DRAIN_SECONDS: u64 = 30;

fn ended(result: Result<std::io::Result<()>, tokio::task::JoinError>) -> Option<String> {
    match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Binds the public listener: before anything else, so that a port that is taken costs nothing, and
/// a port that the system chooses is known.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).map_err(|source| ServerError::Bind { address, source })
}

impl Server {
    /// Binds the listeners and serves on threads of its own.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn start(parts: ServerParts) -> Result<Self, ServerError> {
        let ServerParts { services, rack_config, bundle, outbox, listener, metrics, workers } = parts;
        let addr = listener.local_addr().map_err(ServerError::Listener)?;
        let endpoints = Data::new(api::endpoints());
        let doors = Data::new(api::doors());
        let gate = Data::new(services.gate.clone());
        let services = Data::new(services);
        let bundle = Data::new(bundle);
        let outbox = Data::new(outbox);
        let places = Data::new(Places::default());
        let (stopping, is_stopping) = watch::channel(false);
        let public = HttpServer::new(move || {
            App::new()
                .app_data(gate.clone())
                .app_data(endpoints.clone())
                .app_data(services.clone())
                .app_data(doors.clone())
                .app_data(bundle.clone())
                .app_data(outbox.clone())
                .app_data(places.clone())
                .app_data(Data::new(Stopping(is_stopping.clone())))
                // One client per worker: its pool belongs to the worker's thread.
                .app_data(Data::new(Rack::new(&rack_config)))
                .route("/api/v1/health", web::get().to(health))
                .route("/api/v1/ready", web::get().to(ready))
                .configure(visit::mount)
                .default_service(web::to(proxy))
                .wrap(from_fn(headers::harden))
        })
        // A client that goes away cancels its request at the rack.
        .h1_allow_half_closed(false)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .workers(workers)
        .listen(listener)
        .map_err(ServerError::Listener)?;
        let running = public.run();
        let mut server =
            Self { addr, metrics_addr: None, handles: vec![running.handle()], stopping, tasks: Vec::new() };
        server.tasks.push(tokio::spawn(running));
        if let Some((listen, handle)) = metrics {
            server.serve_metrics(listen, handle)?;
        }
        Ok(server)
    }

    fn serve_metrics(&mut self, listen: SocketAddr, handle: PrometheusHandle) -> Result<(), ServerError> {
        let bound = HttpServer::new(move || {
            let handle = handle.clone();
            App::new().route(
                "/metrics",
                web::get().to(move || {
                    let text = handle.render();
                    async move { HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text) }
                }),
            )
        })
        .workers(1)
        .disable_signals()
        .bind(listen)
        .map_err(|source| ServerError::Bind { address: listen, source })?;
        self.metrics_addr = bound.addrs().first().copied();
        let running = bound.run();
        self.handles.push(running.handle());
        self.tasks.push(tokio::spawn(running));
        Ok(())
    }

    /// Stops accepting, ends sockets, lets running requests finish, and returns when all threads ended.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        for handle in &self.handles {
            handle.stop(true).await;
        }
        for task in self.tasks {
            if let Some(problem) = ended(task.await) {
                tracing::error!(problem, "the server did not stop as it should");
            }
        }
    }
}
