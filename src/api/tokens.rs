//! API tokens: machines with roles and limits of their own.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::action::{
    Action, ApiTokenCreate, ApiTokenList, ApiTokenRead, ApiTokenRevoke, ApiTokenRoleGrant, ApiTokenRoleRevoke,
    ApiTokenRotate, ApiTokenUpdate,
};
use super::endpoint::Answer;
use super::parts::{Page, Wanted, declared, name};
use super::{Call, Problem, Reply};
use crate::identity::ApiTokenRequest;
use crate::routes::Resource;
use crate::store::{CredentialChange, CredentialFilter, CredentialKind, CredentialRow};

/// An API token. Its secret is shown when it is made and when it is rotated, and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiToken {
    /// UUID; its name in policy and records.
    id: String,
    name: String,
    roles: Vec<String>,
    /// The only network that it is good from; null for all.
    network: Option<String>,
    /// The only apps that it is good for; empty for all.
    apps: Vec<String>,
    /// `live`, `expired` or `revoked`.
    state: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    created_by: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    last_used_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Until when the secret before the last rotation works as well.
    #[serde(with = "time::serde::rfc3339::option")]
    previous_until: Option<OffsetDateTime>,
    /// What `If-Match` takes.
    etag: String,
}

impl ApiToken {
    fn of(row: CredentialRow, now: OffsetDateTime) -> Self {
        Self {
            state: match (row.revoked_at, row.is_live(now)) {
                (Some(_), _) => "revoked",
                (None, false) => "expired",
                (None, true) => "live",
            },
            id: row.id,
            name: row.name,
            roles: row.roles,
            network: row.network.map(|network| network.to_string()),
            apps: row.apps,
            created_at: row.created_at,
            created_by: row.created_by,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            previous_until: row.previous_until.filter(|until| *until > now),
            etag: Reply::version(row.version),
        }
    }
}

/// An API token with its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiTokenSecret {
    /// The secret, shown this once.
    secret: String,
    /// The token.
    token: ApiToken,
}

/// An API token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApiToken {
    /// What it is for; no other live token has the name.
    name: String,
    /// At least one. Policy is asked for each.
    roles: Vec<String>,
    /// Days until it ends.
    expires_in_days: u16,
    /// The only network that it shall be good from, such as `203.0.113.0/24`.
    network: Option<String>,
    /// The only apps that it shall be good for.
    #[serde(default)]
    apps: Vec<String>,
}

/// What to change about an API token; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiTokenUpdateBody {
    /// What it is for.
    name: Option<String>,
    /// The only network that it shall be good from; null for all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    network: Option<Option<String>>,
    /// The only apps that it shall be good for; empty for all.
    apps: Option<Vec<String>>,
}

/// Tells null from a field that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How to rotate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// For how many minutes the old secret goes on working; 0 unless it is given.
    #[serde(default)]
    overlap_minutes: u32,
}

/// Most apps of a token.
const APPS: usize = 100;

fn network(text: &str) -> Result<IpNet, Problem> {
    let parsed = text.parse::<IpNet>().map(|network| network.trunc());
    parsed.map_err(|_| Problem::invalid("network must be a network such as 203.0.113.0/24 or 2001:db8::/32"))
}

