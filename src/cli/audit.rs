//! `audit`: verify the log, follow it, show what belongs to one request.

mod read;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use super::runtime::{block_on, open_store};
use super::{Done, Failure, Output};
use super::{anchor, audit_init};
use crate::store::{Record, Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Recompute everything from what is stored, and compare it with what was anchored. Exit code:
    /// 0 verified, 1 tampered, 2 incomplete (also when there are no anchors), 3 could not run.
    Verify(verify::VerifyArguments),
    /// Write the proof of one record, which can be checked with the trust file alone.
    Prove(verify::ProveArguments),
    /// The last records.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        /// Go on with those that follow.
        #[arg(short, long)]
        follow: bool,
        /// The records themselves, as JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// One record by its number, or all records of a request by its id, with the personal values that are
    /// still there.
    Show {
        /// Number of the record, or id of the request.
        what: String,
    },
    /// Erase personal values beside the log, for good; that it was done, why and with whose consent stays on
    /// the record.
    Erase(super::erase::EraseArguments),
    /// Look at the bucket and the key of the anchors, and print the policies that they need. Exit code:
    /// 0 they can be used, 1 anchors would prove nothing, 3 could not run.
    Init(audit_init::InitArguments),
    /// Print the trust file of the configured bucket and key: what an auditor is given.
    Trust,
    /// Make a key file for development anchors.
    Key {
        /// Where; there must be no such file.
        file: PathBuf,
    },
    /// Declare that records which were anchored are lost, and go on in a new epoch.
    Epoch {
        /// Why they are lost.
        #[arg(long)]
        reason: String,
        /// Who agreed.
        #[arg(long)]
        approver: String,
    },
    /// Search the records, newest first.
    Search(read::SearchArguments),
    /// Write records to a file: a bundle that anybody can verify, JSON lines, or CSV.
    Export(read::ExportArguments),
}

pub(super) fn audit(command: &AuditCommand, output: &mut Output<'_>) -> Done {
    match command {
        AuditCommand::Verify(arguments) => verify::verify(arguments, output),
        AuditCommand::Prove(arguments) => verify::prove(arguments, output),
        AuditCommand::Tail { lines, follow, json } => tail(*lines, *follow, *json, output),
        AuditCommand::Show { what } => show(what, output),
        AuditCommand::Erase(arguments) => super::erase::erase(arguments, output),
        AuditCommand::Init(arguments) => audit_init::init(arguments, output),
        AuditCommand::Trust => audit_init::trust(output),
        AuditCommand::Key { file } => audit_init::key(file, output),
        AuditCommand::Epoch { reason, approver } => anchor::epoch(reason, approver, output),
        AuditCommand::Search(arguments) => read::search(arguments, output),
        AuditCommand::Export(arguments) => read::export(arguments, output),
    }
}

/// How often a followed log is read.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Rows per read.
const PAGE: u64 = 1_000;

fn tail(lines: u64, follow: bool, json: bool, output: &mut Output<'_>) -> Done {
    let out = &mut *output.out;
    block_on(async {
        let store = open_store().await?;
        let head = store.head().await?.map_or(0, |(_, head)| head.seq);
        let mut after = write_after(&store, head.saturating_sub(lines), json, out).await?;
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            after = write_after(&store, after, json, out).await?;
        }
    })
}

/// Writes all records after `after`; returns the last number.
async fn write_after(store: &Store, mut after: u64, json: bool, out: &mut dyn Write) -> Result<u64, Failure> {
    loop {
        let page = store.records_after(after, PAGE).await?;
        let Some(last) = page.last().map(|record| record.seq) else { return Ok(after) };
        for record in &page {
            if json {
                out.write_all(&record.canon)?;
                writeln!(out)?;
            } else {
                writeln!(out, "{}", line(record))?;
            }
        }
        out.flush()?;
        after = last;
    }
}

/// A record in one line for people.
fn line(record: &Record) -> String {
    let value: Value = serde_json::from_slice(&record.canon).unwrap_or_default();
    let text = |pointer: &str| match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => "-".to_owned(),
    };
    let who = text("/actor/id");
    let what = match text("/kind").as_str() {
        "outcome" => format!("of {}: {} {}", text("/intent"), text("/result"), text("/status")),
        _ => format!("{} {} {} {}", text("/action"), text("/resource"), text("/decision"), text("/message")),
    };
    format!("{:>8}  {}  {:<8}  {:<36}  {}", record.seq, text("/ts"), text("/kind"), who, what)
}

fn show(what: &str, output: &mut Output<'_>) -> Done {
    let records = block_on(async {
        let store = open_store().await?;
        let records = match what.parse::<u64>() {
            Ok(seq) => match store.record(seq).await {
                Ok(record) => vec![record],
                Err(StoreError::NotFound) => Vec::new(),
                Err(error) => return Err(error.into()),
            },
            Err(_) => store.records_by_request(what, PAGE).await?,
        };
        let mut shown = Vec::with_capacity(records.len());
        for record in records {
            let private = store.private_of(record.seq, record.seq).await?;
            shown.push((record, private));
        }
        Ok(shown)
    })?;
    if records.is_empty() {
        return Err(Failure::new(format!("no record belongs to {what}")));
    }
    for (record, private) in records {
        let value: Value = serde_json::from_slice(&record.canon)?;
        writeln!(output.out, "{}", serde_json::to_string_pretty(&value)?)?;
        writeln!(output.out, "leaf  {}\nchain {}", hex::encode(&record.leaf), hex::encode(&record.chain))?;
        for row in private {
            writeln!(output.out, "beside the record: {} = {}", row.name, row.value.escape_debug())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
