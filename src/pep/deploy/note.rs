//! Notes what the rack made of a claimed step.

use actix_web::web::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::clock::Clock;
use crate::pep::Gate;
use crate::pep::follow::{Answered, Follow, Unfollowed};
use crate::store::{ApprovalRow, ApprovalState, DeployStepKind as Kind, Party, Store, StoreError};

use super::lookup::text;

/// Most bytes of an answer: a build, a release with its environment, a process.
const LONGEST: usize = 8 << 20;

/// What is to be noted.
#[derive(Debug)]
pub(super) struct Note {
    store: Store,
    clock: Clock,
    id: String,
    step: Kind,
    grant: ApprovalRow,
    party: Party,
}

impl Note {
    pub(super) fn new(gate: &Gate, id: &str, step: Kind, grant: ApprovalRow, party: Party) -> Self {
        Self { store: gate.store.clone(), clock: gate.clock.clone(), id: id.to_owned(), step, grant, party }
    }

    async fn note(&self, answer: &Answered) -> Result<(), StoreError> {
        let now = self.clock.now();
        if answer.status >= 400 {
            return self.store.deploy_step_free(&self.id, now).await;
        }
        let result = made(self.step, &answer.body);
        let digest = answer.sent.filter(|_| self.step == Kind::Upload).map(hex::encode);
        if self.step != Kind::Promote && result.is_none() {
            return Err(StoreError::Corrupt("the rack does not say what it made".to_owned()));
        }
        self.store.deploy_step_done(&self.id, result.as_deref(), digest.as_deref(), now).await?;
        if self.step != Kind::Promote {
            return Ok(());
        }
        let notice = self.grant.notice("deploy-approval.deployed", now);
        let (id, to) = (&self.grant.id, ApprovalState::Deployed);
        self.store.approval_end(id, to, None, Some(&self.party), now, Some(&notice)).await.map(|_| ())
    }

    fn failed(&self, error: &StoreError) {
        let step = self.step.as_str();
        tracing::error!(approval.id = self.grant.id, step, %error, "what came of a step of a deploy cannot be noted");
    }
}

/// The id of what the rack made, or where it put an upload.
fn made(step: Kind, body: &Bytes) -> Option<String> {
    let name = match step {
        Kind::Upload => "Url",
        Kind::Build | Kind::Release | Kind::Start => "id",
        Kind::Promote => return None,
    };
    let answer: Value = serde_json::from_slice(body).ok()?;
    Some(text(&answer, name).to_owned()).filter(|id| !id.is_empty())
}

impl Follow for Note {
    fn max(&self) -> usize {
        LONGEST
    }

    fn answered(self: Box<Self>, answer: Answered) -> LocalBoxFuture<'static, Result<Answered, Unfollowed>> {
        Box::pin(async move {
            // The rack has done it: whoever asked is told so, whatever becomes of the note.
            if let Err(error) = self.note(&answer).await {
                self.failed(&error);
            }
            Ok(answer)
        })
    }

    fn unanswered(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            // An upload that nobody noted is built by nobody, so it may be made again. All else stays claimed.
            if self.step == Kind::Upload
                && let Err(error) = self.store.deploy_step_free(&self.id, self.clock.now()).await
            {
                self.failed(&error);
            }
        })
    }
}
