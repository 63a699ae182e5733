//! Masks in the rack's answer what the caller may not read. What is not plainly allowed is masked: nobody is asked
//! for a factor because an answer could show more. Before a secret leaves in clear, a record says which.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use actix_web::web::Bytes;
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};

use super::decide::principal;
use super::errand::{Look, Reader};
use super::follow::{Answered, Follow, Unfollowed};
use super::permit::{Prepared, PreparedBody};
use super::variables::{self, Unknown};
use super::{Gate, Trace, event};
use crate::audit::{Event, EventKind};
use crate::identity::Identity;
use crate::mask::{self, Environment, Fields, Mask, Node, Rules};
use crate::pdp::{self, About, Context, Principal, Question, ResourceRef, Verdict};
use crate::routes::{self, Redactor, Resource, Row};

/// Most bytes of an answer.
const ANSWER: usize = 8 << 20;
/// Most variables of one environment: policy is asked about each.
const VARIABLES: usize = 5_000;
/// Most characters of an error's text.
const ERROR: usize = 4_096;
/// Fewest bytes of a sent value that is looked for in an error's text.
const SENT: usize = 4;
/// Most bytes of names in one entry of a record.
const NAMES: usize = 480;
/// Most entries with names in one record.
const ENTRIES: usize = 24;

/// What an answer is looked through for.
#[derive(Debug)]
pub(super) struct Redact {
    redactor: Redactor,
    gate: Gate,
    trace: Trace,
    who: Principal,
    context: Context,
    app: Option<String>,
    look: Look,
    /// Values that were sent: an error must not tell one that stood behind a mask.
    sent: Vec<SecretString>,
}

/// What is needed to make one.
pub(super) struct Of<'a> {
    pub(super) row: &'static Row,
    pub(super) trace: &'a Trace,
    pub(super) identity: &'a Identity,
    pub(super) context: &'a Context,
    pub(super) app: Option<&'a str>,
    pub(super) reader: &'a Rc<dyn Reader>,
    pub(super) prepared: &'a Prepared,
}

impl Redact {
    /// The follower of a row whose answer may carry a secret; none for other rows.
    pub(super) fn of(gate: &Gate, of: &Of<'_>) -> Option<Box<dyn Follow>> {
        let redactor = of.row.contract.redact?;
        Some(Box::new(Self {
            redactor,
            gate: gate.clone(),
            trace: of.trace.clone(),
            who: principal(of.identity),
            context: Context { exec: None, ..of.context.clone() },
            app: of.app.map(str::to_owned),
            look: Look::granted(Rc::clone(of.reader), of.trace.request_id.clone()),
            sent: sent(of.prepared),
        }))
    }

    async fn run(self, mut answer: Answered) -> Result<Answered, Unfollowed> {
        if answer.status >= 400 {
            answer.body = self.error(&answer.body);
            return Ok(answer);
        }
        // What the rack says when it has nothing to say.
        if matches!(&*answer.body, b"" | b"ok" | b"ok\n") {
            return Ok(answer);
        }
        let mut node = Node::parse(&answer.body).map_err(|_| unreadable())?;
        let before = node.clone();
        let mut shown = Shown::default();
        let mut rules = None;
        for item in node.items() {
            self.variables(item, &mut rules, &mut shown).await?;
            self.credentials(item, &mut shown);
        }
        self.record(shown).await?;
        if node != before {
            answer.body = Bytes::from(node.to_text());
        }
        Ok(answer)
    }

    /// The environment of a release, or what a manifest says of it: each variable is a question.
    async fn variables(&self, item: &mut Node, known: &mut Option<Rules>, shown: &mut Shown) -> Result<(), Unfollowed> {
        let Some(app) = self.app.as_deref() else { return Ok(()) };
        let is_release = match self.redactor {
            Redactor::Release => true,
            Redactor::ServiceManifest => false,
            _ => return Ok(()),
        };
        let environment = if is_release { mask::environment(item).map_err(|_| unreadable())? } else { None };
        if is_release && environment.is_none() {
            return Ok(());
        }
        if known.is_none() {
            *known = Some(self.rules(app).await?);
        }
        let Some(rules) = known.as_ref() else { return Ok(()) };
        let release = item.text("id").unwrap_or_default().to_owned();
        let mask = Mask::of_release(&release).to_string();
        let ask = Ask { of: self, app, rules };
        if let Some(environment) = environment {
            let masked = masked(environment, &mask, |name, value| ask.may(name, value, shown))?;
            if let (Some(masked), Some(field)) = (masked, item.get_mut("env")) {
                *field = Node::Text(masked.to_text());
            }
            return Ok(());
        }
        for entry in mask::variables(item) {
            // A name alone takes its value from the release.
            if let Some((name, value)) = entry.split_once('=')
                && !ask.may(name.trim(), value, shown)
            {
                *entry = format!("{name}={mask}");
            }
        }
        Ok(())
    }

