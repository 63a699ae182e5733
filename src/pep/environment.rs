//! What a new release changes of an app's environment, and the question that each variable is.
//!
//! The rack takes a whole environment and copies what it does not get from the parent release (convox
//! `provider/k8s/release.go`), so what changes is seen only in comparison. What is compared is what the rack
//! will store, with every mask replaced by the value that it stands for; with the parent release, and with the
//! newest one, because an old parent brings old values back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::inform::Also;
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::variables::{Unknown, rules};
use super::{ErrandError, Gate, Gathered, Look};
use crate::mask::{Changes, Environment, EnvironmentError, Mask, Rules, label};
use crate::pdp::{About, EnvVar, ResourceRef};
use crate::routes::{DERIVED, FORM_MAX};

/// Most releases that one environment may take values from.
const SOURCES: usize = 8;
/// Longest release id.
const ID: usize = 64;

/// Why it cannot be known what an environment is.
#[derive(Debug)]
pub enum EnvironmentUnknown {
    /// The rack does not say.
    Rack(ErrandError),
    /// The settings of the app cannot be read.
    Settings,
    /// What was sent has no single meaning: stable name, sentence for people.
    Unclear(&'static str, String),
}

impl From<EnvironmentUnknown> for Refusal {
    fn from(error: EnvironmentUnknown) -> Self {
        match error {
            EnvironmentUnknown::Rack(error) => Self::Rack(error),
            EnvironmentUnknown::Settings => {
                Self::Rack(ErrandError::Unreadable("the settings of the app cannot be read".to_owned()))
            }
            EnvironmentUnknown::Unclear(slug, text) => Self::Unclear(slug, text),
        }
    }
}

impl From<EnvironmentError> for EnvironmentUnknown {
    fn from(error: EnvironmentError) -> Self {
        Self::Unclear("environment", error.to_string())
    }
}

/// Which variables of an app are secret, and which nobody changes.
///
/// # Errors
/// When the settings cannot be read.
pub async fn app_rules(gate: &Gate, look: &Look, app: &str) -> Result<Rules, EnvironmentUnknown> {
    rules(gate, look, app).await.map_err(|Unknown| EnvironmentUnknown::Settings)
}

/// The releases of one app. Each is read once.
#[derive(Debug)]
pub struct Releases<'a> {
    look: &'a Look,
    app: &'a str,
    read: BTreeMap<String, Environment>,
}

impl<'a> Releases<'a> {
    /// None is read yet.
    #[must_use]
    pub const fn new(look: &'a Look, app: &'a str) -> Self {
        Self { look, app, read: BTreeMap::new() }
    }

    /// Id of the newest release, if there is any.
    ///
    /// # Errors
    /// When the rack does not say.
    pub async fn newest(&self) -> Result<Option<String>, EnvironmentUnknown> {
        let unreadable = || unreadable("the rack's list of releases cannot be read");
        let list = self.look.releases(self.app, 1).await.map_err(EnvironmentUnknown::Rack)?;
        let Some(first) = list.as_array().ok_or_else(unreadable)?.first() else { return Ok(None) };
        first.get("id").and_then(Value::as_str).map(|id| Some(id.to_owned())).ok_or_else(unreadable)
    }

    /// The environment of a release of this app.
    ///
    /// # Errors
    /// When there is no such release, when it is another app's, and when it cannot be read.
    pub async fn environment(&mut self, release: &str) -> Result<Environment, EnvironmentUnknown> {
        if let Some(known) = self.read.get(release) {
            return Ok(known.clone());
        }
        let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if release.is_empty() || release.len() > ID || !is_id(release) {
            let text = "the id of a release is letters, digits and '-'".to_owned();
            return Err(EnvironmentUnknown::Unclear("release-id", text));
        }
        let found = self.look.release(self.app, release).await.map_err(EnvironmentUnknown::Rack)?;
        if found.get("app").and_then(Value::as_str).is_some_and(|app| app != self.app) {
            return Err(EnvironmentUnknown::Rack(ErrandError::Missing));
        }
        let text = found.get("env").and_then(Value::as_str);
        let text = text.ok_or_else(|| unreadable("the rack's answer has no environment"))?;
        let environment = Environment::parse(text)?;
        self.read.insert(release.to_owned(), environment.clone());
        Ok(environment)
    }

