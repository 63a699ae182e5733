//! What an endpoint answers.

use serde::Serialize;

use super::Problem;
use crate::pages::{Asset, Page};

/// The body of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// None.
    Empty,
    /// JSON.
    Json(String),
    /// A page.
    Html(Page),
    /// A file that pages name.
    Asset(&'static Asset),
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub content: Content,
    /// Header fields beyond those of every answer, such as `etag`.
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// 200 with JSON.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|_| Problem::new(503, "unanswerable", "the answer cannot be written"))?;
        text.push('\n');
        Ok(Self { status: 200, content: Content::Json(text), headers: Vec::new() })
    }

    /// 200 with a page.
    #[must_use]
    pub const fn html(page: Page) -> Self {
        Self { status: 200, content: Content::Html(page), headers: Vec::new() }
    }

    /// 204.
    #[must_use]
    pub const fn done() -> Self {
        Self { status: 204, content: Content::Empty, headers: Vec::new() }
    }

    /// The same with another status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same with the version of what it shows, for `If-Match`.
    #[must_use]
    pub fn etag(self, version: u64) -> Self {
        self.header("etag", Self::version(version))
    }

    /// A version as an entity tag (RFC 9110 §8.8.3).
    #[must_use]
    pub fn version(version: u64) -> String {
        format!("\"v{version}\"")
    }
}