    async fn rules(&self, app: &str) -> Result<Rules, Unfollowed> {
        variables::rules(&self.gate, &self.look, app).await.map_err(|Unknown| Unfollowed {
            status: 503,
            message: "the settings of the app cannot be read, so it is not known what is secret; try again".to_owned(),
        })
    }

    /// Credentials of one object: one question for all.
    fn credentials(&self, item: &mut Node, shown: &mut Shown) {
        let mut masked = item.clone();
        let found = mask::credentials(fields(self.redactor), &mut masked);
        if found.is_empty() {
            return;
        }
        let owner = self.owner(item);
        let (action, resource) = match owner {
            Some(app) => ("app-credential:read", ResourceRef::new(Resource::App, app.clone(), Some(app))),
            None => ("rack-credential:read", ResourceRef::new(Resource::Rack, self.gate.rack.to_string(), None)),
        };
        if !self.may(action, &resource) {
            *item = masked;
            return;
        }
        let label = ["id", "name", "server"].iter().find_map(|field| item.text(field)).unwrap_or_default();
        for field in found {
            let name = if label.is_empty() { field } else { format!("{label}.{field}") };
            shown.note(action, &resource, mask::label(&name));
        }
    }

    /// The app whose credentials they are; the rack's if none.
    fn owner(&self, item: &Node) -> Option<String> {
        match self.redactor {
            Redactor::App => self.app.clone().or_else(|| item.text("name").map(str::to_owned)),
            Redactor::RackProcess => item.text("app").filter(|app| !app.is_empty()).map(str::to_owned),
            Redactor::ServiceManifest
            | Redactor::Build
            | Redactor::Config
            | Redactor::Release
            | Redactor::Process
            | Redactor::Resource => self.app.clone(),
            Redactor::Rack
            | Redactor::RackRelease
            | Redactor::RackResource
            | Redactor::Registry
            | Redactor::LetsEncrypt
            | Redactor::InstanceKey => None,
        }
    }

    fn may(&self, action: &str, resource: &ResourceRef) -> bool {
        let question = Question { principal: &self.who, action, resource, context: &self.context };
        self.gate.active.load().decide(&question).verdict() == Verdict::Allow
    }

    /// Says which secrets are about to be shown. Without the record, nothing is.
    async fn record(&self, shown: Shown) -> Result<(), Unfollowed> {
        for ((action, resource), names) in shown.names {
            for detail in entries(&names) {
                let event = Event {
                    action: action.into(),
                    resource: Some(resource.clone()),
                    detail,
                    ..event::traced(EventKind::Admin, &self.trace)
                };
                self.gate.audit.append(event).await.map_err(|error| Unfollowed {
                    status: 503,
                    message: format!("what would be shown cannot be recorded, so it is not shown: {error}"),
                })?;
            }
        }
        Ok(())
    }

    /// What the rack says of a failure, without what was sent and what looks like a secret.
    fn error(&self, body: &[u8]) -> Bytes {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for value in &self.sent {
            let value = value.expose_secret();
            let quoted = format!("{value:?}");
            let inner = quoted.trim_matches('"');
            text = text.replace(value, mask::MASK).replace(inner, mask::MASK);
        }
        let mut text = mask::scrub_hard(&text);
        if let Some((end, _)) = text.char_indices().nth(ERROR) {
            text.truncate(end);
        }
        Bytes::from(text)
    }
}

impl Follow for Redact {
    fn max(&self) -> usize {
        ANSWER
    }

    fn answered(self: Box<Self>, answer: Answered) -> LocalBoxFuture<'static, Result<Answered, Unfollowed>> {
        Box::pin(self.run(answer))
    }

    fn unanswered(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// Who asks for the variables of which app.
struct Ask<'a> {
    of: &'a Redact,
    app: &'a str,
    rules: &'a Rules,
}

