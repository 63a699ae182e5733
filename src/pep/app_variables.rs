//! The gateway's own rows about the variables of an app: which to show in clear, and a release of those to set.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web::Bytes;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::environment::{Releases, app_rules, fit, variable};
use super::inform::Also;
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::{Answered, Follow, Gate, Gathered, Look, Unfollowed};
use crate::mask::{Changes, Environment, label};
use crate::pdp::{EnvVar, ResourceRef};
use crate::routes::{Body, Form, RACK, Resource, path};

/// Most bytes of a release.
const RELEASE: usize = 16 << 20;

const SECRET_READ: [&str; 4] = ["secret_read", "secret_read_2", "secret_read_3", "secret_read_4"];

/// Variables to set and to remove.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    remove: BTreeSet<String>,
}

impl Gathered {
    /// Makes the form of a new release of what is to change; it goes the way of every release.
    pub(super) async fn inform_variables(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let wanted = self.wanted()?;
        let app = self.app()?;
        let mut releases = Releases::new(look, &app);
        let newest = releases.newest().await?;
        let before = match &newest {
            Some(newest) => releases.environment(newest).await?,
            None => Environment::default(),
        };
        let mut sent = Environment::default();
        for (name, value) in &wanted.set {
            sent.set(name, value);
        }
        let sent = releases.unmask(sent, newest.as_deref()).await?;
        let mut after = before.clone();
        for name in &wanted.remove {
            after.unset(name);
        }
        for (name, value) in sent.iter() {
            after.set(name, value);
        }
        let changes = self.ask_for_changes(gate, look, &[before], &after).await?;
        if changes.is_empty() {
            let text = "nothing of this changes the environment: no release is made".to_owned();
            return Err(Refusal::Unclear("unchanged", text));
        }
        let row = RACK.iter().find(|row| row.action == "release:create");
        let row = row.ok_or(Refusal::UnknownRoute("unknown-route"))?;
        self.also.push(Also { row, resource: ResourceRef::new(Resource::App, app.clone(), Some(app.clone())) });
        let form = Form { pairs: vec![("env".to_owned(), fit(&after)?)] };
        self.rewrite(PreparedBody::Bytes(form.encode().into()));
        if let Ok(prepared) = &mut self.prepared {
            prepared.outgoing.method = row.kind.method();
            prepared.outgoing.target = path(&["apps", &app, "releases"]);
            prepared.outgoing.headers =
                vec![("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec())];
            prepared.outgoing.body = row.contract.body;
        }
        self.followers.push(Box::new(Made { changes }));
        Ok(())
    }

    fn wanted(&self) -> Result<Wanted, Refusal> {
        let body = match &self.prepared {
            Ok(prepared) if matches!(prepared.outgoing.body, Body::Json { .. }) => &prepared.body,
            _ => &PreparedBody::Empty,
        };
        let bytes: &[u8] = if let PreparedBody::Bytes(bytes) = body { bytes } else { &[] };
        let shape = |error: serde_json::Error| {
            // Of the message only where it went wrong: the rest may show a value.
            let text = format!("the body is not {{\"set\": {{..}}, \"remove\": [..]}}: line {}", error.line());
            Refusal::Unclear("body-shape", text)
        };
        let wanted: Wanted = serde_json::from_slice(bytes).map_err(shape)?;
        if let Some(both) = wanted.remove.iter().find(|name| wanted.set.contains_key(*name)) {
            let text = format!("{} is to be set and to be removed", label(both));
            return Err(Refusal::Unclear("body-shape", text));
        }
        Ok(wanted)
    }

    /// Asks for each secret that is to be shown in clear.
    pub(super) async fn inform_shown(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let query = self.classified.matched.query().map_err(Refusal::BadContract)?;
        match query.get("secrets") {
            None | Some("false") => return Ok(()),
            Some("true") => {}
            Some(_) => return Err(Refusal::BadRequest("query-secrets", "secrets is true or false")),
        }
        let app = self.app()?;
        let mut releases = Releases::new(look, &app);
        let release = match query.get("release") {
            Some(release) => Some(release.to_owned()),
            None => releases.newest().await?,
        };
        let Some(release) = release else { return Ok(()) };
        let environment = releases.environment(&release).await?;
        let rules = app_rules(gate, look, &app).await?;
        let mut names = Vec::new();
        for (name, value) in environment.iter() {
            let facts = EnvVar { secret: rules.is_secret(name, value), protected: rules.is_protected(name) };
            // Who asks for everything does not ask for what nobody sees.
            let is_asked = query.get("key").map_or(!facts.protected, |key| key == name);
            if is_asked && (facts.secret || facts.protected) {
                self.also.push(variable("secret:read", &app, name, facts)?);
                names.push(name.to_owned());
            }
        }
        self.note(&SECRET_READ, &names);
        self.classified.identified.accepted.trace.facts.insert("release", release);
        Ok(())
    }
}

/// Answers with the id of the new release and what it changes, not with its environment.
#[derive(Debug)]
struct Made {
    changes: Changes,
}

impl Made {
    fn tell(&self, answer: Answered) -> Result<Answered, Unfollowed> {
        if answer.status >= 400 {
            return Ok(answer);
        }
        let unreadable = || Unfollowed {
            status: 502,
            message: "the rack's answer cannot be read; look whether the release was made".to_owned(),
        };
        let release: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let id = release.get("id").and_then(Value::as_str).ok_or_else(unreadable)?;
        let told = json!({ "release": id, "set": self.changes.set, "removed": self.changes.unset });
        Ok(Answered { body: Bytes::from(format!("{told:#}\n")), ..answer })
    }
}

impl Follow for Made {
    fn max(&self) -> usize {
        RELEASE
    }

    fn answered(self: Box<Self>, answer: Answered) -> LocalBoxFuture<'static, Result<Answered, Unfollowed>> {
        Box::pin(async move { self.tell(answer) })
    }

    fn unanswered(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
