//! People: who they are, what roles they hold, whether they are locked.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::action::{
    Action, UserCreate, UserDelete, UserList, UserLock, UserRead, UserRoleGrant, UserRoleRevoke, UserUnlock, UserUpdate,
};
use super::endpoint::Answer;
use super::parts::{Ended, Page, Wanted, declared, line, name};
use super::{Call, Problem, Reply};
use crate::config::is_email;
use crate::pdp::Bundle;
use crate::routes::Resource;
use crate::store::{NewUser, UserChange, UserRow};

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    /// UUID; their name in policy and records.
    id: String,
    email: String,
    name: String,
    /// Roles given to them.
    roles: Vec<String>,
    /// Those, and the ones that come with their groups; without inheritance.
    roles_held: Vec<String>,
    /// Groups at the identity provider, as of the last sign-in.
    groups: Vec<String>,
    locked: Option<Locked>,
    /// Since when they have a second factor; null when they have none.
    #[serde(with = "time::serde::rfc3339::option")]
    enrolled_at: Option<OffsetDateTime>,
    /// The identity provider with which they sign in; null until the first time.
    issuer: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    created_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    last_login_at: Option<OffsetDateTime>,
    /// What `If-Match` takes.
    etag: String,
}

/// That a person is shut out.
#[derive(Debug, Serialize, ToSchema)]
struct Locked {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    reason: String,
    /// Who did it.
    by: String,
}

impl User {
    fn of(row: UserRow, bundle: &Bundle) -> Self {
        Self {
            roles_held: bundle.roles_held(&row.roles, &row.groups),
            id: row.id,
            email: row.email,
            name: row.name,
            roles: row.roles,
            groups: row.groups,
            locked: row.lock.map(|lock| Locked { at: lock.at, reason: lock.reason, by: lock.by }),
            enrolled_at: row.enrolled_at,
            issuer: row.binding.map(|binding| binding.issuer),
            created_at: row.created_at,
            created_by: row.created_by,
            last_login_at: row.last_login_at,
            etag: Reply::version(row.version),
        }
    }
}

/// A person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPerson {
    /// The address with which they will sign in.
    email: String,
    /// Name for people; the address unless it is given.
    name: Option<String>,
    /// Roles to begin with. Policy is asked for each.
    #[serde(default)]
    roles: Vec<String>,
}

/// What to change about a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonChange {
    /// Name for people.
    name: String,
}

/// Why somebody is locked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LockReason {
    /// For people; it is recorded.
    reason: String,
}

/// Most characters of a reason.
const REASON: usize = 500;

/// The person of the path.
pub(super) async fn person<A: Action>(call: &Call<A>) -> Result<UserRow, Problem> {
    call.store().user_find(call.param("user")?).await?.ok_or_else(|| Problem::not_found("user"))
}

fn shown<A: Action>(call: &Call<A>, row: UserRow) -> Answer {
    let version = row.version;
    Ok(Reply::json(&User::of(row, &call.gate().active.load()))?.etag(version))
}

/// People, by address.
#[utoipa::path(get, path = "/api/v1/users", tag = "people", responses((status = 200, body = Page<User>)))]
pub(super) async fn list(call: Call<UserList>) -> Answer {
    let wanted = Wanted::of(&call)?;
    let rows = call.store().user_list(wanted.after.as_deref(), wanted.rows()).await?;
    let bundle = call.gate().active.load();
    Reply::json(&wanted.page(rows, |row| row.email.as_str(), |row| Some(User::of(row, &bundle))))
}

/// Add a person. They may sign in from then on.
#[utoipa::path(post, path = "/api/v1/users", tag = "people", request_body = NewPerson, responses(
    (status = 201, body = User, headers(("location" = String, description = "Where they are read"))),
    (status = 409, description = "The address is somebody's already"),
))]
pub(super) async fn create(call: Call<UserCreate>) -> Answer {
    let body: NewPerson = call.json()?;
    if !is_email(&body.email) {
        return Err(Problem::invalid("email must be an e-mail address"));
    }
    let email = body.email.to_lowercase();
    let roles = declared(&call, &body.roles)?;
    let name = body.name.as_deref().map_or_else(|| Ok(email.clone()), name)?;
    let id = Uuid::now_v7().to_string();
    for role in &roles {
        call.also("user-role:grant", Resource::UserRole, format!("{id}/{role}")).await?;
    }
    if call.store().user_find_by_email(&email).await?.is_some() {
        return Err(Problem::new(409, "conflict", "there is a user of that address already"));
    }
    call.record_change(&[("user", &id), ("email", &email), ("roles", &roles.join(","))]).await?;
    let created_by = Some(call.identity()?.id.clone());
    let new = NewUser { id, email, name, roles, created_by, ..NewUser::default() };
    let row = call.store().user_create(new, call.now()).await?;
    let location = format!("/api/v1/users/{}", row.id);
    Ok(shown(&call, row)?.status(201).header("location", location))
}

