//! Why a command failed, in words that say what to do next, and the exit code of each.

use std::path::PathBuf;

use super::address::AddressError;
use super::config::ConfigError;
use super::text::plain;
use crate::proof::bundle::BundleError;
use crate::proof::trust::TrustError;

/// An answer that says no (RFC 9457, or RFC 6749 §5.2 from the token endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: u16,
    /// Last part of `type`: `cli-login-denied`.
    pub(super) slug: String,
    /// For people.
    pub(super) text: String,
    /// Id of the request in the gateway's records.
    pub(super) request_id: Option<String>,
}

impl Problem {
    /// Whether the credential is good no more. One that lacks a second factor is: the text says where
    /// to show one (RFC 9470).
    pub(super) fn ends(&self) -> bool {
        self.status == 401 && self.slug != "challenge"
    }

    /// Reads the body of an answer; none when a gateway did not write it.
    pub(super) fn parse(status: u16, body: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str).map(plain);
        let error = field("error")?;
        let text = match field("error_description") {
            Some(description) => format!("{description} ({error})"),
            None => error,
        };
        let slug = field("type").and_then(|kind| kind.strip_prefix("/problems/").map(str::to_owned));
        Some(Self { status, slug: slug.unwrap_or_default(), text, request_id: field("instance") })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{0} is not set to the address of a gateway: {1}")]
    AddressVariable(&'static str, AddressError),
    #[error("a rack's name has up to 64 letters, digits, dots, dashes, underscores and slashes")]
    RackName,
    #[error("there is no rack yet: sign in with `rack-gateway login NAME https://GATEWAY`")]
    NoRack,
    #[error("no rack is selected: name one with --rack, or run `rack-gateway switch NAME`")]
    NoneSelected,
    #[error("the rack {0} is not known here: `rack-gateway racks` lists those that are")]
    UnknownRack(String),
    #[error("the rack {0} is not known yet: give the gateway's address, `rack-gateway login {0} https://GATEWAY`")]
    UrlNeeded(String),
    #[error("RACK_GATEWAY_URL and RACK_GATEWAY_RACK are both set: unset one of them, or name the rack with --rack")]
    TwoTargets,
    #[error("what {0} gives is no token of a gateway: those begin with rgw_")]
    NotAToken(&'static str),
    #[error("no token for {0}: set RACK_GATEWAY_API_TOKEN, or sign in with `rack-gateway login NAME {0}`")]
    NoToken(String),
    #[error("you are not signed in to {0}: run `rack-gateway login {0}`")]
    SignedOut(String),
    #[error("your session on {0} has ended: sign in again with `rack-gateway login {0}`")]
    Ended(String),
    #[error("the gateway does not take this token: {0}")]
    TokenRefused(Problem),
    #[error("{0}")]
    Refused(Problem),
    #[error("the sign-in was denied: {0}")]
    LoginDenied(Problem),
    #[error("nobody approved the sign-in in time: run the command again")]
    LoginExpired,
    #[error("the gateway does not know this sign-in any more: run the command again")]
    LoginUnknown,
    #[error("interrupted")]
    Interrupted,
    #[error("{host} cannot be reached: {cause}")]
    Unreachable { host: String, cause: String },
    #[error(
        "the certificate of {host} is not trusted ({cause}); if a private authority signed it, name that \
             authority's file with --ca-file"
    )]
    Certificate { host: String, cause: String },
    #[error("{host} answers with a redirect to {to}, which is not followed: give the gateway's own address")]
    Redirect { host: String, to: String },
    #[error("{host} does not answer as a gateway does ({what}): check the address")]
    NotAGateway { host: String, what: String },
    #[error("the certificate authorities in {path} cannot be used: {cause}")]
    CaFile { path: PathBuf, cause: String },
    #[error("this system has no certificate authorities: install them (Debian: ca-certificates), or use --ca-file")]
    NoSystemRoots,
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("no identity token: {0}")]
    NoIdentity(String),
    #[error("no command to run: write it behind `--`")]
    NoCommand,
    #[error("name the request to deploy by its id, or by --app and --git-commit")]
    Unnamed,
    #[error("which request to deploy? {0}")]
    NoApproval(String),
    #[error("git knows no commit {0} here: give the whole commit, 40 or 64 hexadecimal digits")]
    NoCommit(String),
    #[error("there is no checkout of git in this folder: give the commit by --git-commit")]
    NoCheckout,
    #[error("say what is deployed by --message: git does not tell it here")]
    NoMessage,
    #[error("that is no code of a second factor")]
    NotACode,
    #[error("it was not confirmed in time: run the command again")]
    Unconfirmed,
    #[error("{command} cannot be run: {cause}")]
    Command { command: String, cause: std::io::Error },
    #[error("the operating system has no randomness: {0}")]
    Randomness(String),
    #[error("{0}")]
    Evidence(#[from] BundleError),
    #[error("{path} is no trust file: {cause}")]
    TrustFile { path: PathBuf, cause: TrustError },
    #[error("{path}: {cause}")]
    State { path: PathBuf, cause: String },
    #[error("{path} cannot be read: {cause}")]
    File { path: PathBuf, cause: std::io::Error },
    #[error("cannot read or write: {0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

impl ClientError {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::SignedOut(_)
            | Self::Ended(_)
            | Self::TokenRefused(_)
            | Self::LoginDenied(_)
            | Self::LoginExpired
            | Self::LoginUnknown
            | Self::NoApproval(_)
            | Self::Unconfirmed => 1,
            // A gateway that is broken has not said no.
            Self::Refused(problem) => {
                if problem.status < 500 {
                    1
                } else {
                    3
                }
            }
            Self::Address(_)
            | Self::AddressVariable(..)
            | Self::RackName
            | Self::NoRack
            | Self::NoneSelected
            | Self::UnknownRack(_)
            | Self::UrlNeeded(_)
            | Self::TwoTargets
            | Self::NotAToken(_)
            | Self::NoToken(_)
            | Self::NoCommand
            | Self::NoIdentity(_)
            | Self::Unnamed
            | Self::NoCommit(_)
            | Self::NoCheckout
            | Self::NoMessage
            | Self::NotACode => 2,
            Self::Interrupted => 130,
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Redirect { .. }
            | Self::NotAGateway { .. }
            | Self::CaFile { .. }
            | Self::NoSystemRoots
            | Self::Tls(_)
            | Self::Config(_)
            | Self::Command { .. }
            | Self::Randomness(_)
            | Self::Evidence(_)
            | Self::TrustFile { .. }
            | Self::State { .. }
            | Self::File { .. }
            | Self::Io(_)
            | Self::Json(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_both_forms_are_read() {
        let rfc9457 = br#"{"error":"no\u001b[2J","type":"/problems/cli-login-denied","status":403,"instance":"01J"}"#;
        let problem = Problem::parse(403, rfc9457).unwrap();
        assert_eq!((problem.slug.as_str(), problem.to_string().as_str()), ("cli-login-denied", "no [2J (request 01J)"));
        let rfc6749 = br#"{"error":"invalid_grant","error_description":"the audience is another"}"#;
        assert_eq!(Problem::parse(400, rfc6749).unwrap().to_string(), "the audience is another (invalid_grant)");
        for body in [&b"<html>"[..], b"{}", b"", b"[]", br#"{"error":1}"#] {
            assert_eq!(Problem::parse(502, body), None);
        }
    }
}
