//! Fourth stage: check the request against the row's contract, and gather the facts that policy
//! reads. What fails the contract is kept until policy has spoken, so that a caller without any
//! right learns nothing of it.

use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

use crate::identity::IdentifyError;
use crate::mask;
use crate::pdp::{Approval, Context, Settings};
use crate::routes::{Body, ContractError, Kind, Outgoing};
use crate::store::StoreError;

use super::deploy::Deploy;
use super::errand::Reader;
use super::facts;
use super::follow::Followers;
use super::inform::Also;
use super::permit::{Prepared, PreparedBody};
use super::refusal::{Refusal, Stopped};
use super::step_up::{self, Proven};
use super::{Accepted, Classified, Gate};

/// A request with everything that the decision reads.
#[derive(Debug)]
pub struct Gathered {
    pub(super) classified: Classified,
    pub(super) context: Context,
    pub(super) prepared: Result<Prepared, Refusal>,
    /// A factor that was proved for this very request.
    pub(super) proven: Option<Proven>,
    /// Who makes errands.
    pub(super) reader: Rc<dyn Reader>,
    /// Whether what only the rack knows was looked up.
    pub(super) informed: bool,
    /// Further questions that must be allowed as well.
    pub(super) also: Vec<Also>,
    /// The digest of the intent as it came, once the body was written anew.
    pub(super) pinned: Option<[u8; 32]>,
    /// What is left to do when the rack has answered.
    pub(super) followers: Followers,
    /// What it does in a deploy.
    pub(super) deploy: Option<Box<Deploy>>,
}

impl Classified {
    /// Gathers facts; reads the body where the contract says so, leaving it in `payload` otherwise.
    ///
    /// # Errors
    /// When it cannot be known whom the request is about.
    pub async fn gather(
        mut self,
        gate: &Gate,
        payload: &mut Payload,
        reader: Rc<dyn Reader>,
    ) -> Result<Gathered, Box<Stopped>> {
        let settings = match self.look_up(gate).await {
            Ok(settings) => settings,
            Err(error) => {
                let refusal = Refusal::Credential(IdentifyError::Unavailable(error));
                return Err(Stopped::new(self.identified.accepted.trace, refusal));
            }
        };
        let prepared = self.prepare(payload).await;
        let accepted = &mut self.identified.accepted;
        let exec = facts::exec(self.matched.row(), accepted.request.headers());
        if let Some(exec) = exec.as_ref().filter(|exec| !exec.command.is_empty()) {
            accepted.trace.facts.insert("command", mask::scrub_hard(&exec.command));
        }
        let context = Context {
            now: accepted.trace.at,
            source_ip: accepted.trace.source_ip,
            credential: self.identified.known.identity.credential.kind.as_str().to_owned(),
            credential_age_s: step_up::session_age_s(&self.identified.known.identity, accepted.trace.at),
            mfa: step_up::mfa(&self.identified.known.identity, accepted.trace.at, accepted.trace.is_clock_sound),
            approval: Approval::none(),
            break_glass: String::new(),
            audit: facts::audit(gate),
            settings,
            exec,
        };
        let mut gathered = Gathered {
            classified: self,
            context,
            prepared,
            proven: None,
            reader,
            informed: false,
            also: Vec::new(),
            pinned: None,
            followers: Vec::new(),
            deploy: None,
        };
        match gathered.cover(gate).await {
            Ok(()) => Ok(gathered),
            Err(refusal) => Err(Stopped::new(gathered.classified.identified.accepted.trace, refusal)),
        }
    }

    /// What the database knows of the resource, and of what the row depends on.
    async fn look_up(&mut self, gate: &Gate) -> Result<Settings, StoreError> {
        let now = self.identified.accepted.trace.at;
        self.resource.about = facts::about(gate, &self.resource, now).await?;
        facts::settings(gate, self.matched.row()).await
    }

    async fn prepare(&self, payload: &mut Payload) -> Result<Prepared, Refusal> {
        let accepted = &self.identified.accepted;
        let headers: Vec<(&str, &[u8])> =
            accepted.request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let outgoing = self.matched.request(&headers).map_err(Refusal::BadContract)?;
        let body = self.body(payload, &outgoing).await?;
        Ok(Prepared {
            outgoing,
            body,
            actor: self.identified.known.identity.label.clone(),
            request_id: accepted.trace.request_id.clone(),
            kind: accepted.kind,
        })
    }
}

impl Classified {
    async fn body(&self, payload: &mut Payload, outgoing: &Outgoing) -> Result<PreparedBody, Refusal> {
        let Accepted { request, kind, .. } = &self.identified.accepted;
        match outgoing.body {
            Body::None if *kind == Kind::Socket => Ok(PreparedBody::Empty),
            Body::None => {
                let raw = read(request, payload, 0).await?;
                outgoing.form(&raw).map(|_| PreparedBody::Empty).map_err(Refusal::BadContract)
            }
            Body::Form { max, .. } => {
                let raw = read(request, payload, max).await?;
                let form = outgoing.form(&raw).map_err(Refusal::BadContract)?;
                self.matched.check_object(&form).map_err(Refusal::BadContract)?;
                Ok(if raw.is_empty() { PreparedBody::Empty } else { PreparedBody::Bytes(Bytes::from(form.encode())) })
            }
            Body::Inspect { max } | Body::Json { max } => Ok(PreparedBody::Bytes(read(request, payload, max).await?)),
            Body::Stream => Ok(PreparedBody::Stream),
        }
    }
}

/// Reads the body up to `max` bytes. What is longer is not read: it stays with the client.
async fn read(request: &HttpRequest, payload: &mut Payload, max: usize) -> Result<Bytes, Refusal> {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| u64::try_from(max).is_ok_and(|max| length > max)) {
        return Err(too_large(max));
    }
    let mut whole = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::BadRequest("body-broken", "the request body could not be read"))?;
        if whole.len().saturating_add(chunk.len()) > max {
            return Err(too_large(max));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

const fn too_large(max: usize) -> Refusal {
    Refusal::BadContract(if max == 0 { ContractError::BodyNotAllowed } else { ContractError::TooLarge { max } })
}
