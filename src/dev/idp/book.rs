//! What the provider remembers: requests on the screen, codes, access tokens. In memory only.

use std::collections::HashMap;
use std::io;

use time::{Duration, OffsetDateTime};
use url::Url;

use super::accounts::Account;
use super::keys;

/// How long a page may stay open before somebody is chosen.
const ASKED: Duration = Duration::minutes(10);
/// Life of a code.
pub(super) const CODE: Duration = Duration::seconds(60);
/// Life of an access token.
pub(super) const ACCESS: Duration = Duration::minutes(10);

/// A valid authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Registered, as it was written.
    pub(super) redirect_uri: String,
    /// The same, parsed.
    pub(super) redirect: Url,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    /// SHA-256 of the verifier, base64url.
    pub(super) challenge: String,
    pub(super) scopes: Vec<String>,
}

/// A code that was given out.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) asked: Asked,
    pub(super) account: &'static Account,
    pub(super) at: OffsetDateTime,
}

/// What an access token opens.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) account: &'static Account,
    pub(super) scopes: Vec<String>,
}

/// A code that was presented stays known, so that a second presentation takes back what the first
/// one gave (RFC 6749 §4.1.2).
#[derive(Debug)]
enum Slot {
    Fresh(Box<Code>),
    Spent { access: Option<String> },
}

/// Values under random names that are forgotten in time.
#[derive(Debug)]
struct Timed<T>(HashMap<String, (OffsetDateTime, T)>);

impl<T> Timed<T> {
    fn put(&mut self, until: OffsetDateTime, now: OffsetDateTime, value: T) -> io::Result<String> {
        self.0.retain(|_, (until, _)| now < *until);
        let name = keys::random()?;
        self.0.insert(name.clone(), (until, value));
        Ok(name)
    }

    fn live(&mut self, name: &str, now: OffsetDateTime) -> Option<&mut T> {
        self.0.get_mut(name).filter(|(until, _)| now < *until).map(|(_, value)| value)
    }

    fn take(&mut self, name: &str, now: OffsetDateTime) -> Option<T> {
        self.0.remove(name).filter(|(until, _)| now < *until).map(|(_, value)| value)
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Book {
    asked: Timed<Asked>,
    codes: Timed<Slot>,
    access: Timed<Access>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { asked: Timed(HashMap::new()), codes: Timed(HashMap::new()), access: Timed(HashMap::new()) }
    }

    /// Keeps a request while its page is open.
    pub(super) fn ask(&mut self, asked: Asked, now: OffsetDateTime) -> io::Result<String> {
        self.asked.put(now + ASKED, now, asked)
    }

    /// The request of a page; once.
    pub(super) fn asked(&mut self, name: &str, now: OffsetDateTime) -> Option<Asked> {
        self.asked.take(name, now)
    }

    /// Gives out a code.
    pub(super) fn grant(&mut self, code: Code) -> io::Result<String> {
        let now = code.at;
        // As long as an access token of it may live, a replay is noticed.
        self.codes.put(now + CODE + ACCESS, now, Slot::Fresh(Box::new(code)))
    }

    /// Takes a presented code, whatever comes of it.
    pub(super) fn redeem(&mut self, name: &str, now: OffsetDateTime) -> Option<Code> {
        let slot = self.codes.live(name, now)?;
        match std::mem::replace(slot, Slot::Spent { access: None }) {
            Slot::Fresh(code) => (now < code.at + CODE).then_some(*code),
            Slot::Spent { access } => {
                access.and_then(|access| self.access.take(&access, now));
                None
            }
        }
    }

    /// Makes the access token of a redeemed code.
    pub(super) fn open(&mut self, code: &str, access: Access, now: OffsetDateTime) -> io::Result<String> {
        let token = self.access.put(now + ACCESS, now, access)?;
        if let Some(slot) = self.codes.live(code, now) {
            *slot = Slot::Spent { access: Some(token.clone()) };
        }
        Ok(token)
    }

    /// What a presented access token opens.
    pub(super) fn access(&mut self, token: &str, now: OffsetDateTime) -> Option<Access> {
        self.access.live(token, now).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-02 03:04:05 UTC);

    fn asked() -> Asked {
        Asked {
            redirect_uri: "http://127.0.0.1/back".to_owned(),
            redirect: Url::parse("http://127.0.0.1/back").unwrap(),
            state: None,
            nonce: None,
            challenge: String::new(),
            scopes: Vec::new(),
        }
    }

    fn admin() -> &'static Account {
        Account::find("admin").unwrap()
    }

    #[test]
    fn a_code_lives_a_minute() {
        let moment = Duration::nanoseconds(1);
        for (age, lives) in [(Duration::ZERO, true), (CODE - moment, true), (CODE, false), (ACCESS, false)] {
            let mut book = Book::new();
            let code = book.grant(Code { asked: asked(), account: admin(), at: NOW }).unwrap();
            assert_eq!(book.redeem(&code, NOW + age).is_some(), lives, "{age}");
        }
    }

    #[test]
    fn a_replayed_code_takes_the_access_token_with_it() {
        let mut book = Book::new();
        let code = book.grant(Code { asked: asked(), account: admin(), at: NOW }).unwrap();
        assert!(book.redeem(&code, NOW).is_some());
        let access = Access { account: admin(), scopes: Vec::new() };
        let token = book.open(&code, access, NOW).unwrap();
        assert!(book.access(&token, NOW).is_some());
        assert!(book.redeem(&code, NOW + CODE + CODE).is_none());
        assert!(book.access(&token, NOW + CODE + CODE).is_none());
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut book = Book::new();
        let first = book.ask(asked(), NOW).unwrap();
        assert_eq!(book.asked(&first, NOW + ASKED), None);
        book.ask(asked(), NOW).unwrap();
        let later = book.ask(asked(), NOW + ASKED).unwrap();
        assert_eq!(book.asked.0.len(), 1, "the older one is gone");
        assert!(book.asked(&later, NOW + ASKED).is_some());
        assert_eq!(book.asked(&later, NOW + ASKED), None, "once");
        let access = Access { account: admin(), scopes: Vec::new() };
        let token = book.open("none", access, NOW).unwrap();
        assert!(book.access(&token, NOW + ACCESS).is_none());
    }
}
