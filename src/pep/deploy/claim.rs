//! A step is claimed right before it is forwarded, and a grant is taken back when what comes is not what was
//! approved.

use uuid::Uuid;

use crate::pdp::Decision;
use crate::pep::refusal::Refusal;
use crate::pep::{Gate, Gathered};
use crate::routes::Step;
use crate::store::{ApprovalState, DeployStepKind as Kind, NewDeployStep, StoreError};

use super::note::Note;
use super::{Claim, Deploy, Drift, hint, is_missing, unread};

impl Gathered {
    /// Claims the step for this request, once. False when somebody else was faster or the grant is none any more:
    /// then policy must be asked again.
    ///
    /// # Errors
    /// When the database does not say.
    pub(in crate::pep) async fn claim(&mut self, gate: &Gate) -> Result<bool, Refusal> {
        let now = gate.clock.now();
        let request_id = self.classified.identified.accepted.trace.request_id.clone();
        let release = self.context.exec.as_ref().map(|exec| exec.release.clone());
        let path = |name: &str| self.classified.matched.param(name).map(str::to_owned);
        let Some(deploy) = self.deploy.as_mut().filter(|deploy| deploy.claim.is_none() && deploy.drift.is_none())
        else {
            return Ok(true);
        };
        let Some(grant) = &deploy.grant else { return Ok(true) };
        let (step, subject) = match deploy.step {
            Step::Upload => (Kind::Upload, path("key")),
            Step::Build => (Kind::Build, deploy.key().map(str::to_owned)),
            Step::Release => (Kind::Release, deploy.form.get("build").map(str::to_owned)),
            Step::Promote => (Kind::Promote, path("release")),
            Step::Start => (Kind::Start, release),
            Step::Process | Step::ReadBuild | Step::ReadRelease => return Ok(true),
        };
        let new = NewDeployStep {
            id: Uuid::now_v7().to_string(),
            approval_id: grant.row.id.clone(),
            app: deploy.app.clone(),
            step,
            subject: subject.unwrap_or_default(),
            digest: deploy.manifest.clone(),
            by: deploy.party.clone(),
            request_id,
        };
        let id = new.id.clone();
        match gate.store.deploy_step_claim(new, now).await {
            Ok(()) => {
                let note = Note::new(gate, &id, step, grant.row.clone(), deploy.party.clone());
                deploy.claim = Some(Claim { id });
                self.followers.insert(0, Box::new(note));
                Ok(true)
            }
            Err(StoreError::Conflict(_)) => {
                deploy.drift = Some(Drift::used("this step of the deploy was taken already"));
                self.tell();
                Ok(false)
            }
            Err(StoreError::Stale) => {
                deploy.grant = None;
                self.tell();
                Ok(false)
            }
            Err(error) => Err(unread(error)),
        }
    }

    /// Gives back what was claimed for a request that is not forwarded after all.
    pub(in crate::pep) async fn unclaim(&mut self, gate: &Gate) {
        let Some(claim) = self.deploy.as_mut().and_then(|deploy| deploy.claim.take()) else { return };
        self.followers.clear();
        if let Err(error) = gate.store.deploy_step_free(&claim.id, gate.clock.now()).await {
            tracing::error!(step.id = claim.id, %error, "a claimed step of a deploy cannot be given back");
        }
    }

    /// For a request that lacks an approval: takes the grant back if the request is not what it was given for, and
    /// says what to do.
    ///
    /// # Errors
    /// When the database does not say.
    pub(in crate::pep) async fn unapproved(
        &mut self,
        gate: &Gate,
        decision: &Decision,
    ) -> Result<Option<String>, Refusal> {
        if !is_missing(decision) || self.prepared.is_err() {
            return Ok(None);
        }
        let Some(deploy) = &self.deploy else { return Ok(None) };
        let voided = deploy.void(gate).await.map_err(unread)?;
        let text = hint::text(gate, deploy, voided).await.map_err(unread)?;
        if voided {
            self.classified.identified.accepted.trace.facts.insert("grant", "revoked".to_owned());
        }
        Ok(Some(text))
    }
}

impl Deploy {
    /// Whether the grant was taken back because of drift.
    async fn void(&self, gate: &Gate) -> Result<bool, StoreError> {
        let (Some(grant), Some(drift)) = (&self.grant, self.drift.as_ref().filter(|drift| drift.voids())) else {
            return Ok(false);
        };
        let now = gate.clock.now();
        let reason = format!("drift: {}: {}", drift.what, drift.why);
        let mut notice = grant.row.notice("deploy-approval.revoked", now);
        if let Some(data) = notice.data.as_object_mut() {
            data.insert("reason".to_owned(), reason.clone().into());
        }
        let (id, by) = (&grant.row.id, Some(&self.party));
        let ended = gate.store.approval_end(id, ApprovalState::Revoked, Some(&reason), by, now, Some(&notice)).await;
        match ended {
            Ok(_) => Ok(true),
            // Somebody else ended it.
            Err(StoreError::Stale | StoreError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
