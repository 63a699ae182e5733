//! The second factors of a person: enrolled, renamed, removed, reset; and their backup codes.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::action::{
    Action, BackupCodeGenerate, FactorConfirm, FactorCreate, FactorDelete, FactorList, FactorPrefer, FactorReset,
    FactorUpdate,
};
use super::endpoint::Answer;
use super::parts::{Ended, line};
use super::users::person;
use super::{Call, Problem, Reply};
use crate::factor::{Confirmation, Method};
use crate::store::{FactorKind, FactorRow, UserChange, UserRow};

/// Most characters of a factor's name: it must fit a telephone.
const NAME: usize = 60;

/// A second factor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Factor {
    id: String,
    /// `webauthn`, `totp` or `yubico`.
    kind: &'static str,
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

impl From<FactorRow> for Factor {
    fn from(row: FactorRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind.as_str(),
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// What a person can show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonFactors {
    /// The factors, oldest first.
    items: Vec<Factor>,
    backup_codes: BackupCodesLeft,
    /// The method that is asked for first: `webauthn`, `totp` or `yubico`.
    preferred: Option<String>,
}

/// How many backup codes there are.
#[derive(Debug, Serialize, ToSchema)]
struct BackupCodesLeft {
    unused: u64,
    total: u64,
}

/// A factor to enrol.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorToEnrol {
    /// `totp`, `webauthn` or `yubico`.
    kind: String,
    /// What the person knows it by.
    name: String,
    /// What a YubiKey types, with `yubico` alone.
    otp: Option<String>,
}

/// An enrolment that has begun, and waits to be confirmed from the same session.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Enrolment {
    /// An authenticator app takes the secret, by hand or by its picture.
    Totp {
        id: String,
        /// `totp`.
        kind: &'static str,
        /// Base32; shown this once.
        secret: String,
        /// The same as `otpauth` address.
        uri: String,
        /// The same as a picture.
        qr_svg: String,
        #[serde(with = "time::serde::rfc3339")]
        #[schema(value_type = String, format = DateTime)]
        expires_at: OffsetDateTime,
    },
    /// The browser makes a passkey of these options.
    Webauthn {
        id: String,
        /// `webauthn`.
        kind: &'static str,
        /// `publicKey` as `PublicKeyCredential.parseCreationOptionsFromJSON` takes it.
        #[schema(value_type = Object)]
        options: Value,
        #[serde(with = "time::serde::rfc3339")]
        #[schema(value_type = String, format = DateTime)]
        expires_at: OffsetDateTime,
    },
    /// A YubiKey is enrolled at once.
    Yubico {
        id: String,
        /// `yubico`.
        kind: &'static str,
        name: String,
        #[serde(with = "time::serde::rfc3339::option")]
        #[schema(value_type = String, format = DateTime)]
        confirmed_at: Option<OffsetDateTime>,
    },
}

/// What shows that an enrolment worked: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorProof {
    /// What the app shows.
    code: Option<String>,
    /// The passkey, as `PublicKeyCredential.toJSON()` writes it.
    #[schema(value_type = Option<Object>)]
    credential: Option<Value>,
}

/// A new name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactorName {
    name: String,
}

/// The method to ask for first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreferredMethod {
    /// `webauthn`, `totp` or `yubico`, of which the person has one.
    method: String,
}

/// Backup codes.
#[derive(Serialize, ToSchema)]
pub(super) struct BackupCodes {
    /// Each is good once. Shown this once.
    codes: Vec<String>,
}

fn factor_name(text: &str) -> Result<String, Problem> {
    line("name", text, NAME)
}

/// Tells the person what was done with their account. That it cannot be told must not undo it.
pub(super) async fn tell<A: Action>(call: &Call<A>, user: &str, kind: &str, text: &str) {
    if let Err(error) = call.store().notice_add(user, kind, text, call.now()).await {
        tracing::error!(%error, "a notice was not written");
    }
}

/// The person of the path has a factor of this id.
async fn factor<A: Action>(call: &Call<A>, user: &UserRow) -> Result<FactorRow, Problem> {
    let row = call.store().factor_find(call.param("factor")?).await?;
    let is_theirs = |row: &FactorRow| row.user_id == user.id && row.confirmed_at.is_some();
    row.filter(is_theirs).ok_or_else(|| Problem::not_found("factor"))
}

