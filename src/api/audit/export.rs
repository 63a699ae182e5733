//! Records to take away.

use futures_util::StreamExt as _;

use super::super::action::AuditExport;
use super::super::endpoint::Answer;
use super::super::{Broken, Call, Download, Problem, Reply};
use super::{bad_value, invalid_is_bad};
use crate::audit::export::{Export, ExportError, ExportFormat, ExportRequest};
use crate::audit::filter::{filter, spelled};

/// Export records: as a bundle that can be verified (`bundle`, a tar archive), as JSON lines (`ndjson`) or as a table
/// (`csv`). A bundle takes no filters but `from`, `to`, `first` and `last`, and may reach to the anchors around that
/// range. `private=false` leaves personal values out. A connection that breaks off gave no whole export.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 400, description = "A value that no record can have, or a filter that a bundle does not take"),
))]
pub(in crate::api) async fn export(call: Call<AuditExport>) -> Answer {
    let query = call.granted().query();
    let wanted = filter(|name| query.get(name)).map_err(|error| bad_value(error.to_string()))?;
    let format = ExportFormat::parse(query.get("format").unwrap_or("bundle"));
    let format = format.ok_or_else(|| bad_value("format must be bundle, ndjson or csv"))?;
    let private = match query.get("private").unwrap_or("true") {
        "true" => true,
        "false" => false,
        _ => return Err(bad_value("private must be true or false")),
    };
    let mut asked = spelled(&wanted);
    asked.extend([("format", format.as_str().to_owned()), ("private", private.to_string())]);
    let request = ExportRequest { filter: wanted, format, private };
    let export = Export::prepare(&call.gate().keeper, request, call.now()).await.map_err(problem)?;
    let export = export.sealed_by(call.services().sealer.clone());
    let (first, last) = export.range();
    asked.push(("range", format!("{first}-{last}")));
    call.record_read(&asked).await?;
    let (media, name) = (export.format().media(), export.file_name());
    let chunks = export.stream().map(|chunk| chunk.map_err(|error| Broken(error.to_string()))).boxed_local();
    Ok(Reply::download(Download { media, name, chunks }))
}

fn problem(error: ExportError) -> Problem {
    match error {
        ExportError::Store(error) => invalid_is_bad(error),
        error @ ExportError::Selective => bad_value(error.to_string()),
        error @ (ExportError::Unwritable(_) | ExportError::Closed) => {
            tracing::error!(%error, "no export");
            Problem::new(503, "unanswerable", "the export cannot be made; try again")
        }
    }
}
