//! The page on which a person lets a command line in.

use askama::Template as _;
use time::OffsetDateTime;

use super::text::{moment, shown};
use super::{Frame, Page, PageError, page};

/// A command line that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// The code that it shows.
    pub code: &'a str,
    /// The device, in its own words.
    pub device: &'a str,
    /// Its operating system, in its own words.
    pub os: &'a str,
    /// The client's version, in its own words.
    pub client: &'a str,
    /// Where it asked from.
    pub source_ip: &'a str,
    /// When it asked.
    pub asked_at: OffsetDateTime,
    /// From when on it is too late.
    pub expires_at: OffsetDateTime,
}

/// What the page is about.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The code is to be typed; what was wrong with the one before.
    Type(Option<&'a str>),
    /// The person decides.
    Ask(Waiting<'a>),
}

/// Does your terminal show this code?
#[derive(Clone, Copy, Debug)]
pub struct CliLogin<'a> {
    /// What the page is about.
    pub step: Step<'a>,
    /// As whom the command line would act.
    pub email: &'a str,
    /// Where the reader is connected from.
    pub source_ip: &'a str,
    /// The gateway's host and port.
    pub domain: &'a str,
    /// The token that guards changes.
    pub csrf: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "cli-login.html")]
struct CliLoginPage<'a> {
    frame: Frame<'a>,
    view: &'a CliLogin<'a>,
}

impl CliLogin<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| CliLoginPage { frame, view: self }.render())
    }
}
