//! Enrolling factors: begun and confirmed in one session, within ten minutes.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::log::{self, Ended, Purpose};
use super::totp::{self, App, AppError};
use super::verify::{app, ask, refused, yubikey_id};
use super::yubico::Password;
use super::{Desk, FactorError, Factors, Method, TOTP_PURPOSE, attempts, backup, handle, of_kind};
use crate::store::{FactorKind, FactorRow, NewFactor, StoreError};

/// How long an enrolment may take.
const LIFE: Duration = Duration::minutes(10);
/// Most factors of one person: each app is a further chance to guess.
const MOST: u64 = 10;

/// An authenticator app that is being enrolled. All but the id and the time hold the secret.
pub struct TotpEnrolment {
    /// The factor that it becomes.
    pub factor_id: String,
    /// The secret in base32, for those who type it.
    pub secret: SecretString,
    /// The `otpauth:` address, for those who follow a link.
    pub uri: SecretString,
    /// The same as a QR code in SVG, for those who point a camera.
    pub qr_svg: String,
    /// Until when it can be confirmed.
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for TotpEnrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpEnrolment").field("factor_id", &self.factor_id).finish_non_exhaustive()
    }
}

/// A passkey that is being enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebauthnEnrolment {
    /// The factor that it becomes.
    pub factor_id: String,
    /// What a browser needs to make it: `{"publicKey": …}`.
    pub options: Value,
    /// Until when it can be confirmed.
    pub expires_at: OffsetDateTime,
}

/// What completes an enrolment.
#[derive(Debug)]
pub enum Confirmation {
    /// The code that the app shows.
    Totp(SecretString),
    /// A `RegistrationResponseJSON` (WebAuthn L3 §5.1.8).
    Webauthn(Value),
}

/// What a confirmed factor keeps.
#[derive(Default)]
struct Confirmed {
    credential_id: Option<String>,
    data: Option<String>,
    last_step: Option<i64>,
}

impl Factors {
    /// Begins to enrol an authenticator app. `account` is the address that it shows; `name` is what
    /// the person calls it; `session` is the credential with which they ask.
    ///
    /// # Errors
    /// [`FactorError::Full`], [`FactorError::TooMany`], [`FactorError::Locked`],
    /// [`FactorError::Unavailable`].
    pub async fn enrol_totp(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        account: &str,
        name: &str,
        session: &str,
    ) -> Result<TotpEnrolment, FactorError> {
        room(desk, user_id).await?;
        let secret = totp::secret()?;
        let shown = self.shown(&secret, account)?;
        let factor_id = Uuid::now_v7().to_string();
        let expires_at = desk.now + LIFE;
        let new = new((&factor_id, FactorKind::Totp), user_id, name, session, expires_at);
        desk.store.factor_begin(new, desk.now).await?;
        desk.vault.put(TOTP_PURPOSE, &factor_id, secret.expose_secret(), desk.now).await?;
        let (secret, uri, qr_svg) = shown;
        Ok(TotpEnrolment { factor_id, secret, uri, qr_svg, expires_at })
    }

    fn shown(
        &self,
        secret: &SecretSlice<u8>,
        account: &str,
    ) -> Result<(SecretString, SecretString, String), FactorError> {
        let shown = || {
            let app = App::new(secret, &self.inner.title, account)?;
            let uri = app.uri()?;
            let picture = totp::picture(&uri)?;
            Ok((app.base32(), uri, picture))
        };
        shown().map_err(|error: AppError| FactorError::Unavailable(error.to_string()))
    }

    /// Begins to enrol a passkey or security key. `account` and `display_name` are the address and
    /// the name that the browser shows.
    ///
    /// # Errors
    /// As for [`Factors::enrol_totp`]; [`FactorError::Unsupported`].
    pub async fn enrol_webauthn(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        account: &str,
        display_name: &str,
        name: &str,
        session: &str,
    ) -> Result<WebauthnEnrolment, FactorError> {
        let passkeys = self.passkeys()?;
        room(desk, user_id).await?;
        let others = of_kind(desk, user_id, FactorKind::Webauthn).await?;
        let begun = passkeys.begin_making(handle(user_id)?, (account, display_name), &others);
        let (options, state) = begun.map_err(|error| FactorError::Unavailable(error.to_string()))?;
        let factor_id = Uuid::now_v7().to_string();
        let expires_at = desk.now + LIFE;
        let new = new((&factor_id, FactorKind::Webauthn), user_id, name, session, expires_at);
        desk.store.factor_begin(NewFactor { data: Some(state), ..new }, desk.now).await?;
        Ok(WebauthnEnrolment { factor_id, options, expires_at })
    }

    /// Enrols a YubiKey by one of its one-time passwords, in one step.
    ///
    /// # Errors
    /// As for [`Factors::enrol_totp`]; [`FactorError::Rejected`], [`FactorError::Taken`],
    /// [`FactorError::Unsupported`].
    pub async fn enrol_yubico(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        name: &str,
        session: &str,
        otp: SecretString,
    ) -> Result<FactorRow, FactorError> {
        let service = self.yubico()?;
        room(desk, user_id).await?;
        let factor_id = Uuid::now_v7().to_string();
        let result = match Password::parse(otp.expose_secret()) {
            Some(password) => ask(service, &password, desk).await.map(|()| yubikey_id(&password)),
            None => Err(FactorError::Rejected),
        };
        let of = (Purpose::Enrolment, Method::Yubico);
        log::verified(desk, user_id, of, Ended::of(&result), Some(&factor_id)).await?;
        let confirmed = Confirmed { credential_id: Some(result?), ..Confirmed::default() };
        let new = new((&factor_id, FactorKind::Yubico), user_id, name, session, desk.now + LIFE);
        desk.store.factor_begin(new, desk.now).await?;
        complete(desk, user_id, &factor_id, confirmed).await
    }

