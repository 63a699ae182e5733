//! What only the rack knows of a step.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::mask::Environment;
use crate::pep::Gate;
use crate::pep::errand::{ErrandError, Look};
use crate::pep::refusal::Refusal;
use crate::routes::Step;
use crate::store::DeployStepKind as Kind;

use super::{Deploy, Drift, Grant, unread};

impl Deploy {
    pub(super) async fn look(&mut self, gate: &Gate, look: &Look, release: Option<&str>) -> Result<(), Refusal> {
        match (self.step, release) {
            (Step::Build, _) => self.look_into(gate, look).await,
            (Step::Promote | Step::Start, Some(release)) if self.grant.is_some() && self.drift.is_none() => {
                self.look_at(look, release).await
            }
            (Step::ReadRelease, Some(release)) if self.grant.is_some() => self.look_back(gate, look, release).await,
            _ => Ok(()),
        }
    }

    /// Of which grant a release is, and whether it is what was approved.
    async fn look_at(&mut self, look: &Look, id: &str) -> Result<(), Refusal> {
        let release = look.release(&self.app, id).await.map_err(Refusal::Rack)?;
        let build = text(&release, "build");
        let grant = self.open.iter().find(|grant| !build.is_empty() && grant.made(Kind::Build) == Some(build)).cloned();
        let Some(grant) = grant else {
            self.drift = Some(Drift::new("release", "the release is not of the approved build"));
            return Ok(());
        };
        let drift = if self.is_bound(look, &grant, id).await? {
            self.differs(look, &grant, &release).await?
        } else {
            Some(Drift::new("release", "the release is of the approved build, and made by somebody else"))
        };
        let drift = drift.or_else(|| (self.step == Step::Promote).then(|| self.promotion(&grant)).flatten());
        self.grant = Some(grant);
        self.drift = drift;
        Ok(())
    }

    /// A build makes one release when it ends, and a grant may have made one more.
    async fn is_bound(&self, look: &Look, grant: &Grant, release: &str) -> Result<bool, Refusal> {
        if grant.made(Kind::Release) == Some(release) {
            return Ok(true);
        }
        let Some(build) = grant.made(Kind::Build) else { return Ok(false) };
        let build = look.build(&self.app, build).await.map_err(Refusal::Rack)?;
        Ok(text(&build, "release") == release)
    }

    /// Manifest and environment of a release, against those that were approved.
    async fn differs(&self, look: &Look, grant: &Grant, release: &Value) -> Result<Option<Drift>, Refusal> {
        let digest = grant.step(Kind::Build).and_then(|build| build.digest.clone());
        if digest != Some(hex::encode(Sha256::digest(text(release, "manifest")))) {
            return Ok(Some(Drift::new("manifest", "the manifest of the release is not the one that was built")));
        }
        let approved = match &grant.row.parent_release {
            None => Some(String::new()),
            Some(parent) => match look.release(&self.app, parent).await {
                Ok(parent) => Some(text(&parent, "env").to_owned()),
                Err(ErrandError::Missing) => None,
                Err(error) => return Err(Refusal::Rack(error)),
            },
        };
        let read = |text: &str| Environment::parse(text).ok();
        let same = approved.as_deref().and_then(read).zip(read(text(release, "env")));
        let same = same.is_some_and(|(approved, now)| approved == now);
        let why = "the environment of the release is not the one that was approved";
        Ok((!same).then(|| Drift::new("environment", why)))
    }

    /// Whether a release that is read is of a build that this deployer made.
    async fn look_back(&mut self, gate: &Gate, look: &Look, release: &str) -> Result<(), Refusal> {
        let release = look.release(&self.app, release).await.map_err(Refusal::Rack)?;
        let made = gate.store.deploy_step_that_made(&self.app, &self.party, Kind::Build, text(&release, "build")).await;
        let row = match made.map_err(unread)? {
            Some(made) => gate.store.approval_find(&made.approval_id).await.map_err(unread)?,
            None => None,
        };
        self.grant = row.map(|row| Grant { row, steps: Vec::new() });
        Ok(())
    }
}

/// A text of an answer; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
