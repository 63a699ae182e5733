//! Sign-in at the browser: to the identity provider and back (OpenID Connect, code flow).

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{or_stop, parameter, person, query, refusal, rules, unreadable};
use crate::api::public::{Outcome, Visit, Visited};
use crate::api::return_to::return_to;
use crate::api::{Content, Reply, Services, cookie, devices, limit};
use crate::factor::FactorError;
use crate::identity::{Arrival, Channel, IssueError, Oidc, OidcError, Pending, Person, Rules, SESSION_COOKIE, Token};
use crate::pep::{Accepted, Refusal};
use crate::store::{LoginChannel, LoginRow, NewLogin, UserRow};

/// How long the way to the identity provider and back may take.
const LIFE: time::Duration = time::Duration::minutes(10);
const LIFE_SECONDS: u32 = 600;
/// Purpose of a sealed PKCE verifier.
const PURPOSE: &str = "login";
/// The page on which a CLI is confirmed.
const CLI_PAGE: &str = "/app/cli";

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn to(location: String) -> Reply {
    Reply { status: 303, content: Content::Empty, headers: vec![("location", location)] }
}

/// `GET /api/v1/auth/web/login?return_to=`: off to the identity provider.
pub(in crate::api) async fn login(visit: Visit) -> Outcome {
    let Visit { accepted, services, .. } = visit;
    match begin(&accepted, &services).await {
        Ok(reply) => Ok(Visited::Told(reply)),
        Err(refusal) => Err(accepted.stop(refusal)),
    }
}

async fn begin(accepted: &Accepted, services: &Services) -> Result<Reply, Refusal> {
    let (gate, trace) = (&services.gate, accepted.trace());
    limit::LOGIN.check(&gate.store, &trace.source_ip.to_string(), trace.at).await?;
    let pairs = query(accepted)?;
    let target = return_to(parameter(&pairs, "return_to").unwrap_or_default());
    let oidc = provider(services)?;
    let is_cli = target == CLI_PAGE || target.starts_with("/app/cli?");
    let (channel, kept) = if is_cli { (Channel::Cli, LoginChannel::Cli) } else { (Channel::Web, LoginChannel::Web) };
    let start = oidc.start(channel, trace.at).await.map_err(|error| failed(oidc, channel, &error))?;
    // Sign-ins in several tabs share the cookie.
    let browser = match cookie::get(accepted, cookie::LOGIN_COOKIE).filter(|text| Token::parse(text).is_some()) {
        Some(browser) => browser,
        None => Token::generate().map_err(|error| super::not_issued(&error.into()))?.expose().to_owned(),
    };
    let id = Uuid::now_v7().to_string();
    let sealed = gate.vault.keyring().seal(PURPOSE, &id, start.verifier.expose_secret().as_bytes());
    let sealed_verifier =
        sealed.map_err(|_| refusal(503, "not-sealed", "the sign-in cannot be kept; try again", &[]))?;
    let new = NewLogin {
        id,
        state_hash: hash(start.state.expose_secret()),
        browser_hash: hash(&browser),
        nonce: start.nonce.expose_secret().to_owned(),
        sealed_verifier,
        channel: kept,
        return_to: target.to_owned(),
        expires_at: trace.at + LIFE,
    };
    gate.store.login_begin(new, trace.at).await.map_err(unreadable)?;
    let cookie = cookie::set(cookie::LOGIN_COOKIE, &browser, Some(LIFE_SECONDS));
    Ok(to(start.url.to_string()).header("set-cookie", cookie))
}

/// `GET /api/v1/auth/web/callback`.
pub(in crate::api) async fn web_callback(visit: Visit) -> Outcome {
    callback(visit, Channel::Web).await
}

/// `GET /api/v1/auth/cli/callback`.
pub(in crate::api) async fn cli_callback(visit: Visit) -> Outcome {
    callback(visit, Channel::Cli).await
}

/// Back from the identity provider: who is it, and may they come in?
async fn callback(visit: Visit, channel: Channel) -> Outcome {
    let (login, person) = or_stop!(visit.accepted, proven(&visit, channel).await);
    let rules = or_stop!(visit.accepted, rules(&visit).await);
    let (user, device) = or_stop!(visit.accepted, welcome(&visit, &person, &rules).await);
    let Visit { accepted, services, .. } = visit;
    let gate = &services.gate;
    let now = accepted.trace().at;
    let arrival = Arrival::web(&rules).on_device(device);
    let who = async || person::read(gate, &arrival, &user.id, &person.groups, now).await;
    let permit = accepted.admit(gate, "session:create", who).await?;
    let (granted, intent) = permit.into_parts();
    let origin =
        crate::identity::Origin { source_ip: granted.trace().source_ip, user_agent: granted.header("user-agent") };
    let made = async {
        gate.store.user_signed_in(&user.id, &person.name, person.groups.clone(), now).await?;
        arrival.admit(&gate.store, Some(user.id.clone()), origin, now).await
    };
    Ok(Visited::Admitted(signed_in(made.await, login.return_to), intent))
}

