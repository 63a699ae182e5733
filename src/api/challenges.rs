//! Challenges: what policy asks a person to show before something passes, and the answers to it.
//!
//! A challenge is its own person's alone. The answer counts for the session that was asked, which
//! need not be the one that answers: a command line asks, and a browser answers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::action::{Action, ChallengeAnswer, ChallengeBegin, ChallengeRead};
use super::cookie::{self, DEVICE_COOKIE};
use super::endpoint::Answer;
use super::factors::tell;
use super::{Call, Problem, Reply, devices};
use crate::factor::{self, Method, Proof};
use crate::store::{ChallengeRow, CredentialKind, Needs, Way};

/// Most answers to one challenge.
const TRIES: u64 = 10;
/// How long an answer is good.
const ANSWERED: Duration = Duration::minutes(5);

/// A challenge.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Challenge {
    id: String,
    /// The end of its link.
    code: String,
    /// What was asked for.
    action: String,
    /// On what.
    resource: String,
    /// The policies that ask for it.
    reasons: Vec<Reason>,
    /// `mfa`: a second factor, good for a while; `mfa_bound`: one for this very request.
    needs: &'static str,
    /// Whether only a passkey or security key will do.
    strong: bool,
    /// How the request came: `web`, `console`, `link` or `socket`.
    way: &'static str,
    /// `open`, `answered`, `completed`, `spent` or `expired`.
    state: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    methods: Methods,
    /// Where the request came from.
    source_ip: String,
    /// Whether the browser may be spared the second factor at sign-in from then on.
    may_trust_device: bool,
}

/// A policy, and why it asks.
#[derive(Debug, Serialize, ToSchema)]
struct Reason {
    id: String,
    why: String,
}

/// With what the person can answer.
#[derive(Debug, Serialize, ToSchema)]
struct Methods {
    webauthn: bool,
    totp: bool,
    yubico: bool,
    /// Whether a backup code is left.
    backup: bool,
    /// Which of them to ask for first.
    preferred: Option<&'static str>,
}

/// What a browser makes an assertion of.
#[derive(Serialize, ToSchema)]
pub(super) struct AssertionOptions {
    /// As `PublicKeyCredential.parseRequestOptionsFromJSON` takes them.
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
}

/// An answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// `webauthn`, `totp`, `yubico` or `backup`.
    method: String,
    /// What the app or the YubiKey shows, or a backup code.
    code: Option<String>,
    /// The assertion, as `PublicKeyCredential.toJSON()` writes it.
    #[schema(value_type = Option<Object>)]
    credential: Option<Value>,
    /// Whether to spare this browser the second factor at sign-in, where that may be.
    #[serde(default)]
    trust_device: bool,
}

/// That an answer was good.
#[derive(Serialize, ToSchema)]
pub(super) struct Answered {
    /// `answered`.
    state: &'static str,
    /// The page to go back to.
    return_to: Option<String>,
    /// What the `convox` command shows to go on; with the way `console` alone, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

/// What has become of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for an answer.
    Open,
    /// It was answered.
    Answered,
    /// And the CLI has shown the proof.
    Completed,
    /// And the request has passed.
    Spent,
    /// It took too long.
    Expired,
}

impl State {
    /// At this time.
    pub(super) fn of(row: &ChallengeRow, now: OffsetDateTime) -> Self {
        match row {
            _ if row.spent_at.is_some() => Self::Spent,
            _ if row.expires_at <= now => Self::Expired,
            _ if row.completed_at.is_some() => Self::Completed,
            _ if row.answered_at.is_some() => Self::Answered,
            _ => Self::Open,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Spent => "spent",
            Self::Expired => "expired",
        }
    }
}

/// It cannot be answered any more.
fn over() -> Problem {
    let message = "this is over: it was answered already, tried too often, or took too long. Repeat what you did";
    Problem::new(410, "challenge-over", message)
}

/// The challenge of the path. Those of others are as those that do not exist.
pub(super) async fn own<A: Action>(call: &Call<A>) -> Result<ChallengeRow, Problem> {
    let row = call.store().challenge_find(call.param("challenge")?).await?;
    let asking = &call.identity()?.id;
    row.filter(|row| row.user_id == *asking).ok_or_else(|| Problem::not_found("challenge"))
}

