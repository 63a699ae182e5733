//! What a deploy passes through: which grant covers a step of it, and whether the step is what was approved or
//! made under that grant. Policy reads what comes of it as `context.approval`; nothing is decided here.

mod claim;
mod covers;
mod hint;
mod images;
mod lookup;
mod note;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::approval::agreed;
use crate::pdp::{Approval, Decision, NEVER_S, Verdict};
use crate::routes::{Body, Form, Step, form};
use crate::store::{ApprovalRow, ApprovalState, DeployStep, DeployStepKind, Party, StepState, StoreError};

use super::errand::Look;
use super::permit::{Prepared, PreparedBody};
use super::refusal::Refusal;
use super::{Gate, Gathered};
use crate::identity::{IdentifyError, Identity, PrincipalType};

/// What of a step is not what was approved: a word for policy, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drift {
    what: &'static str,
    why: String,
}

impl Drift {
    fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }

    /// What was approved has happened once; that somebody asks again takes nothing from it.
    fn used(why: &str) -> Self {
        Self::new(USED, why)
    }

    fn voids(&self) -> bool {
        self.what != USED
    }
}

const USED: &str = "used";

/// A grant, and what was done under it.
#[derive(Clone, Debug)]
struct Grant {
    row: ApprovalRow,
    steps: Vec<DeployStep>,
}

impl Grant {
    fn step(&self, kind: DeployStepKind) -> Option<&DeployStep> {
        self.steps.iter().find(|step| step.step == kind)
    }

    /// What the rack made in that step, once it is known.
    fn made(&self, kind: DeployStepKind) -> Option<&str> {
        self.step(kind).filter(|step| step.state == StepState::Done)?.result.as_deref()
    }
}

/// A claim that was made for this request.
#[derive(Clone, Debug)]
struct Claim {
    id: String,
}

/// A step of a deploy, as one request takes it.
#[derive(Debug)]
pub(super) struct Deploy {
    step: Step,
    app: String,
    party: Party,
    form: Form,
    /// The grants that this deployer has for the app.
    open: Vec<Grant>,
    /// The one that covers the request.
    grant: Option<Grant>,
    drift: Option<Drift>,
    /// Whose approvals of it count now.
    agreed: usize,
    /// SHA-256 of the manifest that a build is made by.
    manifest: Option<String>,
    images_allowed: bool,
    /// Why not, for people.
    images: Option<String>,
    claim: Option<Claim>,
}

/// How policy names whoever asks.
pub(super) fn party(identity: &Identity) -> Party {
    let kind = match identity.principal {
        PrincipalType::User => "User",
        PrincipalType::ApiToken => "ApiToken",
        PrincipalType::Workload => "Workload",
    };
    Party::new(kind, identity.id.clone())
}

/// The database does not say.
pub(super) const fn unread(error: StoreError) -> Refusal {
    Refusal::Credential(IdentifyError::Unavailable(error))
}

/// Actions that bring an image to the rack whose manifest nobody reads here.
const UNSEEN: [&str; 3] = ["build:import", "build:update", "build-image:import"];

impl Gathered {
    /// Which grant covers this step of a deploy, as far as the database knows.
    ///
    /// # Errors
    /// When the database does not say.
    pub(super) async fn cover(&mut self, gate: &Gate) -> Result<(), Refusal> {
        let row = self.classified.matched.row();
        let Some(app) = self.classified.resource.app.clone() else { return Ok(()) };
        if UNSEEN.contains(&row.action) {
            let rules = gate.app_settings(&app).await.map_err(unread)?.service_image_patterns;
            self.context.approval.images_allowed = rules.is_empty();
        }
        if let Some(exec) = self.context.exec.as_mut().filter(|exec| !exec.command.is_empty()) {
            let commands = gate.app_settings(&app).await.map_err(unread)?.deploy_commands;
            exec.deploy_command = commands.contains(&exec.command);
        }
        let Some(step) = row.contract.step else { return Ok(()) };
        let party = party(&self.classified.identified.known.identity);
        if party.kind == "User" && matches!(step, Step::ReadBuild | Step::ReadRelease) {
            return Ok(());
        }
        let form = self.prepared.as_ref().map(|prepared| fields(row.contract.body, prepared)).unwrap_or_default();
        let mut deploy = Deploy {
            step,
            app,
            party,
            form,
            open: Vec::new(),
            grant: None,
            drift: None,
            agreed: 0,
            manifest: None,
            images_allowed: true,
            images: None,
            claim: None,
        };
        // What is switched off grants nothing.
        if gate.deploy_settings().await.map_err(unread)?.enabled {
            deploy.find(gate, &self.classified, self.context.now).await.map_err(unread)?;
            let options: Vec<&str> = self.options();
            deploy.compare(&self.classified.matched, &options, self.context.exec.as_ref());
            deploy.count(gate).await.map_err(unread)?;
        }
        self.deploy = Some(Box::new(deploy));
        self.tell();
        Ok(())
    }