fn apps(list: Vec<String>) -> Result<Vec<String>, Problem> {
    let is_app = |app: &String| {
        !app.is_empty() && app.len() <= 100 && app.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if list.len() > APPS || !list.iter().all(is_app) {
        return Err(Problem::invalid(format!("apps must be at most {APPS} names of apps")));
    }
    Ok(list)
}

/// The token of the path.
async fn token<A: Action>(call: &Call<A>) -> Result<CredentialRow, Problem> {
    let row = call.store().credential_get(call.param("token")?).await?;
    row.filter(|row| row.kind == CredentialKind::Api).ok_or_else(|| Problem::not_found("API token"))
}

/// No two live tokens have one name: people revoke by it.
async fn unused<A: Action>(call: &Call<A>, name: &str) -> Result<(), Problem> {
    let filter = CredentialFilter {
        kinds: vec![CredentialKind::Api],
        name: Some(name.to_owned()),
        live_at: Some(call.now()),
        limit: 1,
        ..CredentialFilter::default()
    };
    if call.store().credential_list(filter).await?.is_empty() {
        return Ok(());
    }
    Err(Problem::new(409, "conflict", "there is a live API token of that name already"))
}

fn shown<A: Action>(call: &Call<A>, row: CredentialRow) -> Answer {
    let version = row.version;
    Ok(Reply::json(&ApiToken::of(row, call.now()))?.etag(version))
}

/// API tokens, newest first; those that have ended too, until they are swept away.
#[utoipa::path(get, path = "/api/v1/api-tokens", tag = "machines", responses((status = 200, body = Page<ApiToken>)))]
pub(super) async fn list(call: Call<ApiTokenList>) -> Answer {
    let wanted = Wanted::of(&call)?;
    let filter = CredentialFilter {
        kinds: vec![CredentialKind::Api],
        after: wanted.after.clone(),
        limit: wanted.rows(),
        ..CredentialFilter::default()
    };
    let rows = call.store().credential_list(filter).await?;
    Reply::json(&wanted.page(rows, |row| row.id.as_str(), |row| Some(ApiToken::of(row, call.now()))))
}

/// Make an API token.
#[utoipa::path(post, path = "/api/v1/api-tokens", tag = "machines", request_body = NewApiToken, responses(
    (status = 201, body = ApiTokenSecret, headers(("location" = String, description = "Where it is read"))),
    (status = 409, description = "A live token has the name already"),
))]
pub(super) async fn create(call: Call<ApiTokenCreate>) -> Answer {
    let body: NewApiToken = call.json()?;
    let name = name(&body.name)?;
    let roles = declared(&call, &body.roles)?;
    if roles.is_empty() {
        return Err(Problem::invalid("roles must name at least one role"));
    }
    let most = call.services().rules().await?.api_token_max.as_secs() / (24 * 60 * 60);
    let days = body.expires_in_days;
    if days == 0 || u64::from(days) > most {
        return Err(Problem::invalid(format!("expires_in_days must be from 1 to {most}")));
    }
    let network = body.network.as_deref().map(network).transpose()?;
    let apps = apps(body.apps)?;
    let id = Uuid::now_v7().to_string();
    for role in &roles {
        call.also("api-token-role:grant", Resource::ApiTokenRole, format!("{id}/{role}")).await?;
    }
    unused(&call, &name).await?;
    let change = [
        ("token", id.as_str()),
        ("name", &name),
        ("roles", &roles.join(",")),
        ("expires_in_days", &days.to_string()),
        ("network", &any(network)),
        ("apps", &apps.join(",")),
    ];
    call.record_change(&change).await?;
    let expires_at = call.now() + Duration::days(days.into());
    let request = ApiTokenRequest { id, name, roles, expires_at, network, apps };
    let issued = call.issuer()?.limited_api_token(request).await?;
    let row = call.store().credential_get(&issued.id).await?.ok_or_else(|| Problem::not_found("API token"))?;
    let (version, location) = (row.version, format!("/api/v1/api-tokens/{}", row.id));
    let made = ApiTokenSecret { secret: issued.token.expose().to_owned(), token: ApiToken::of(row, call.now()) };
    Ok(Reply::json(&made)?.etag(version).status(201).header("location", location))
}

fn any(network: Option<IpNet>) -> String {
    network.map_or_else(|| "any".to_owned(), |network| network.to_string())
}

/// An API token.
#[utoipa::path(get, path = "/api/v1/api-tokens/{token}", tag = "machines", responses((status = 200, body = ApiToken)))]
pub(super) async fn read(call: Call<ApiTokenRead>) -> Answer {
    let row = token(&call).await?;
    shown(&call, row)
}

/// Change an API token's name or limits.
#[utoipa::path(put, path = "/api/v1/api-tokens/{token}", tag = "machines", request_body = ApiTokenUpdateBody, responses(
    (status = 200, body = ApiToken),
    (status = 409, description = "A live token has the name already"),
))]
pub(super) async fn update(call: Call<ApiTokenUpdate>) -> Answer {
    let body: ApiTokenUpdateBody = call.json()?;
    let version = call.if_match()?;
    let row = token(&call).await?;
    let wanted = CredentialChange {
        name: body.name.as_deref().map(name).transpose()?,
        network: body.network.map(|given| given.as_deref().map(network).transpose()).transpose()?,
        apps: body.apps.map(apps).transpose()?,
        roles: None,
    };
    if row.version != version {
        return Err(Problem::stale());
    }
    if let Some(name) = wanted.name.as_ref().filter(|name| **name != row.name) {
        unused(&call, name).await?;
    }
    let mut change = vec![("token", row.id.clone())];
    if let Some(name) = &wanted.name {
        change.extend([("name.from", row.name.clone()), ("name.to", name.clone())]);
    }
    if let Some(network) = wanted.network {
        change.extend([("network.from", any(row.network)), ("network.to", any(network))]);
    }
    if let Some(apps) = &wanted.apps {
        change.extend([("apps.from", row.apps.join(",")), ("apps.to", apps.join(","))]);
    }
    let change: Vec<(&str, &str)> = change.iter().map(|(name, value)| (*name, value.as_str())).collect();
    call.record_change(&change).await?;
    let row = call.store().credential_update(&row.id, wanted, version).await?;
    shown(&call, row)
}

