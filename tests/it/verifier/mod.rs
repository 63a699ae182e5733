//! The check of exports by the real binary, by the engine, and against damage.

mod bundles;
mod command;
mod proofs;
mod watch;

use std::path::Path;

use rack_gateway::proof::bundle::{Bundle, BundleError};
use rack_gateway::proof::trust::Trust;
use rack_gateway::proof::verify::{Code, Options, Report, verify};
use rack_gateway_tests::evidence::{Bundle as Files, Log, Plan, honest};

/// A log of sixty records with an anchor for each ten, and one at the end.
fn plan() -> Plan {
    Plan { records: 65, anchor_every: 10, ..Plan::default() }
}

fn log() -> Log {
    honest(&plan())
}

/// Checks a folder or an archive.
fn check_path(path: &Path, bucket: Option<&Path>, trust: &Trust, options: &Options) -> Result<Report, BundleError> {
    let mut bundle = Bundle::open(path, bucket.map(|folder| (folder, trust.origin.as_str())))?;
    verify(&mut bundle, trust, options, &mut |_, _| {}).map(|outcome| outcome.report)
}

/// Checks these files as a folder, a moment after the log ended.
fn check(files: &Files, log: &Log) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    files.write_folder(folder.path()).expect("the files");
    check_path(folder.path(), None, &log.trust(), &Options::new(log.now)).expect("a check")
}

/// The findings with what they are about.
fn found(report: &Report) -> Vec<(Code, Option<u64>)> {
    report.findings.iter().map(|finding| (finding.code, finding.record.or(finding.anchor))).collect()
}
