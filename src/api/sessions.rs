//! What a person is signed in with: browser and CLI sessions, and tokens for the CLI.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::{CliTokenCreate, SessionList, SessionRevoke, SessionRevokeAll};
use super::endpoint::Answer;
use super::parts::{Ended, Page, Wanted, name};
use super::users::person;
use super::{Call, Problem, Reply};
use crate::identity::{Arrival, Origin, PrincipalType};
use crate::store::{CredentialFilter, CredentialKind, CredentialRow};

const KINDS: [CredentialKind; 2] = [CredentialKind::Web, CredentialKind::Cli];

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    id: String,
    /// `web-session` or `cli-session`.
    kind: &'static str,
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    source_ip: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl Session {
    fn of(row: CredentialRow, asking: &str) -> Self {
        Self {
            current: row.id == asking,
            kind: row.kind.as_str(),
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            source_ip: row.source_ip.map(|ip| ip.to_string()),
            user_agent: row.user_agent,
        }
    }
}

/// A token for the CLI to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCliToken {
    /// What it is for.
    name: String,
    /// Days until it ends; as long as the settings allow unless it is given.
    expires_in_days: Option<u16>,
}

/// A token for the CLI.
#[derive(Serialize, ToSchema)]
pub(super) struct CliToken<'a> {
    id: &'a str,
    /// Shown this once.
    token: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Lines to paste: either is enough.
    how: [String; 2],
}

/// A person's live sessions, newest first.
#[utoipa::path(get, path = "/api/v1/users/{user}/sessions", tag = "sessions", responses(
    (status = 200, body = Page<Session>),
))]
pub(super) async fn list(call: Call<SessionList>) -> Answer {
    let wanted = Wanted::of(&call)?;
    let user = person(&call).await?;
    let filter = CredentialFilter {
        user: Some(user.id),
        kinds: KINDS.to_vec(),
        live_at: Some(call.now()),
        after: wanted.after.clone(),
        limit: wanted.rows(),
        ..CredentialFilter::default()
    };
    let rows = call.store().credential_list(filter).await?;
    let (now, asking) = (call.now(), call.identity()?.credential.id.as_str());
    let show = |row: CredentialRow| row.is_live(now).then(|| Session::of(row, asking));
    Reply::json(&wanted.page(rows, |row| row.id.as_str(), show))
}

/// End a session.
#[utoipa::path(delete, path = "/api/v1/users/{user}/sessions/{session}", tag = "sessions", responses((status = 204)))]
pub(super) async fn revoke(call: Call<SessionRevoke>) -> Answer {
    let (user, session) = (call.param("user")?, call.param("session")?);
    let row = call.store().credential_get(session).await?;
    let is_theirs =
        |row: &CredentialRow| KINDS.contains(&row.kind) && row.user.as_ref().is_some_and(|known| known.id == user);
    let row = row.filter(is_theirs).ok_or_else(|| Problem::not_found("session"))?;
    call.record_change(&[("user", user), ("session", &row.id), ("session_kind", row.kind.as_str())]).await?;
    call.store().credential_revoke(&row.id, &reason(&call.identity()?.id), call.now()).await?;
    Ok(Reply::done())
}

/// End all sessions of a person. Whoever asks for their own keeps the one that asks.
#[utoipa::path(delete, path = "/api/v1/users/{user}/sessions", tag = "sessions", responses(
    (status = 200, body = Ended),
))]
pub(super) async fn revoke_all(call: Call<SessionRevokeAll>) -> Answer {
    let user = person(&call).await?;
    let asking = call.identity()?;
    let is_own = asking.principal == PrincipalType::User && asking.id == user.id;
    let kept = is_own.then_some(asking.credential.id.as_str());
    call.record_change(&[("user", &user.id), ("kept", kept.unwrap_or("none"))]).await?;
    let reason = reason(&asking.id);
    let revoked = call.store().credentials_revoke_of_user(&user.id, kept, &reason, call.now()).await?;
    Reply::json(&Ended { revoked })
}

fn reason(by: &str) -> String {
    format!("revoked by {by}")
}

/// Make a token for one's own CLI, to be pasted there. From a browser's session only.
#[utoipa::path(post, path = "/api/v1/users/{user}/cli-tokens", tag = "sessions", request_body = NewCliToken, responses(
    (status = 201, body = CliToken<'static>),
))]
pub(super) async fn create_cli_token(call: Call<CliTokenCreate>) -> Answer {
    let body: NewCliToken = call.json()?;
    let name = name(&body.name)?;
    let rules = call.services().rules().await?;
    let most = rules.cli_max.as_secs() / DAY;
    let days = body.expires_in_days.map_or(most, u64::from);
    if days == 0 || days > most {
        return Err(Problem::invalid(format!("expires_in_days must be from 1 to {most}")));
    }
    let user = person(&call).await?;
    let shown_days = days.to_string();
    call.record_change(&[("user", &user.id), ("name", &name), ("expires_in_days", &shown_days)]).await?;
    let shown = call.identity()?.assurance.factor();
    let arrival = Arrival::cli(&rules, name).within(Duration::from_secs(days * DAY)).with_factor(shown);
    let (id, expires_at) = (arrival.id().to_owned(), arrival.expires_at(call.now()));
    let origin =
        Origin { source_ip: call.granted().trace().source_ip, user_agent: call.granted().header("user-agent") };
    let token = arrival.admit(call.store(), Some(user.id), origin, call.now()).await?;
    let (token, site) = (token.expose(), &call.gate().site);
    let (scheme, rest) = site.origin.split_once("://").unwrap_or(("https", &site.origin));
    let how = [
        format!("convox login {} -t {token}", site.domain()),
        format!("export RACK_URL={scheme}://convox:{token}@{rest}"),
    ];
    let made = CliToken { id: &id, token, expires_at, how };
    Ok(Reply::json(&made)?.status(201))
}
