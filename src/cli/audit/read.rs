//! `audit search` and `audit export`: what the API answers, straight from the database. Whoever can read that
//! needs no permission of the gateway, and leaves no record.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use futures_util::StreamExt as _;

use super::super::runtime::{block_on, open_store};
use super::super::{Done, Failure, Output};
use super::line;
use crate::audit::anchor::{Aws, Sealer};
use crate::audit::export::{Export, ExportFormat, ExportRequest};
use crate::audit::filter::{FilterError, filter};
use crate::audit::{self, Keeper};
use crate::clock::Clock;
use crate::config::{AnchorSettings, Env as _, Process};
use crate::store::RecordFilter;
use crate::telemetry;

/// Which records.
#[derive(Args, Debug)]
pub(super) struct FilterArguments {
    /// Words that the record holds, all of them.
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Id of who acted.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Action, such as app:delete.
    #[arg(long)]
    action: Option<String>,
    /// Resource, such as App::myapp.
    #[arg(long)]
    resource: Option<String>,
    /// What was decided: allow, deny or challenge.
    #[arg(long)]
    decision: Option<String>,
    /// Kind: intent, outcome, denial, admin, system, erasure or epoch.
    #[arg(long)]
    kind: Option<String>,
    /// A policy that determined the decision.
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Id of a request.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Not before this time: 2026-11-21T10:00:00Z, or a day, which begins at midnight UTC.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Not before this record.
    #[arg(long, value_name = "NUMBER")]
    first: Option<String>,
    /// Not after this record.
    #[arg(long, value_name = "NUMBER")]
    last: Option<String>,
}

impl FilterArguments {
    fn filter(&self) -> Result<RecordFilter, FilterError> {
        let words = self.words.join(" ");
        filter(|name| {
            let given = match name {
                "actor" => &self.actor,
                "action" => &self.action,
                "resource" => &self.resource,
                "decision" => &self.decision,
                "kind" => &self.kind,
                "policy" => &self.policy,
                "request" => &self.request,
                "from" => &self.from,
                "to" => &self.to,
                "first" => &self.first,
                "last" => &self.last,
                _ => return Some(words.as_str()).filter(|words| !words.is_empty()),
            };
            given.as_deref()
        })
    }
}

fn wrong(error: &FilterError) -> Failure {
    Failure { message: error.to_string(), code: 2 }
}

/// The log, with its index as far as it is needed: no server may be there that keeps it.
async fn current(wanted: &RecordFilter) -> Result<Keeper, Failure> {
    let keeper = Keeper::new(open_store().await?);
    if wanted.needs_words() {
        let end = keeper.store().head().await?.map_or(0, |(_, head)| head.seq);
        keeper.index(end).await?;
    }
    Ok(keeper)
}

#[derive(Args, Debug)]
pub(in crate::cli) struct SearchArguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// Most records.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: usize,
    /// The records themselves, as JSON lines.
    #[arg(long)]
    json: bool,
}

/// Records per read.
const PAGE: usize = 200;

pub(super) fn search(arguments: &SearchArguments, output: &mut Output<'_>) -> Done {
    let wanted = arguments.filter.filter().map_err(|error| wrong(&error))?;
    let out = &mut *output.out;
    block_on(async {
        let keeper = current(&wanted).await?;
        let (mut left, mut before) = (arguments.limit, None);
        while left > 0 {
            let rows = u64::try_from(left.min(PAGE)).unwrap_or(u64::MAX);
            let page = audit::search(&keeper, &wanted, before, rows).await?;
            let Some(last) = page.last().map(|record| record.seq) else { break };
            for record in &page {
                if arguments.json {
                    out.write_all(&record.canon)?;
                    writeln!(out)?;
                } else {
                    writeln!(out, "{}", line(record))?;
                }
            }
            (left, before) = (left.saturating_sub(page.len()), Some(last));
        }
        Ok(ExitCode::SUCCESS)
    })
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ExportArguments {
    /// File to write, which must not be there yet; `-` for standard output.
    #[arg(short = 'o', long, value_name = "FILE")]
    out: PathBuf,
    /// Form of the export.
    #[arg(long, value_enum, default_value_t = Format::Bundle)]
    format: Format,
    #[command(flatten)]
    filter: FilterArguments,
    /// Leave personal values out: addresses, e-mail.
    #[arg(long)]
    no_private: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Records with what proves them, as a tar archive.
    Bundle,
    /// The bytes of the records, one a line.
    Ndjson,
    /// A table for spreadsheets.
    Csv,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Bundle => Self::Bundle,
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv,
        }
    }
}

pub(super) fn export(arguments: &ExportArguments, output: &mut Output<'_>) -> Done {
    let wanted = arguments.filter.filter().map_err(|error| wrong(&error))?;
    let request = ExportRequest { filter: wanted, format: arguments.format.into(), private: !arguments.no_private };
    // What is missing from it is told there, and is no reason for having none.
    telemetry::init_logs(&Process.get("RGW_LOG").unwrap_or_else(|| "warn".to_owned()), false);
    let sealer = sealer()?;
    if arguments.out == Path::new("-") {
        block_on(write(request, sealer, output.out))?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.out);
    let mut file = file.map_err(|error| Failure::could_not_run(format!("{}: {error}", arguments.out.display())))?;
    let written = block_on(write(request, sealer, &mut file)).and_then(|range| {
        file.sync_all()?;
        Ok(range)
    });
    match written {
        Ok((first, last)) => {
            writeln!(output.err, "wrote {}: records {first} to {last}", arguments.out.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            // Half an export must not be taken for a whole one.
            fs::remove_file(&arguments.out)?;
            Err(failure)
        }
    }
}

/// What signs the export, where the key of the anchors is configured.
fn sealer() -> Result<Option<Sealer>, Failure> {
    let settings = AnchorSettings::from_env(&Process).map_err(|errors| Failure::could_not_run(errors.to_string()))?;
    Ok(settings.map(|settings| Sealer::new(settings, Aws::environment())))
}

async fn write(request: ExportRequest, sealer: Option<Sealer>, out: &mut dyn Write) -> Result<(u64, u64), Failure> {
    let keeper = current(&request.filter).await?;
    let export = Export::prepare(&keeper, request, Clock::system().now()).await?;
    let export = export.sealed_by(sealer);
    let range = export.range();
    let mut chunks = Box::pin(export.stream());
    while let Some(chunk) = chunks.next().await {
        out.write_all(&chunk?)?;
    }
    out.flush()?;
    Ok(range)
}
