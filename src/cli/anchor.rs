//! `anchor`: make anchors of the audit log as a process of its own, with its own credentials; and
//! `audit epoch`, which declares what was lost.

use std::process::ExitCode;

use clap::Args;
use tokio::sync::watch;

use super::runtime::{FLUSH, block_on, open_recorded, open_store};
use super::serve::Signals;
use super::{Done, Failure, Output};
use crate::audit::anchor::{AnchorError, AnchorParts, Anchorer, Aws, declare_epoch};
use crate::audit::{Keeper, Writer};
use crate::clock::Clock;
use crate::config::{AnchorSettings, Env, Process};
use crate::proof::anchor::AnchorReason;
use crate::store::Store;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct AnchorArguments {
    /// Make one anchor and end. Exit code: 0 it is there, 1 what was anchored contradicts what is
    /// there, 3 could not run.
    #[arg(long)]
    once: bool,
}

/// The settings of anchors, which must be there.
pub(super) fn settings() -> Result<AnchorSettings, Failure> {
    let settings = AnchorSettings::from_env(&Process).map_err(|errors| Failure::could_not_run(errors.to_string()))?;
    settings.ok_or_else(|| Failure::could_not_run("AUDIT_ANCHOR_BUCKET is not set: anchors are off"))
}

/// A contradiction is an answer; everything else means that there is none.
fn failure(error: AnchorError) -> Failure {
    match error {
        AnchorError::Fault(fault) => Failure::new(fault.to_string()),
        AnchorError::Unusable(text) => Failure::new(text),
        other => Failure::from(other),
    }
}

fn parts(settings: AnchorSettings, store: Store, writer: Writer) -> AnchorParts {
    AnchorParts {
        settings,
        aws: Aws::environment(),
        keeper: Keeper::new(store),
        clock: Clock::system(),
        writer,
        bundle: Box::new(|| None),
    }
}

pub(super) fn anchor(arguments: &AnchorArguments, output: &mut Output<'_>) -> Done {
    telemetry::init_logs(&Process.get("RGW_LOG").unwrap_or_else(|| "info".to_owned()), true);
    let settings = settings()?;
    block_on(async {
        let signals = Signals::new()?;
        // The process that serves gives the log its name.
        if open_store().await?.head().await?.is_none() {
            return Err(Failure::could_not_run(AnchorError::NotBegun.to_string()));
        }
        let (store, writer) = open_recorded().await?;
        let anchorer = Anchorer::new(parts(settings, store, writer.clone()));
        let done = if arguments.once { once(&anchorer, output).await } else { until_told(anchorer, signals).await };
        writer.shutdown(FLUSH).await;
        done
    })
}

async fn once(anchorer: &Anchorer, output: &mut Output<'_>) -> Done {
    let row = anchorer.anchor(AnchorReason::Start).await.map_err(failure)?;
    let kind = if row.development { "development anchor" } else { "anchor" };
    writeln!(
        output.out,
        "{kind} {} of epoch {}: {} records, root {}",
        row.number,
        row.epoch,
        row.size,
        hex::encode(row.root)
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn until_told(anchorer: Anchorer, signals: Signals) -> Done {
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(anchorer.run(stopped));
    tracing::info!("making anchors");
    signals.told().await;
    stop.send_replace(true);
    running.await?;
    Ok(ExitCode::SUCCESS)
}

/// Declares a break of the log.
pub(super) fn epoch(reason: &str, approver: &str, output: &mut Output<'_>) -> Done {
    let settings = settings()?;
    let row = block_on(async {
        let (store, writer) = open_recorded().await?;
        let parts = parts(settings, store, writer.clone());
        let declared = declare_epoch(&parts, reason, approver).await.map_err(failure);
        writer.shutdown(FLUSH).await;
        declared
    })?;
    writeln!(
        output.out,
        "epoch {} begins with record {}; records up to {} are as they were anchored. Auditors accept the break by an \
         entry of `breaks` in their trust file",
        row.number, row.seq, row.kept
    )?;
    Ok(ExitCode::SUCCESS)
}
