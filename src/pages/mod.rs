//! What people see in a browser: one view for each page, its template in `web/pages/`, and the style
//! sheet and script that they share. A view holds what is shown; it asks nothing and decides nothing.

mod account;
mod asset;
mod challenge;
mod cli_login;
mod factors;
mod notice;
mod sign_in;
mod text;

pub use account::{Account, CliToken, SecondFactors, Session};
pub use asset::Asset;
pub use challenge::{Asked, Challenge, Reason, Stage, Way, Ways};
pub use cli_login::{CliLogin, Step, Waiting};
pub use factors::{BackupCodes, Device, Factor, Factors};
pub use notice::Notice;
pub use sign_in::{Login, Refused, SignInError};

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use thiserror::Error;

/// Bytes of a nonce: nobody guesses the one of an answer (CSP §2.3.1 asks for 128 bits).
const NONCE: usize = 16;

/// A page, and the nonce that its tags carry. The answer must name the same one in its policy.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    html: String,
    nonce: String,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold the token that guards the reader's session.
        f.write_str("Page(..)")
    }
}

impl Page {
    /// The HTML and its nonce.
    #[must_use]
    pub fn into_parts(self) -> (String, String) {
        (self.html, self.nonce)
    }
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum PageError {
    /// The template says no.
    #[error("a page cannot be written: {0}")]
    Template(#[from] askama::Error),
    /// The operating system has no randomness.
    #[error("no randomness for a nonce: {0}")]
    Random(#[from] rand::rngs::SysError),
}

/// What every page has around its contents.
#[derive(Debug)]
struct Frame<'a> {
    nonce: &'a str,
    style: String,
    script: String,
    csrf: Option<&'a str>,
    /// Those of the dialog, which has none until something is challenged.
    ways: Ways<'static>,
}

/// Renders a page with a nonce of its own. `csrf` is what its script sends with each change.
fn page(
    csrf: Option<&str>,
    render: impl FnOnce(Frame<'_>) -> Result<String, askama::Error>,
) -> Result<Page, PageError> {
    let mut random = [0; NONCE];
    SysRng.try_fill_bytes(&mut random)?;
    let nonce = URL_SAFE_NO_PAD.encode(random);
    let (style, script) = (Asset::url("style"), Asset::url("pages"));
    let html = render(Frame { nonce: &nonce, style, script, csrf, ways: Ways::default() })?;
    Ok(Page { html, nonce })
}

#[cfg(test)]
mod tests;
