//! The pages before anybody is signed in.

use askama::Template as _;

use super::{Frame, Page, PageError, page};

/// Signing in did not work.
#[derive(Clone, Copy, Debug)]
pub struct SignInError<'a> {
    /// HTTP status of the answer.
    pub status: u16,
    /// In a few words.
    pub title: &'a str,
    /// What happened.
    pub what: &'a str,
    /// What to check, such as the exact redirect URI.
    pub check: &'a [&'a str],
    /// Id of the request, which is in its record.
    pub request_id: &'a str,
    /// The gateway's host and port.
    pub domain: &'a str,
}

#[derive(askama::Template)]
#[template(path = "sign-in-error.html")]
struct SignInErrorPage<'a> {
    frame: Frame<'a>,
    view: &'a SignInError<'a>,
}

impl SignInError<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(None, |frame| SignInErrorPage { frame, view: self }.render())
    }
}
