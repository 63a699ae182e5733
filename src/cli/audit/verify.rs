//! `audit verify` and `audit prove`: the log in the database against what was anchored.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use time::Duration;

use crate::audit::Keeper;
use crate::audit::anchor::{self, Aws, Objects, load};
use crate::audit::live::{self, Anchored};
use crate::audit::prove::{self as proofs, ProveError};
use crate::cli::runtime::{block_on, open_store};
use crate::cli::{Done, Failure, Output};
use crate::clock::Clock;
use crate::config::{AnchorSettings, Env as _, Process};
use crate::http::origin;
use crate::proof::trust::Trust;
use crate::proof::verify::Options;
use crate::store::{Store, StoreError};

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArguments {
    /// The trust file of an auditor. Without it the configured bucket and keys are believed, which shows what
    /// somebody else did, and nothing about whoever configures this program.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// How old the last anchor may be, in seconds.
    #[arg(long, value_name = "SECONDS")]
    expect_fresh: Option<u32>,
    /// Threads; without it one for each core.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArguments {
    /// Number of the record.
    seq: u64,
    /// File to write, which must not be there yet; standard output without it.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn verify(arguments: &VerifyArguments, output: &mut Output<'_>) -> Done {
    let trust = arguments.trust.as_deref().map(read_trust).transpose()?;
    let settings = AnchorSettings::from_env(&Process).map_err(|errors| Failure::could_not_run(errors.to_string()))?;
    let expect_fresh = arguments.expect_fresh.map(|seconds| Duration::seconds(seconds.into()));
    let options = Options { expect_fresh, jobs: arguments.jobs, ..Options::new(Clock::system().now()) };
    let is_own_word = trust.is_none();
    let err = &mut *output.err;
    let mut report = block_on(async {
        let store = open_store().await?;
        let anchored = anchored(&store, settings.as_ref(), trust).await?;
        let mut shown = 0;
        let outcome = live::verify(&store, anchored.as_ref(), &options, |done, total| {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            // A line for each tenth: readable in a terminal and in the log of a job.
            if percent / 10 > shown && total > 100_000 {
                shown = percent / 10;
                let line = writeln!(err, "{percent:>3} percent: {done} of {total} records");
                tracing::trace!(?line, "progress");
            }
        });
        Ok(outcome.await?.report)
    })?;
    if is_own_word && settings.is_some() {
        report.not_checked.push("whether bucket and keys are those that an auditor trusts (--trust)".to_owned());
    }
    if arguments.json {
        writeln!(output.out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        report.write(output.out)?;
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}

/// The anchors of the configured bucket; none when there is none and nobody asks for it.
async fn anchored(
    store: &Store,
    settings: Option<&AnchorSettings>,
    trust: Option<Trust>,
) -> Result<Option<Anchored>, Failure> {
    let aws = Aws::environment();
    let Some(settings) = settings else {
        let text = "AUDIT_ANCHOR_BUCKET is not set: there are no anchors to compare with the trust file";
        return if trust.is_some() { Err(Failure::could_not_run(text)) } else { Ok(None) };
    };
    let trust = match trust {
        Some(trust) => trust,
        None => {
            // An empty database may be one that was emptied: the settings name the log as well.
            let head = store.head().await?.map(|(origin, _)| origin);
            let Some(origin) = head.or_else(|| Process.get("RACK").map(|rack| origin(&rack))) else { return Ok(None) };
            anchor::trust(settings, &aws, &origin).await?
        }
    };
    let objects = Objects::open(settings, &aws).await?;
    let loaded = load(&objects, &trust.origin).await?;
    Ok(Some(Anchored { trust, loaded }))
}

fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let wrong = |why: String| Failure::could_not_run(format!("{} is no trust file: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    Trust::parse(&bytes).map_err(|error| wrong(error.to_string()))
}

pub(super) fn prove(arguments: &ProveArguments, output: &mut Output<'_>) -> Done {
    let seq = arguments.seq;
    let proof = block_on(async {
        match proofs::prove(&Keeper::new(open_store().await?), seq).await {
            Ok(proof) => Ok(proof),
            Err(ProveError::Store(StoreError::NotFound)) => Err(Failure::new(format!("there is no record {seq}"))),
            Err(ProveError::Store(error)) => Err(error.into()),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    })?;
    let text = proof.encode();
    let Some(path) = &arguments.out else {
        output.out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
