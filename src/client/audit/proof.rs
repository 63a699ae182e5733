//! `audit prove` and `audit check-proof`: the proof of one record as a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::{Done, World};
use super::verify::{read_trust, replace};
use crate::proof::bundle::Bundle;
use crate::proof::record_proof::RecordProof;

#[derive(Args, Debug)]
pub(in crate::client) struct ProveArguments {
    /// Number of the record.
    #[arg(value_name = "NUMBER")]
    seq: u64,
    /// The export that holds it: a folder, or an uncompressed tar archive.
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
    /// File to write; `-` for standard output.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::client) struct CheckArguments {
    /// The proof.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The trust file that the operator gave you.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
}

/// Largest proof: a record, a path and a note.
const LARGEST: u64 = 1 << 20;

pub(super) fn prove(arguments: &ProveArguments, global: &Global, world: &mut World<'_>) -> Done {
    let proof = Bundle::open(&arguments.export, None)?.prove(arguments.seq)?.encode();
    if arguments.out == Path::new("-") {
        write!(world.out, "{proof}")?;
        return Ok(ExitCode::SUCCESS);
    }
    replace(&arguments.out, proof.as_bytes())?;
    let file = arguments.out.display().to_string();
    if global.json {
        writeln!(world.out, "{:#}", json!({ "file": file, "seq": arguments.seq }))?;
    } else {
        writeln!(world.out, "wrote {file}: check it with `rack-gateway audit check-proof {file} --trust trust.json`")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn check(arguments: &CheckArguments, global: &Global, world: &mut World<'_>) -> Done {
    let trust = read_trust(&arguments.trust)?;
    let error = |cause| ClientError::File { path: arguments.proof.clone(), cause };
    if fs::metadata(&arguments.proof).map_err(error)?.len() > LARGEST {
        return Err(error(io::Error::other("it is too large for a proof")));
    }
    let bytes = fs::read(&arguments.proof).map_err(error)?;
    let proof = RecordProof::parse(&bytes);
    match proof.and_then(|proof| Ok((proof.check(&trust)?, proof))) {
        Err(fault) => {
            if global.json {
                writeln!(world.out, "{:#}", json!({ "good": false, "detail": fault.to_string() }))?;
            } else {
                writeln!(world.out, "NOT GOOD: {}", super::super::text::plain(&fault.to_string()))?;
            }
            Ok(ExitCode::FAILURE)
        }
        Ok((proven, proof)) => {
            let record: Value = serde_json::from_slice(&proof.record)?;
            let key = hex::encode(proven.key.fingerprint());
            if global.json {
                let told = json!({
                    "good": true, "seq": proven.seq, "origin": proven.checkpoint.origin,
                    "size": proven.checkpoint.size, "signer": key, "development": trust.is_development(),
                    "record": record,
                });
                writeln!(world.out, "{told:#}")?;
            } else {
                let (seq, size, origin) = (proven.seq, proven.checkpoint.size, &proven.checkpoint.origin);
                writeln!(world.out, "GOOD: record {seq} of {origin}, in the log of {size} records that was signed by")?;
                writeln!(world.out, "key P-256 SPKI sha256:{key}")?;
                if trust.is_development() {
                    writeln!(world.out, "DEVELOPMENT ANCHOR: it proves nothing to others")?;
                }
                // Escaped by serde_json, but for what turns the direction of writing.
                for line in serde_json::to_string_pretty(&record)?.lines() {
                    writeln!(world.out, "{}", shown(line))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A line of somebody else's, indented as it is, without what moves the cursor.
fn shown(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    format!("{indent}{}", super::super::text::plain(line))
}
