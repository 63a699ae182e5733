//! `secrets`: under which keys stored secrets are, and the change of the key.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::runtime::{FLUSH, block_on, open_recorded};
use super::{Done, Failure, Output};
use crate::audit::{Actor, Event, EventKind, Writer};
use crate::clock::Clock;
use crate::config::{Config, Process};
use crate::store::Store;
use crate::vault::{Census, Keyring, Rotation, Survey, rotate};

#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Count stored secrets by key. Exit code: 0 every key is set, 1 one is not, 3 could not run.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Seal everything under `APP_SECRET_KEY` that is still under `APP_SECRET_KEY_PREVIOUS`. May be
    /// broken off and run again, while the gateway serves. Exit code: 0 nothing is left, 1
    /// something is, 3 could not run.
    Rotate {
        /// The result as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn secrets(command: &SecretsCommand, output: &mut Output<'_>) -> Done {
    let keyring = Config::keyring(&Process).map_err(|errors| Failure::could_not_run(errors.to_string()))?;
    match command {
        SecretsCommand::Status { json } => status(&keyring, *json, output),
        SecretsCommand::Rotate { json } => change(&keyring, *json, output),
    }
}

/// Puts on the record what is about to be done.
async fn record(audit: &Writer, action: &'static str, survey: &Survey) -> Result<(), Failure> {
    let key = ("key".to_owned(), survey.current.to_string());
    let previous = survey.previous.map(|id| ("previous_key".to_owned(), id.to_string()));
    let waiting = ("waiting".to_owned(), survey.waiting().total().to_string());
    let event = Event {
        actor: Some(Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() }),
        detail: [key, waiting].into_iter().chain(previous).collect(),
        ..Event::new(EventKind::Admin, "", action)
    };
    audit.append(event).await?;
    Ok(())
}

/// Records, then works; the log is flushed in either case.
fn recorded<T>(
    action: &'static str,
    keyring: &Keyring,
    work: impl AsyncFnOnce(&Store, Survey) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let (store, audit) = open_recorded().await?;
        let survey = Survey::take(&store, keyring).await?;
        let recorded = record(&audit, action, &survey).await;
        let done = match recorded {
            Ok(()) => work(&store, survey).await,
            Err(failure) => Err(failure),
        };
        audit.shutdown(FLUSH).await;
        done
    })
}

fn status(keyring: &Keyring, json: bool, output: &mut Output<'_>) -> Done {
    let survey = recorded("vault:status", keyring, async |_, survey| Ok(survey))?;
    let (settled, waiting, unknown) = (survey.settled(), survey.waiting(), survey.unknown());
    if json {
        let shown = json!({
            "key": survey.current.to_string(),
            "previous_key": survey.previous.map(|id| id.to_string()),
            "current": settled.0,
            "previous": waiting.0,
            "unknown": unknown.0,
        });
        writeln!(output.out, "{shown}")?;
    } else {
        writeln!(output.out, "{:<16}  {:<8}  {:>6}  PURPOSES", "KEY", "STATE", "VALUES")?;
        for (key, state, census) in by_key(&survey) {
            writeln!(output.out, "{key:<16}  {state:<8}  {:>6}  {census}", census.total())?;
        }
        advise(survey.previous.map(|_| &waiting), &unknown, output)?;
    }
    Ok(ExitCode::from(u8::from(unknown.total() > 0)))
}

/// Key, what it is to this process, and what is sealed under it.
fn by_key(survey: &Survey) -> Vec<(String, &'static str, Census)> {
    let current = survey.current.to_string();
    let previous = survey.previous.map(|id| id.to_string());
    let set = [Some(current.clone()), previous.clone()].into_iter().flatten();
    let mut all: BTreeMap<String, Census> = set.map(|id| (id, Census::default())).collect();
    for count in &survey.counts {
        all.entry(count.key_id.clone()).or_default().add(&count.purpose, count.count);
    }
    let state = |id: &String| match id {
        id if *id == current => "current",
        id if previous.as_ref() == Some(id) => "previous",
        _ => "not set",
    };
    all.into_iter().map(|(id, census)| (id.clone(), state(&id), census)).collect()
}

/// What to do next. `waiting` is what is under the previous key, if one is set.
fn advise(waiting: Option<&Census>, unknown: &Census, output: &mut Output<'_>) -> std::io::Result<()> {
    if unknown.total() > 0 {
        writeln!(
            output.out,
            "some are under a key that is not set: set APP_SECRET_KEY_PREVIOUS to it, or start once with `serve \
             --accept-loss`, which deletes them"
        )?;
    }
    match waiting {
        Some(waiting) if waiting.total() > 0 => writeln!(output.out, "run `rack-gateway-api secrets rotate`"),
        Some(_) => writeln!(output.out, "{DONE}"),
        None => Ok(()),
    }
}

const DONE: &str = "nothing is under APP_SECRET_KEY_PREVIOUS: when every replica runs with the new APP_SECRET_KEY, \
                    wait ten minutes for sign-ins under way, then remove it";

fn change(keyring: &Keyring, json: bool, output: &mut Output<'_>) -> Done {
    let err = &mut *output.err;
    let rotation = recorded("vault:rotate", keyring, async |store, survey| {
        let waiting = survey.waiting().total();
        let mut written = Ok(());
        let rotation = rotate(store, keyring, Clock::system().now(), |done| {
            written = writeln!(err, "sealed {done} of {} again", waiting.max(done));
        });
        let rotation = rotation.await?;
        written?;
        Ok(rotation)
    })?;
    let left = rotation.left.total();
    if json {
        let shown = json!({
            "key": keyring.current_id().to_string(),
            "resealed": rotation.resealed,
            "left": rotation.left.0,
            "unreadable": rotation.unreadable.0,
        });
        writeln!(output.out, "{shown}")?;
    } else {
        tell(&rotation, keyring, output)?;
    }
    Ok(ExitCode::from(u8::from(left > 0)))
}

fn tell(rotation: &Rotation, keyring: &Keyring, output: &mut Output<'_>) -> std::io::Result<()> {
    writeln!(output.out, "sealed {} again, {} left", rotation.resealed, rotation.left.total())?;
    if rotation.unreadable.total() > 0 {
        writeln!(
            output.out,
            "no key opens these ({}): set APP_SECRET_KEY_PREVIOUS to the key that does and run this again, or start \
             once with `serve --accept-loss`, which deletes them",
            rotation.unreadable
        )?;
    } else if rotation.left.total() > 0 {
        writeln!(
            output.out,
            "a replica still seals under the old key ({}): start it with the new one, then run this again",
            rotation.left
        )?;
    } else if keyring.previous_id().is_some() {
        writeln!(output.out, "{DONE}")?;
    }
    Ok(())
}
