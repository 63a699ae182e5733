//! The awc client of one worker, with everything turned off that it would do by itself.
//!
//! One pool for exchanges and a client without a limit for sockets, which hold their connection for
//! as long as they live. Places are counted here and not in awc's pool, so that no request ever waits
//! inside the pool: replacing the client is then enough to be sure that nobody gets a connection of
//! the old one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::error::ParseError;
use actix_web::body::MessageBody;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode, Uri, Version};
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, ClientResponse, Connector};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::config::{Limits, RackConfig};
use super::dial::{Dialer, Use};
use super::trouble::Trouble;

/// The rack, as one worker sees it. Cheap to clone within the worker; `!Send`.
#[derive(Clone)]
pub struct Rack(Rc<Inner>);

struct Inner {
    config: RackConfig,
    exchanges: RefCell<Generation>,
    sockets: Client,
    places: Arc<Semaphore>,
}

/// A client and its pool. Replaced as a whole when a connection in the pool may be out of step.
#[derive(Clone)]
struct Generation {
    client: Client,
    spoiled: Rc<Cell<bool>>,
}

impl Rack {
    /// A client for this worker. Opens no connection.
    #[must_use]
    pub fn new(config: &RackConfig) -> Self {
        let sockets = client(config, Use::Tunnel, &Rc::default());
        Self(Rc::new(Inner {
            config: config.clone(),
            exchanges: RefCell::new(Generation::new(config)),
            sockets,
            places: Arc::new(Semaphore::new(config.limits.exchanges)),
        }))
    }

    pub(super) fn config(&self) -> &RackConfig {
        &self.0.config
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.config.limits
    }

    pub(super) fn sockets(&self) -> &Client {
        &self.0.sockets
    }

    /// A place for one exchange, held until its answer has ended.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Trouble> {
        let place = Arc::clone(&self.0.places).acquire_owned();
        match timeout(self.limits().queue, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Trouble::Busy),
        }
    }

    /// The absolute form that awc wants; the dialer ignores all but the target. Always `http`: TLS is
    /// the dialer's.
    pub(super) fn uri(&self, target: &str) -> Result<Uri, Trouble> {
        let config = self.config();
        if !target.starts_with('/') {
            return Err(Trouble::Unwritable("the target must begin with a slash".to_owned()));
        }
        Uri::try_from(format!("http://{}:{}{target}", config.host, config.port))
            .map_err(|error| Trouble::Unwritable(format!("the target is not a URI: {error}")))
    }

    /// Sends one request and reads the head of its answer.
    pub(super) async fn exchange(&self, request: &Request<'_>, body: impl MessageBody + 'static) -> Answer {
        self.exchange_with(&self.generation(), request, body).await
    }

    async fn exchange_with(
        &self,
        generation: &Generation,
        request: &Request<'_>,
        body: impl MessageBody + 'static,
    ) -> Answer {
        let mut outgoing = generation.client.request(request.method.clone(), request.uri.clone());
        *outgoing.headers_mut() = request.headers.clone();
        let answer = outgoing.no_decompress().send_body(body).await;
        // No await from here to the end: until the pool is gone, no other request may run.
        let checked = match answer {
            Ok(answer) if answer.status().is_informational() => Err(Trouble::Informational(answer.status())),
            Ok(answer) if !is_framed(request.method, &answer) => Err(Trouble::Unframed),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Trouble::Send(error)),
        };
        let suspect = matches!(checked, Err(Trouble::Informational(_) | Trouble::Unframed));
        if suspect || generation.spoiled.get() {
            self.renew(generation);
        }
        checked
    }

    /// [`Rack::exchange`] for a request without a body; if it ran into a connection that the rack had
    /// just closed, and only then, it is sent once more on a new one.
    pub(super) async fn exchange_again(&self, request: &Request<'_>) -> Answer {
        let generation = self.generation();
        match self.exchange_with(&generation, request, awc::body::None::new()).await {
            Err(Trouble::Send(error)) if request.is_repeatable() && is_stale(&error) => {
                // Others in the pool are as old as this one.
                self.renew(&generation);
                self.exchange(request, awc::body::None::new()).await
            }
            answer @ (Ok(_) | Err(_)) => answer,
        }
    }

    fn generation(&self) -> Generation {
        self.0.exchanges.borrow().clone()
    }

    /// A new client with an empty pool, unless that of `old` was replaced already. Exchanges under way
    /// keep the old one alive until they end.
    fn renew(&self, old: &Generation) {
        if Rc::ptr_eq(&self.generation().spoiled, &old.spoiled) {
            self.0.exchanges.replace(Generation::new(self.config()));
        }
    }
}

impl fmt::Debug for Rack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rack").field(&self.0.config).finish()
    }
}

/// The head of the rack's answer, or why there is none.
pub(super) type Answer = Result<ClientResponse, Trouble>;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

impl Request<'_> {
    fn is_repeatable(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }
}

impl Generation {
    fn new(config: &RackConfig) -> Self {
        let spoiled = Rc::default();
        Self { client: client(config, Use::Exchange, &spoiled), spoiled }
    }
}

fn client(config: &RackConfig, purpose: Use, spoiled: &Rc<Cell<bool>>) -> Client {
    let limits = &config.limits;
    let connector = Connector::new()
        .connector(Dialer::new(config, purpose, spoiled))
        .timeout(limits.connect)
        .conn_keep_alive(limits.keep_alive)
        .limit(0);
    Client::builder().connector(connector).no_default_headers().disable_redirects().disable_timeout().finish()
}

/// Whether the end of the body can be known. awc takes an answer without a length as empty and keeps
/// its connection, though the body is still to come; also one that offers an upgrade.
fn is_framed(method: &Method, answer: &ClientResponse) -> bool {
    let headers = answer.headers();
    let bodiless = matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let offers_upgrade = headers.contains_key(header::UPGRADE);
    let has_length = headers.contains_key(header::CONTENT_LENGTH) && !offers_upgrade;
    *method == Method::HEAD || bodiless || is_chunked(answer) || has_length
}

/// Whether the body is chunked; then it also is where awc says it ends.
fn is_chunked(answer: &ClientResponse) -> bool {
    let chunked = answer.headers().get(header::TRANSFER_ENCODING).and_then(|value| value.to_str().ok());
    answer.version() == Version::HTTP_11 && chunked.is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"))
}

/// Whether the connection was lost before any answer.
fn is_stale(error: &SendRequestError) -> bool {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => true,
        SendRequestError::Send(io) | SendRequestError::Response(ParseError::Io(io)) => is_lost(io),
        _ => false,
    }
}

fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected
    )
}