/// A person's second factors.
#[utoipa::path(get, path = "/api/v1/users/{user}/factors", tag = "second factors", responses(
    (status = 200, body = PersonFactors),
))]
pub(super) async fn list(call: Call<FactorList>) -> Answer {
    let user = person(&call).await?;
    let items = call.store().factor_list(&user.id).await?.into_iter().map(Factor::from).collect();
    let (unused, total) = call.store().backup_codes_left(&user.id).await?;
    let backup_codes = BackupCodesLeft { unused, total };
    Reply::json(&PersonFactors { items, backup_codes, preferred: user.preferred_method })
}

/// Enrol a second factor for oneself. Passkeys and apps wait for ten minutes to be confirmed from the same session.
#[utoipa::path(post, path = "/api/v1/users/{user}/factors", tag = "second factors", request_body = FactorToEnrol,
    responses(
        (status = 201, body = Enrolment),
        (status = 409, description = "There are too many already, or this one is enrolled already"),
        (status = 429, description = "Too many; wait for Retry-After seconds"),
    ))]
pub(super) async fn create(call: Call<FactorCreate>) -> Answer {
    let body: FactorToEnrol = call.json()?;
    let name = factor_name(&body.name)?;
    let user = person(&call).await?;
    let kind = FactorKind::from_word(&body.kind);
    let kind = kind.ok_or_else(|| Problem::invalid("kind must be totp, webauthn or yubico"))?;
    if body.otp.is_some() != (kind == FactorKind::Yubico) {
        return Err(Problem::invalid("otp goes with yubico, and yubico alone"));
    }
    call.record_change(&[("user", &user.id), ("kind", kind.as_str()), ("name", &name)]).await?;
    let (factors, desk) = (call.factors(), call.desk());
    let session = call.identity()?.credential.id.as_str();
    let begun = match kind {
        FactorKind::Totp => {
            let begun = factors.enrol_totp(&desk, &user.id, &user.email, &name, session).await?;
            Enrolment::Totp {
                id: begun.factor_id,
                kind: kind.as_str(),
                secret: begun.secret.expose_secret().to_owned(),
                uri: begun.uri.expose_secret().to_owned(),
                qr_svg: begun.qr_svg,
                expires_at: begun.expires_at,
            }
        }
        FactorKind::Webauthn => {
            let shown = if user.name.is_empty() { &user.email } else { &user.name };
            let begun = factors.enrol_webauthn(&desk, &user.id, &user.email, shown, &name, session).await?;
            let (options, expires_at) = (begun.options, begun.expires_at);
            Enrolment::Webauthn { id: begun.factor_id, kind: kind.as_str(), options, expires_at }
        }
        FactorKind::Yubico => {
            let otp = SecretString::from(body.otp.unwrap_or_default());
            let row = factors.enrol_yubico(&desk, &user.id, &name, session, otp).await?;
            enrolled(&call, row.kind).await?;
            Enrolment::Yubico { id: row.id, kind: kind.as_str(), name: row.name, confirmed_at: row.confirmed_at }
        }
    };
    Ok(Reply::json(&begun)?.status(201))
}

/// A factor was shown for the first time: it counts for the session.
async fn enrolled<A: Action>(call: &Call<A>, kind: FactorKind) -> Result<(), Problem> {
    let method = Method::from(kind);
    let session = &call.identity()?.credential.id;
    call.store().credential_verified(session, call.now(), method.as_str(), method.is_strong()).await?;
    Ok(())
}

/// Confirm an enrolment. That shows the factor: it counts for the session that asks.
#[utoipa::path(post, path = "/api/v1/users/{user}/factors/{factor}/confirm", tag = "second factors",
    request_body = FactorProof, responses(
        (status = 200, body = Factor),
        (status = 410, description = "It took too long: begin again"),
        (status = 429, description = "Too many; wait for Retry-After seconds"),
    ))]
pub(super) async fn confirm(call: Call<FactorConfirm>) -> Answer {
    let body: FactorProof = call.json()?;
    let confirmation = match (body.code, body.credential) {
        (Some(code), None) => Confirmation::Totp(SecretString::from(code)),
        (None, Some(credential)) => Confirmation::Webauthn(credential),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::invalid("send code for an app, or credential for a passkey"));
        }
    };
    let user = person(&call).await?;
    let id = call.param("factor")?;
    call.record_change(&[("user", &user.id), ("factor", id)]).await?;
    let session = &call.identity()?.credential.id;
    let row = call.factors().confirm(&call.desk(), &user.id, session, id, confirmation).await?;
    enrolled(&call, row.kind).await?;
    Reply::json(&Factor::from(row))
}

/// Rename a factor.
#[utoipa::path(put, path = "/api/v1/users/{user}/factors/{factor}", tag = "second factors",
    request_body = FactorName, responses((status = 200, body = Factor)))]
