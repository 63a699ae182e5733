//! What an endpoint answers.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::LocalBoxStream;
use serde::Serialize;

use super::Problem;
use crate::pages::{Asset, Page};

/// Why a body that is made while it is sent has no end. One line for the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// A file that is made while it is sent, of whatever length. When it breaks, so does the connection: whoever
/// gets it can tell a part from the whole.
pub struct Download {
    /// Media type.
    pub media: &'static str,
    /// What to call the file: letters, digits, dots and dashes.
    pub name: String,
    /// Its bytes.
    pub chunks: LocalBoxStream<'static, Result<Bytes, Broken>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("media", &self.media).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// None.
    Empty,
    /// JSON.
    Json(String),
    /// A page.
    Html(Page),
    /// A file that pages name.
    Asset(&'static Asset),
    /// Plain text.
    Text(String),
    /// A file that is made while it is sent.
    Download(Download),
}

/// An answer.
#[derive(Debug)]
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

    /// 200 with plain text.
    #[must_use]
    pub const fn text(text: String) -> Self {
        Self { status: 200, content: Content::Text(text), headers: Vec::new() }
    }

    /// 200 with a file.
    #[must_use]
    pub fn download(download: Download) -> Self {
        let named = format!("attachment; filename=\"{}\"", download.name);
        Self { status: 200, content: Content::Download(download), headers: vec![("content-disposition", named)] }
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