/// Nothing is to be answered for a session that has ended.
async fn answerable<A: Action>(call: &Call<A>, row: &ChallengeRow) -> Result<(), Problem> {
    let asking = call.store().credential_get(&row.credential_id).await?;
    let lives = asking.is_some_and(|credential| credential.is_live(call.now()));
    if lives && State::of(row, call.now()) == State::Open { Ok(()) } else { Err(over()) }
}

/// Whether the browser that answers may be trusted: it is the one that was asked, as it signed in.
pub(super) async fn may_trust<A: Action>(call: &Call<A>, row: &ChallengeRow) -> Result<bool, Problem> {
    let asking = call.identity()?;
    let is_sign_in = row.way == Way::Web
        && row.needs == Needs::Mfa
        && row.credential_id == asking.credential.id
        && asking.credential.kind == CredentialKind::Web
        && asking.assurance.factor_at.is_none()
        && !asking.assurance.trusted_device;
    Ok(is_sign_in && !call.services().rules().await?.device_max.is_zero())
}

/// A challenge of one's own.
#[utoipa::path(get, path = "/api/v1/challenges/{challenge}", tag = "step-up", responses(
    (status = 200, body = Challenge),
))]
pub(super) async fn read(call: Call<ChallengeRead>) -> Answer {
    let row = own(&call).await?;
    let methods = call.factors().methods(&call.desk(), &row.user_id).await?;
    let may_trust_device = may_trust(&call, &row).await?;
    Reply::json(&Challenge {
        state: State::of(&row, call.now()).as_str(),
        id: row.id,
        code: row.code,
        action: row.action,
        resource: row.resource,
        reasons: row.reasons.into_iter().map(|reason| Reason { id: reason.id, why: reason.why }).collect(),
        needs: row.needs.as_str(),
        strong: row.strong,
        way: row.way.as_str(),
        expires_at: row.expires_at,
        methods: Methods {
            webauthn: methods.webauthn,
            totp: methods.totp,
            yubico: methods.yubico,
            backup: methods.backup > 0,
            preferred: methods.preferred.map(Method::as_str),
        },
        source_ip: row.source_ip.to_string(),
        may_trust_device,
    })
}

/// Begin to answer with a passkey.
#[utoipa::path(post, path = "/api/v1/challenges/{challenge}/webauthn", tag = "step-up", responses(
    (status = 200, body = AssertionOptions),
    (status = 409, description = "There is no passkey"),
    (status = 410, description = "The challenge is over"),
))]
pub(super) async fn begin(call: Call<ChallengeBegin>) -> Answer {
    let row = own(&call).await?;
    answerable(&call, &row).await?;
    let Some((mut options, state)) = call.factors().assertion(&call.desk(), &row.user_id).await? else {
        return Err(Problem::new(409, "no-passkey", "you have no passkey: use another factor"));
    };
    call.store().challenge_set_webauthn(&row.id, Some(state)).await?;
    let public_key = options.get_mut("publicKey").map(Value::take).unwrap_or_default();
    Reply::json(&AssertionOptions { public_key })
}

/// Answer. What is wrong is never said more closely.
#[utoipa::path(post, path = "/api/v1/challenges/{challenge}/answer", tag = "step-up", request_body = Shown,
    responses(
        (status = 200, body = Answered),
        (status = 403, description = "It is wrong, or the account is locked"),
        (status = 410, description = "The challenge is over"),
        (status = 429, description = "Too many; wait for Retry-After seconds"),
    ))]
pub(super) async fn answer(call: Call<ChallengeAnswer>) -> Answer {
    let body: Shown = call.json()?;
    let method = Method::from_word(&body.method);
    let method = method.ok_or_else(|| Problem::invalid("method must be webauthn, totp, yubico or backup"))?;
    let row = own(&call).await?;
    answerable(&call, &row).await?;
    if row.strong && !method.is_strong() {
        let message = "only a passkey or security key will do for this";
        return Err(Problem::new(422, "factor-not-strong", message));
    }
    if body.trust_device && !may_trust(&call, &row).await? {
        return Err(Problem::new(422, "device-not-trusted", "this browser cannot be trusted here: leave that out"));
    }
    let shown = Given::of(method, body.code, body.credential)?;
    if !call.store().challenge_try(&row.id, TRIES, call.now()).await? {
        return Err(over());
    }
    let shown = shown.against(&call, &row).await?;
    let proof = call.factors().verify(&call.desk(), &row.user_id, shown).await?;
    conclude(&call, &row, &proof, body.trust_device).await
}

/// What was sent, by its form.
enum Given {
    Code(Method, SecretString),
    Assertion(Value),
}

