//! What of a request is looked at name by name, so that policy is asked for each and the record has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::environment::{app_rules, variable};
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::variables::names;
use super::{ErrandError, Gate, Gathered, Look};
use crate::mask::{ENV_MASK, label};
use crate::pdp::EnvVar;
use crate::routes::{Body, Form, Keys, form, map};

/// Most bytes of one value of a record, which would be cut behind 512.
const VALUE: usize = 480;

const PROCESS_ENV: [&str; 4] = ["process_env", "process_env_2", "process_env_3", "process_env_4"];
const BUILD_ARGS: [&str; 4] = ["build_args", "build_args_2", "build_args_3", "build_args_4"];
const MASKS_SET: [&str; 4] = ["masks_set", "masks_set_2", "masks_set_3", "masks_set_4"];
const MASKS_UNSET: [&str; 4] = ["masks_unset", "masks_unset_2", "masks_unset_3", "masks_unset_4"];

impl Gathered {
    /// Looks at what the row says.
    ///
    /// # Errors
    /// When the rack cannot be asked, or the request has no single meaning.
    pub(super) async fn inform_keys(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        match self.classified.matched.row().contract.keys {
            None => Ok(()),
            Some(Keys::Environment) => self.inform_environment(gate, look).await,
            Some(Keys::Variables) => self.inform_variables(gate, look).await,
            Some(Keys::Shown) => self.inform_shown(gate, look).await,
            Some(Keys::Parameters) => self.inform_parameters(gate, look).await,
            Some(Keys::Process) => self.inform_process(gate, look).await,
            Some(Keys::Config) => self.inform_config(look).await,
            Some(Keys::BuildArguments) => self.inform_build_arguments(),
        }
    }

    /// Variables of one process: noted by name. Protected ones are not replaced for a single process either.
    async fn inform_process(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let headers = self.classified.identified.accepted.request.headers();
        let Some(value) = headers.get("environment").filter(|value| !value.is_empty()) else { return Ok(()) };
        let text = str::from_utf8(value.as_bytes()).map_err(|_| unreadable("environment"))?;
        let pairs = map(text).map_err(|_| unreadable("environment"))?.pairs;
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        let app = self.app()?;
        let rules = app_rules(gate, look, &app).await?;
        for name in names.iter().filter(|name| rules.is_protected(name)) {
            self.also.push(variable("env:set", &app, name, EnvVar { secret: true, protected: true })?);
        }
        // What has no value may be one itself.
        let told = pairs.iter().map(|(name, value)| if value.is_empty() { "?" } else { name.as_str() });
        self.note(&PROCESS_ENV, &told.collect::<Vec<_>>());
        Ok(())
    }

    /// A configuration file: its value may be a secret. Of the list of what the app hides, what changes is noted.
    async fn inform_config(&mut self, look: &Look) -> Result<(), Refusal> {
        if self.classified.matched.param("config") != Some(ENV_MASK) {
            return Ok(());
        }
        let form = self.form()?;
        let sent = STANDARD.decode(form.get("value").unwrap_or_default()).map_err(|_| unreadable("value"))?;
        let after = names(&String::from_utf8(sent).map_err(|_| unreadable("value"))?);
        let before = match look.config(&self.app()?, ENV_MASK).await {
            Ok(config) => names(config.get("value").and_then(Value::as_str).unwrap_or_default()),
            Err(ErrandError::Missing) => Vec::new(),
            Err(error) => return Err(Refusal::Rack(error)),
        };
        let added: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
        let removed: Vec<&String> = before.iter().filter(|name| !after.contains(name)).collect();
        self.note(&MASKS_SET, &added);
        self.note(&MASKS_UNSET, &removed);
        Ok(())
    }

    /// Arguments of a build are in its log and its image; their names are in the record.
    fn inform_build_arguments(&mut self) -> Result<(), Refusal> {
        let form = self.form()?;
        let arguments = form.get("build-args").unwrap_or_default().split(',').filter(|argument| !argument.is_empty());
        let names: Vec<&str> =
            arguments.map(|argument| argument.split_once('=').map_or("?", |(name, _)| name)).collect();
        self.note(&BUILD_ARGS, &names);
        Ok(())
    }

    /// The form that was sent.
    pub(super) fn form(&self) -> Result<Form, Refusal> {
        let (Body::Form { keys, .. }, Ok(prepared)) = (self.classified.matched.row().contract.body, &self.prepared)
        else {
            return Ok(Form::default());
        };
        match &prepared.body {
            PreparedBody::Bytes(bytes) => form(keys, bytes).map_err(Refusal::BadContract),
            PreparedBody::Empty | PreparedBody::Stream => Ok(Form::default()),
        }
    }

    /// Puts names on the record, made harmless, in as many of its values as they need; the last says how many
    /// were left out.
    pub(super) fn note<S: AsRef<str>>(&mut self, keys: &[&'static str], names: &[S]) {
        let names: Vec<String> = names.iter().map(|name| label(name.as_ref())).collect();
        self.note_as_is(keys, &names);
    }

    /// The same for what is harmless.
    pub(super) fn note_as_is(&mut self, keys: &[&'static str], parts: &[String]) {
        let facts = &mut self.classified.identified.accepted.trace.facts;
        let mut left = parts.iter().peekable();
        for (index, key) in keys.iter().enumerate() {
            let is_last = index.saturating_add(1) == keys.len();
            let mut text = String::new();
            while let Some(part) = left.next_if(|part| text.is_empty() || text.len() + part.len() + 2 <= VALUE) {
                if !text.is_empty() {
                    text.push_str(", ");
                }
                text.push_str(part);
            }
            if is_last && left.peek().is_some() {
                text.push_str(&format!(" and {} more", left.len()));
            }
            if !text.is_empty() {
                facts.insert(*key, text);
            }
        }
    }
}

fn unreadable(what: &str) -> Refusal {
    Refusal::Unclear("unreadable", format!("{what:?} cannot be read"))
}
