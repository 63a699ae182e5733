//! The room against racks that misbehave byte by byte. A gateway without policy stands in front:
//! what it would be given by a permit is made from the request itself.

mod crossing;
mod cuts;
mod exchange;
mod flow;
#[path = "../../../tests/it/harness/raw.rs"]
mod raw;
mod sockets;
mod trust;
mod upload;
mod waiting;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::{Service as _, ServiceFactory};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use self::raw::{Conn, RawServer, soon};
use super::forward::{self, Streamed};
use super::kill::{KillSwitch, kill_switch};
use super::tally::Tally;
use super::tls::SpkiHash;
use super::wait::{self, Opening};
use super::{Limits, Rack, RackConfig, Trust, socket};
use crate::audit::{Outcome, OutcomeResult};
use crate::pep::{Prepared, PreparedBody};
use crate::routes::{self, Kind, Outgoing};

/// Limits that no test waits for, except where it says so.
fn limits() -> Limits {
    Limits { socket_grace: Duration::from_millis(200), ..Limits::default() }
}

fn token() -> SecretString {
    SecretString::from("rack-token")
}

/// A gateway with one worker in front of a rack.
struct Gateway {
    addr: SocketAddr,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    /// One for each socket, in order.
    switches: Arc<Mutex<Vec<KillSwitch>>>,
    /// One for each socket that waits, in order.
    waits: Arc<Mutex<Vec<Wait>>>,
}

/// What decides how a wait ends.
struct Wait {
    /// Ok permits the socket.
    ready: oneshot::Sender<Result<(), String>>,
    stop: Option<oneshot::Sender<String>>,
}

impl Gateway {
    /// In front of a plain rack.
    fn before(rack: &RawServer) -> Self {
        Self::with(rack, limits())
    }

    fn with(rack: &RawServer, limits: Limits) -> Self {
        let url = format!("http://{}", rack.addr());
        Self::start(&RackConfig::new(&url, "convox", &token(), &Trust::system(), limits).expect("a config"))
    }

    fn start(config: &RackConfig) -> Self {
        let (sender, outcomes) = mpsc::unbounded_channel();
        let switches = Arc::<Mutex<Vec<KillSwitch>>>::default();
        let waits = Arc::<Mutex<Vec<Wait>>>::default();
        let worker = Worker { sender, switches: Arc::clone(&switches), waits: Arc::clone(&waits) };
        let config = config.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(Rack::new(&config)))
                .app_data(web::Data::new(worker.clone()))
                .default_service(web::to(handle))
        })
        .workers(1)
        .h1_allow_half_closed(false)
        .bind(("127.0.0.1", 0))
        .expect("a port");
        let addr = server.addrs()[0];
        actix_web::rt::spawn(server.disable_signals().run());
        Self { addr, outcomes, switches, waits }
    }

    async fn client(&self) -> Conn {
        Conn::connect(self.addr).await
    }

    /// Sends one request on a connection of its own.
    async fn send(&self, request: impl AsRef<[u8]>) -> Conn {
        let mut client = self.client().await;
        client.send(request).await;
        client
    }

    /// The next outcome.
    async fn outcome(&mut self) -> Outcome {
        soon("outcome", self.outcomes.recv()).await.expect("an outcome")
    }

    async fn ended(&mut self, result: OutcomeResult, status: u16) -> Outcome {
        let outcome = self.outcome().await;
        assert_eq!((outcome.result, outcome.status), (result, Some(status)), "{outcome:?}");
        outcome
    }

    fn switch(&self) -> KillSwitch {
        self.switches.lock().expect("not poisoned").remove(0)
    }

    fn wait(&self) -> Wait {
        self.waits.lock().expect("not poisoned").remove(0)
    }
}

#[derive(Clone)]
struct Worker {
    sender: mpsc::UnboundedSender<Outcome>,
    switches: Arc<Mutex<Vec<KillSwitch>>>,
    waits: Arc<Mutex<Vec<Wait>>>,
}

