//! `audit watch`: follows the anchors of a gateway from outside. Whoever watches holds what was signed,
//! so a history that is rewritten later, or shown to others only, contradicts it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::super::api::Gateway;
use super::super::arguments::Global;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::{Done, World};
use super::verify::{read_trust, replace};
use crate::proof::anchor::{Checkpoint, Meta, epoch_origin};
use crate::proof::chain::Hash;
use crate::proof::key::PublicKey;
use crate::proof::moment::Moment;
use crate::proof::note::Note;
use crate::proof::tree::is_consistent;
use crate::proof::trust::Trust;

#[derive(Args, Debug)]
pub(in crate::client) struct WatchArguments {
    /// The trust file that the operator gave you.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// File that keeps the last anchor; made when it is not there.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// How often to ask, in seconds: 60, 60s, 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = every)]
    every: std::time::Duration,
    /// Ask once.
    #[arg(long)]
    once: bool,
}

/// What the gateway says where there is no anchor.
const UNANCHORED: &str = "unanchored";
/// Hand-overs of the key that are followed between two looks.
const HAND_OVERS: u64 = 100_000;

/// The last anchor that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    v: u64,
    origin: String,
    epoch: u64,
    number: u64,
    size: u64,
    /// Root of the tree and hashes of the two notes, hex.
    root: String,
    checkpoint: String,
    meta: String,
    made_at: String,
    next_due: String,
    /// The key in force: SubjectPublicKeyInfo in base64.
    key: String,
}

/// An anchor as the gateway shows it. What is in the notes counts.
#[derive(Debug, Deserialize)]
struct Shown {
    checkpoint: String,
    meta: String,
}

/// The proof that one tree begins with another.
#[derive(Debug, Deserialize)]
struct Path64 {
    path: Vec<String>,
}

/// An anchor whose signatures are good.
struct Anchor {
    meta: Meta,
    seen: Seen,
}

/// What a look came to.
enum Look {
    Good(Anchor),
    /// Something contradicts.
    Wrong(String),
    /// A break that the trust file does not accept.
    Break(Anchor),
}

pub(super) async fn watch(arguments: &WatchArguments, global: &Global, world: &mut World<'_>) -> Done {
    let trust = read_trust(&arguments.trust)?;
    let mut seen = read_state(&arguments.state, &trust)?;
    loop {
        let looked = look(&trust, seen.as_ref(), global, world).await;
        let now = (world.now)();
        let (code, text, next) = match looked {
            Ok(Look::Wrong(detail)) => (1, detail, None),
            Ok(Look::Break(anchor)) => {
                (2, format!("epoch {} is a break that the trust file does not accept", anchor.seen.epoch), None)
            }
            Ok(Look::Good(anchor)) => {
                replace(&arguments.state, &serde_json::to_vec_pretty(&anchor.seen)?)?;
                let code = if is_overdue(&anchor.seen, now) { 2 } else { 0 };
                (code, describe(&anchor, code == 2), Some(anchor.seen))
            }
            Err(ClientError::Refused(problem)) if problem.slug == UNANCHORED => match &seen {
                None => (2, "nothing is anchored yet".to_owned(), None),
                Some(seen) => (1, format!("anchor {} was there, and there is none any more", seen.number), None),
            },
            Err(error) if arguments.once || !is_outage(&error) => return Err(error),
            Err(error) => {
                writeln!(world.err, "{error}")?;
                let overdue = seen.as_ref().is_some_and(|seen| is_overdue(seen, now));
                (if overdue { 2 } else { 0 }, "the gateway does not show its anchors".to_owned(), None)
            }
        };
        seen = next.or(seen);
        told(code, &text, global, seen.as_ref(), world)?;
        if arguments.once || code != 0 {
            return Ok(ExitCode::from(code));
        }
        tokio::time::sleep(arguments.every).await;
    }
}

fn told(code: u8, text: &str, global: &Global, seen: Option<&Seen>, world: &mut World<'_>) -> io::Result<()> {
    let verdict = match code {
        0 => "good",
        1 => "TAMPERED",
        _ => "INCOMPLETE",
    };
    let text = super::super::text::plain(text);
    if global.json {
        let size = seen.map(|seen| seen.size);
        let line = json!({ "verdict": verdict.to_lowercase(), "detail": text, "size": size });
        return writeln!(world.out, "{line}");
    }
    writeln!(world.out, "{verdict}: {text}")
}

fn describe(anchor: &Anchor, is_overdue: bool) -> String {
    let Seen { epoch, number, size, made_at, next_due, .. } = &anchor.seen;
    let development = if anchor.meta.development { ", DEVELOPMENT ANCHOR" } else { "" };
    let due = if is_overdue { "the next one is OVERDUE since" } else { "the next one is due" };
    format!("anchor {number} of epoch {epoch} covers {size} records, made at {made_at}, {due} {next_due}{development}")
}

/// Whether waiting may help.
const fn is_outage(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { .. } | ClientError::Refused(_) | ClientError::NotAGateway { .. })
}

fn is_overdue(seen: &Seen, now: OffsetDateTime) -> bool {
    Moment::parse(&seen.next_due).is_none_or(|due| due < Moment::of(now))
}

