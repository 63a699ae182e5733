//! `audit verify`: checks an export with nothing but files.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime, macros::format_description};

use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::{Done, World};
use crate::proof::bundle::{Bundle, Since};
use crate::proof::moment::Moment;
use crate::proof::trust::Trust;
use crate::proof::verify::{self, Options, Resume};

#[derive(Args, Debug)]
pub(in crate::client) struct VerifyArguments {
    /// The export: a folder, or an uncompressed tar archive.
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
    /// The trust file that the operator gave you, not one that came with the export.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// A copy of the bucket, as `aws s3 sync s3://BUCKET DIR` makes it: its anchors are used instead of the export's.
    #[arg(long, value_name = "DIR")]
    anchors: Option<PathBuf>,
    /// How old the last anchor may be: 600, 600s, 10m, 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expect_fresh: Option<Duration>,
    /// Begin at the last anchor before this record or time; what is before is not looked at.
    #[arg(long, value_name = "NUMBER|TIME", value_parser = since, conflicts_with = "resume")]
    since: Option<Since>,
    /// Go on where the check that wrote this file ended, and write it anew. Keep it as safe as the trust file.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Threads; without it one for each core.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    jobs: usize,
    /// Print nothing but complaints: the exit code says it.
    #[arg(long, short)]
    quiet: bool,
}

/// Largest file of an earlier check.
const RESUME: u64 = 1 << 28;

pub(super) fn verify(arguments: &VerifyArguments, global: &Global, world: &mut World<'_>) -> Done {
    let trust = read_trust(&arguments.trust)?;
    let bucket = arguments.anchors.as_deref().map(|folder| (folder, trust.origin.as_str()));
    let mut bundle = Bundle::open(&arguments.export, bucket)?;
    let resume = arguments.resume.as_deref().map(read_resume).transpose()?.flatten();
    let since = arguments.since.map(|since| bundle.begin_for(since)).transpose()?;
    let options =
        Options { now: (world.now)(), expect_fresh: arguments.expect_fresh, jobs: arguments.jobs, resume, since };
    let bar = progress(world.is_terminal.err && !arguments.quiet);
    let outcome = verify::verify(&mut bundle, &trust, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let report = &outcome.report;
    if global.json {
        writeln!(world.out, "{}", serde_json::to_string_pretty(report)?)?;
    } else if !arguments.quiet {
        report.write(world.out)?;
    }
    if let Some(path) = &arguments.resume {
        match &outcome.resume {
            Some(resume) => replace(path, &resume.encode()?)?,
            None => writeln!(world.err, "{} was left as it is: this check has no good end", path.display())?,
        }
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}

/// Reads the trust file.
pub(super) fn read_trust(path: &Path) -> Result<Trust, ClientError> {
    let bytes = fs::read(path).map_err(|cause| ClientError::File { path: path.to_owned(), cause })?;
    Trust::parse(&bytes).map_err(|cause| ClientError::TrustFile { path: path.to_owned(), cause })
}

/// Reads what an earlier check left; nothing when there is no such file yet.
fn read_resume(path: &Path) -> Result<Option<Resume>, ClientError> {
    let error = |cause: String| ClientError::State { path: path.to_owned(), cause };
    match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(error(cause.to_string())),
        Ok(metadata) if metadata.len() > RESUME => return Err(error("it is too large".to_owned())),
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(|cause| error(cause.to_string()))?;
    Resume::parse(&bytes).map(Some).map_err(|cause| error(cause.to_string()))
}

/// Writes a file in the place of another, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|cause| ClientError::State { path: path.to_owned(), cause: cause.to_string() })
}

fn progress(is_terminal: bool) -> ProgressBar {
    let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} records, {per_sec}, {eta} left");
    ProgressBar::with_draw_target(None, target).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `600`, `600s`, `10m`, `24h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a unit is s, m, h or d".to_owned()),
    };
    let count: i64 = digits.parse().map_err(|_| "a number, with s, m, h or d behind it".to_owned())?;
    let limit = 1 << 33;
    let seconds = count.checked_mul(seconds).filter(|seconds| (0..limit).contains(seconds));
    seconds.map(Duration::seconds).ok_or_else(|| "that is no time to wait".to_owned())
}

/// A number of a record, a day, or a time.
fn since(text: &str) -> Result<Since, String> {
    if let Ok(seq) = text.parse() {
        return Ok(Since::Record(seq));
    }
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| Some(day()?.midnight().assume_utc()));
    time.map(|time| Since::Time(Moment::of(time)))
        .ok_or_else(|| "the number of a record, a day as 2026-11-21, or a time as 2026-11-21T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Moment, Since, duration, since};
    use time::Duration;

    #[test]
    fn durations() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::seconds(seconds)), "{text}");
        }
        for wrong in ["", "m", "-1", "1.5h", "1w", "10 m", "9999999999999d", "1m30s"] {
            duration(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn where_to_begin() {
        let at = |text| Since::Time(Moment::parse(text).unwrap());
        assert_eq!(since("17"), Ok(Since::Record(17)));
        assert_eq!(since("2026-11-21"), Ok(at("2026-11-21T00:00:00.000000Z")));
        assert_eq!(since("2026-11-21T10:00:00.5+02:00"), Ok(at("2026-11-21T08:00:00.500000Z")));
        since("yesterday").expect_err("no time");
    }
}
