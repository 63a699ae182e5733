//! The browsers that a person trusts at sign-in.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::{Action, TrustedDeviceList, TrustedDeviceRevoke};
use super::cookie::{self, DEVICE_COOKIE};
use super::endpoint::Answer;
use super::users::person;
use super::{Call, Problem, Reply};
use crate::identity::Token;
use crate::store::DeviceRow;

/// A browser that spares its person the second factor at sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrustedDevice {
    id: String,
    /// What it called itself.
    browser: String,
    /// Where it was trusted from.
    source_ip: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Whether it is the one that asks.
    current: bool,
}

/// Browsers that are trusted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrustedDevices {
    items: Vec<TrustedDevice>,
}

/// Most characters of a summary.
const SUMMARY: usize = 300;

/// A browser by what it calls itself, without the numbers: they change with every update.
pub(super) fn summary(user_agent: &str) -> String {
    let kept = user_agent.chars().filter(|c| !c.is_ascii_digit() && !matches!(c, '.' | '_') && !c.is_control());
    kept.take(SUMMARY).collect()
}

/// The trusted browsers of a person.
#[utoipa::path(get, path = "/api/v1/users/{user}/trusted-devices", tag = "second factors", responses(
    (status = 200, body = TrustedDevices),
))]
pub(super) async fn list(call: Call<TrustedDeviceList>) -> Answer {
    let user = person(&call).await?;
    let current = current(&call).await?;
    let rows = call.store().device_list(&user.id, call.now()).await?;
    let items = rows.into_iter().map(|row| TrustedDevice {
        current: current.as_ref() == Some(&row.id),
        id: row.id,
        browser: row.browser,
        source_ip: row.source_ip.to_string(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
    });
    Reply::json(&TrustedDevices { items: items.collect() })
}

/// The trusted device that the browser says it is.
pub(super) async fn current<A: Action>(call: &Call<A>) -> Result<Option<String>, Problem> {
    let value = call.granted().header("cookie").and_then(|text| cookie::find(text.split(';'), DEVICE_COOKIE));
    let Some(token) = value.as_deref().and_then(Token::parse) else { return Ok(None) };
    let row = call.store().device_find(&token.hash().0).await?;
    Ok(row.filter(|row| call.identity().is_ok_and(|identity| identity.id == row.user_id)).map(|row: DeviceRow| row.id))
}

/// Trust a browser no more. Sessions that began there without a second factor need one from then on.
#[utoipa::path(delete, path = "/api/v1/users/{user}/trusted-devices/{device}", tag = "second factors",
    responses((status = 204)))]
pub(super) async fn revoke(call: Call<TrustedDeviceRevoke>) -> Answer {
    let user = person(&call).await?;
    let device = call.param("device")?;
    let known = call.store().device_list(&user.id, call.now()).await?;
    let row = known.iter().find(|row| row.id == device).ok_or_else(|| Problem::not_found("trusted device"))?;
    let is_current = current(&call).await?.as_ref() == Some(&row.id);
    call.record_change(&[("user", &user.id), ("device", &row.id)]).await?;
    if !call.store().device_delete(&row.id, &user.id).await? {
        return Err(Problem::not_found("trusted device"));
    }
    let reply = Reply::done();
    Ok(if is_current { reply.header("set-cookie", cookie::clear(DEVICE_COOKIE)) } else { reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_the_same_after_an_update_and_another_one_is_not() {
        let firefox =
            |version: &str| format!("Mozilla/5.0 (X11; Linux x86_64; rv:{version}) Gecko/20100101 Firefox/{version}");
        assert_eq!(summary(&firefox("140.0")), summary(&firefox("141.0.2")));
        assert_eq!(summary(&firefox("140.0")), "Mozilla/ (X; Linux x; rv:) Gecko/ Firefox/");
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
        let windows = chrome.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64");
        let all = [summary(&firefox("1")), summary(chrome), summary(&windows), summary("")];
        assert!((1..4).all(|count| !all[..count].contains(&all[count])), "{all:?}");
        assert_eq!(summary(&"x".repeat(1000)).len(), SUMMARY);
    }
}