impl Given {
    fn of(method: Method, code: Option<String>, credential: Option<Value>) -> Result<Self, Problem> {
        match (method, code, credential) {
            (Method::Webauthn, None, Some(credential)) => Ok(Self::Assertion(credential)),
            (Method::Totp | Method::Yubico | Method::Backup, Some(code), None) => {
                Ok(Self::Code(method, SecretString::from(code)))
            }
            _ => Err(Problem::invalid("send credential with webauthn, and code with everything else")),
        }
    }

    async fn against<A: Action>(self, call: &Call<A>, row: &ChallengeRow) -> Result<factor::Answer, Problem> {
        Ok(match self {
            Self::Code(Method::Backup, code) => factor::Answer::Backup(code),
            Self::Code(Method::Yubico, code) => factor::Answer::Yubico(code),
            Self::Code(Method::Totp | Method::Webauthn, code) => factor::Answer::Totp(code),
            // Taken: one beginning is answered once, rightly or wrongly.
            Self::Assertion(credential) => match call.store().challenge_take_webauthn(&row.id).await? {
                Some(state) => factor::Answer::Webauthn { state, credential },
                None => {
                    let message = "there is nothing to answer with a passkey: begin again";
                    return Err(Problem::new(409, "not-begun", message));
                }
            },
        })
    }
}

/// A factor was shown: the challenge is answered, and the session that was asked has shown it.
async fn conclude(call: &Call<ChallengeAnswer>, row: &ChallengeRow, proof: &Proof, trust: bool) -> Answer {
    let (store, now, method) = (call.store(), call.now(), proof.method.as_str());
    let trusts = if trust { "true" } else { "false" };
    let change = [
        ("challenge", row.id.as_str()),
        ("credential", &row.credential_id),
        ("asked_action", &row.action),
        ("asked_resource", &row.resource),
        ("method", method),
        ("trust_device", trusts),
    ];
    call.record_change(&change).await?;
    let for_cli = if row.way == Way::Console { Some(fresh_proof()?) } else { None };
    let hash = for_cli.as_deref().map(proof_hash);
    if !store.challenge_answer(&row.id, method, proof.is_strong(), hash, now + ANSWERED, now).await? {
        return Err(over());
    }
    // The CLI's session has shown it once the CLI itself has shown the proof.
    if row.way != Way::Console && !opened(call, row, proof.at, method, proof.is_strong()).await? {
        return Err(over());
    }
    let answered = Answered { state: "answered", return_to: row.return_to.clone(), proof: for_cli };
    let reply = Reply::json(&answered)?;
    if trust { Ok(reply.header("set-cookie", trust_browser(call, row).await?)) } else { Ok(reply) }
}

/// Whether the session that was asked has shown the factor from now on, where it is asked for the session and
/// not for one request.
pub(super) async fn opened<A: Action>(
    call: &Call<A>,
    row: &ChallengeRow,
    at: OffsetDateTime,
    method: &str,
    strong: bool,
) -> Result<bool, Problem> {
    let (store, id) = (call.store(), &row.credential_id);
    if row.needs == Needs::Bound || store.credential_verified(id, at, method, strong).await? {
        return Ok(true);
    }
    // A later one may be noted already, or a stronger one of this second. Only a session that has ended is not open.
    Ok(store.credential_get(id).await?.is_some_and(|asking| asking.is_live(call.now())))
}

/// The cookie that makes the browser a trusted one.
async fn trust_browser(call: &Call<ChallengeAnswer>, row: &ChallengeRow) -> Result<String, Problem> {
    let life = call.services().rules().await?.device_max;
    let browser = devices::summary(call.granted().header("user-agent").unwrap_or_default());
    let source_ip = call.granted().trace().source_ip;
    let token = call.factors().trust_device(&call.desk(), &row.user_id, &browser, source_ip, life).await?;
    tell(call, &row.user_id, "device-trusted", "a browser is spared the second factor at sign-in").await;
    let seconds = u32::try_from(life.as_secs()).unwrap_or(u32::MAX);
    Ok(cookie::set(DEVICE_COOKIE, token.expose(), Some(seconds)))
}

/// What a CLI gets to show: 256 bits that nobody guesses.
fn fresh_proof() -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| Problem::from(crate::identity::IssueError::from(error)))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// As it is stored.
pub(super) fn proof_hash(proof: &str) -> [u8; 32] {
    Sha256::digest(proof.as_bytes()).into()
}
