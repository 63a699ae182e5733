//! A copy of the records as lines of JSON, for whoever collects the output of the process. It
//! runs on a thread of its own and drops what does not fit: a blocked pipe must not stop the
//! gateway, since the records themselves are safe.

use std::io::{BufWriter, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Batches that may wait to be copied.
const WAITING: usize = 64;

/// The copying thread. It ends when this is dropped and all is written.
#[derive(Debug)]
pub(super) struct Sink {
    lines: Option<SyncSender<Vec<u8>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sink {
    pub(super) fn start(out: Box<dyn Write + Send>) -> Self {
        let (lines, batches) = sync_channel::<Vec<u8>>(WAITING);
        let mut out = BufWriter::new(out);
        let copy = move || {
            for batch in batches {
                if let Err(error) = out.write_all(&batch).and_then(|()| out.flush()) {
                    metrics::counter!("audit_copies_failed_total").increment(1);
                    tracing::debug!(%error, "audit records could not be copied to the output");
                }
            }
        };
        let thread = std::thread::Builder::new().name("audit-copy".to_owned()).spawn(copy).ok();
        Self { lines: Some(lines), thread }
    }

    /// Copies one batch of whole lines, unless too many wait already.
    pub(super) fn copy(&self, batch: Vec<u8>) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                metrics::counter!("audit_copies_dropped_total").increment(1);
            }
        }
    }

    /// Waits until all is written. Blocks.
    pub(super) fn finish(mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the copy of the audit records ended early");
        }
    }
}
