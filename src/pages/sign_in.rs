//! The pages before anybody is signed in, and those for whom policy turns away.

use askama::Template as _;

use super::text::shown;
use super::{Frame, Page, PageError, page};

/// The page with the button to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Who vouches for people: `Google`, or the host of the identity provider; none when nobody does.
    pub provider: Option<&'a str>,
    /// Where the button leads, with where to return to.
    pub link: &'a str,
    /// Redirect addresses to register at a provider.
    pub redirects: &'a [String],
    /// The gateway's host and port.
    pub domain: &'a str,
}

#[derive(askama::Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame<'a>,
    view: &'a Login<'a>,
}

impl Login<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(None, |frame| LoginPage { frame, view: self }.render())
    }
}

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
    pub check: &'a [String],
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

/// A page that its reader does not get.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// HTTP status of the answer.
    pub status: u16,
    /// In a few words.
    pub title: &'a str,
    /// Why; where policy says no, in its own words.
    pub why: &'a str,
    /// Id of the request, which is in its record.
    pub request_id: &'a str,
    /// The gateway's host and port.
    pub domain: &'a str,
    /// The token of the reader's session, to end it; none when nobody is signed in.
    pub csrf: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    frame: Frame<'a>,
    view: &'a Refused<'a>,
}

impl Refused<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| RefusedPage { frame, view: self }.render())
    }
}
