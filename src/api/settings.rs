//! Settings that administrators change while the gateway serves.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::{Action, SettingList, SettingReset, SettingUpdate};
use super::endpoint::Answer;
use super::parts::declared;
use super::{Call, Problem, Reply};
use crate::config::{AnchorLimits, Catalog, SETTINGS, Setting, SettingKind, SettingOrigin};
use crate::routes::Resource;
use crate::store::{CredentialKind, SettingRow, StoreError};

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingView {
    name: &'static str,
    description: &'static str,
    /// `integer`, `choice`, `roles`, `boolean`, `names`, `commands` or `images`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The value that holds.
    value: Value,
    default: Value,
    /// Where the value comes from: `default`, `database` or `environment`.
    origin: &'static str,
    /// Least value of an integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<u64>,
    /// Greatest value of an integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    /// What a choice may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<&'static [&'static str]>,
    /// The variable that pins it: it cannot be changed here while that is set.
    variable: String,
    /// When it was last changed here.
    #[serde(with = "time::serde::rfc3339::option")]
    updated_at: Option<OffsetDateTime>,
    /// Who changed it.
    updated_by: Option<String>,
    /// What `If-Match` takes.
    etag: String,
}

impl SettingView {
    fn of(setting: &'static Setting, stored: Option<&SettingRow>, catalog: &Catalog) -> Self {
        let holds = catalog.value(setting, stored.map(|row| &row.value));
        Self::new(setting, setting.variable.to_owned(), holds, stored)
    }

    /// A setting, what pins it, and what holds.
    pub(super) fn new(
        setting: &'static Setting,
        variable: String,
        (value, origin): (Value, SettingOrigin),
        stored: Option<&SettingRow>,
    ) -> Self {
        let (min, max, choices) = match setting.kind {
            SettingKind::Integer { min, max } => (Some(min), Some(max), None),
            SettingKind::Choice(words) => (None, None, Some(words)),
            SettingKind::Roles
            | SettingKind::Boolean
            | SettingKind::Names { .. }
            | SettingKind::Commands
            | SettingKind::Images => (None, None, None),
        };
        Self {
            name: setting.name,
            description: setting.description,
            kind: setting.kind.as_str(),
            value,
            default: setting.default(),
            origin: origin.as_str(),
            min,
            max,
            choices,
            variable,
            updated_at: stored.map(|row| row.updated_at),
            updated_by: stored.map(|row| row.updated_by.clone()),
            etag: Reply::version(version(stored)),
        }
    }
}

/// All settings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Settings {
    pub(super) items: Vec<SettingView>,
}

/// The value to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewValue {
    pub(super) value: Value,
}

/// The version of a setting that nobody has changed is 0.
pub(super) fn version(stored: Option<&SettingRow>) -> u64 {
    stored.map_or(0, |row| row.version)
}

/// All settings, by name.
#[utoipa::path(get, path = "/api/v1/settings", tag = "gateway", responses((status = 200, body = Settings)))]
pub(super) async fn list(call: Call<SettingList>) -> Answer {
    let rows = call.store().setting_list().await?;
    let stored = |name: &str| rows.iter().find(|row| row.name == name);
    let catalog = &call.services().catalog;
    let items = SETTINGS.iter().map(|setting| SettingView::of(setting, stored(setting.name), catalog)).collect();
    Reply::json(&Settings { items })
}

/// The setting of the path as it may be changed, what is stored of it, and the version in which the change expects it.
async fn changing<A: Action>(call: &Call<A>) -> Result<(&'static Setting, Option<SettingRow>, u64), Problem> {
    let setting = Setting::find(call.param("setting")?).ok_or_else(|| Problem::not_found("setting"))?;
    let expected = call.if_match()?;
    if call.services().catalog.pinned(setting.name).is_some() {
        return Err(pinned(setting.variable));
    }
    let stored = call.store().setting_list().await?.into_iter().find(|row| row.name == setting.name);
    if version(stored.as_ref()) != expected {
        return Err(Problem::stale());
    }
    Ok((setting, stored, expected))
}