    /// What only the rack knows of a step: the object that is built, the build of a release, an environment.
    ///
    /// # Errors
    /// When the rack does not say.
    pub(super) async fn inspect(&mut self, gate: &Gate, look: &Look) -> Result<(), Refusal> {
        let Some(mut deploy) = self.deploy.take() else { return Ok(()) };
        let release = self.context.exec.as_ref().map(|exec| exec.release.clone());
        let release = release.or_else(|| self.classified.matched.param("release").map(str::to_owned));
        let mut looked = deploy.look(gate, look, release.as_deref()).await;
        if looked.is_ok() {
            looked = deploy.count(gate).await.map_err(unread);
        }
        self.deploy = Some(deploy);
        self.tell();
        looked
    }

    /// Puts what is known into the question and into the record.
    fn tell(&mut self) {
        let Some(deploy) = &self.deploy else { return };
        let facts = &mut self.classified.identified.accepted.trace.facts;
        facts.remove("drift");
        let mut approval = deploy.approval(self.context.now);
        approval.images_allowed &= self.context.approval.images_allowed;
        if !approval.id.is_empty() {
            facts.insert("approval", approval.id.clone());
        }
        if let Some(Drift { what, why }) = deploy.drift.as_ref().filter(|_| deploy.grant.is_some()) {
            facts.insert("drift", format!("{what}: {why}"));
        }
        if let Some(why) = &deploy.images {
            facts.insert("images", why.clone());
        }
        self.context.approval = approval;
    }

    /// Names of the option headers that the request carries.
    fn options(&self) -> Vec<&str> {
        let headers = self.prepared.as_ref().map(|prepared| prepared.outgoing.headers.as_slice()).unwrap_or_default();
        headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn fields(body: Body, prepared: &Prepared) -> Form {
    match (body, &prepared.body) {
        (Body::Form { keys, .. }, PreparedBody::Bytes(bytes)) => form(keys, bytes).unwrap_or_default(),
        _ => Form::default(),
    }
}

impl Deploy {
    /// Finds the grants, with all that was done under them.
    async fn find(
        &mut self,
        gate: &Gate,
        classified: &super::Classified,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let rows = match self.step {
            Step::ReadBuild | Step::ReadRelease => self.read_under(gate, classified).await?,
            _ => gate.store.approvals_open(&self.app, &self.party, now).await?,
        };
        let steps = gate.store.deploy_steps(rows.iter().map(|row| row.id.clone()).collect()).await?;
        let mut of: BTreeMap<String, Vec<DeployStep>> = BTreeMap::new();
        for step in steps {
            of.entry(step.approval_id.clone()).or_default().push(step);
        }
        self.open = rows.into_iter().map(|row| Grant { steps: of.remove(&row.id).unwrap_or_default(), row }).collect();
        Ok(())
    }

    /// For reads: the approval under which this deployer made the build, whatever became of it since; for a
    /// release, the last one that it built under, until the rack says of which build it is.
    async fn read_under(&self, gate: &Gate, classified: &super::Classified) -> Result<Vec<ApprovalRow>, StoreError> {
        let made = match (self.step, classified.matched.param("build")) {
            (Step::ReadBuild, Some(build)) => {
                gate.store.deploy_step_that_made(&self.app, &self.party, DeployStepKind::Build, build).await?
            }
            _ => gate.store.deploy_step_last(&self.app, &self.party, DeployStepKind::Build).await?,
        };
        let Some(made) = made else { return Ok(Vec::new()) };
        Ok(gate.store.approval_find(&made.approval_id).await?.into_iter().collect())
    }

    async fn count(&mut self, gate: &Gate) -> Result<(), StoreError> {
        self.agreed = match &self.grant {
            Some(grant) => agreed(&gate.store, &grant.row).await?.len(),
            None => 0,
        };
        Ok(())
    }

    fn approval(&self, now: OffsetDateTime) -> Approval {
        let Some(Grant { row, .. }) = &self.grant else {
            return Approval { images_allowed: self.images_allowed, ..Approval::none() };
        };
        let approval = facts(row, self.agreed, now);
        let drift = self.drift.as_ref().map_or("", |drift| drift.what).into();
        Approval { drift, images_allowed: self.images_allowed, ..approval }
    }
}

/// A grant as policy sees it now.
pub(super) fn facts(row: &ApprovalRow, agreed: usize, now: OffsetDateTime) -> Approval {
    let count = i64::try_from(agreed).unwrap_or(NEVER_S);
    let age_s = row.counted().map(|vote| (now - vote.at).whole_seconds()).min().unwrap_or(NEVER_S);
    let is_open = row.state_at(now) == ApprovalState::Approved;
    let left_s = if is_open { (row.expires_at - now).whole_seconds().max(0) } else { 0 };
    Approval { id: row.id.clone(), count, age_s, left_s, ..Approval::none() }
}

/// Whether an approval of this deploy is what is missing.
pub(super) fn is_missing(decision: &Decision) -> bool {
    decision.verdict() == Verdict::Challenge && decision.challenges().contains(&crate::pdp::ChallengeKind::Approval)
}
