//! Step-up: what a caller has shown of second factors, and what is asked of them when policy says that
//! more would help. Policy decides whether it does; here are the facts and the asking.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use time::OffsetDateTime;
use uuid::Uuid;

use super::inline::{self, Inline};
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::{Gate, Gathered, intent};
use crate::identity::{IdentifyError, Identity, PrincipalType, user_code};
use crate::pdp::{ChallengeKind, Decision, Mfa, NEVER_S};
use crate::routes::{Facts, Kind, RACK, Row};
use crate::store::{ChallengeReason, ChallengeRow, CredentialKind, Needs, NewChallenge, StoreError};

pub use crate::store::Way;

/// How long a challenge may be answered.
const LIFE: time::Duration = time::Duration::minutes(10);
/// Most challenges of one session in [`WINDOW`].
const MOST: u64 = 120;
const WINDOW: Duration = Duration::from_secs(600);
/// A factor as young as this was proved for the request that is being decided.
const JUST_NOW_S: i64 = 30;
/// Letters of a challenge's code: nobody guesses one, and whoever does must be its person.
const CODE: usize = 12;

/// A factor that was proved for one request.
#[derive(Debug)]
pub(super) struct Proven {
    mfa: Mfa,
    /// The challenge, unless the factor came with the request.
    challenge: Option<String>,
}

/// What the person behind a request is asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// An answer to this challenge.
    Answer(Posed),
    /// A second factor to begin with.
    Enrol,
}

impl Wanted {
    /// Status of the answer.
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::Answer(posed) => posed.status,
            Self::Enrol => 403,
        }
    }
}

/// A challenge, as whoever asked is told of it.
#[derive(Clone, Debug)]
pub struct Posed {
    /// Its id.
    pub id: String,
    /// The page to answer it at.
    pub url: String,
    /// How it reaches the person.
    pub way: Way,
    /// What is needed.
    pub needs: Needs,
    /// Whether only a factor will do that cannot be phished.
    pub strong: bool,
    /// When it is too late.
    pub expires_at: OffsetDateTime,
    /// Status of the answer.
    pub status: u16,
}

/// What is known of the caller's second factor at this time. Where the clock has gone back, nothing:
/// old proofs would look young.
pub(super) fn mfa(identity: &Identity, now: OffsetDateTime, is_sound: bool) -> Mfa {
    let assurance = &identity.assurance;
    match assurance.factor_age_s(now).filter(|_| is_sound) {
        Some(age_s) => Mfa {
            age_s,
            phishing_resistant: assurance.strong,
            bound_to_request: false,
            method: assurance.method.clone(),
            trusted_device: assurance.trusted_device,
            required: assurance.required,
        },
        None => {
            Mfa { trusted_device: assurance.trusted_device && is_sound, required: assurance.required, ..Mfa::never() }
        }
    }
}

/// Seconds since the session began; a very long time when that cannot be known.
pub(super) fn session_age_s(identity: &Identity, now: OffsetDateTime) -> i64 {
    identity.assurance.session_age_s(now).unwrap_or(NEVER_S)
}

/// Whether a person may do something about it now. Where somebody else must approve first, a
/// factor cannot help yet; and machines have none.
fn is_answerable(identity: &Identity, decision: &Decision) -> bool {
    let first = decision.challenges().first();
    identity.principal == PrincipalType::User && matches!(first, Some(ChallengeKind::Mfa | ChallengeKind::MfaBound))
}

fn unreadable(error: StoreError) -> Refusal {
    Refusal::Credential(IdentifyError::Unavailable(error))
}

impl Gathered {
    fn identity(&self) -> &Identity {
        &self.classified.identified.known.identity
    }

    fn headers(&self) -> &HeaderMap {
        self.classified.identified.accepted.request.headers()
    }