    /// What was sent, with the values that its masks stand for.
    ///
    /// # Errors
    /// When a mask stands for nothing, and when what was a mask is none any more.
    pub(super) async fn unmask(
        &mut self,
        sent: Environment,
        parent: Option<&str>,
    ) -> Result<Environment, EnvironmentUnknown> {
        let before = match parent {
            Some(parent) => self.environment(parent).await?,
            None => Environment::default(),
        };
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in sent.iter() {
            let Some(mask) = Mask::of(value) else {
                cut(name, value, &before)?;
                continue;
            };
            let source = mask.release().or(parent).ok_or_else(|| nothing(name, None))?;
            sources.insert(name.to_owned(), source.to_owned());
        }
        if sources.values().collect::<BTreeSet<_>>().len() > SOURCES {
            let text = format!("the values come from more than {SOURCES} releases: set them in several steps");
            return Err(EnvironmentUnknown::Unclear("mask-releases", text));
        }
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (name, source) in sources {
            let environment = match self.environment(&source).await {
                Err(EnvironmentUnknown::Rack(ErrandError::Missing)) => return Err(foreign(&name, &source)),
                read => read?,
            };
            let value = environment.get(&name).ok_or_else(|| nothing(&name, Some(&source)))?;
            values.insert(name, value.to_owned());
        }
        sent.replace(|name, _| Ok(values.remove(name)))
    }
}

fn unreadable(why: &str) -> EnvironmentUnknown {
    EnvironmentUnknown::Rack(ErrandError::Unreadable(why.to_owned()))
}

/// A mask with something before or behind it would be stored as the value.
fn cut(name: &str, value: &str, before: &Environment) -> Result<(), EnvironmentUnknown> {
    if !Mask::is_within(value) || before.get(name) == Some(value) {
        return Ok(());
    }
    let text = format!(
        "the value of {} holds a mask and more: send the mask as it was to keep the value, or a whole new value",
        label(name)
    );
    Err(EnvironmentUnknown::Unclear("mask-changed", text))
}

fn nothing(name: &str, release: Option<&str>) -> EnvironmentUnknown {
    let name = label(name);
    let text = match release {
        Some(release) => {
            format!("the mask of {name} stands for no value: release {release} has no such variable; set the value")
        }
        None => format!("the mask of {name} stands for no value: the app has no release yet; set the value"),
    };
    EnvironmentUnknown::Unclear("mask-of-nothing", text)
}

fn foreign(name: &str, release: &str) -> EnvironmentUnknown {
    let text = format!(
        "the mask of {} stands for a value in release {release}, which this app does not have: set the value itself",
        label(name)
    );
    EnvironmentUnknown::Unclear("mask-of-another", text)
}

/// Names of the record's lists; long ones go on in the next.
const ENV_SET: [&str; 4] = ["env_set", "env_set_2", "env_set_3", "env_set_4"];
const ENV_UNSET: [&str; 4] = ["env_unset", "env_unset_2", "env_unset_3", "env_unset_4"];
const SECRET_SET: [&str; 4] = ["secret_set", "secret_set_2", "secret_set_3", "secret_set_4"];
const SECRET_UNSET: [&str; 4] = ["secret_unset", "secret_unset_2", "secret_unset_3", "secret_unset_4"];