fn every(text: &str) -> Result<std::time::Duration, String> {
    let wait = super::verify::duration(text)?;
    let seconds = u64::try_from(wait.whole_seconds()).unwrap_or_default();
    if seconds == 0 { Err("at least a second".to_owned()) } else { Ok(std::time::Duration::from_secs(seconds)) }
}

fn read_state(path: &Path, trust: &Trust) -> Result<Option<Seen>, ClientError> {
    let error = |cause: String| ClientError::State { path: path.to_owned(), cause };
    let bytes = match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|cause| error(cause.to_string()))?,
    };
    let seen: Seen = serde_json::from_slice(&bytes).map_err(|cause| error(cause.to_string()))?;
    if seen.v != 1 || seen.origin != trust.origin {
        return Err(error("it is about another log".to_owned()));
    }
    Ok(Some(seen))
}

/// Asks for the newest anchor and compares it with the last one.
async fn look(trust: &Trust, seen: Option<&Seen>, global: &Global, world: &World<'_>) -> Result<Look, ClientError> {
    let target = Target::find(global, world)?;
    let gateway = Gateway::new(&target.address, global, world)?;
    let ask = Ask { gateway, target: &target, token: target.token(world)?.expose() };
    let shown = ask.anchor(None).await?;
    let Some((epoch, number)) = place(&shown) else {
        return Ok(Look::Wrong("what the gateway shows is no anchor".to_owned()));
    };
    let keys = match keys(&ask, trust, seen, (epoch, number)).await? {
        Ok(keys) => keys,
        Err(detail) => return Ok(Look::Wrong(detail)),
    };
    let anchor = match believe(trust, &shown, &keys) {
        Ok(anchor) => anchor,
        Err(detail) => return Ok(Look::Wrong(detail)),
    };
    let Some(seen) = seen else { return Ok(Look::Good(anchor)) };
    if (epoch, number) < (seen.epoch, seen.number) {
        return Ok(Look::Wrong(format!(
            "anchor {} of epoch {} was there, and is not any more",
            seen.number, seen.epoch
        )));
    }
    if (epoch, number) == (seen.epoch, seen.number) {
        let is_same = (&anchor.seen.checkpoint, &anchor.seen.meta) == (&seen.checkpoint, &seen.meta);
        return Ok(if is_same {
            Look::Good(anchor)
        } else {
            Look::Wrong(format!("anchor {number} is another one now"))
        });
    }
    if epoch > seen.epoch {
        let accepted = trust.breaks.iter().find(|accepted| accepted.epoch == epoch);
        match accepted {
            None => return Ok(Look::Break(anchor)),
            Some(accepted) if accepted.kept < seen.size => return Ok(Look::Good(anchor)),
            Some(_) => {}
        }
    }
    extends(&ask, seen, anchor).await
}

/// Whether the tree of the anchor begins with the one that was seen.
async fn extends(ask: &Ask<'_>, seen: &Seen, anchor: Anchor) -> Result<Look, ClientError> {
    let (old, new) = (seen.size, anchor.seen.size);
    if new < old {
        return Ok(Look::Wrong(format!("the log had {old} records and has {new}")));
    }
    let path = ask.consistency(old, new).await?;
    let root = |text: &str| hex::decode(text).ok().and_then(|root| Hash::try_from(root).ok()).unwrap_or_default();
    let (old, new) = ((old, &root(&seen.root)), (new, &root(&anchor.seen.root)));
    let fits = path.is_some_and(|path| is_consistent(old, new, &path));
    let detail = || format!("the log of {} records does not begin with that of {} records seen before", new.0, old.0);
    Ok(if fits { Look::Good(anchor) } else { Look::Wrong(detail()) })
}

/// The keys that may have signed an anchor: without a state those of the trust file, else the one that
/// signed last, and after hand-overs the one that took over.
async fn keys(
    ask: &Ask<'_>,
    trust: &Trust,
    seen: Option<&Seen>,
    (epoch, number): (u64, u64),
) -> Result<Result<Vec<PublicKey>, String>, ClientError> {
    let Some(seen) = seen else {
        return Ok(trust.public_keys().map_err(|error| error.to_string()));
    };
    let damaged = || "the state file holds no key: remove it to begin anew".to_owned();
    let spki = STANDARD.decode(&seen.key).ok();
    let Some(mut key) = spki.and_then(|spki| PublicKey::from_spki(&spki).ok()) else { return Ok(Err(damaged())) };
    let shown = ask.anchor(Some((epoch, number))).await?;
    let signer = meta_of(&shown).map(|meta| meta.signer);
    if signer == Some(*key.fingerprint()) || (epoch, number) == (seen.epoch, seen.number) {
        return Ok(Ok(vec![key]));
    }
    // Somewhere between the two the key was handed over.
    if epoch != seen.epoch || number - seen.number > HAND_OVERS {
        return Ok(Ok(vec![key]));
    }
    for between in seen.number + 1..number {
        let shown = ask.anchor(Some((epoch, between))).await?;
        let anchor = match believe(trust, &shown, std::slice::from_ref(&key)) {
            Ok(anchor) => anchor,
            Err(detail) => return Ok(Err(format!("anchor {between}: {detail}"))),
        };
        if let Some(next) = STANDARD.decode(&anchor.seen.key).ok().and_then(|spki| PublicKey::from_spki(&spki).ok()) {
            key = next;
        }
    }
    Ok(Ok(vec![key]))
}

