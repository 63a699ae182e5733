//! The pages of somebody who is signed in: the account, and a token for the command line.

use askama::Template as _;
use time::OffsetDateTime;

use super::notice::{Notice, earlier, fresh};
use super::text::{agent, moment, shown};
use super::{Frame, Page, PageError, page};

/// Who am I, and where am I signed in?
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// Id of the person in policy.
    pub id: &'a str,
    /// Name for people.
    pub name: &'a str,
    /// The e-mail address.
    pub email: &'a str,
    /// Roles that are held, inherited ones too.
    pub roles: &'a [String],
    /// Groups at the identity provider.
    pub groups: &'a [String],
    /// `organization/name` of the rack.
    pub rack: &'a str,
    /// The gateway's address, with its scheme.
    pub origin: &'a str,
    /// The token that guards changes.
    pub csrf: Option<&'a str>,
    /// Sessions that are good, this one first.
    pub sessions: Vec<Session<'a>>,
    /// What has happened to the account, newest first.
    pub notices: Vec<Notice<'a>>,
    /// What there is for step-up.
    pub second: SecondFactors,
}

/// How many second factors somebody has.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecondFactors {
    /// Passkeys, apps and the like.
    pub factors: usize,
    /// Backup codes that are good.
    pub backup_codes: u64,
}

/// Where somebody is signed in.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it is a browser's; otherwise a command line's.
    pub is_web: bool,
    /// Its name, where it has one.
    pub name: &'a str,
    /// What asked for it.
    pub user_agent: &'a str,
    /// Where it was asked for from; empty when that is not known.
    pub source_ip: &'a str,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last used, roughly.
    pub last_used_at: OffsetDateTime,
    /// When it ends, used or not.
    pub expires_at: OffsetDateTime,
    /// Whether this very request came with it.
    pub is_current: bool,
}

impl Session<'_> {
    /// What people know it by.
    pub(super) fn title(&self) -> String {
        match (self.name, self.is_web) {
            // The name says no more than that.
            (_, true) => agent(self.user_agent),
            ("", false) => "Command line".to_owned(),
            (name, false) => shown(name).to_string(),
        }
    }
}

#[derive(askama::Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: Frame<'a>,
    view: &'a Account<'a>,
}

impl Account<'_> {
    /// Whether there is any but this one.
    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.is_current)
    }

    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| AccountPage { frame, view: self }.render())
    }
}

/// A token for the command line, to be made and shown once.
#[derive(Clone, Copy, Debug)]
pub struct CliToken<'a> {
    /// Id of the person in policy.
    pub id: &'a str,
    /// How many days it may last, shortest first.
    pub days: &'a [u64],
    /// The token that guards changes.
    pub csrf: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "cli-token.html")]
struct CliTokenPage<'a> {
    frame: Frame<'a>,
    view: &'a CliToken<'a>,
}

impl CliToken<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| CliTokenPage { frame, view: self }.render())
    }
}