impl Gathered {
    /// A form that makes a release.
    pub(super) async fn inform_environment(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let mut form = self.form()?;
        let named = form.get("parent-release").filter(|parent| !parent.is_empty()).map(str::to_owned);
        let sent = form.get("env").map(str::to_owned);
        if named.is_none() && sent.is_none() {
            // The rack copies the newest environment.
            return Ok(());
        }
        let app = self.app()?;
        let mut releases = Releases::new(look, &app);
        let newest = releases.newest().await?;
        let parent = named.or_else(|| newest.clone());
        let after = match (&sent, &parent) {
            (Some(sent), parent) => {
                let sent = Environment::parse(sent).map_err(EnvironmentUnknown::from)?;
                releases.unmask(sent, parent.as_deref()).await?
            }
            (None, Some(parent)) => releases.environment(parent).await?,
            (None, None) => return Ok(()),
        };
        let mut before = Vec::new();
        for release in [&parent, &newest].into_iter().flatten().collect::<BTreeSet<_>>() {
            before.push(releases.environment(release).await?);
        }
        self.ask_for_changes(gate, look, &before, &after).await?;
        if let Some(sent) = sent {
            let text = fit(&after)?;
            if text != sent {
                form.set("env", text);
                self.rewrite(PreparedBody::Bytes(form.encode().into()));
            }
        }
        Ok(())
    }

    /// Asks for each variable that differs from one of those before.
    pub(super) async fn ask_for_changes(
        &mut self,
        gate: &Gate,
        look: &Look,
        before: &[Environment],
        after: &Environment,
    ) -> Result<Changes, Refusal> {
        let changes = differences(before, after);
        after.check(&changes.set).map_err(EnvironmentUnknown::from)?;
        if changes.is_empty() {
            return Ok(changes);
        }
        let app = self.app()?;
        let rules = app_rules(gate, look, &app).await?;
        let is_secret = |name: &str| {
            let mut values = before.iter().chain([after]).filter_map(|environment| environment.get(name));
            values.any(|value| rules.is_secret(name, value))
        };
        let (secret_set, set): (Vec<&String>, Vec<&String>) = changes.set.iter().partition(|name| is_secret(name));
        let (secret_unset, unset): (Vec<&String>, Vec<&String>) =
            changes.unset.iter().partition(|name| is_secret(name));
        for (action, secret, names) in [
            ("env:set", false, &set),
            ("env:set", false, &unset),
            ("secret:set", true, &secret_set),
            ("secret:set", true, &secret_unset),
        ] {
            for name in names {
                let facts = EnvVar { secret, protected: rules.is_protected(name) };
                self.also.push(variable(action, &app, name, facts)?);
            }
        }
        self.note(&ENV_SET, &set);
        self.note(&ENV_UNSET, &unset);
        self.note(&SECRET_SET, &secret_set);
        self.note(&SECRET_UNSET, &secret_unset);
        Ok(changes)
    }

    /// The app that the request is about.
    pub(super) fn app(&self) -> Result<String, Refusal> {
        self.classified.resource.app.clone().ok_or(Refusal::UnknownRoute("unknown-route"))
    }
}

/// The text to send, if the rack takes so much.
pub(super) fn fit(environment: &Environment) -> Result<String, EnvironmentUnknown> {
    let text = environment.to_text();
    if text.len() > FORM_MAX {
        return Err(EnvironmentUnknown::Unclear("environment", "the environment is larger than 4 MiB".to_owned()));
    }
    Ok(text)
}

fn differences(before: &[Environment], after: &Environment) -> Changes {
    if before.is_empty() {
        return Environment::default().diff(after);
    }
    let mut all = Changes::default();
    for environment in before {
        let changes = environment.diff(after);
        all.set.extend(changes.set);
        all.unset.extend(changes.unset);
    }
    all
}

/// The question whether something may be done to a variable.
pub(super) fn variable(action: &str, app: &str, name: &str, facts: EnvVar) -> Result<Also, Refusal> {
    let row = DERIVED.iter().find(|row| row.action == action).ok_or(Refusal::UnknownRoute("unknown-route"))?;
    Ok(Also { row, resource: env_var(app, name, facts) })
}

/// A variable as policy sees it.
#[must_use]
pub fn env_var(app: &str, name: &str, facts: EnvVar) -> ResourceRef {
    let resource = ResourceRef::new(crate::routes::Resource::EnvVar, format!("{app}/{name}"), Some(app.to_owned()));
    ResourceRef { about: Some(Box::new(About::EnvVar(facts))), ..resource }
}
