//! Open sockets are decided again and again; one that would not be opened any more is ended.

use std::time::Duration;

use tokio::sync::watch;

use crate::pep::{Gate, Recheck, Standing};
use crate::routes::{Facts, Row};
use crate::telemetry;
use crate::upstream::{Kill, KillSignal, KillSwitch, kill_switch};

/// How often the question is asked again.
const EVERY: Duration = Duration::from_secs(2);
/// How many times in a row the answer may be unknown, before the socket ends all the same.
const UNKNOWN: u32 = 15;
/// What a shell reports that was killed (128 + SIGKILL).
const KILLED: u8 = 137;

/// Whether the server is stopping. Sockets may last for days; a server that stops ends them.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

impl Stopping {
    pub(super) async fn begun(mut self) {
        // A server that is gone without a word has stopped too.
        drop(self.0.wait_for(|stopping| *stopping).await);
    }
}

/// Watches over a socket that is about to open; what it returns ends the socket.
pub(super) fn watch_over(gate: &Gate, recheck: Box<Recheck>, row: &Row, stopping: Stopping) -> KillSignal {
    let (switch, signal) = kill_switch();
    let exit = (row.contract.facts == Facts::Exec).then_some(KILLED);
    actix_web::rt::spawn(watch_until_over(gate.clone(), recheck, switch, exit, stopping));
    signal
}

async fn watch_until_over(gate: Gate, recheck: Box<Recheck>, switch: KillSwitch, exit: Option<u8>, stopping: Stopping) {
    metrics::gauge!(telemetry::SOCKETS).increment(1);
    tokio::select! {
        () = switch.over() => {}
        () = stopping.begun() => switch.kill(Kill { reason: "the gateway stops".to_owned(), exit }),
        reason = until_ended(&gate, &recheck) => switch.kill(Kill { reason, exit }),
    }
    switch.over().await;
    metrics::gauge!(telemetry::SOCKETS).decrement(1);
}

async fn until_ended(gate: &Gate, recheck: &Recheck) -> String {
    let mut unknown = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        match recheck.ask(gate).await {
            Standing::Holds => unknown = 0,
            Standing::Ended(reason) => return reason,
            Standing::Unknown => unknown += 1,
        }
        if unknown >= UNKNOWN {
            return "the credential cannot be checked any more".to_owned();
        }
    }
}
