//! `audit export`: records in a file. It gets its name when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::{Done, World};
use super::FilterArguments;

#[derive(Args, Debug)]
pub(in crate::client) struct ExportArguments {
    /// File to write, which must not be there yet; `-` for standard output.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Form of the export.
    #[arg(long, value_enum, default_value_t = Format::Bundle)]
    format: Format,
    #[command(flatten)]
    filter: FilterArguments,
    /// Not before this record.
    #[arg(long, value_name = "NUMBER")]
    first: Option<u64>,
    /// Not after this record.
    #[arg(long, value_name = "NUMBER")]
    last: Option<u64>,
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

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

pub(super) async fn export(arguments: &ExportArguments, global: &Global, world: &mut World<'_>) -> Done {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let token = target.token(world)?.expose();
    let mut query = arguments.filter.query();
    query.push(("format", arguments.format.as_str().to_owned()));
    query.push(("private", (!arguments.no_private).to_string()));
    query.extend(arguments.first.map(|number| ("first", number.to_string())));
    query.extend(arguments.last.map(|number| ("last", number.to_string())));
    let is_stdout = arguments.out == Path::new("-");
    if !is_stdout && fs::symlink_metadata(&arguments.out).is_ok() {
        return Err(exists(&arguments.out).into());
    }
    let mut download = gateway
        .download(&["api", "v1", "audit", "export"], &query, token)
        .await
        .map_err(|error| target.explain(error))?;
    let progress = progress(world.is_terminal.err);
    let mut part = if is_stdout { None } else { Some(Part::create(&arguments.out)?) };
    let (mut bytes, mut hash) = (0_u64, Sha256::new());
    while let Some(chunk) = download.next().await? {
        let out: &mut dyn Write = match &mut part {
            Some(part) => &mut part.file,
            None => &mut *world.out,
        };
        let chunk = chunk.as_ref();
        out.write_all(chunk)?;
        hash.update(chunk);
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        progress.set_position(bytes);
    }
    progress.finish_and_clear();
    let Some(part) = part else {
        world.out.flush()?;
        return Ok(ExitCode::SUCCESS);
    };
    part.finish(&arguments.out)?;
    told(arguments, bytes, &hex::encode(hash.finalize()), global, world)?;
    Ok(ExitCode::SUCCESS)
}

fn told(
    arguments: &ExportArguments,
    bytes: u64,
    sha256: &str,
    global: &Global,
    world: &mut World<'_>,
) -> Result<(), ClientError> {
    let file = arguments.out.display();
    if global.json {
        writeln!(world.out, "{:#}", json!({ "file": file.to_string(), "bytes": bytes, "sha256": sha256 }))?;
        return Ok(());
    }
    writeln!(world.out, "wrote {file}: {bytes} bytes, SHA-256 {sha256}")?;
    if matches!(arguments.format, Format::Bundle) {
        writeln!(world.out, "check it with `rack-gateway audit verify {file} --trust trust.json`")?;
    }
    Ok(())
}

fn exists(path: &Path) -> io::Error {
    let text = format!("{} is there already: choose another name, or remove it", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}

fn progress(is_terminal: bool) -> ProgressBar {
    let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{spinner} {bytes} at {bytes_per_sec}, {elapsed}");
    ProgressBar::with_draw_target(None, target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// A file under way, for its owner alone: it holds personal values. Gone unless it is finished.
struct Part {
    path: PathBuf,
    file: File,
    is_whole: bool,
}

impl Part {
    fn create(whole: &Path) -> io::Result<Self> {
        let mut path = whole.as_os_str().to_owned();
        path.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, is_whole: false })
    }

    fn finish(mut self, whole: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        // Unlike a rename, a link takes the place of nothing.
        match fs::hard_link(&self.path, whole) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(whole)),
            // File systems without links.
            Err(_) => {
                fs::rename(&self.path, whole)?;
                self.is_whole = true;
                Ok(())
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_whole && fs::remove_file(&self.path).is_err() {
            // Nothing is left to tell: what stays behind is named as a part.
            self.is_whole = true;
        }
    }
}