impl Ask<'_> {
    /// Whether a variable is shown in clear; a secret that is gets noted.
    fn may(&self, name: &str, value: &str, shown: &mut Shown) -> bool {
        let about = pdp::EnvVar { secret: self.rules.is_secret(name, value), protected: self.rules.is_protected(name) };
        let action = if about.secret { "secret:read" } else { "env:read" };
        let resource = ResourceRef {
            about: Some(Box::new(About::EnvVar(about))),
            ..ResourceRef::new(Resource::EnvVar, format!("{}/{name}", self.app), Some(self.app.to_owned()))
        };
        let may = self.of.may(action, &resource);
        if may && about.secret {
            let app = ResourceRef::new(Resource::App, self.app.to_owned(), None);
            shown.note(action, &app, mask::label(name));
        }
        may
    }
}

/// What leaves in clear: names by action and resource.
#[derive(Debug, Default)]
struct Shown {
    names: BTreeMap<(&'static str, String), BTreeSet<String>>,
}

impl Shown {
    fn note(&mut self, action: &'static str, resource: &ResourceRef, name: String) {
        let resource = format!("{}::{}", resource.kind.entity_type(), resource.id);
        self.names.entry((action, resource)).or_default().insert(name);
    }
}

/// The environment with masks; none if all of it is shown.
fn masked(
    environment: Environment,
    mask: &str,
    mut may: impl FnMut(&str, &str) -> bool,
) -> Result<Option<Environment>, Unfollowed> {
    if environment.iter().count() > VARIABLES {
        return Err(unreadable());
    }
    let mut is_changed = false;
    let masked = environment.replace(|name, value| -> Result<_, Unfollowed> {
        let masked = (!may(name, value)).then(|| mask.to_owned());
        is_changed |= masked.is_some();
        Ok(masked)
    })?;
    Ok(is_changed.then_some(masked))
}

/// Names for records: as many to an entry, and entries to a record, as are kept whole.
fn entries(names: &BTreeSet<String>) -> Vec<BTreeMap<String, String>> {
    let mut texts: Vec<String> = Vec::new();
    for name in names {
        match texts.last_mut() {
            Some(text) if text.len().saturating_add(name.len()) < NAMES => {
                text.push_str(", ");
                text.push_str(name);
            }
            _ => texts.push(name.clone()),
        }
    }
    let record = |texts: &[String]| {
        let entry = |(at, text): (usize, &String)| {
            (if at == 0 { "names".to_owned() } else { format!("names_{}", at.saturating_add(1)) }, text.clone())
        };
        texts.iter().enumerate().map(entry).collect()
    };
    texts.chunks(ENTRIES).map(record).collect()
}

/// The values of a form: those of an environment one by one.
fn sent(prepared: &Prepared) -> Vec<SecretString> {
    let (PreparedBody::Bytes(body), routes::Body::Form { keys, .. }) = (&prepared.body, prepared.outgoing.body) else {
        return Vec::new();
    };
    let Ok(form) = routes::form(keys, body) else { return Vec::new() };
    let mut values: Vec<String> = Vec::new();
    for (key, value) in form.pairs {
        match key.as_str() {
            "env" => {
                values.extend(value.split(['\n', '\r']).filter_map(|line| Some(line.split_once('=')?.1.to_owned())));
            }
            "parameters" => {
                values.extend(routes::map(&value).unwrap_or_default().pairs.into_iter().map(|(_, value)| value));
            }
            key if mask::is_secret_name(key) || key == "src-creds-pass" => values.push(value),
            _ => {}
        }
    }
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().filter(|value| value.len() >= SENT).map(SecretString::from).collect()
}

const fn fields(redactor: Redactor) -> Fields {
    match redactor {
        Redactor::Rack => mask::SYSTEM,
        Redactor::RackRelease => mask::RACK_RELEASE,
        Redactor::RackResource | Redactor::Resource => mask::RESOURCE,
        Redactor::Registry => mask::REGISTRY,
        Redactor::InstanceKey => mask::INSTANCE_KEY,
        Redactor::App => mask::APP,
        Redactor::ServiceManifest => mask::SERVICE_MANIFEST,
        Redactor::Build => mask::BUILD,
        Redactor::Config => mask::CONFIG,
        Redactor::Release => mask::RELEASE,
        Redactor::LetsEncrypt | Redactor::Process | Redactor::RackProcess => mask::OTHER,
    }
}

fn unreadable() -> Unfollowed {
    let message = "the rack's answer cannot be read, so it is not known what in it is secret; it was not passed on";
    Unfollowed { status: 502, message: message.to_owned() }
}
