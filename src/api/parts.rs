//! What several endpoints share: pages of lists, and the checks of what a body says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::action::Action;
use super::{Call, Problem};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// What is on it.
    items: Vec<T>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// What page is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The key of the last item of the page before.
    pub(super) after: Option<String>,
    limit: usize,
}

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;

impl Wanted {
    /// Reads `cursor` and `limit`.
    pub(super) fn of<A: Action>(call: &Call<A>) -> Result<Self, Problem> {
        let query = call.granted().query();
        let bad_limit = || Problem::invalid(format!("limit must be a whole number from 1 to {LIMIT_MAX}"));
        let limit = query.get("limit").map_or(Ok(LIMIT), |text| text.parse().map_err(|_| bad_limit()))?;
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(bad_limit());
        }
        let bad_cursor = || Problem::invalid("cursor must be what the list gave as next");
        let decoded = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad_cursor())?;
            String::from_utf8(bytes).map_err(|_| bad_cursor())
        };
        Ok(Self { after: query.get("cursor").map(decoded).transpose()?, limit })
    }

    /// How many rows to read: one more than are shown tells whether there is another page.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.limit.saturating_add(1)).unwrap_or(u64::MAX)
    }

    /// The page out of these rows, by their keys. What `show` leaves out is not shown.
    pub(super) fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> &str,
        show: impl FnMut(R) -> Option<T>,
    ) -> Page<T> {
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| has_more).map(|row| URL_SAFE_NO_PAD.encode(key(row)));
        Page { items: rows.into_iter().filter_map(show).collect(), next }
    }
}

/// Most characters of a name.
const NAME: usize = 100;

/// A name for people: trimmed, not empty, one line.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    line("name", text, NAME)
}

/// One line of text for people.
pub(super) fn line(what: &str, text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest || text.contains(char::is_control) {
        return Err(Problem::invalid(format!("{what} must be one line of 1 to {longest} characters")));
    }
    Ok(text.to_owned())
}

/// Roles that policy declares, each once.
pub(super) fn declared<A: Action>(call: &Call<A>, roles: &[String]) -> Result<Vec<String>, Problem> {
    let bundle = call.gate().active.load();
    let known = bundle.roles();
    let mut all: Vec<String> = Vec::new();
    for role in roles {
        if !known.contains(role) {
            // What was asked for is not repeated: it may be anything.
            return Err(Problem::invalid(format!("a role is not declared: use {}", known.join(", "))));
        }
        if !all.contains(role) {
            all.push(role.clone());
        }
    }
    Ok(all)
}

/// How many credentials were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ended {
    /// How many sessions and tokens were revoked.
    pub(super) revoked: u64,
}
