//! What all endpoints share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::book::Book;
use super::keys::{self, Key};
use crate::clock::Clock;

/// The name of the one registered client.
const CLIENT: &str = "rack-gateway";

/// One provider: its names, its keys, its client, and what it remembers.
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    pub(super) key: Key,
    pub(super) ci_key: Key,
    pub(super) clock: Clock,
    redirect_uris: Mutex<Vec<String>>,
    book: Mutex<Book>,
}

impl Provider {
    pub(super) fn new(addr: SocketAddr, clock: Clock, redirect_uris: Vec<String>) -> io::Result<Self> {
        Ok(Self {
            issuer: format!("http://{addr}"),
            client_id: CLIENT.to_owned(),
            client_secret: SecretString::from(keys::random()?),
            key: Key::generate()?,
            ci_key: Key::generate()?,
            clock,
            redirect_uris: Mutex::new(redirect_uris),
            book: Mutex::new(Book::new()),
        })
    }

    /// Who signs the tokens of CI runs.
    pub(super) fn ci_issuer(&self) -> String {
        format!("{}/ci", self.issuer)
    }

    pub(super) fn redirect_uris(&self) -> MutexGuard<'_, Vec<String>> {
        self.redirect_uris.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
