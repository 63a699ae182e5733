//! The outbox: what others must hear of, and what became of it.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::{NoticeList, NoticeRetry};
use super::endpoint::Answer;
use super::parts::{Page, Wanted};
use super::{Call, Problem, Reply};
use crate::store::{MessageRow, MessageState, StoreError};

/// A notice, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticeView {
    /// UUID; receivers get it as `webhook-id`.
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: String,
    /// The particulars, by the type.
    #[schema(value_type = Object)]
    data: Value,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// `waiting`, `sent`, `dead` (given up) or `skipped` (nobody was there to send it to).
    state: &'static str,
    /// Attempts to send it, since it last began to wait.
    attempts: u64,
    /// When it is tried next; null when it does not wait.
    #[serde(with = "time::serde::rfc3339::option")]
    next_at: Option<OffsetDateTime>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// Since when it does not wait any more.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

impl From<MessageRow> for NoticeView {
    fn from(row: MessageRow) -> Self {
        Self {
            next_at: (row.state == MessageState::Waiting).then_some(row.next_at),
            id: row.id,
            kind: row.kind,
            data: row.data,
            created_at: row.created_at,
            state: row.state.as_str(),
            attempts: row.attempts,
            last_error: row.last_error,
            ended_at: row.ended_at,
        }
    }
}

/// Notices, newest first; with `state` those of one state.
#[utoipa::path(get, path = "/api/v1/outbox", tag = "gateway", responses((status = 200, body = Page<NoticeView>)))]
pub(super) async fn list(call: Call<NoticeList>) -> Answer {
    let wanted = Wanted::of(&call)?;
    let bad = || Problem::invalid("state must be waiting, sent, dead or skipped");
    let query = call.granted().query();
    let state = query.get("state").map(|word| MessageState::parse(word).ok_or_else(bad)).transpose()?;
    let rows = call.store().outbox_page(state, wanted.after.as_deref(), wanted.rows()).await?;
    Reply::json(&wanted.page(rows, |row| row.id.as_str(), |row| Some(NoticeView::from(row))))
}

/// Send a notice again that was given up or skipped.
#[utoipa::path(post, path = "/api/v1/outbox/{notice}/retry", tag = "gateway", responses(
    (status = 200, body = NoticeView),
    (status = 409, description = "It waits already, or was sent"),
))]
pub(super) async fn retry(call: Call<NoticeRetry>) -> Answer {
    let waits = || Problem::new(409, "notice-not-ended", "it waits already, or was sent");
    let row = call.store().outbox_find(call.param("notice")?).await?.ok_or_else(|| Problem::not_found("notice"))?;
    if !matches!(row.state, MessageState::Dead | MessageState::Skipped) {
        return Err(waits());
    }
    call.record_change(&[("notice", &row.id), ("type", &row.kind)]).await?;
    match call.store().outbox_retry(&row.id, call.now()).await {
        Ok(row) => Reply::json(&NoticeView::from(row)),
        Err(StoreError::Stale) => Err(waits()),
        Err(error) => Err(error.into()),
    }
}
