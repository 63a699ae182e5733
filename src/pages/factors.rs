//! The page of one's second factors. Whoever has none is led through the first ones.

use askama::Template as _;
use time::OffsetDateTime;

use super::notice::{Notice, earlier, fresh};
use super::text::{agent, moment, shown};
use super::{Frame, Page, PageError, page};

/// Backup codes of which a person should make new ones.
const FEW: u64 = 3;

/// What do I prove with that it is me?
#[derive(Clone, Debug)]
pub struct Factors<'a> {
    /// Id of the person in policy.
    pub id: &'a str,
    /// The e-mail address.
    pub email: &'a str,
    /// Confirmed ones, oldest first.
    pub factors: Vec<Factor<'a>>,
    /// The codes for when no factor is at hand.
    pub backup_codes: BackupCodes,
    /// The method that is asked for first: `webauthn`, `totp`, `yubico`.
    pub preferred: Option<&'a str>,
    /// Browsers that spare the prompt at sign-in.
    pub devices: Vec<Device<'a>>,
    /// What has happened to the account, newest first.
    pub notices: Vec<Notice<'a>>,
    /// Whether one-time passwords of YubiKeys are on.
    pub has_yubico: bool,
    /// What the reader's browser says of itself.
    pub user_agent: &'a str,
    /// The page that the reader wanted, one of our own.
    pub return_to: &'a str,
    /// The token that guards changes.
    pub csrf: Option<&'a str>,
}

/// Something that somebody has enrolled.
#[derive(Clone, Copy, Debug)]
pub struct Factor<'a> {
    /// Its id.
    pub id: &'a str,
    /// `webauthn`, `totp` or `yubico`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// When it was enrolled.
    pub created_at: OffsetDateTime,
    /// When it was last shown.
    pub last_used_at: Option<OffsetDateTime>,
}

impl Factor<'_> {
    /// What people call this kind.
    fn kind(&self) -> &'static str {
        method(self.kind)
    }
}

/// Backup codes, which are shown when they are made and never again.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupCodes {
    /// Those that are good.
    pub unused: u64,
    /// Those that were made.
    pub total: u64,
}

impl BackupCodes {
    /// Whether it is time for new ones.
    fn is_low(&self) -> bool {
        self.unused < FEW
    }
}

/// A browser that is trusted at sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Its id.
    pub id: &'a str,
    /// What it says of itself.
    pub browser: &'a str,
    /// Where it was when it was trusted.
    pub source_ip: &'a str,
    /// When it was trusted.
    pub created_at: OffsetDateTime,
    /// When it last spared a prompt.
    pub last_used_at: Option<OffsetDateTime>,
    /// Until when it is trusted.
    pub expires_at: OffsetDateTime,
    /// Whether this very request came from it.
    pub is_current: bool,
}

impl Device<'_> {
    /// What people know it by.
    fn title(&self) -> String {
        agent(self.browser)
    }
}

/// What people call a method of proof.
pub(super) fn method(word: &str) -> &'static str {
    match word {
        "webauthn" => "Passkey",
        "totp" => "Authenticator app",
        "yubico" => "YubiKey password",
        "backup" => "Backup code",
        _ => "Second factor",
    }
}

#[derive(askama::Template)]
#[template(path = "factors.html")]
struct FactorsPage<'a> {
    frame: Frame<'a>,
    view: &'a Factors<'a>,
}

impl Factors<'_> {
    /// Whether the reader is led through the first ones.
    fn is_first(&self) -> bool {
        self.factors.is_empty()
    }

    /// The kinds that there are, each once, in the order in which they are asked for.
    fn kinds(&self) -> Vec<&'static str> {
        let has = |kind: &str| self.factors.iter().any(|factor| factor.kind == kind);
        ["webauthn", "totp", "yubico"].into_iter().filter(|kind| has(kind)).collect()
    }

    /// Whether it is asked for first.
    fn prefers(&self, kind: &str) -> bool {
        self.preferred == Some(kind)
    }

    /// A name for a passkey of this browser.
    fn here(&self) -> String {
        agent(self.user_agent)
    }

    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| FactorsPage { frame, view: self }.render())
    }
}
