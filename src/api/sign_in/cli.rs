//! Sign-in of a CLI, in the manner of the device flow (RFC 8628): the CLI shows a short code, a person at
//! the browser confirms the same code, the CLI fetches its session with the PKCE verifier that only it
//! has (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{answer, json, not_issued, or_stop, person, refusal, rules, unreadable};
use crate::api::public::{Outcome, Visit, Visited};
use crate::api::{Reply, limit};
use crate::identity::{Arrival, Origin, user_code};
use crate::pep::Refusal;
use crate::store::{CliLoginRow, NewCliLogin, StoreError};

/// How long a code is good.
const LIFE: time::Duration = time::Duration::minutes(10);
const LIFE_SECONDS: i64 = 600;
/// How often the CLI may ask, in seconds.
const INTERVAL: u64 = 1;
/// Letters of a code: 34 bits, for ten minutes, each guess by a signed-in person.
const CODE: usize = 8;
/// Most characters of what a device says of itself.
const LONGEST: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    code_challenge: String,
    code_challenge_method: String,
    device: Device,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    name: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    client_version: String,
}

/// `POST /api/v1/auth/cli/start`.
pub(in crate::api) async fn start(visit: Visit) -> Outcome {
    match begin(&visit).await {
        Ok(reply) => Ok(Visited::Told(reply)),
        Err(refusal) => Err(visit.accepted.stop(refusal)),
    }
}

async fn begin(visit: &Visit) -> Result<Reply, Refusal> {
    let (gate, trace) = (&visit.services.gate, visit.accepted.trace());
    limit::CLI_START.check(&gate.store, &trace.source_ip.to_string(), trace.at).await?;
    let asked: Begin = json(&visit.body)?;
    let is_hash = URL_SAFE_NO_PAD.decode(&asked.code_challenge).is_ok_and(|bytes| bytes.len() == 32);
    if asked.code_challenge_method != "S256" || !is_hash {
        return Err(refusal(400, "challenge", "code_challenge must be the S256 of a verifier (RFC 7636)", &[]));
    }
    let id = Uuid::now_v7().to_string();
    // A code that is taken is drawn again.
    for _ in 0..3 {
        let user_code = user_code(CODE).map_err(|error| not_issued(&error.into()))?;
        let new = NewCliLogin {
            id: id.clone(),
            user_code: user_code.clone(),
            code_challenge: asked.code_challenge.clone(),
            device_name: plain(&asked.device.name),
            device_os: plain(&asked.device.os),
            client_version: plain(&asked.device.client_version),
            source_ip: trace.source_ip,
            expires_at: trace.at + LIFE,
        };
        match gate.store.cli_login_begin(new, trace.at).await {
            Ok(()) => {
                let url = format!("{}/app/cli?code={user_code}", gate.site.origin);
                return Ok(answer(&json!({
                    "login_id": id,
                    "user_code": user_code,
                    "verification_url": url,
                    "expires_in": LIFE_SECONDS,
                    "interval": INTERVAL,
                })));
            }
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Err(refusal(503, "not-issued", "no code could be drawn; try again", &[]))
}

/// What a device says of itself, fit to be shown.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    shown.take(LONGEST).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complete {
    login_id: String,
    code_verifier: String,
}

/// `POST /api/v1/auth/cli/complete`: not yet, no, or the session.
pub(in crate::api) async fn complete(visit: Visit) -> Outcome {
    let login = match ready(&visit).await {
        Ok(Ready::Confirmed(login)) => login,
        Ok(Ready::Pending) => return Ok(Visited::Told(answer(&json!({ "status": "pending" })).status(202))),
        Err(refusal) => return Err(visit.accepted.stop(refusal)),
    };
    let rules = or_stop!(visit.accepted, rules(&visit).await);
    let Visit { accepted, services, .. } = visit;
    let (gate, now) = (&services.gate, accepted.trace().at);
    let user_id = login.user_id.clone().unwrap_or_default();
    or_stop!(accepted, limit::PERSON.check(&gate.store, &user_id, now).await);
    let user = or_stop!(accepted, gate.store.user_find(&user_id).await.map_err(unreadable));
    let Some(user) = user else { return Err(accepted.stop(gone())) };
    let arrival = Arrival::cli(&rules, login.device_name.clone()).with_factor(shown(&login));
    let who = async || person::read(gate, &arrival, &user.id, &user.groups, now).await;
    let permit = accepted.admit(gate, "cli-session:create", who).await?;
    let (granted, intent) = permit.into_parts();
    let reply = async {
        // Of several callers one gets the session.
        if gate.store.cli_login_take(&login.id, now).await?.is_none() {
            return Ok(Reply::done().status(410));
        }
        let (id, expires_at) = (arrival.id().to_owned(), arrival.expires_at(now));
        let origin = Origin { source_ip: granted.trace().source_ip, user_agent: granted.header("user-agent") };
        let token = arrival.admit(&gate.store, Some(user.id.clone()), origin, now).await?;
        Ok::<_, crate::identity::IssueError>(answer(&json!({
            "token": token.expose(),
            "token_type": "Bearer",
            "expires_at": expires_at.format(&Rfc3339).unwrap_or_default(),
            "session_id": id,
            "user": { "id": user.id, "email": user.email, "name": user.name },
        })))
    };
    let reply = reply.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a CLI's session could not be made");
        Reply::done().status(503)
    });
    Ok(Visited::Admitted(reply, intent))
}

/// What the session had shown that confirmed it.
fn shown(login: &CliLoginRow) -> Option<(OffsetDateTime, String, bool)> {
    Some((login.factor_at?, login.factor_method.clone()?, login.factor_strong))
}

enum Ready {
    Pending,
    Confirmed(Box<CliLoginRow>),
}

fn gone() -> Refusal {
    refusal(410, "cli-login-expired", "this sign-in is over: begin again with `rack-gateway login`", &[])
}

async fn ready(visit: &Visit) -> Result<Ready, Refusal> {
    let (gate, now) = (&visit.services.gate, visit.accepted.trace().at);
    let asked: Complete = json(&visit.body)?;
    limit::CLI_POLL.check(&gate.store, &asked.login_id, now).await?;
    let login = gate.store.cli_login_find(&asked.login_id).await.map_err(unreadable)?;
    let unknown = || refusal(404, "cli-login-unknown", "no such sign-in: begin again with `rack-gateway login`", &[]);
    let login = login.ok_or_else(unknown)?;
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(asked.code_verifier.as_bytes()));
    // Whoever lacks the verifier learns nothing of the sign-in.
    if !bool::from(proof.as_bytes().ct_eq(login.code_challenge.as_bytes())) {
        return Err(unknown());
    }
    match login.approved {
        _ if login.taken_at.is_some() || login.expires_at <= now => Err(gone()),
        None => Ok(Ready::Pending),
        Some(false) => Err(refusal(403, "cli-login-denied", "the sign-in was refused at the browser", &[])),
        Some(true) => Ok(Ready::Confirmed(Box::new(login))),
    }
}