pub(super) async fn update(call: Call<FactorUpdate>) -> Answer {
    let body: FactorName = call.json()?;
    let name = factor_name(&body.name)?;
    let user = person(&call).await?;
    let row = factor(&call, &user).await?;
    let change = [("user", user.id.as_str()), ("factor", &row.id), ("name.from", &row.name), ("name.to", &name)];
    call.record_change(&change).await?;
    if !call.store().factor_rename(&row.id, &user.id, &name).await? {
        return Err(Problem::not_found("factor"));
    }
    Reply::json(&Factor::from(FactorRow { name, ..row }))
}

/// Remove a factor. The last one only where nobody needs any.
#[utoipa::path(delete, path = "/api/v1/users/{user}/factors/{factor}", tag = "second factors", responses(
    (status = 204),
    (status = 409, description = "It is the last one, and everybody needs one"),
))]
pub(super) async fn delete(call: Call<FactorDelete>) -> Answer {
    let user = person(&call).await?;
    let row = factor(&call, &user).await?;
    let is_last = call.store().factor_list(&user.id).await?.iter().all(|other| other.id == row.id);
    if is_last && call.services().rules().await?.mfa_required {
        return Err(Problem::new(409, "factor-last", "this is your last factor: add another first"));
    }
    let change = [("user", user.id.as_str()), ("factor", &row.id), ("kind", row.kind.as_str()), ("name", &row.name)];
    call.record_change(&change).await?;
    if !call.store().factor_delete(&row.id, &user.id).await? {
        return Err(Problem::not_found("factor"));
    }
    let text = format!("the second factor “{}” was removed", row.name);
    tell(&call, &user.id, "factor-removed", &text).await;
    Ok(Reply::done())
}

/// Take all factors, backup codes and trusted browsers from a person who has lost them, and end all their sessions.
#[utoipa::path(delete, path = "/api/v1/users/{user}/factors", tag = "second factors", responses(
    (status = 200, body = Ended),
))]
pub(super) async fn reset(call: Call<FactorReset>) -> Answer {
    let user = person(&call).await?;
    call.record_change(&[("user", &user.id)]).await?;
    let (store, now) = (call.store(), call.now());
    let by = call.identity()?.id.as_str();
    let reason = format!("factors reset by {by}");
    // Before: no session that lives enrols anything in the gap. After: none began in it with an old factor.
    let mut revoked = store.credentials_revoke_of_user(&user.id, None, &reason, now).await?;
    store.factors_reset(&user.id, by, now).await?;
    revoked = revoked.saturating_add(store.credentials_revoke_of_user(&user.id, None, &reason, now).await?);
    tell(&call, &user.id, "factors-reset", "an administrator took away all your second factors").await;
    Reply::json(&Ended { revoked })
}

/// Choose the method that is asked for first.
#[utoipa::path(put, path = "/api/v1/users/{user}/preferred-factor", tag = "second factors",
    request_body = PreferredMethod, responses((status = 204)))]
pub(super) async fn prefer(call: Call<FactorPrefer>) -> Answer {
    let body: PreferredMethod = call.json()?;
    let user = person(&call).await?;
    let none = || Problem::invalid("method must be webauthn, totp or yubico, and one that you have enrolled");
    let kind = FactorKind::from_word(&body.method).ok_or_else(none)?;
    if !call.store().factor_list(&user.id).await?.iter().any(|row| row.kind == kind) {
        return Err(none());
    }
    let from = user.preferred_method.as_deref().unwrap_or("none");
    call.record_change(&[("user", &user.id), ("method.from", from), ("method.to", kind.as_str())]).await?;
    let wanted = UserChange { preferred_method: Some(Some(kind.as_str().to_owned())), ..UserChange::default() };
    call.store().user_update(&user.id, wanted, None).await?;
    Ok(Reply::done())
}

/// Make ten backup codes. The old ones are gone.
#[utoipa::path(post, path = "/api/v1/users/{user}/backup-codes", tag = "second factors", responses(
    (status = 201, body = BackupCodes),
    (status = 409, description = "There is no factor that they could stand in for"),
))]
pub(super) async fn backup_codes(call: Call<BackupCodeGenerate>) -> Answer {
    let user = person(&call).await?;
    if user.enrolled_at.is_none() {
        return Err(Problem::new(409, "not-enrolled", "backup codes stand in for a factor: add one first"));
    }
    call.record_change(&[("user", &user.id)]).await?;
    let codes = call.factors().backup_codes(&call.desk(), &user.id).await?;
    tell(&call, &user.id, "backup-codes", "new backup codes were made; the old ones are gone").await;
    let codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
    Ok(Reply::json(&BackupCodes { codes })?.status(201))
}