fn meta_of(shown: &Shown) -> Option<Meta> {
    Meta::parse(&Note::parse(shown.meta.as_bytes()).ok()?.text)
}

fn place(shown: &Shown) -> Option<(u64, u64)> {
    meta_of(shown).map(|meta| (meta.epoch, meta.anchor))
}

/// Checks form and signatures of an anchor.
fn believe(trust: &Trust, shown: &Shown, keys: &[PublicKey]) -> Result<Anchor, String> {
    let malformed = || "what the gateway shows is no anchor".to_owned();
    let checkpoint_note = Note::parse(shown.checkpoint.as_bytes()).map_err(|_| malformed())?;
    let meta_note = Note::parse(shown.meta.as_bytes()).map_err(|_| malformed())?;
    let checkpoint = Checkpoint::parse(&checkpoint_note.text).ok_or_else(malformed)?;
    let meta = Meta::parse(&meta_note.text).ok_or_else(malformed)?;
    let origin = epoch_origin(&trust.origin, meta.epoch);
    if meta.checkpoint() != checkpoint || meta.origin != origin {
        return Err("its metadata contradicts its checkpoint, or it is of another log".to_owned());
    }
    if meta.development && !trust.is_development() {
        return Err("it was made in development, which the trust file does not allow".to_owned());
    }
    let signed =
        |key: &&PublicKey| [&checkpoint_note, &meta_note].into_iter().all(|note| note.is_signed_by(&origin, key));
    let key = keys.iter().find(|key| *key.fingerprint() == meta.signer).filter(signed);
    let Some(key) = key else { return Err("it is not signed by a key that counts".to_owned()) };
    let next = meta.next_key.as_ref().map(|spki| PublicKey::from_spki(spki)).transpose().map_err(|_| malformed())?;
    if next.as_ref().is_some_and(|next| !signed(&next)) {
        return Err("the next key did not sign it".to_owned());
    }
    if [&meta.made_at, &meta.next_due].into_iter().any(|time| Moment::parse(time).is_none()) {
        return Err(malformed());
    }
    let seen = Seen {
        v: 1,
        origin: trust.origin.clone(),
        epoch: meta.epoch,
        number: meta.anchor,
        size: meta.size,
        root: hex::encode(meta.root),
        checkpoint: hex::encode(Note::digest(shown.checkpoint.as_bytes())),
        meta: hex::encode(Note::digest(shown.meta.as_bytes())),
        made_at: meta.made_at.clone(),
        next_due: meta.next_due.clone(),
        key: STANDARD.encode(next.as_ref().unwrap_or(key).spki()),
    };
    Ok(Anchor { meta, seen })
}

/// The gateway that is asked.
struct Ask<'a> {
    gateway: Gateway<'a>,
    target: &'a Target,
    token: &'a str,
}

impl Ask<'_> {
    async fn anchor(&self, which: Option<(u64, u64)>) -> Result<Shown, ClientError> {
        let query: Vec<(&str, String)> = which.map_or_else(Vec::new, |(epoch, number)| {
            vec![("epoch", epoch.to_string()), ("number", number.to_string())]
        });
        let answer = self.gateway.get_with(&["api", "v1", "audit", "checkpoint"], &query, self.token).await;
        answer.and_then(|answer| answer.expect_status(200)).map_err(|error| self.target.explain(error))?.json()
    }

    /// The path between two sizes; None when it is no path.
    async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, ClientError> {
        let query = [("old", old.to_string()), ("new", new.to_string())];
        let answer = self.gateway.get_with(&["api", "v1", "audit", "consistency"], &query, self.token).await;
        let answer = answer.and_then(|answer| answer.expect_status(200)).map_err(|error| self.target.explain(error))?;
        let path: Path64 = answer.json()?;
        let hash = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
        Ok(path.path.iter().map(hash).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, every, is_overdue};
    use time::macros::datetime;

    #[test]
    fn a_promise_that_is_not_kept() {
        let next_due = "2026-11-21T10:02:00.000000Z".to_owned();
        let text = String::new;
        let seen = Seen {
            v: 1,
            origin: text(),
            epoch: 1,
            number: 1,
            size: 1,
            root: text(),
            checkpoint: text(),
            meta: text(),
            made_at: text(),
            next_due,
            key: text(),
        };
        assert!(!is_overdue(&seen, datetime!(2026-11-21 10:02 UTC)));
        assert!(is_overdue(&seen, datetime!(2026-11-21 10:02:01 UTC)));
        assert!(is_overdue(&Seen { next_due: text(), ..seen }, datetime!(2026-11-21 10:00 UTC)), "no promise at all");
    }

    #[test]
    fn how_often() {
        assert_eq!(every("5m"), Ok(std::time::Duration::from_secs(300)));
        every("0").expect_err("without a pause");
    }
}
