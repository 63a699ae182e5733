//! Records to take away: a bundle that anybody can verify, JSON lines, or CSV, made while they are sent.
//!
//! What is exported is settled at the start, so the log may grow meanwhile. Memory does not depend on how many
//! records there are, but for about a hundred bytes for each file of a bundle.

mod bundle;
mod csv;
mod plan;
mod rows;
mod tar;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::anchor::Sealer;
use super::filter::is_selective;
use super::{Keeper, search};
use crate::store::{RecordFilter, StoreError};
use plan::Plan;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// The bundle of `docs/audit-format.md`, as a tar archive: records, anchors, tiles, personal values.
    Bundle,
    /// The bytes of the records, one a line.
    Ndjson,
    /// A table for spreadsheets.
    Csv,
}

impl ExportFormat {
    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "bundle" => Self::Bundle,
            "ndjson" => Self::Ndjson,
            "csv" => Self::Csv,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media(self) -> &'static str {
        match self {
            Self::Bundle => "application/x-tar",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Bundle => "tar",
            Self::Ndjson => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Why there is no export, or no end of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bundle that leaves records out cannot be verified.
    #[error("a bundle holds every record of its range: choose by from, to, first and last only, or another format")]
    Selective,
    /// Something cannot be spelled.
    #[error("{0}")]
    Unwritable(&'static str),
    /// Nobody reads any more.
    #[error("nobody reads the export any more")]
    Closed,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// Which records.
    pub filter: RecordFilter,
    /// In which form.
    pub format: ExportFormat,
    /// With the personal values that are still there. JSON lines never have them.
    pub private: bool,
}

/// An export that is about to be made.
#[derive(Debug)]
pub struct Export {
    keeper: Keeper,
    request: ExportRequest,
    plan: Plan,
    now: OffsetDateTime,
    sealer: Option<Sealer>,
}

impl Export {
    /// Settles what will be exported, as the log is now.
    ///
    /// # Errors
    /// [`ExportError::Selective`]; [`ExportError::Store`].
    pub async fn prepare(keeper: &Keeper, request: ExportRequest, now: OffsetDateTime) -> Result<Self, ExportError> {
        let is_bundle = request.format == ExportFormat::Bundle;
        if is_bundle && is_selective(&request.filter) {
            return Err(ExportError::Selective);
        }
        let plan = match is_bundle {
            true => Plan::bundle(keeper.store(), &request.filter).await?,
            false => Plan::rows(keeper.store(), &request.filter).await?,
        };
        if is_bundle {
            keeper.catch_up(plan.end.as_ref().map_or(0, |end| end.size)).await?;
        } else {
            // What cannot be looked for is said before the export begins; and the index is up then.
            search(keeper, &request.filter, None, 1).await?;
        }
        Ok(Self { keeper: keeper.clone(), request, plan, now, sealer: None })
    }

    /// The same; if it is a bundle, it will say whom it is from, where that can be said.
    #[must_use]
    pub fn sealed_by(self, sealer: Option<Sealer>) -> Self {
        Self { sealer, ..self }
    }

    /// In which form.
    #[must_use]
    pub const fn format(&self) -> ExportFormat {
        self.request.format
    }

    /// The first and the last record of the range; the last is smaller when there is none.
    #[must_use]
    pub const fn range(&self) -> (u64, u64) {
        (self.plan.first, self.plan.last)
    }

    /// What to call it.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("audit-{}-{}.{}", self.plan.first, self.plan.last, self.request.format.extension())
    }

    /// Its bytes. An error ends it; what was given until then is no export.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, ExportError>> + Send + 'static {
        let (sink, mut chunks) = mpsc::channel(AHEAD);
        let work = async move { self.write(&Sink(sink)).await };
        let chunks = stream::poll_fn(move |cx| chunks.poll_recv(cx)).map(Ok);
        let failure = stream::once(work).filter_map(|done| std::future::ready(done.err().map(Err)));
        stream::select(chunks, failure)
    }

    async fn write(self, sink: &Sink) -> Result<(), ExportError> {
        match self.request.format {
            ExportFormat::Bundle => bundle::write(self, sink).await,
            ExportFormat::Ndjson => rows::ndjson(&self, sink).await,
            ExportFormat::Csv => rows::csv(&self, sink).await,
        }
    }
}

/// How many pieces are made before the first is taken.
const AHEAD: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 128 << 10;

/// Where the bytes go: no faster than they are taken.
struct Sink(mpsc::Sender<Bytes>);

impl Sink {
    async fn send(&self, mut bytes: Bytes) -> Result<(), ExportError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            self.0.send(piece).await.map_err(|_| ExportError::Closed)?;
        }
        Ok(())
    }
}
