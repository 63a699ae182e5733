//! What a request changes of the parameters of the rack or of an app: on the record with the values before and
//! after, and for others to hear of.

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::{Answered, ErrandError, Follow, Gate, Gathered, Look, Unfollowed};
use crate::mask::{MASK, is_secret_parameter, label, scrub_hard};
use crate::routes::{Form, Resource, map};
use crate::store::{Notice, Store};

/// Most characters of a value that are shown.
const SHOWN: usize = 80;
/// Most changes that a notice tells one by one.
const TOLD: usize = 50;
/// Most bytes of the rack's answer, which is `ok`.
const ANSWER: usize = 64 << 10;

const PARAMETERS: [&str; 6] =
    ["parameters", "parameters_2", "parameters_3", "parameters_4", "parameters_5", "parameters_6"];

/// Form keys beside parameters, and the names of what they change: whether an app is locked.
const OF_APP: &[(&str, &str)] = &[("lock", "locked")];
/// How large the rack is, and what it runs.
const OF_RACK: &[(&str, &str)] = &[("count", "count"), ("type", "type"), ("version", "version")];

/// One parameter that changes; sensitive values are masked already.
#[derive(Clone, Debug)]
struct Change {
    name: String,
    from: Option<String>,
    to: String,
}

impl Gathered {
    /// A form with parameters.
    pub(super) async fn inform_parameters(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let mut form = self.form()?;
        let mut sent = map(form.get("parameters").unwrap_or_default()).map_err(Refusal::BadContract)?;
        let of_app = self.classified.resource.kind == Resource::App;
        let plain = if of_app { OF_APP } else { OF_RACK };
        if sent.pairs.is_empty() && plain.iter().all(|(key, _)| form.get(key).is_none()) {
            return Ok(());
        }
        let current = self.current(look).await?;
        // A mask that is sent back means: keep it. The rack changes nothing that it is not told.
        let before = sent.pairs.len();
        sent.pairs.retain(|(_, value)| !is_mask(value));
        if sent.pairs.len() != before {
            form.set("parameters", sent.encode());
            self.rewrite(PreparedBody::Bytes(form.encode().into()));
        }
        let changes = changes(&current, plain, &form, &sent);
        if changes.is_empty() {
            return Ok(());
        }
        let parts: Vec<String> = changes.iter().map(Change::line).collect();
        self.note_as_is(&PARAMETERS, &parts);
        let told = Told { store: gate.store.clone(), notice: self.notice(of_app, &changes) };
        self.followers.push(Box::new(told));
        Ok(())
    }

    /// What the rack says of itself, or of the app.
    async fn current(&self, look: &Look) -> Result<Value, Refusal> {
        let current = match &self.classified.resource.app {
            Some(app) => look.app(app).await,
            None => look.system().await,
        };
        let current = current.map_err(Refusal::Rack)?;
        if current.is_object() {
            return Ok(current);
        }
        Err(Refusal::Rack(ErrandError::Unreadable("the rack's answer cannot be read".to_owned())))
    }

    fn notice(&self, of_app: bool, changes: &[Change]) -> Notice {
        let trace = &self.classified.identified.accepted.trace;
        let identity = &self.classified.identified.known.identity;
        let told: Vec<Value> = changes
            .iter()
            .take(TOLD)
            .map(|change| json!({ "name": change.name, "from": change.from, "to": change.to }))
            .collect();
        let mut data = json!({
            "request_id": trace.request_id,
            "actor": { "type": identity.principal.as_str(), "id": identity.id },
            "changes": told,
            "more": changes.len().saturating_sub(TOLD),
        });
        if let (Some(data), true) = (data.as_object_mut(), of_app) {
            data.insert("app".to_owned(), json!(self.classified.resource.app));
        }
        Notice { kind: if of_app { "app.parameters-changed" } else { "rack.parameters-changed" }, data, at: trace.at }
    }
}

/// What of the form and of its parameters differs from what is.
fn changes(current: &Value, plain: &[(&str, &str)], form: &Form, sent: &Form) -> Vec<Change> {
    let plain = plain.iter().filter_map(|(key, name)| Some((*name, current.get(name), form.get(key)?)));
    let known = current.get("parameters");
    let parameters =
        sent.pairs.iter().map(|(name, value)| (name.as_str(), known.and_then(|all| all.get(name)), value.as_str()));
    plain.chain(parameters).filter_map(|(name, old, new)| Change::of(name, old.map(text), new)).collect()
}

impl Change {
    /// None when nothing changes.
    fn of(name: &str, old: Option<String>, new: &str) -> Option<Self> {
        if old.as_deref() == Some(new) {
            return None;
        }
        let is_secret =
            is_secret_parameter(name, new) || old.as_deref().is_some_and(|old| is_secret_parameter(name, old));
        let shown = |value: &str| if is_secret { MASK.to_owned() } else { plain(value) };
        Some(Self { name: label(name), from: old.as_deref().map(shown), to: shown(new) })
    }

    fn line(&self) -> String {
        match &self.from {
            Some(from) => format!("{}: {from:?} to {:?}", self.name, self.to),
            None => format!("{}: {:?}", self.name, self.to),
        }
    }
}

/// The rack writes four asterisks for what it hides (convox `apps export` leaves those out).
fn is_mask(value: &str) -> bool {
    value.len() >= 4 && value.bytes().all(|byte| byte == b'*')
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as a record tells it: cut, and without what looks like a secret.
fn plain(value: &str) -> String {
    let value = scrub_hard(value);
    let mut shown: String = value.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Tells others, once the rack has done it or may have.
struct Told {
    store: Store,
    notice: Notice,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Told").field(&self.notice.kind).finish()
    }
}

impl Told {
    /// What was done is not undone when it cannot be told: the record has it, and operators are told of this.
    async fn put(self, outcome: &str) {
        let Self { store, mut notice } = self;
        if let Some(data) = notice.data.as_object_mut() {
            data.insert("outcome".to_owned(), json!(outcome));
        }
        if let Err(error) = store.outbox_put(&notice).await {
            tracing::error!(kind = notice.kind, %error, "a notice cannot be written to the outbox");
        }
    }
}

impl Follow for Told {
    fn max(&self) -> usize {
        ANSWER
    }

    fn answered(self: Box<Self>, answer: Answered) -> LocalBoxFuture<'static, Result<Answered, Unfollowed>> {
        Box::pin(async move {
            if answer.status < 400 {
                self.put("done").await;
            }
            Ok(answer)
        })
    }

    fn unanswered(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move { self.put("unknown").await })
    }
}
