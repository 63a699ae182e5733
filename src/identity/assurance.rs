//! How sure it is that a session's person is the one who asks.

use time::OffsetDateTime;

use crate::store::CredentialRow;

/// What a session and its person have shown of second factors. A machine has shown nothing, and
/// nothing is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assurance {
    /// When the session began.
    pub signed_in_at: OffsetDateTime,
    /// When a second factor was last proved in it.
    pub factor_at: Option<OffsetDateTime>,
    /// Which: `webauthn`, `totp`, `yubico`, `backup`; empty without one.
    pub method: String,
    /// Whether that one cannot be phished.
    pub strong: bool,
    /// Whether the session began on a device that the person trusts.
    pub trusted_device: bool,
    /// Whether the person has a second factor at all.
    pub enrolled: bool,
    /// Whether everybody must have one.
    pub required: bool,
}

impl Assurance {
    /// Of a session that begins now and has shown nothing.
    #[must_use]
    pub const fn none(now: OffsetDateTime) -> Self {
        Self {
            signed_in_at: now,
            factor_at: None,
            method: String::new(),
            strong: false,
            trusted_device: false,
            enrolled: false,
            required: true,
        }
    }

    pub(super) fn of(row: &CredentialRow, required: bool) -> Self {
        Self {
            signed_in_at: row.created_at,
            factor_at: row.factor_at,
            method: row.factor_method.clone().unwrap_or_default(),
            strong: row.factor_strong,
            trusted_device: row.device_id.is_some(),
            enrolled: row.user.as_ref().is_some_and(|user| user.enrolled_at.is_some()),
            required,
        }
    }

    /// Whether the session has shown anything: a factor, or a device on which one was shown.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.factor_at.is_some() || self.trusted_device
    }

    /// What a session starts with that is made out of this one: when a factor was proved, which, and
    /// whether it cannot be phished.
    #[must_use]
    pub fn factor(&self) -> Option<(OffsetDateTime, String, bool)> {
        Some((self.factor_at?, self.method.clone(), self.strong))
    }

    /// Seconds since a factor was proved. None when it never was, and when that lies ahead: a clock
    /// that was set back makes no factor young.
    #[must_use]
    pub fn factor_age_s(&self, now: OffsetDateTime) -> Option<i64> {
        let age = (now - self.factor_at?).whole_seconds();
        // Stored times are whole seconds.
        (age >= 0).then_some(age)
    }

    /// Seconds since the session began; none for one that begins in the future.
    #[must_use]
    pub fn session_age_s(&self, now: OffsetDateTime) -> Option<i64> {
        let age = (now - self.signed_in_at).whole_seconds();
        (age >= 0).then_some(age)
    }
}
