//! A second factor in the request itself, for scripts and for the wrapper of the CLI:
//! `X-Rack-Gateway-MFA: totp=123456`.

use actix_web::http::header::HeaderMap;
use secrecy::SecretString;

use super::refusal::Refusal;
use crate::factor::Answer;

/// Its name.
const HEADER: &str = "x-rack-gateway-mfa";
/// Most characters of it.
const LONGEST: usize = 256;

/// What it says.
pub(super) enum Inline {
    /// A code, to be verified now.
    Code(Answer),
    /// The id of a challenge that was answered.
    Proof(String),
}

/// Reads the header, if it is there.
///
/// # Errors
/// When it is there and says nothing that is known.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Inline>, Refusal> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= LONGEST);
    let parts = text.and_then(|text| text.split_once('='));
    let Some((method, code)) = parts.map(|(method, code)| (method.trim(), code.trim())) else { return Err(unclear()) };
    let secret = || SecretString::from(code);
    match method {
        "totp" => Ok(Some(Inline::Code(Answer::Totp(secret())))),
        "backup" => Ok(Some(Inline::Code(Answer::Backup(secret())))),
        "yubico" => Ok(Some(Inline::Code(Answer::Yubico(secret())))),
        "proof" => Ok(Some(Inline::Proof(code.to_owned()))),
        _ => Err(unclear()),
    }
}

const fn unclear() -> Refusal {
    let how = "the X-Rack-Gateway-MFA header must be totp=CODE, backup=CODE, yubico=CODE or proof=CHALLENGE";
    Refusal::BadRequest("factor-unclear", how)
}
