//! Open sockets are decided again and again; one that would not be opened any more is ended.

use std::time::Duration;

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

/// Watches over a socket that is about to open; what it returns ends the socket.
pub(super) fn watch_over(gate: &Gate, recheck: Box<Recheck>, row: &Row) -> KillSignal {
    let (switch, signal) = kill_switch();
    let exit = (row.contract.facts == Facts::Exec).then_some(KILLED);
    actix_web::rt::spawn(watch(gate.clone(), recheck, switch, exit));
    signal
}

async fn watch(gate: Gate, recheck: Box<Recheck>, switch: KillSwitch, exit: Option<u8>) {
    metrics::gauge!(telemetry::SOCKETS).increment(1);
    tokio::select! {
        () = switch.over() => {}
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