/// A person.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "people", responses((status = 200, body = User)))]
pub(super) async fn read(call: Call<UserRead>) -> Answer {
    let row = person(&call).await?;
    shown(&call, row)
}

/// Change a person's name.
#[utoipa::path(put, path = "/api/v1/users/{user}", tag = "people", request_body = PersonChange, responses(
    (status = 200, body = User),
))]
pub(super) async fn update(call: Call<UserUpdate>) -> Answer {
    let body: PersonChange = call.json()?;
    let version = call.if_match()?;
    let name = name(&body.name)?;
    let row = person(&call).await?;
    if row.version != version {
        return Err(Problem::stale());
    }
    call.record_change(&[("user", &row.id), ("user_name.from", &row.name), ("user_name.to", &name)]).await?;
    let wanted = UserChange { name: Some(name), ..UserChange::default() };
    let row = call.store().user_update(&row.id, wanted, Some(version)).await?;
    shown(&call, row)
}

/// Remove a person, and all that they can sign in with.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "people", responses((status = 204)))]
pub(super) async fn delete(call: Call<UserDelete>) -> Answer {
    let row = person(&call).await?;
    call.record_change(&[("user", &row.id), ("email", &row.email), ("roles.from", &row.roles.join(","))]).await?;
    call.store().user_delete(&row.id).await?;
    Ok(Reply::done())
}

/// Shut a person out: everything is refused, and their sessions and tokens are revoked.
#[utoipa::path(post, path = "/api/v1/users/{user}/lock", tag = "people", request_body = LockReason, responses(
    (status = 200, body = Ended),
))]
pub(super) async fn lock(call: Call<UserLock>) -> Answer {
    let body: LockReason = call.json()?;
    let reason = line("reason", &body.reason, REASON)?;
    let row = person(&call).await?;
    call.record_change(&[("user", &row.id), ("reason", &reason)]).await?;
    let by = &call.identity()?.id;
    let revoked = call.store().user_lock(&row.id, &reason, by, call.now()).await?;
    Reply::json(&Ended { revoked })
}

/// Let a person in again. What was revoked stays revoked.
#[utoipa::path(post, path = "/api/v1/users/{user}/unlock", tag = "people", responses((status = 204)))]
pub(super) async fn unlock(call: Call<UserUnlock>) -> Answer {
    let row = person(&call).await?;
    call.record_change(&[("user", &row.id)]).await?;
    call.store().user_unlock(&row.id, &call.identity()?.id, call.now()).await?;
    Ok(Reply::done())
}

/// Give a person a role.
#[utoipa::path(put, path = "/api/v1/users/{user}/roles/{role}", tag = "people", responses((status = 204)))]
pub(super) async fn grant(call: Call<UserRoleGrant>) -> Answer {
    let role = call.param("role")?.to_owned();
    let row = person(&call).await?;
    declared(&call, std::slice::from_ref(&role))?;
    call.record_change(&[("user", &row.id), ("role", &role), ("roles.from", &row.roles.join(","))]).await?;
    call.store().user_role_grant(&row.id, &role).await?;
    Ok(Reply::done())
}

/// Take a role from a person.
#[utoipa::path(delete, path = "/api/v1/users/{user}/roles/{role}", tag = "people", responses((status = 204)))]
pub(super) async fn revoke(call: Call<UserRoleRevoke>) -> Answer {
    let role = call.param("role")?.to_owned();
    let row = person(&call).await?;
    // One that policy has ceased to declare can still be taken away.
    if !row.roles.contains(&role) {
        declared(&call, std::slice::from_ref(&role))?;
    }
    call.record_change(&[("user", &row.id), ("role", &role), ("roles.from", &row.roles.join(","))]).await?;
    call.store().user_role_revoke(&row.id, &role).await?;
    Ok(Reply::done())
}
