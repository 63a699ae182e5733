//! Records one by one, in their order: as JSON lines, or as the rows of a table.

use bytes::Bytes;

use super::{Export, ExportError, Sink, csv};
use crate::audit::filter::is_selective;
use crate::audit::values::values_of;
use crate::store::{Record, RecordFilter};

/// Records per read.
const PAGE: u64 = 256;

/// The bytes of the records, each followed by a newline.
pub(super) async fn ndjson(export: &Export, sink: &Sink) -> Result<(), ExportError> {
    let mut pages = Pages::of(export);
    while let Some(page) = pages.next().await? {
        let mut lines = Vec::new();
        for record in page {
            lines.extend_from_slice(&record.canon);
            lines.push(b'\n');
        }
        sink.send(Bytes::from(lines)).await?;
    }
    Ok(())
}

/// A table with a line of names.
pub(super) async fn csv(export: &Export, sink: &Sink) -> Result<(), ExportError> {
    sink.send(Bytes::from(csv::heading()?)).await?;
    let mut pages = Pages::of(export);
    while let Some(page) = pages.next().await? {
        let seqs: Vec<u64> = page.iter().map(|record| record.seq).collect();
        let values = match export.request.private {
            true => values_of(export.keeper.store(), &seqs).await?,
            false => Default::default(),
        };
        sink.send(Bytes::from(csv::rows(&page, &values)?)).await?;
    }
    Ok(())
}

/// The records that are wanted, oldest first.
struct Pages<'a> {
    export: &'a Export,
    filter: Option<RecordFilter>,
    after: u64,
}

impl<'a> Pages<'a> {
    fn of(export: &'a Export) -> Self {
        let wanted = &export.request.filter;
        // Records may be a little out of the order of their times.
        let chosen = is_selective(wanted) || wanted.from.is_some() || wanted.to.is_some();
        let last = Some(export.plan.last);
        let filter = chosen.then(|| RecordFilter { last, ..wanted.clone() });
        Self { export, filter, after: export.plan.first - 1 }
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, ExportError> {
        let last = self.export.plan.last;
        if self.after >= last {
            return Ok(None);
        }
        let store = self.export.keeper.store();
        let mut page = match &self.filter {
            Some(filter) => store.records_search_up(filter, self.after, PAGE).await?,
            None => store.records_after(self.after, PAGE.min(last - self.after)).await?,
        };
        page.retain(|record| record.seq <= last);
        self.after = page.last().map_or(last, |record| record.seq);
        Ok((!page.is_empty()).then_some(page))
    }
}