/// Give an API token another secret.
#[utoipa::path(post, path = "/api/v1/api-tokens/{token}/rotate", tag = "machines", request_body = Rotation, responses(
    (status = 200, body = ApiTokenSecret),
    (status = 409, description = "It has ended"),
))]
pub(super) async fn rotate(call: Call<ApiTokenRotate>) -> Answer {
    let body: Rotation = call.json()?;
    let version = call.if_match()?;
    let most = call.services().rules().await?.overlap_max.as_secs() / 60;
    if u64::from(body.overlap_minutes) > most {
        return Err(Problem::invalid(format!("overlap_minutes must be from 0 to {most}")));
    }
    let row = token(&call).await?;
    if row.version != version {
        return Err(Problem::stale());
    }
    if !row.is_live(call.now()) {
        return Err(Problem::new(409, "ended", "this API token has ended: make another one"));
    }
    call.record_change(&[("token", &row.id), ("overlap_minutes", &body.overlap_minutes.to_string())]).await?;
    let until = call.now() + Duration::minutes(body.overlap_minutes.into());
    let (secret, version) = call.issuer()?.rotate(&row.id, until, version).await?;
    let row = call.store().credential_get(&row.id).await?.ok_or_else(|| Problem::not_found("API token"))?;
    let made = ApiTokenSecret { secret: secret.expose().to_owned(), token: ApiToken::of(row, call.now()) };
    Ok(Reply::json(&made)?.etag(version))
}

/// Take an API token back, for good.
#[utoipa::path(delete, path = "/api/v1/api-tokens/{token}", tag = "machines", responses((status = 204)))]
pub(super) async fn revoke(call: Call<ApiTokenRevoke>) -> Answer {
    let row = token(&call).await?;
    call.record_change(&[("token", &row.id), ("name", &row.name)]).await?;
    let reason = format!("revoked by {}", call.identity()?.id);
    call.store().credential_revoke(&row.id, &reason, call.now()).await?;
    Ok(Reply::done())
}

/// Give an API token a role.
#[utoipa::path(put, path = "/api/v1/api-tokens/{token}/roles/{role}", tag = "machines", responses((status = 204)))]
pub(super) async fn grant(call: Call<ApiTokenRoleGrant>) -> Answer {
    let role = call.param("role")?.to_owned();
    let row = token(&call).await?;
    declared(&call, std::slice::from_ref(&role))?;
    let mut roles = row.roles.clone();
    if !roles.contains(&role) {
        roles.push(role.clone());
    }
    set_roles(&call, row, &role, roles).await
}

/// Take a role from an API token.
#[utoipa::path(delete, path = "/api/v1/api-tokens/{token}/roles/{role}", tag = "machines", responses((status = 204)))]
pub(super) async fn take(call: Call<ApiTokenRoleRevoke>) -> Answer {
    let role = call.param("role")?.to_owned();
    let row = token(&call).await?;
    // One that policy has ceased to declare can still be taken away.
    if !row.roles.contains(&role) {
        declared(&call, std::slice::from_ref(&role))?;
    }
    let roles = row.roles.iter().filter(|held| **held != role).cloned().collect();
    set_roles(&call, row, &role, roles).await
}

async fn set_roles<A: Action>(call: &Call<A>, row: CredentialRow, role: &str, roles: Vec<String>) -> Answer {
    let (from, to) = (row.roles.join(","), roles.join(","));
    call.record_change(&[("token", &row.id), ("role", role), ("roles.from", &from), ("roles.to", &to)]).await?;
    if roles != row.roles {
        let wanted = CredentialChange { roles: Some(roles), ..CredentialChange::default() };
        call.store().credential_update(&row.id, wanted, row.version).await?;
    }
    Ok(Reply::done())
}