pub(super) fn pinned(variable: &str) -> Problem {
    Problem::new(409, "setting-pinned", format!("the operator has pinned this setting by {variable}"))
}

/// Change a setting.
#[utoipa::path(put, path = "/api/v1/settings/{setting}", tag = "gateway", request_body = NewValue, responses(
    (status = 200, body = SettingView),
    (status = 409, description = "The operator has pinned it"),
))]
pub(super) async fn update(call: Call<SettingUpdate>) -> Answer {
    let body: NewValue = call.json()?;
    let (setting, stored, expected) = changing(&call).await?;
    setting.check(&body.value).map_err(Problem::invalid)?;
    check_limits(&call, setting, &body.value).await?;
    if setting.kind == SettingKind::Roles {
        let roles = body.value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        for role in declared(&call, &roles.collect::<Vec<_>>())? {
            // Whoever comes uninvited is given them.
            call.also("user-role:grant", Resource::UserRole, format!("uninvited/{role}")).await?;
        }
    }
    let catalog = &call.services().catalog;
    let (from, _) = catalog.value(setting, stored.as_ref().map(|row| &row.value));
    record(&call, setting, &from, &body.value).await?;
    let by = &call.identity()?.id;
    let row = call.store().setting_put(setting.name, &body.value, by, Some(expected), call.now()).await?;
    apply(&call, setting).await?;
    Ok(Reply::json(&SettingView::of(setting, Some(&row), catalog))?.etag(row.version))
}

/// Let a setting have its default again.
#[utoipa::path(delete, path = "/api/v1/settings/{setting}", tag = "gateway", responses(
    (status = 204),
    (status = 409, description = "The operator has pinned it"),
))]
pub(super) async fn reset(call: Call<SettingReset>) -> Answer {
    let (setting, stored, expected) = changing(&call).await?;
    let (from, _) = call.services().catalog.value(setting, stored.as_ref().map(|row| &row.value));
    check_limits(&call, setting, &setting.default()).await?;
    record(&call, setting, &from, &setting.default()).await?;
    match call.store().setting_delete(setting.name, Some(expected)).await {
        Ok(()) => apply(&call, setting).await?,
        // It was not there, and is not.
        Err(StoreError::NotFound) if expected == 0 => {}
        Err(StoreError::NotFound) => return Err(Problem::stale()),
        Err(error) => return Err(error.into()),
    }
    Ok(Reply::done())
}

/// The limits of anchors stay in order.
async fn check_limits<A: Action>(call: &Call<A>, setting: &Setting, value: &Value) -> Result<(), Problem> {
    if !AnchorLimits::NAMES.contains(&setting.name) {
        return Ok(());
    }
    let rows = call.store().setting_list().await?;
    let stored = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.value);
    let limits =
        call.services().catalog.anchor_limits(|name| if name == setting.name { Some(value) } else { stored(name) });
    limits.map(|_| ()).map_err(Problem::invalid)
}

async fn record<A: Action>(call: &Call<A>, setting: &Setting, from: &Value, to: &Value) -> Result<(), Problem> {
    call.record_change(&[("setting", setting.name), ("from", &from.to_string()), ("to", &to.to_string())]).await
}

/// How long sessions last without use holds at once, for those that live too.
async fn apply<A: Action>(call: &Call<A>, setting: &Setting) -> Result<(), Problem> {
    let rules = call.services().rules().await?;
    let (kind, idle) = match setting.name {
        "session_timeout_minutes" => (CredentialKind::Web, rules.web_idle),
        "cli_session_idle_days" => (CredentialKind::Cli, rules.cli_idle),
        _ => return Ok(()),
    };
    call.store().sessions_set_idle(kind, idle, call.now()).await?;
    Ok(())
}
