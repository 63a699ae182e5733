//! Facts for policy: out of option headers, and about the person or token that a row acts on.

use actix_web::http::header::HeaderMap;

use time::OffsetDateTime;

use super::Gate;
use crate::approval;
use crate::pdp::{About, Audit, DeployApproval, Exec, NEVER_S, Principal, PrincipalKind, ResourceRef, Settings};
use crate::routes::{Facts, Resource, Row};
use crate::store::{ApprovalRow, CredentialKind, CredentialRow, Party, StoreError, UserRow};

/// What would run, where the row runs something.
pub(super) fn exec(row: &Row, headers: &HeaderMap) -> Option<Exec> {
    match row.contract.facts {
        Facts::None => None,
        Facts::Exec => Some(Exec {
            command: text(headers, "command"),
            entrypoint: is_true(headers, "entrypoint"),
            image: text(headers, "image"),
            volumes: present(headers, "volumes") || is_true(headers, "use-service-volume"),
            environment: present(headers, "environment"),
            release: text(headers, "release"),
            privileged: is_true(headers, "privileged") || is_true(headers, "system-critical"),
            node_labels: text(headers, "node-labels"),
            deploy_command: false,
        }),
    }
}

/// How well the record is proved now.
pub(super) fn audit(gate: &Gate) -> Audit {
    let (level, unanchored_s) = gate.anchors.level();
    let unanchored_s = i64::try_from(unanchored_s).unwrap_or(NEVER_S).min(NEVER_S);
    Audit { state: level.as_str().into(), unanchored_s }
}

/// The settings that policy reads, for a row that destroys something and for the one that tells what one may do.
/// Others are decided without.
pub(super) async fn settings(gate: &Gate, row: &Row) -> Result<Settings, StoreError> {
    if !row.groups.contains(&"destructive") && row.action != "account:read" {
        return Ok(Settings::default());
    }
    Ok(Settings { allow_destructive_actions: gate.allows_destruction().await? })
}

/// What is known of what a row acts on: the person or token, as a principal of policy, or the request to deploy;
/// none for other resources, and for ids that nobody has.
pub(super) async fn about(
    gate: &Gate,
    resource: &ResourceRef,
    now: OffsetDateTime,
) -> Result<Option<Box<About>>, StoreError> {
    if resource.kind == Resource::DeployApproval {
        return deploy(gate, resource, now).await;
    }
    let found = match resource.kind {
        Resource::User => gate.store.user_find(&resource.id).await?.map(person),
        Resource::ApiToken => gate.store.credential_get(&resource.id).await?.and_then(token),
        _ => None,
    };
    Ok(found.map(|principal| Box::new(About::Principal(principal))))
}

/// The request to deploy, if it is one of the app that the path names.
async fn deploy(gate: &Gate, resource: &ResourceRef, now: OffsetDateTime) -> Result<Option<Box<About>>, StoreError> {
    let Some((app, id)) = resource.id.split_once('/') else { return Ok(None) };
    let Some(row) = gate.store.approval_find(id).await?.filter(|row| row.app == app) else { return Ok(None) };
    let approvals = approval::agreed(&gate.store, &row).await?.len();
    Ok(Some(Box::new(deploy_approval(&row, approvals, now))))
}

/// A request to deploy as policy sees it, when so many people agree.
#[must_use]
pub fn deploy_approval(row: &ApprovalRow, approvals: usize, now: OffsetDateTime) -> About {
    let of_kind = |kind: PrincipalKind| {
        let is_it = |party: &&Party| party.kind == kind.entity_type();
        let mut ids: Vec<_> = [&row.requester, &row.deployer].into_iter().filter(is_it).map(|p| p.id.clone()).collect();
        ids.dedup();
        ids
    };
    let state = row.state_at(now);
    let left_s = if state.is_live() { (row.expires_at - now).whole_seconds().max(0) } else { 0 };
    About::DeployApproval(DeployApproval {
        commit: row.commit.clone(),
        branch: row.branch.clone().unwrap_or_default(),
        state: state.as_str().to_owned(),
        approvals: i64::try_from(approvals).unwrap_or(i64::MAX),
        extensions: i64::from(row.extensions),
        left_s,
        users: row.users.clone(),
        tokens: of_kind(PrincipalKind::ApiToken),
        workloads: of_kind(PrincipalKind::Workload),
    })
}

fn person(user: UserRow) -> Principal {
    Principal {
        locked: user.is_locked(),
        enrolled: user.enrolled_at.is_some(),
        roles: user.roles,
        groups: user.groups,
        email: user.email,
        version: user.version,
        ..Principal::nobody(PrincipalKind::User, user.id)
    }
}

/// None for credentials of other kinds: they are no principals.
fn token(row: CredentialRow) -> Option<Principal> {
    (row.kind == CredentialKind::Api).then(|| Principal {
        roles: row.roles,
        version: row.version,
        network: row.network,
        apps: row.apps,
        ..Principal::nobody(PrincipalKind::ApiToken, row.id)
    })
}

/// The value as text. Bytes that are not UTF-8 become U+FFFD: policy then sees a command that
/// matches no allowed one, while the rack gets the bytes as they were sent.
fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn present(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| !value.is_empty())
}

/// As the rack reads a flag, except that anything unclear counts as set.
fn is_true(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get(name)
        .is_some_and(|value| !matches!(value.as_bytes(), b"" | b"false" | b"0" | b"f" | b"F" | b"False" | b"FALSE"))
}
