//! Ends an open socket from outside: when a later decision is no longer Allow.

use std::future::pending;

use tokio::sync::watch;

/// Why and how a socket is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// For the record.
    pub reason: String,
    /// The exit code that the CLI reports (137 for a command that was killed); `None` for a socket
    /// on which it expects none.
    pub exit: Option<u8>,
}

impl Kill {
    /// What the record says of a socket that was ended so.
    pub(super) fn told(&self) -> String {
        format!("ended by the gateway: {}", self.reason)
    }
}

/// Ends one socket. Belongs to whoever decides again; may live on another thread.
#[derive(Debug)]
pub struct KillSwitch(watch::Sender<Option<Kill>>);

/// The other end of a [`KillSwitch`], for [`open_socket`](super::open_socket).
#[derive(Debug)]
pub struct KillSignal(watch::Receiver<Option<Kill>>);

/// A switch and its signal. A switch that is dropped ends nothing.
#[must_use]
pub fn kill_switch() -> (KillSwitch, KillSignal) {
    let (sender, receiver) = watch::channel(None);
    (KillSwitch(sender), KillSignal(receiver))
}

impl KillSwitch {
    /// Ends the socket. The first call counts.
    pub fn kill(&self, kill: Kill) {
        self.0.send_if_modified(|current| {
            let is_first = current.is_none();
            if is_first {
                *current = Some(kill);
            }
            is_first
        });
    }

    /// Whether the socket has ended, by itself or by this switch.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the socket has ended.
    pub async fn over(&self) {
        self.0.closed().await;
    }
}

impl KillSignal {
    /// Waits for the kill; forever if the switch is gone. May be dropped and called again.
    pub(super) async fn killed(&mut self) -> Kill {
        let kill = match self.0.wait_for(Option::is_some).await {
            Ok(kill) => kill.clone(),
            Err(_) => None,
        };
        match kill {
            Some(kill) => kill,
            None => pending().await,
        }
    }
}