    /// Completes an enrolment, which proves the factor. Only in the session that began it.
    ///
    /// # Errors
    /// [`FactorError::Rejected`], after which it can be tried again; [`FactorError::Expired`],
    /// [`FactorError::Taken`], [`FactorError::TooMany`], [`FactorError::Locked`],
    /// [`FactorError::Unavailable`].
    pub async fn confirm(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        session: &str,
        factor_id: &str,
        confirmation: Confirmation,
    ) -> Result<FactorRow, FactorError> {
        attempts::enrolling(desk, user_id).await?;
        let factor = desk.store.factor_find(factor_id).await?;
        let factor = factor.filter(|factor| is_pending(factor, user_id, session, desk.now));
        let factor = factor.ok_or(FactorError::Expired)?;
        let result = self.shown_again(desk, &factor, confirmation).await;
        let of = (Purpose::Enrolment, factor.kind.into());
        log::verified(desk, user_id, of, Ended::of(&result), Some(factor_id)).await?;
        complete(desk, user_id, factor_id, result?).await
    }

    async fn shown_again(
        &self,
        desk: &Desk<'_>,
        factor: &FactorRow,
        confirmation: Confirmation,
    ) -> Result<Confirmed, FactorError> {
        match (factor.kind, confirmation) {
            (FactorKind::Totp, Confirmation::Totp(code)) => {
                let step = app(desk, &factor.id).await?.step_of(code.expose_secret(), desk.now);
                let last_step = Some(step.ok_or(FactorError::Rejected)?);
                Ok(Confirmed { last_step, ..Confirmed::default() })
            }
            (FactorKind::Webauthn, Confirmation::Webauthn(credential)) => {
                let state = factor.data.as_deref().unwrap_or_default();
                let made = self.passkeys()?.make(state, credential).map_err(refused)?;
                let (credential_id, data) = (Some(made.credential_id), Some(made.data));
                Ok(Confirmed { credential_id, data, ..Confirmed::default() })
            }
            (FactorKind::Totp | FactorKind::Webauthn | FactorKind::Yubico, _) => Err(FactorError::Rejected),
        }
    }

    /// Ten new backup codes; the old ones are worth nothing from now on. Only for those who have a
    /// factor.
    ///
    /// # Errors
    /// [`FactorError::NotEnrolled`], [`FactorError::Unavailable`].
    pub async fn backup_codes(&self, desk: &Desk<'_>, user_id: &str) -> Result<Vec<SecretString>, FactorError> {
        if desk.store.factor_list(user_id).await?.is_empty() {
            return Err(FactorError::NotEnrolled);
        }
        let codes: Vec<_> = (0..backup::CODES).map(|_| backup::Code::generate()).collect::<Result<_, _>>()?;
        let hashes = codes.iter().map(|code| code.hash(user_id)).collect();
        desk.store.backup_codes_replace(user_id, hashes, desk.now).await?;
        Ok(codes.iter().map(backup::Code::shown).collect())
    }
}

/// Whether the person may have one more, and may begin so often.
async fn room(desk: &Desk<'_>, user_id: &str) -> Result<(), FactorError> {
    attempts::enrolling(desk, user_id).await?;
    let count = desk.store.factor_list(user_id).await?.len();
    if u64::try_from(count).is_ok_and(|count| count < MOST) { Ok(()) } else { Err(FactorError::Full(MOST)) }
}

fn new(
    (id, kind): (&str, FactorKind),
    user_id: &str,
    name: &str,
    session: &str,
    expires_at: OffsetDateTime,
) -> NewFactor {
    NewFactor {
        id: id.to_owned(),
        user_id: user_id.to_owned(),
        kind,
        name: name.to_owned(),
        credential_id: None,
        data: None,
        created_with: session.to_owned(),
        expires_at,
    }
}

fn is_pending(factor: &FactorRow, user_id: &str, session: &str, now: OffsetDateTime) -> bool {
    factor.user_id == user_id
        && factor.created_with == session
        && factor.confirmed_at.is_none()
        && factor.expires_at.is_some_and(|end| end > now)
}

async fn complete(
    desk: &Desk<'_>,
    user_id: &str,
    factor_id: &str,
    confirmed: Confirmed,
) -> Result<FactorRow, FactorError> {
    let Confirmed { credential_id, data, last_step } = confirmed;
    let done = desk.store.factor_confirm(factor_id, user_id, credential_id, data, last_step, desk.now).await;
    match done {
        Ok(true) => {}
        Ok(false) => return Err(FactorError::Expired),
        Err(StoreError::Conflict(_)) => return Err(FactorError::Taken),
        Err(error) => return Err(error.into()),
    }
    let factor = desk.store.factor_find(factor_id).await?.ok_or(FactorError::Expired)?;
    let text = format!("the second factor “{}” was added", factor.name);
    log::tell(desk, user_id, "factor-added", &text).await;
    Ok(factor)
}
