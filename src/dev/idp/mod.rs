//! The development identity provider: an OpenID provider for one client, with made-up people and no
//! passwords, and an issuer of CI tokens beside it. It serves the loopback interface only.

mod accounts;
mod authorize;
mod book;
mod ci;
mod keys;
mod metadata;
mod pages;
mod params;
mod provider;
mod server;
mod token;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use secrecy::SecretString;

use self::provider::Provider;
use crate::clock::Clock;

/// How a provider is started.
#[derive(Clone, Debug)]
pub struct IdpOptions {
    /// What time it is, for codes and tokens.
    pub clock: Clock,
    /// Where answers may be sent, compared byte by byte.
    pub redirect_uris: Vec<String>,
}

impl Default for IdpOptions {
    fn default() -> Self {
        Self { clock: Clock::system(), redirect_uris: Vec::new() }
    }
}

/// What a gateway needs to let people sign in here.
#[derive(Clone, Debug)]
pub struct IdpClient {
    /// The issuer: discovery begins at `{issuer}/.well-known/openid-configuration`.
    pub issuer: String,
    /// Name of the client.
    pub client_id: String,
    /// Its secret, new at each start.
    pub client_secret: SecretString,
}

/// A running provider; it stops when it is dropped.
pub struct Idp {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its issuer.
    pub issuer: String,
    provider: Arc<Provider>,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Idp {
    /// A provider on a thread of its own, listening when this returns. Port 0 picks a free port.
    ///
    /// # Errors
    /// The address is not a loopback address or cannot be bound, or the machine gives no keys or
    /// thread.
    pub fn start(addr: SocketAddr, options: IdpOptions) -> io::Result<Self> {
        if !addr.ip().is_loopback() {
            let reason = format!("the development identity provider needs a loopback address, not {addr}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let provider = Arc::new(Provider::new(addr, options.clock, options.redirect_uris)?);
        let (tell, told) = mpsc::channel();
        let served = Arc::clone(&provider);
        let thread = std::thread::Builder::new().name("dev-idp".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                match server::serve(listener, served) {
                    Ok(server) => {
                        if tell.send(Ok(server.handle())).is_ok() {
                            server.await
                        } else {
                            Ok(())
                        }
                    }
                    Err(error) => tell.send(Err(error)).map_err(|_| io::Error::other("nobody waits for the provider")),
                }
            })
        })?;
        let handle = told.recv().map_err(|_| io::Error::other("the provider's thread ended before it listened"))??;
        Ok(Self { addr, issuer: provider.issuer.clone(), provider, handle, thread: Some(thread) })
    }

    /// The client that is registered here: what the gateway's sign-in is to be configured with.
    #[must_use]
    pub fn client(&self) -> IdpClient {
        IdpClient {
            issuer: self.issuer.clone(),
            client_id: self.provider.client_id.clone(),
            client_secret: self.provider.client_secret.clone(),
        }
    }

    /// Registers one more address for answers: a gateway's port may be known only once it listens.
    pub fn allow_redirect(&self, uri: impl Into<String>) {
        self.provider.redirect_uris().push(uri.into());
    }

    /// The issuer of the tokens that `POST /ci-token` makes.
    #[must_use]
    pub fn ci_issuer(&self) -> String {
        self.provider.ci_issuer()
    }

    /// Stops serving; open connections are cut.
    pub async fn stop(mut self) {
        self.handle.stop(false).await;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the development identity provider ended badly");
        }
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        // The command is sent when the future is made; nobody needs to wait for the end.
        drop(self.handle.stop(false));
    }
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").field("addr", &self.addr).finish_non_exhaustive()
    }
}
