//! The page on which a person proves a second factor for what was asked.

use askama::Template as _;
use time::OffsetDateTime;

use super::text::{moment, shown};
use super::{Frame, Page, PageError, Session, page};

/// Why a policy asks.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// Id of the policy.
    pub id: &'a str,
    /// Its own words.
    pub why: &'a str,
}

/// How what was asked goes on after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    /// This browser goes back to its page, or repeats its call.
    Web,
    /// The convox CLI waits at this address, `http://localhost:PORT`; none when the link lacks it.
    Console(Option<&'a str>),
    /// The person runs the command again.
    Link,
    /// The terminal waits, and goes on by itself.
    Socket,
}

/// What there is to prove it with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways<'a> {
    /// Of `webauthn`, `totp`, `yubico` and `backup`, those that this person has and that would do.
    pub methods: &'a [&'a str],
    /// The one that the person prefers.
    pub preferred: Option<&'a str>,
    /// For how many days this browser may be trusted at sign-in; 0 when it may not.
    pub trust_days: u64,
}

impl Ways<'_> {
    /// Whether this is one of them.
    pub(super) fn has(&self, method: &str) -> bool {
        self.methods.contains(&method)
    }

    /// The one to begin with: the preferred one, else the first.
    fn first(&self) -> Option<&str> {
        let preferred = self.preferred.filter(|method| self.has(method));
        preferred.or_else(|| ["webauthn", "totp", "yubico", "backup"].into_iter().find(|method| self.has(method)))
    }

    /// Whether it is the one to begin with.
    pub(super) fn is_first(&self, method: &str) -> bool {
        self.first() == Some(method)
    }
}

/// How far a challenge is.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// It can be answered, in these ways.
    Open(Ways<'a>),
    /// It can be answered only by somebody who has a second factor.
    NotEnrolled,
    /// It was answered.
    Answered,
    /// It is too old, or was used.
    Over,
}

/// What was asked, and by what.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// How far it is.
    pub stage: Stage<'a>,
    /// Id of the challenge.
    pub id: &'a str,
    /// Its code, which is in the address of this page.
    pub code: &'a str,
    /// What was asked, as policy names it: `app:delete`.
    pub action: &'a str,
    /// On what.
    pub resource: &'a str,
    /// Which policies ask.
    pub reasons: Vec<Reason<'a>>,
    /// Whether the proof holds for this very request alone.
    pub is_bound: bool,
    /// Whether only a passkey will do.
    pub is_strong: bool,
    /// How it goes on.
    pub way: Way<'a>,
    /// The session that asked; none when it has ended.
    pub session: Option<Session<'a>>,
    /// Where the request came from.
    pub source_ip: &'a str,
    /// When it came.
    pub created_at: OffsetDateTime,
    /// From when on it is too late.
    pub expires_at: OffsetDateTime,
}

/// Was it you who asked?
#[derive(Clone, Debug)]
pub struct Challenge<'a> {
    /// What was asked; none when no challenge of the reader is here: unknown, or somebody else's.
    pub asked: Option<Asked<'a>>,
    /// Id of the reader in policy.
    pub id: &'a str,
    /// The reader's e-mail address.
    pub email: &'a str,
    /// Where the reader is connected from.
    pub source_ip: &'a str,
    /// The token that guards changes.
    pub csrf: Option<&'a str>,
}

impl Asked<'_> {
    /// Where the convox CLI waits.
    fn callback(&self) -> Option<&str> {
        match self.way {
            Way::Console(callback) => callback,
            Way::Web | Way::Link | Way::Socket => None,
        }
    }

    /// Whether a terminal waits for it, or its person does there.
    fn is_terminal(&self) -> bool {
        self.way != Way::Web
    }

    /// Whether there is still something to do.
    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_) | Stage::NotEnrolled)
    }

    /// Whether it was answered.
    fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Answered)
    }

    /// Whether it is too late.
    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

#[derive(askama::Template)]
#[template(path = "challenge.html")]
struct ChallengePage<'a> {
    frame: Frame<'a>,
    view: &'a Challenge<'a>,
}

impl Challenge<'_> {
    /// The page.
    ///
    /// # Errors
    /// When there is no randomness for its nonce.
    pub fn render(&self) -> Result<Page, PageError> {
        page(self.csrf, |frame| ChallengePage { frame, view: self }.render())
    }
}
