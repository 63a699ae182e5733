//! The pages of second factors: one's own, and the one on which a challenge is answered.

use std::net::IpAddr;

use super::action::{Action, PageChallenge, PageCliChallenge, PageFactors};
use super::challenges::{State, may_trust};
use super::cli_challenge::{callback, ticket};
use super::endpoint::Answer;
use super::return_to::return_to;
use super::{Call, Problem, Reply, devices, page};
use crate::factor::Methods;
use crate::pages::{self, Asked, BackupCodes, Device, Factor, Notice, Reason, Stage, Way, Ways};
use crate::store::{ChallengeRow, CredentialRow, Needs, NoticeRow, Way as AskedBy};

/// Most notices that are shown.
const NOTICES: u64 = 20;

/// What has happened to the account of whoever asks, newest first. What is shown is seen.
pub(super) async fn notices<A: Action>(call: &Call<A>) -> Result<Vec<NoticeRow>, Problem> {
    let user = &call.identity()?.id;
    let rows = call.store().notice_list(user, NOTICES).await?;
    if rows.iter().any(|row| row.seen_at.is_none()) {
        call.store().notices_seen(user, call.now()).await?;
    }
    Ok(rows)
}

/// As a page shows it.
pub(super) fn notice(row: &NoticeRow) -> Notice<'_> {
    Notice { text: &row.text, created_at: row.created_at, is_new: row.seen_at.is_none() }
}

/// `GET /app/factors?return_to=`: what do I prove with that it is me?
pub(super) async fn factors(call: Call<PageFactors>) -> Answer {
    let (identity, store) = (call.identity()?, call.store());
    let user = store.user_find(&identity.id).await?.ok_or_else(|| Problem::not_found("user"))?;
    let rows = store.factor_list(&user.id).await?;
    let (unused, total) = store.backup_codes_left(&user.id).await?;
    let trusted = store.device_list(&user.id, call.now()).await?;
    let here = devices::current(&call).await?;
    let addresses: Vec<String> = trusted.iter().map(|row| row.source_ip.to_string()).collect();
    let devices = trusted.iter().zip(&addresses).map(|(row, source_ip)| Device {
        id: &row.id,
        browser: &row.browser,
        source_ip,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        is_current: here.as_ref() == Some(&row.id),
    });
    let factors = rows.iter().map(|row| Factor {
        id: &row.id,
        kind: row.kind.as_str(),
        name: &row.name,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    });
    let told = notices(&call).await?;
    let query = call.granted().query();
    let csrf = call.granted().csrf_token();
    let view = pages::Factors {
        id: &user.id,
        email: &user.email,
        factors: factors.collect(),
        backup_codes: BackupCodes { unused, total },
        preferred: user.preferred_method.as_deref(),
        devices: devices.collect(),
        notices: told.iter().map(notice).collect(),
        has_yubico: call.factors().has_yubico(),
        user_agent: call.granted().header("user-agent").unwrap_or_default(),
        return_to: return_to(query.get("return_to").unwrap_or_default()),
        csrf: csrf.as_deref(),
    };
    Ok(Reply::html(view.render()?))
}

/// `GET /app/c/{code}`: was it you who asked?
pub(super) async fn challenge(call: Call<PageChallenge>) -> Answer {
    let row = call.store().challenge_find_by_code(call.param("code")?).await?;
    show(&call, row, None).await
}

/// `GET /login/u2f?callback_url=&token=`: the same, for a command that waits on this machine.
pub(super) async fn cli_challenge(call: Call<PageCliChallenge>) -> Answer {
    let query = call.granted().query();
    let (token, url) = (query.get("token").unwrap_or_default(), query.get("callback_url").unwrap_or_default());
    let row = match (ticket(token), callback(url)) {
        (Some(id), Some(_)) => call.store().challenge_find(&id).await?.filter(|row| row.way == AskedBy::Console),
        // A page of another site may not be where a proof goes.
        (None, _) | (_, None) => None,
    };
    show(&call, row, callback(url)).await
}

/// The page. A challenge of somebody else is as one that does not exist.
async fn show<A: Action>(call: &Call<A>, row: Option<ChallengeRow>, callback: Option<&str>) -> Answer {
    let identity = call.identity()?;
    let row = row.filter(|row| row.user_id == identity.id);
    let here = call.granted().trace().source_ip.to_string();
    let csrf = call.granted().csrf_token();
    let page = |asked| pages::Challenge {
        asked,
        id: &identity.id,
        email: &identity.email,
        source_ip: &here,
        csrf: csrf.as_deref(),
    };
    let Some(row) = row else { return Ok(Reply::html(page(None).render()?).status(404)) };
    let asking = call.store().credential_get(&row.credential_id).await?.filter(|asking| asking.is_live(call.now()));
    let methods = call.factors().methods(&call.desk(), &row.user_id).await?;
    let trust_days = match may_trust(call, &row).await? {
        true => call.services().rules().await?.device_max.as_secs() / (24 * 60 * 60),
        false => 0,
    };
    let words = words(&methods, row.strong);
    let stage = match State::of(&row, call.now()) {
        State::Open if asking.is_none() => Stage::Over,
        State::Open if !identity.assurance.enrolled => Stage::NotEnrolled,
        State::Open => {
            let preferred = methods.preferred.map(crate::factor::Method::as_str);
            Stage::Open(Ways { methods: &words, preferred, trust_days })
        }
        State::Answered | State::Completed => Stage::Answered,
        State::Spent | State::Expired => Stage::Over,
    };
    let from = row.source_ip.to_string();
    let began = asking.as_ref().and_then(|asking| asking.source_ip).map(|ip: IpAddr| ip.to_string());
    let session = asking.as_ref().map(|asking: &CredentialRow| {
        page::session(asking, began.as_deref().unwrap_or_default(), &identity.credential.id)
    });
    let asked = Asked {
        stage,
        id: &row.id,
        code: &row.code,
        action: &row.action,
        resource: &row.resource,
        reasons: row.reasons.iter().map(|reason| Reason { id: &reason.id, why: &reason.why }).collect(),
        is_bound: row.needs == Needs::Bound,
        is_strong: row.strong,
        way: way(row.way, callback),
        session,
        source_ip: &from,
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    Ok(Reply::html(page(Some(asked)).render()?))
}

/// With what this person can answer.
fn words(methods: &Methods, strong: bool) -> Vec<&'static str> {
    let all = [
        ("webauthn", methods.webauthn),
        ("totp", methods.totp && !strong),
        ("yubico", methods.yubico && !strong),
        ("backup", methods.backup > 0 && !strong),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(word, _)| word).collect()
}

const fn way(way: AskedBy, callback: Option<&str>) -> Way<'_> {
    match way {
        AskedBy::Web => Way::Web,
        AskedBy::Console => Way::Console(callback),
        AskedBy::Link => Way::Link,
        AskedBy::Socket => Way::Socket,
    }
}
