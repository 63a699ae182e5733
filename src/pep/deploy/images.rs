//! What is inside the object that a build is made of.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::approval::bundle::{self, Found, Limits, Manifest, Rules};
use crate::mask::Environment;
use crate::pep::Gate;
use crate::pep::errand::{ErrandError, Look};
use crate::pep::refusal::Refusal;
use crate::store::DeployStepKind as Kind;

use super::lookup::text;
use super::{Deploy, Drift, unread};

/// Why a build cannot be believed, in a word and a sentence.
type Unbelieved = (&'static str, String);

impl Deploy {
    /// Reads the object of a build, where an approval or the app's image rules ask what is in it.
    pub(super) async fn look_into(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let rules = gate.app_settings(&self.app).await.map_err(unread)?.service_image_patterns;
        let is_granted = self.grant.is_some() && self.drift.is_none();
        if !is_granted && rules.is_empty() {
            return Ok(());
        }
        let found = match self.object(look).await? {
            Ok(found) => found,
            Err((what, why)) => {
                self.refuse(is_granted, what, why, !rules.is_empty());
                return Ok(());
            }
        };
        if is_granted && self.uploaded() != Some(hex::encode(found.sha256)) {
            self.refuse(true, "object", "the object is not what was uploaded".to_owned(), !rules.is_empty());
            return Ok(());
        }
        self.manifest = Some(hex::encode(Sha256::digest(&found.manifest)));
        if let Err(why) = self.images(look, &found.manifest, &rules).await? {
            self.images_allowed = false;
            self.images = Some(why);
        }
        Ok(())
    }

    fn refuse(&mut self, is_granted: bool, what: &'static str, why: String, has_rules: bool) {
        if has_rules {
            self.images_allowed = false;
            self.images = Some(why.clone());
        }
        if is_granted {
            self.drift = Some(Drift::new(what, why));
        }
    }

    /// SHA-256 of what was uploaded where the build says.
    fn uploaded(&self) -> Option<String> {
        let key = self.key()?;
        let mut uploads = self.open.iter().filter_map(|grant| grant.step(Kind::Upload));
        uploads.find(|upload| upload.subject == key)?.digest.clone()
    }

    /// The key of the object that a build names.
    pub(super) fn key(&self) -> Option<&str> {
        self.form.get("url")?.strip_prefix("object://")?.strip_prefix(self.app.as_str())?.strip_prefix('/')
    }

    async fn object(&self, look: &Look) -> Result<Result<Found, Unbelieved>, Refusal> {
        let Some(key) = self.key() else {
            return Ok(Err(("object", "the build is not of an object of this app".to_owned())));
        };
        let Some(name) = bundle::wanted(self.form.get("manifest").unwrap_or_default()) else {
            return Ok(Err(("manifest", "the build names a manifest outside of what was uploaded".to_owned())));
        };
        let mut chunks = match look.object(&self.app, key).await {
            Ok(chunks) => chunks,
            Err(ErrandError::Missing) => return Ok(Err(("object", "there is no such object".to_owned()))),
            Err(error) => return Err(Refusal::Rack(error)),
        };
        let (feed, reading) = bundle::open(name, Limits::default());
        while let Some(chunk) = chunks.next().await {
            if !feed.send(chunk.map_err(Refusal::Rack)?).await {
                break;
            }
        }
        feed.end().await;
        match reading.outcome().await {
            Ok(found) => Ok(Ok(found)),
            Err(error) => Ok(Err(("manifest", error.to_string()))),
        }
    }

    /// Whether the manifest's images are allowed, as it stands and as the rack will read it, with the variables of
    /// the newest release in it.
    async fn images(&self, look: &Look, manifest: &[u8], rules: &Rules) -> Result<Result<(), String>, Refusal> {
        if rules.is_empty() {
            return Ok(Ok(()));
        }
        for name in ["external", "build-args"] {
            if self.form.get(name).is_some_and(|value| !matches!(value, "" | "false")) {
                return Ok(Err(format!("the app has image rules, and the build has the option {name}")));
            }
        }
        let commit = self.commit();
        if let Err(why) = allowed(manifest, rules, &commit) {
            return Ok(Err(why));
        }
        if !manifest.windows(2).any(|pair| pair == b"${") {
            return Ok(Ok(()));
        }
        let environment = self.environment(look).await?;
        Ok(allowed(&bundle::interpolate(manifest, &environment), rules, &commit))
    }

    /// The commit that image rules speak of: the approved one, else the one that the build names.
    fn commit(&self) -> String {
        if let Some(grant) = &self.grant {
            return grant.row.commit.clone();
        }
        let named = self.form.get("git-sha").unwrap_or_default();
        let is_whole = matches!(named.len(), 40 | 64);
        let is_hex = named.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_whole && is_hex { named.to_owned() } else { String::new() }
    }

    async fn environment(&self, look: &Look) -> Result<BTreeMap<String, String>, Refusal> {
        let newest = look.releases(&self.app, 1).await.map_err(Refusal::Rack)?;
        let Some(newest) = newest.get(0).map(|release| text(release, "id").to_owned()) else {
            return Ok(BTreeMap::new());
        };
        let release = look.release(&self.app, &newest).await.map_err(Refusal::Rack)?;
        let unread = |_| Refusal::Rack(ErrandError::Unreadable("the environment of the app cannot be read".to_owned()));
        let environment = Environment::parse(text(&release, "env")).map_err(unread)?;
        Ok(environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn allowed(manifest: &[u8], rules: &Rules, commit: &str) -> Result<(), String> {
    let manifest = Manifest::parse(manifest).map_err(|error| error.to_string())?;
    bundle::check(&manifest, rules, commit).map_err(|error| error.to_string())
}
