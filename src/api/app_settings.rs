//! Settings of one app, that administrators change while the gateway serves.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::action::{Action, AppSettingList, AppSettingReset, AppSettingUpdate};
use super::endpoint::Answer;
use super::settings::{NewValue, SettingView, Settings, pinned, version};
use super::{Call, Problem, Reply};
use crate::config::{APP_SETTINGS, Catalog, Setting, is_app_name};
use crate::store::SettingRow;

/// Most bytes of a text that a record keeps whole.
const RECORDED: usize = 512;

fn view(app: &str, setting: &'static Setting, stored: Option<&SettingRow>, catalog: &Catalog) -> SettingView {
    let holds = catalog.app_value(app, setting, stored.map(|row| &row.value));
    SettingView::new(setting, setting.variable_of_app(app), holds, stored)
}

/// The app of the path. The rack need not have it yet: what is set waits for it.
fn app<A: Action>(call: &Call<A>) -> Result<&str, Problem> {
    let app = call.param("app")?;
    if is_app_name(app) { Ok(app) } else { Err(Problem::not_found("app")) }
}

/// All settings of an app, by name. Those that hold for every app are in `/api/v1/settings`.
#[utoipa::path(get, path = "/api/v1/apps/{app}/settings", tag = "gateway", responses((status = 200, body = Settings)))]
pub(super) async fn list(call: Call<AppSettingList>) -> Answer {
    let app = app(&call)?;
    let rows = call.store().app_setting_list(app).await?;
    let stored = |name: &str| rows.iter().find(|row| row.name == name);
    let catalog = &call.services().catalog;
    let items = APP_SETTINGS.iter().map(|setting| view(app, setting, stored(setting.name), catalog)).collect();
    Reply::json(&Settings { items })
}

/// A setting of an app that may be changed.
struct Changing<'a> {
    app: &'a str,
    setting: &'static Setting,
    stored: Option<SettingRow>,
    /// The version that the change was made from.
    expected: u64,
}

impl<'a> Changing<'a> {
    async fn of<A: Action>(call: &'a Call<A>) -> Result<Self, Problem> {
        let app = app(call)?;
        let setting = Setting::find_of_app(call.param("setting")?).ok_or_else(|| Problem::not_found("setting"))?;
        let expected = call.if_match()?;
        if call.services().catalog.app_pinned(app, setting.name).is_some() {
            return Err(pinned(&setting.variable_of_app(app)));
        }
        let rows = call.store().app_setting_list(app).await?;
        let stored = rows.into_iter().find(|row| row.name == setting.name);
        if version(stored.as_ref()) == expected {
            Ok(Self { app, setting, stored, expected })
        } else {
            Err(Problem::stale())
        }
    }

    /// Puts the change on the record.
    async fn record<A: Action>(&self, call: &Call<A>, to: &Value) -> Result<(), Problem> {
        let catalog = &call.services().catalog;
        let (from, _) = catalog.app_value(self.app, self.setting, self.stored.as_ref().map(|row| &row.value));
        let (from, to) = (from.to_string(), to.to_string());
        let mut change = vec![("app", self.app), ("setting", self.setting.name), ("from", &*from), ("to", &*to)];
        // A record keeps the beginning of what is long: the digest proves what it was.
        let digest = hex::encode(Sha256::digest(&to));
        if to.len() > RECORDED {
            change.push(("to_sha256", &digest));
        }
        call.record_change(&change).await
    }
}

/// Change a setting of an app.
#[utoipa::path(put, path = "/api/v1/apps/{app}/settings/{setting}", tag = "gateway", request_body = NewValue, responses(
    (status = 200, body = SettingView),
    (status = 409, description = "The operator has pinned it"),
))]
pub(super) async fn update(call: Call<AppSettingUpdate>) -> Answer {
    let NewValue { value } = call.json()?;
    let change = Changing::of(&call).await?;
    change.setting.check(&value).map_err(Problem::invalid)?;
    change.record(&call, &value).await?;
    let by = call.identity()?.id.clone();
    let name = change.setting.name.to_owned();
    let next = SettingRow { name, value, version: 0, updated_at: call.now(), updated_by: by };
    let row = call.store().app_setting_put(change.app, next, change.expected).await?;
    let catalog = &call.services().catalog;
    Ok(Reply::json(&view(change.app, change.setting, Some(&row), catalog))?.etag(row.version))
}

/// Let a setting of an app have its default again.
#[utoipa::path(delete, path = "/api/v1/apps/{app}/settings/{setting}", tag = "gateway", responses(
    (status = 204),
    (status = 409, description = "The operator has pinned it"),
))]
pub(super) async fn reset(call: Call<AppSettingReset>) -> Answer {
    let change = Changing::of(&call).await?;
    change.record(&call, &change.setting.default()).await?;
    if change.stored.is_some() {
        call.store().app_setting_delete(change.app, change.setting.name, change.expected).await?;
    }
    Ok(Reply::done())
}
