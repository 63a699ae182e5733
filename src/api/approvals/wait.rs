//! Waiting for a decision: an answer that begins at once and ends with the request as it is then.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::super::action::DeployApprovalWait;
use super::super::endpoint::Answer;
use super::super::{Broken, Call, Content, Download, Problem, Reply};
use super::found;
use super::view::text;
use crate::clock::Clock;
use crate::store::{ApprovalState, Store};

/// How often the request is looked at: whatever changed it may be another replica.
const LOOK: Duration = Duration::from_secs(1);
/// How often something is sent, so that nothing on the way takes the connection for dead.
const AWAKE: Duration = Duration::from_secs(10);
/// How long is waited unless whoever asks says so.
const TIMEOUT: u64 = 60;
/// Longest wait.
const TIMEOUT_MAX: u64 = 1_200;

/// Wait until a request to deploy is decided on: no longer pending. The answer begins at once, a line break comes
/// every 10 seconds, and then the request, as JSON, as it is by then or at the end of `timeout` (seconds, 60 unless it
/// is given, at most 1200). A connection that breaks off said nothing.
#[utoipa::path(
    get, path = "/api/v1/apps/{app}/deploy-approvals/{approval}/wait", tag = "deploy approvals",
    responses((status = 200, body = super::view::DeployApproval))
)]
pub(in crate::api) async fn wait(call: Call<DeployApprovalWait>) -> Answer {
    let query = call.granted().query();
    let bad = || Problem::invalid(format!("timeout must be a whole number of seconds from 1 to {TIMEOUT_MAX}"));
    let seconds = query.get("timeout").map_or(Ok(TIMEOUT), |text| text.parse().map_err(|_| bad()))?;
    if !(1..=TIMEOUT_MAX).contains(&seconds) {
        return Err(bad());
    }
    let row = found(&call).await?;
    let now = Instant::now();
    let waiting = Waiting {
        store: call.store().clone(),
        clock: call.gate().clock.clone(),
        approval: row.id,
        credential: call.identity()?.credential.id.clone(),
        until: now + Duration::from_secs(seconds),
        awake: now + AWAKE,
    };
    let chunks = stream::unfold(Some(waiting), |waiting| async move {
        let mut waiting = waiting?;
        match waiting.next().await {
            Ok(Next::Awake) => Some((Ok(Bytes::from_static(b"\n")), Some(waiting))),
            Ok(Next::Decided(text)) => Some((Ok(Bytes::from(text)), None)),
            Err(broken) => Some((Err(broken), None)),
        }
    });
    let file = Download { media: "application/json", name: String::new(), chunks: chunks.boxed_local() };
    Ok(Reply { status: 200, content: Content::Download(file), headers: Vec::new() })
}

struct Waiting {
    store: Store,
    clock: Clock,
    approval: String,
    credential: String,
    until: Instant,
    awake: Instant,
}

enum Next {
    /// Nothing yet.
    Awake,
    /// The request as it is.
    Decided(String),
}

impl Waiting {
    async fn next(&mut self) -> Result<Next, Broken> {
        loop {
            let now = self.clock.now();
            let row = self.store.approval_find(&self.approval).await.map_err(|error| Broken(error.to_string()))?;
            let row = row.ok_or_else(|| Broken("the request is gone".to_owned()))?;
            if row.state_at(now) != ApprovalState::Pending || Instant::now() >= self.until {
                self.check(now).await?;
                let unwritable = |_| Broken("the answer cannot be written".to_owned());
                return text(row, now).map(Next::Decided).map_err(unwritable);
            }
            if Instant::now() >= self.awake {
                self.awake = Instant::now() + AWAKE;
                return Ok(Next::Awake);
            }
            let next = self.until.min(self.awake);
            sleep(next.saturating_duration_since(Instant::now()).min(LOOK)).await;
        }
    }

    /// Whoever waited may have been shut out meanwhile.
    async fn check(&self, now: OffsetDateTime) -> Result<(), Broken> {
        let row = self.store.credential_get(&self.credential).await.map_err(|error| Broken(error.to_string()))?;
        let is_good = |row: &crate::store::CredentialRow| {
            row.is_live(now) && row.user.as_ref().is_none_or(|user| !user.is_locked())
        };
        if row.as_ref().is_some_and(is_good) { Ok(()) } else { Err(Broken("the credential has ended".to_owned())) }
    }
}