impl Worker {
    /// Accepts a socket whose permit the test gives.
    fn wait(&self, rack: &Rack, req: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let (ready, is_ready) = oneshot::channel();
        let (stop, is_stopped) = oneshot::channel();
        self.waits.lock().expect("not poisoned").push(Wait { ready, stop: Some(stop) });
        let (worker, prepared) = (self.clone(), prepared(req, PreparedBody::Empty));
        let opening = async move {
            is_ready.await.expect("the test decides")?;
            let (switch, kill) = kill_switch();
            worker.switches.lock().expect("not poisoned").push(switch);
            Ok(Opening { prepared, kill, tally: worker.tally() })
        };
        let stop = async move {
            match is_stopped.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            }
        };
        let message = "Confirm it first:\n  https://gateway/app/c/CODE\n";
        wait::wait(rack, req, payload, message, opening, stop)
    }

    fn tally(&self) -> Tally {
        let sender = self.sender.clone();
        // The test may be over before the last outcome.
        Tally::new(move |outcome| drop(sender.send(outcome)))
    }
}

/// Lets all headers of the client through, as no contract would.
fn prepared(req: &HttpRequest, body: PreparedBody) -> Prepared {
    let headers = req.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let method = match req.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        _ => "POST",
    };
    let outgoing = Outgoing {
        method,
        target: req.head().uri.path_and_query().expect("a path").as_str().to_owned(),
        headers: headers.collect(),
        body: routes::Body::None,
    };
    let (actor, request_id) = ("maria@example.com".to_owned(), "request-1".to_owned());
    Prepared { outgoing, body, actor, request_id, kind: Kind::Get }
}

async fn handle(
    rack: web::Data<Rack>,
    worker: web::Data<Worker>,
    req: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    if req.path() == "/waiting" {
        return worker.wait(&rack, &req, payload);
    }
    let tally = worker.tally();
    if req.path() == "/denied" {
        return socket::deny_socket(&req, payload, "denied: 100% sure", Some(126));
    }
    if req.headers().contains_key("upgrade") {
        let (switch, signal) = kill_switch();
        worker.switches.lock().expect("not poisoned").push(switch);
        return socket::relay(&rack, prepared(&req, PreparedBody::Empty), &req, payload, signal, tally).await;
    }
    let body = match req.headers().get("x-body").map(|body| body.as_bytes().to_vec()) {
        Some(bytes) => PreparedBody::Bytes(Bytes::from(bytes)),
        None if req.method() == "POST" || req.method() == "PUT" => PreparedBody::Stream,
        None => PreparedBody::Empty,
    };
    forward::relay(&rack, prepared(&req, body), Streamed::new(&req, payload), tally).await
}

/// A certificate authority of its own and one server certificate.
struct Identity {
    ca: String,
    pin: SpkiHash,
    server: Arc<ServerConfig>,
}

impl Identity {
    fn new(host: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // Two authorities of the same name would only differ in their signatures.
        params.distinguished_name.push(DnType::CommonName, hex::encode(Sha256::digest(key.public_key_raw())));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        let server = Arc::new(server_config(certificate.der().clone(), &key));
        Self { ca, pin, server }
    }

    /// A config for `localhost` on the port of `rack`.
    fn config(&self, rack: &RawServer, trust: &Trust, limits: Limits) -> RackConfig {
        let url = format!("https://localhost:{}", rack.addr().port());
        RackConfig::new(&url, "convox", &token(), trust, limits).expect("a config")
    }

    async fn accept(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let acceptor = Acceptor::new(ServerConfig::clone(&self.server));
        let service =
            ServiceFactory::<TcpStream>::new_service(&acceptor, ()).await.map_err(|()| "no service".to_owned())?;
        service.call(tcp).await.map_err(|error| format!("{error:?}"))
    }

    async fn conn(&self, rack: &RawServer) -> Conn {
        Conn::new(self.accept(rack.accept_tcp().await).await.expect("a handshake"))
    }
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    // A rack behind a modern proxy: it would choose h2 if it were offered.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// What the CLI sends for a plain request.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