/// Into the gateway, with the session's cookie.
fn signed_in(made: Result<Token, IssueError>, return_to: String) -> Reply {
    match made {
        Ok(token) => to(return_to)
            .header("set-cookie", cookie::set(SESSION_COOKIE, token.expose(), None))
            .header("set-cookie", cookie::clear(cookie::LOGIN_COOKIE)),
        Err(error) => {
            tracing::error!(%error, "a session could not be made");
            Reply::done().status(503)
        }
    }
}

/// The person here, and the trusted device that the browser is.
async fn welcome(visit: &Visit, person: &Person, rules: &Rules) -> Result<(UserRow, Option<String>), Refusal> {
    let user = person::known(visit, person, rules).await?;
    limit::PERSON.check(&visit.services.gate.store, &user.id, visit.accepted.trace().at).await?;
    let device = trusted(visit, &user.id, rules).await?;
    Ok((user, device))
}

/// The trusted device that the browser is, if it is one of this person's, and such devices count.
async fn trusted(visit: &Visit, user_id: &str, rules: &Rules) -> Result<Option<String>, Refusal> {
    let Visit { accepted, services, .. } = visit;
    let token = cookie::get(accepted, cookie::DEVICE_COOKIE).filter(|_| !rules.device_max.is_zero());
    let Some(token) = token else { return Ok(None) };
    let (gate, now) = (&services.gate, accepted.trace().at);
    let browser = accepted.request().headers().get("user-agent").and_then(|value| value.to_str().ok());
    let browser = devices::summary(browser.unwrap_or_default());
    let unknown = |error: FactorError| {
        tracing::error!(%error, "a trusted device cannot be looked up");
        refusal(503, "not-read", "the sign-in cannot be finished; try again", &[])
    };
    let desk = services.desk(accepted.trace());
    let found = gate.factors.trusted(&desk, user_id, &token, &browser).await.map_err(unknown)?;
    let Some(id) = found else { return Ok(None) };
    // It lasts as long as the rules say now, not as long as they said when it was made.
    let rows = gate.store.device_list(user_id, now).await.map_err(unreadable)?;
    let is_fresh = rows.iter().any(|row| row.id == id && row.created_at + rules.device_max > now);
    Ok(is_fresh.then_some(id))
}

/// The sign-in that the browser brings back, and the person for whom the provider vouches.
async fn proven(visit: &Visit, channel: Channel) -> Result<(LoginRow, Person), Refusal> {
    let Visit { accepted, services, .. } = visit;
    let (gate, now) = (&services.gate, accepted.trace().at);
    limit::CALLBACK.check(&gate.store, &accepted.trace().source_ip.to_string(), now).await?;
    let oidc = provider(services)?;
    let pairs = query(accepted)?;
    let state = parameter(&pairs, "state").filter(|state| !state.is_empty());
    let again = "begin again at the sign-in page; the way to the identity provider and back may take ten minutes";
    let unknown =
        || refusal(400, "state-unknown", "this sign-in was not begun here, is over, or took too long", &[again]);
    let state = state.ok_or_else(unknown)?;
    // Taken before anything is checked: whatever is wrong with it, it is not tried again.
    let login = gate.store.login_take(&hash(state), now).await.map_err(unreadable)?.ok_or_else(unknown)?;
    let browser = cookie::get(accepted, cookie::LOGIN_COOKIE).unwrap_or_default();
    if !bool::from(hash(&browser).ct_eq(&login.browser_hash)) {
        let check = "begin and end the sign-in in one browser; if you were sent a link to this page, do not use it";
        return Err(refusal(403, "browser-other", "this sign-in was begun in another browser", &[check, again]));
    }
    let kept = match login.channel {
        LoginChannel::Web => Channel::Web,
        LoginChannel::Cli => Channel::Cli,
    };
    if kept != channel {
        return Err(unknown());
    }
    if let Some(error) = parameter(&pairs, "error") {
        return Err(failed(oidc, channel, &OidcError::refused(error, parameter(&pairs, "error_description"))));
    }
    let verifier = gate.vault.keyring().open_text(PURPOSE, &login.id, &login.sealed_verifier).map_err(|_| unknown())?;
    let pending = Pending { nonce: login.nonce.clone().into(), verifier, channel };
    let code = parameter(&pairs, "code").unwrap_or_default();
    let person = oidc.finish(&pending, code, parameter(&pairs, "iss"), now).await;
    Ok((login, person.map_err(|error| failed(oidc, channel, &error))?))
}

fn provider(services: &Services) -> Result<&Oidc, Refusal> {
    let check = "set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, or OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET";
    let off = || refusal(503, "sign-in-off", "no identity provider is set up for this gateway", &[check]);
    services.oidc.as_deref().ok_or_else(off)
}

/// Why the identity provider did not vouch for the person, and what to look at.
fn failed(oidc: &Oidc, channel: Channel, error: &OidcError) -> Refusal {
    let status = match error {
        OidcError::Provider(_) | OidcError::NoAnswer(_) | OidcError::UserInfo(_) => 503,
        _ => 403,
    };
    let redirect = format!("the redirect address registered at the provider must be {}", oidc.redirect_url(channel));
    let check = [error.help(), &redirect];
    let check: &[&str] = match error {
        OidcError::Refused { .. } | OidcError::CodeRefused { .. } => &check,
        _ => &[error.help()],
    };
    refusal(status, error.slug(), error.to_string(), check)
}
