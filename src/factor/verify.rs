//! Believing what somebody shows, once.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::attempts::Attempt;
use super::backup::Code;
use super::log::{self, Ended, Purpose};
use super::passkey::{PasskeyError, Used};
use super::totp::App;
use super::yubico::{Password, Said};
use super::{Answer, Desk, FactorError, Factors, Method, Proof, TOTP_PURPOSE, handle, of_kind};
use crate::store::{FactorKind, FactorRow};

/// How often to look again at a passkey that somebody else used meanwhile.
const LOOKS: u32 = 5;

impl Factors {
    /// Verifies an answer and spends it: no code, password or assertion is believed twice. Recorded
    /// either way. The fifth wrong answer within five minutes locks the person.
    ///
    /// # Errors
    /// [`FactorError::Rejected`] and [`FactorError::NotEnrolled`] for the answer;
    /// [`FactorError::Locked`] and [`FactorError::TooMany`] before it is looked at;
    /// [`FactorError::Unavailable`] and [`FactorError::Unsupported`] when nobody can tell.
    pub async fn verify(&self, desk: &Desk<'_>, user_id: &str, answer: Answer) -> Result<Proof, FactorError> {
        let attempt = Attempt::begin(desk, user_id).await?;
        let method = answer.method();
        let result = self.check(desk, user_id, answer).await;
        // Counted in any case: an audit log that fails must not give more tries.
        let counted = match &result {
            Err(FactorError::Rejected) => attempt.wrong(desk, user_id).await,
            Ok(_) | Err(_) => attempt.forget(desk).await,
        };
        let factor = result.as_ref().ok().and_then(Option::as_deref);
        log::verified(desk, user_id, (Purpose::Proof, method), Ended::of(&result), factor).await?;
        counted?;
        result.map(|factor_id| Proof { method, factor_id, at: desk.now })
    }

    /// What a browser needs to ask for one of the person's passkeys, `{"publicKey": …}`, and the state
    /// that belongs to the question: for the server alone, and for one answer. None without a passkey.
    ///
    /// # Errors
    /// [`FactorError::Unavailable`].
    pub async fn assertion(&self, desk: &Desk<'_>, user_id: &str) -> Result<Option<(Value, String)>, FactorError> {
        let Some(passkeys) = &self.inner.passkeys else { return Ok(None) };
        let factors = of_kind(desk, user_id, FactorKind::Webauthn).await?;
        if factors.is_empty() {
            return Ok(None);
        }
        passkeys.begin_using(&factors).map(Some).map_err(|error| FactorError::Unavailable(error.to_string()))
    }

    /// The id of the factor that was shown; none for a backup code.
    async fn check(&self, desk: &Desk<'_>, user_id: &str, answer: Answer) -> Result<Option<String>, FactorError> {
        match answer {
            Answer::Totp(code) => totp(desk, user_id, &code).await.map(Some),
            Answer::Backup(code) => backup(desk, user_id, &code).await.map(|()| None),
            Answer::Yubico(password) => self.yubikey(desk, user_id, &password).await.map(Some),
            Answer::Webauthn { state, credential } => {
                let used = self.passkeys()?.used(&state, credential, handle(user_id)?).map_err(refused)?;
                passkey(desk, user_id, &used).await.map(Some)
            }
        }
    }

    async fn yubikey(&self, desk: &Desk<'_>, user_id: &str, password: &SecretString) -> Result<String, FactorError> {
        let service = self.yubico()?;
        let factors = of_kind(desk, user_id, FactorKind::Yubico).await?;
        if factors.is_empty() {
            return Err(FactorError::NotEnrolled);
        }
        let password = Password::parse(password.expose_secret()).ok_or(FactorError::Rejected)?;
        let id = yubikey_id(&password);
        let factor = factors.into_iter().find(|factor| factor.credential_id.as_ref() == Some(&id));
        let factor = factor.ok_or(FactorError::Rejected)?;
        ask(service, &password, desk).await?;
        // When somebody renamed it meanwhile, only the note of its last use is lost.
        desk.store.factor_used(&factor.id, None, factor.version, desk.now).await?;
        Ok(factor.id)
    }
}