    fn row(&self) -> &'static Row {
        self.classified.matched.row()
    }

    fn now(&self) -> OffsetDateTime {
        self.classified.identified.accepted.trace.at
    }

    fn is_clock_sound(&self) -> bool {
        self.classified.identified.accepted.trace.is_clock_sound
    }

    /// The digest of the intent as it came.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        if self.pinned.is_some() {
            return self.pinned;
        }
        let prepared = self.prepared.as_ref().ok()?;
        Some(intent::digest(self.row(), &self.classified.resource, prepared))
    }

    /// Takes the facts of the second factor anew, after the caller was read again.
    pub(super) fn assure(&mut self) {
        let now = self.now();
        self.context.credential_age_s = session_age_s(self.identity(), now);
        self.context.mfa = match &self.proven {
            Some(proven) => proven.mfa.clone(),
            None => mfa(self.identity(), now, self.is_clock_sound()),
        };
    }

    /// Looks for a factor that was proved for this very request, in the request or in an answered
    /// challenge. True when there is one, and it is worth asking policy again.
    ///
    /// # Errors
    /// When a factor came with the request and is wrong, or when nothing can be looked up.
    pub(super) async fn prove(&mut self, gate: &Gate, decision: &Decision) -> Result<bool, Refusal> {
        if self.proven.is_some() || !is_answerable(self.identity(), decision) {
            return Ok(false);
        }
        let Some(digest) = self.digest() else { return Ok(false) };
        let named = match inline::read(self.headers())? {
            Some(Inline::Code(answer)) => {
                let trace = &self.classified.identified.accepted.trace;
                let desk = gate.desk(trace);
                let proof = gate.factors.verify(&desk, &self.identity().id, answer).await.map_err(Refusal::Factor)?;
                self.hold(0, proof.is_strong(), proof.method.as_str(), None);
                return Ok(true);
            }
            Some(Inline::Proof(id)) => Some(id),
            None => None,
        };
        let credential = &self.identity().credential.id;
        let found = gate.store.challenge_for(credential, &digest, self.now()).await.map_err(unreadable)?;
        let found = found.filter(|row| named.as_ref().is_none_or(|id| *id == row.id));
        let age = |row: &ChallengeRow| row.answered_at.map(|at| (self.now() - at).whole_seconds());
        match found {
            Some(row) if row.needs == Needs::Bound && row.user_id == self.identity().id => {
                let Some(age_s) = age(&row).filter(|age| *age >= 0 && self.is_clock_sound()) else {
                    return Ok(false);
                };
                let method = row.method.clone().unwrap_or_default();
                self.hold(age_s, row.answered_strong, &method, Some(row.id));
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    fn hold(&mut self, age_s: i64, is_strong: bool, method: &str, challenge: Option<String>) {
        let assurance = &self.identity().assurance;
        let mfa = Mfa {
            age_s,
            phishing_resistant: is_strong,
            bound_to_request: true,
            method: method.to_owned(),
            trusted_device: assurance.trusted_device,
            required: assurance.required,
        };
        let facts = &mut self.classified.identified.accepted.trace.facts;
        facts.insert("factor", method.to_owned());
        facts.extend(challenge.iter().map(|id| ("challenge", id.clone())));
        self.proven = Some(Proven { mfa, challenge });
        self.assure();
    }

    /// Uses a bound proof up; false when somebody else was faster, and then it is as if there had
    /// been none.
    pub(super) async fn spend(&mut self, gate: &Gate) -> Result<bool, Refusal> {
        let Some(id) = self.proven.as_mut().and_then(|proven| proven.challenge.take()) else { return Ok(true) };
        if gate.store.challenge_spend(&id, self.now()).await.map_err(unreadable)? {
            return Ok(true);
        }
        self.proven = None;
        let facts = &mut self.classified.identified.accepted.trace.facts;
        facts.retain(|name, _| !["factor", "challenge"].contains(name));
        self.assure();
        Ok(false)
    }

    /// Poses what policy says would help. None where nothing can be asked for now.
    ///
    /// # Errors
    /// When a factor was shown a moment ago and is not enough: asking again and again helps nobody.
    pub(super) async fn pose(&mut self, gate: &Gate, decision: &Decision) -> Result<Option<Wanted>, Refusal> {
        let identity = self.identity();
        let Some(digest) = self.digest().filter(|_| is_answerable(identity, decision)) else { return Ok(None) };
        let needs = match decision.challenges().first() {
            Some(ChallengeKind::MfaBound) => Needs::Bound,
            _ => Needs::Mfa,
        };
        let just_now = needs == Needs::Mfa && (0..=JUST_NOW_S).contains(&self.context.mfa.age_s) && {
            let shown = gate.store.challenge_for(&identity.credential.id, &digest, self.now());
            shown.await.map_err(unreadable)?.is_some()
        };
        if self.proven.is_some() || just_now {
            return Ok(None);
        }
        if !identity.assurance.enrolled {
            return Ok(Some(Wanted::Enrol));
        }
        let reasons = decision.grounds();
        let about = About {
            action: self.row().action.to_owned(),
            resource: self.classified.identified.accepted.trace.resource.clone().unwrap_or_default(),
            reasons: reasons.map(|one| ChallengeReason { id: one.id.to_string(), why: one.why.to_string() }).collect(),
            digest,
        };
        self.ask_for(gate, needs, decision.strong(), self.way(), about).await.map(Wanted::Answer).map(Some)
    }

    /// A console client goes through a handshake before it opens a socket, which cannot be challenged
    /// itself. If one was refused to this session, this is the place to ask.
    pub(super) async fn before_socket(&mut self, gate: &Gate) -> Result<Option<Posed>, Refusal> {
        let is_place = matches!(self.row().action, "console-machine:list" | "console-rack:list")
            && self.headers().contains_key("rack")
            && self.is_console();
        if !is_place {
            return Ok(None);
        }
        let (credential, now) = (self.identity().credential.id.clone(), self.now());
        let sockets: Vec<_> = RACK.iter().filter(|row| row.kind == Kind::Socket).map(|row| row.action).collect();
        let refused = gate.store.challenge_linked(&credential, &sockets, now).await.map_err(unreadable)?;
        let Some(refused) = refused else { return Ok(None) };
        // Once: what comes next may be something else.
        if !gate.store.challenge_withdraw(&refused.id, now).await.map_err(unreadable)? {
            return Ok(None);
        }
        let ChallengeRow { action, resource, reasons, intent_digest, needs, strong, .. } = refused;
        let about = About { action, resource, reasons, digest: intent_digest };
        self.ask_for(gate, needs, strong, Way::Console, about).await.map(Some)
    }

    async fn ask_for(
        &mut self,
        gate: &Gate,
        needs: Needs,
        strong: bool,
        way: Way,
        about: About,
    ) -> Result<Posed, Refusal> {
        let (identity, now) = (self.identity(), self.now());
        let counted = format!("challenge:{}", identity.credential.id);
        let state = gate.store.rate_hit(&counted, WINDOW, now).await.map_err(unreadable)?;
        if state.count > MOST {
            let seconds = (state.resets_at - now).whole_seconds().max(1);
            return Err(Refusal::TooMany(u64::try_from(seconds).unwrap_or(1)));
        }
        let trace = &self.classified.identified.accepted.trace;
        let target = self.classified.identified.accepted.request.uri().path_and_query();
        let is_page = way == Way::Web && self.row().kind == Kind::Get && trace.path.starts_with("/app");
        let new = NewChallenge {
            id: Uuid::now_v7().to_string(),
            code: user_code(CODE).map_err(|_| Refusal::BadRequest("unanswerable", "no code can be made; try again"))?,
            user_id: identity.id.clone(),
            credential_id: identity.credential.id.clone(),
            action: about.action,
            resource: about.resource,
            reasons: about.reasons,
            needs,
            strong,
            way,
            intent_digest: about.digest,
            return_to: target.filter(|_| is_page).map(ToString::to_string),
            source_ip: trace.source_ip,
            expires_at: now + LIFE,
            ..NewChallenge::blank(now)
        };
        let row = gate.store.challenge_pose(new, now).await.map_err(unreadable)?;
        let posed = Posed {
            url: format!("{}/app/c/{}", gate.site.origin, row.code),
            way,
            needs,
            strong,
            expires_at: row.expires_at,
            status: self.status(way),
            id: row.id,
        };
        self.classified.identified.accepted.trace.facts.insert("challenge", posed.id.clone());
        Ok(posed)
    }

    /// Whether the `convox` CLI asks as the client of a console: only then it sends this header, empty
    /// at first.
    fn is_console(&self) -> bool {
        self.headers().contains_key("session") && self.identity().credential.kind == CredentialKind::Cli
    }

    /// How a challenge reaches the person.
    fn way(&self) -> Way {
        let is_stream = self.prepared.as_ref().is_ok_and(|prepared| matches!(prepared.body, PreparedBody::Stream));
        match (self.row().kind, self.identity().credential.kind) {
            (Kind::Socket, _) if self.is_terminal() => Way::Socket,
            (Kind::Socket, _) => Way::Link,
            (_, CredentialKind::Web) => Way::Web,
            // What is streamed cannot be sent a second time.
            _ if self.is_console() && !is_stream && self.may_shake_hands() => Way::Console,
            _ => Way::Link,
        }
    }

    /// Whether a person sits at the other end of this socket, with a terminal: the CLI says when there
    /// is none, and how large it is.
    fn is_terminal(&self) -> bool {
        let text = |name: &str| self.headers().get(name).and_then(|value| value.to_str().ok());
        self.row().kind == Kind::Socket
            && self.row().contract.facts == Facts::Exec
            && text("tty") != Some("false")
            && text("height").is_some_and(|height| !height.is_empty())
    }

    /// Not in the API, whose clients know a better way, and not within the handshake itself: the CLI
    /// would begin another one, without end.
    fn may_shake_hands(&self) -> bool {
        let path = self.row().path;
        !path.starts_with("/api/") && !path.starts_with("/session/")
    }

    fn status(&self, way: Way) -> u16 {
        let is_api = self.row().path.starts_with("/api/");
        if way == Way::Console || way == Way::Web || is_api { 401 } else { 403 }
    }
}

/// What is asked about.
struct About {
    action: String,
    resource: String,
    reasons: Vec<ChallengeReason>,
    digest: [u8; 32],
}