/// What the column `credential_id` holds of a YubiKey: no passkey's id has a colon.
pub(super) fn yubikey_id(password: &Password) -> String {
    format!("yubico:{}", password.key_id())
}

/// Asks the service about a password, which spends it.
pub(super) async fn ask(
    service: &super::yubico::Service,
    password: &Password,
    desk: &Desk<'_>,
) -> Result<(), FactorError> {
    match service.check(password, desk.now).await {
        Ok(Said::Yes) => Ok(()),
        Ok(Said::No) => Err(FactorError::Rejected),
        Err(error) => Err(FactorError::Unavailable(format!("Yubico's service: {error}"))),
    }
}

async fn totp(desk: &Desk<'_>, user_id: &str, code: &SecretString) -> Result<String, FactorError> {
    let factors = of_kind(desk, user_id, FactorKind::Totp).await?;
    if factors.is_empty() {
        return Err(FactorError::NotEnrolled);
    }
    for factor in factors {
        let step = app(desk, &factor.id).await?.step_of(code.expose_secret(), desk.now);
        if let Some(step) = step
            && desk.store.factor_step(&factor.id, step, desk.now).await?
        {
            return Ok(factor.id);
        }
    }
    Err(FactorError::Rejected)
}

/// The authenticator app of a factor.
pub(super) async fn app(desk: &Desk<'_>, factor_id: &str) -> Result<App, FactorError> {
    let secret = desk.vault.get(TOTP_PURPOSE, factor_id).await?;
    let secret = secret.ok_or_else(|| FactorError::Unavailable("the secret of a factor is gone".to_owned()))?;
    App::new(&secret, "", "").map_err(|error| FactorError::Unavailable(error.to_string()))
}

async fn backup(desk: &Desk<'_>, user_id: &str, code: &SecretString) -> Result<(), FactorError> {
    let (_, total) = desk.store.backup_codes_left(user_id).await?;
    if total == 0 {
        return Err(FactorError::NotEnrolled);
    }
    let code = Code::parse(code.expose_secret()).ok_or(FactorError::Rejected)?;
    if !desk.store.backup_code_use(user_id, &code.hash(user_id), desk.now).await? {
        return Err(FactorError::Rejected);
    }
    log::tell(desk, user_id, "backup-code-used", "a backup code was used").await;
    Ok(())
}

/// Finds the passkey that was used and moves its counter on. Of two uses at once each sees what the
/// other one left.
async fn passkey(desk: &Desk<'_>, user_id: &str, used: &Used) -> Result<String, FactorError> {
    for _ in 0..LOOKS {
        let factor = desk.store.factor_by_credential(&used.credential_id()).await?;
        let factor = factor.filter(|factor| is_theirs(factor, user_id)).ok_or(FactorError::Rejected)?;
        let data = used.advance(&factor).map_err(refused)?;
        if desk.store.factor_used(&factor.id, data, factor.version, desk.now).await? {
            return Ok(factor.id);
        }
    }
    Err(FactorError::Unavailable("a passkey is used by too many at once".to_owned()))
}

fn is_theirs(factor: &FactorRow, user_id: &str) -> bool {
    factor.user_id == user_id && factor.kind == FactorKind::Webauthn && factor.confirmed_at.is_some()
}

/// The reason is for the log of whoever looks into it, not for the person.
pub(super) fn refused(error: PasskeyError) -> FactorError {
    match error {
        PasskeyError::Stored => FactorError::Unavailable(error.to_string()),
        error => {
            tracing::debug!(%error, "a passkey is refused");
            FactorError::Rejected
        }
    }
}

impl From<FactorKind> for Method {
    fn from(kind: FactorKind) -> Self {
        match kind {
            FactorKind::Webauthn => Self::Webauthn,
            FactorKind::Totp => Self::Totp,
            FactorKind::Yubico => Self::Yubico,
        }
    }
}
