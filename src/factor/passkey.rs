//! Passkeys and security keys: WebAuthn Level 3, with the person verified by the device each time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use url::{Host, Url};
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::error::FactorSetupError;
use crate::config::Site;
use crate::store::FactorRow;

/// How long a browser waits for somebody's touch.
const TOUCH: Duration = Duration::from_secs(300);
/// Ways in which a device can be reached, and how many of them are kept.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "internal", "hybrid", "smart-card"];
/// Authenticator data up to the AAGUID: hash of the relying party, flags, counter (WebAuthn §6.1).
const BEFORE_AAGUID: usize = 32 + 1 + 4;
const AAGUID: usize = 16;

/// Why a passkey is not taken. For the log: the person learns that it was not right.
#[derive(Debug, Error)]
pub(super) enum PasskeyError {
    /// What the browser sent is no answer to this.
    #[error("the answer is not of the form that browsers send")]
    Form,
    /// The library refuses it.
    #[error(transparent)]
    Refused(#[from] WebauthnError),
    /// The answer came out of a frame of another site.
    #[error("the page that asked was in a frame of another site")]
    Framed,
    /// The device says that the key is somebody else's.
    #[error("the key is of another person")]
    OtherPerson,
    /// The key's counter did not grow: there may be a copy of it.
    #[error("the counter of the key did not grow")]
    Counter,
    /// What is stored cannot be read.
    #[error("what is stored about a passkey cannot be read")]
    Stored,
}

/// What is kept of a passkey: the column `data` of its factor.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    passkey: Passkey,
    aaguid: Option<Uuid>,
    transports: Vec<String>,
}

/// What a passkey says of the thing that holds it. Nobody vouches for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authenticator {
    /// Its make (WebAuthn §6.5.1); none when it does not tell.
    pub aaguid: Option<Uuid>,
    /// How it can be reached: `internal`, `usb`.
    pub transports: Vec<String>,
}

impl Authenticator {
    /// The one of a factor; nothing when it is no confirmed passkey.
    #[must_use]
    pub fn of(factor: &FactorRow) -> Self {
        let kept = kept(factor).ok();
        kept.map(|kept| Self { aaguid: kept.aaguid, transports: kept.transports }).unwrap_or_default()
    }
}

/// A passkey that was just made.
pub(super) struct Made {
    /// The id that the device gave it, in base64url.
    pub(super) credential_id: String,
    /// What is to be kept of it.
    pub(super) data: String,
}

/// A passkey that was used, as the answer says: whose it is and whether its counter grew is still
/// to be seen.
pub(super) struct Used(AuthenticationResult);

/// The gateway as a relying party.
pub(super) struct Passkeys {
    webauthn: Webauthn,
    /// SHA-256 of the relying party's id.
    rp_hash: [u8; 32],
}

impl Passkeys {
    /// None when the site's name is a number: browsers make no passkeys for one (WebAuthn §5.1.2).
    pub(super) fn new(site: &Site, rp_name: &str) -> Result<Option<Self>, FactorSetupError> {
        let origin = Url::parse(&site.origin).map_err(|_| FactorSetupError::Site)?;
        let Some(Host::Domain(rp_id)) = origin.host() else { return Ok(None) };
        let builder = WebauthnBuilder::new(rp_id, &origin).map_err(|_| FactorSetupError::Site)?;
        let webauthn = builder.rp_name(rp_name).timeout(TOUCH).build().map_err(|_| FactorSetupError::Site)?;
        Ok(Some(Self { webauthn, rp_hash: Sha256::digest(rp_id).into() }))
    }

    /// What a browser needs to make a passkey, and what the gateway needs to believe it. `names` are
    /// the account's address and the person's name; `others` their passkeys, of which no device
    /// makes a second one.
    pub(super) fn begin_making(
        &self,
        user: Uuid,
        names: (&str, &str),
        others: &[FactorRow],
    ) -> Result<(Value, String), PasskeyError> {
        let others = others.iter().map(|row| kept(row).map(|kept| kept.passkey.cred_id().clone()));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let (options, state) = self.webauthn.start_passkey_registration(user, names.0, names.1, Some(others))?;
        Ok((written(&options)?, text(&state)?))
    }

    /// The passkey that a browser made for a state.
    pub(super) fn make(&self, state: &str, credential: Value) -> Result<Made, PasskeyError> {
        let state: PasskeyRegistration = serde_json::from_str(state).map_err(|_| PasskeyError::Stored)?;
        let said = listed_transports(&credential);
        let answer: RegisterPublicKeyCredential = serde_json::from_value(credential).map_err(|_| PasskeyError::Form)?;
        let passkey = self.webauthn.finish_passkey_registration(&answer, &state)?;
        let aaguid = self.aaguid(&answer.response.attestation_object, passkey.cred_id());
        let credential_id = URL_SAFE_NO_PAD.encode(passkey.cred_id());
        let data = text(&Kept { passkey, aaguid, transports: said })?;
        Ok(Made { credential_id, data })
    }

    /// The make of the device. The library has checked the attestation object; it stands there
    /// between the counter and the id of the key.
    fn aaguid(&self, attestation: &[u8], key_id: &[u8]) -> Option<Uuid> {
        let length = u16::try_from(key_id.len()).ok()?.to_be_bytes();
        let after = [&length[..], key_id].concat();
        let of = |window: &[u8]| {
            let rest = window.strip_prefix(&self.rp_hash)?.get(BEFORE_AAGUID - self.rp_hash.len()..)?;
            let (aaguid, rest) = rest.split_at_checked(AAGUID)?;
            rest.starts_with(&after).then(|| Uuid::from_slice(aaguid).ok())?
        };
        let found = attestation.windows(BEFORE_AAGUID + AAGUID + after.len()).find_map(of);
        found.filter(|aaguid| !aaguid.is_nil())
    }

    /// What a browser needs to use one of these passkeys, and what the gateway needs to believe it.
    pub(super) fn begin_using(&self, factors: &[FactorRow]) -> Result<(Value, String), PasskeyError> {
        let all: Vec<Kept> = factors.iter().map(kept).collect::<Result<_, _>>()?;
        let passkeys: Vec<_> = all.iter().map(|kept| kept.passkey.clone()).collect();
        let (options, state) = self.webauthn.start_passkey_authentication(&passkeys)?;
        let mut options = written(&options)?;
        let allowed = options.pointer_mut("/publicKey/allowCredentials").and_then(Value::as_array_mut);
        for (allowed, kept) in allowed.into_iter().flatten().zip(&all) {
            if let (Some(allowed), false) = (allowed.as_object_mut(), kept.transports.is_empty()) {
                allowed.insert("transports".to_owned(), json!(kept.transports));
            }
        }
        Ok((options, text(&state)?))
    }

    /// What a browser answered for a state. Checks what the library leaves to its caller: that the
    /// page was in no frame (WebAuthn §7.2, step 12) and whose key the device says it is (step 6).
    pub(super) fn used(&self, state: &str, credential: Value, user: Uuid) -> Result<Used, PasskeyError> {
        let state: PasskeyAuthentication = serde_json::from_str(state).map_err(|_| PasskeyError::Stored)?;
        let answer: PublicKeyCredential = serde_json::from_value(credential).map_err(|_| PasskeyError::Form)?;
        let client: Value =
            serde_json::from_slice(&answer.response.client_data_json).map_err(|_| PasskeyError::Form)?;
        if client.get("crossOrigin") == Some(&Value::Bool(true)) || client.get("topOrigin").is_some() {
            return Err(PasskeyError::Framed);
        }
        if answer.get_user_unique_id().is_some_and(|handle| handle != user.as_bytes()) {
            return Err(PasskeyError::OtherPerson);
        }
        let used = self.webauthn.finish_passkey_authentication(&answer, &state)?;
        if !used.user_verified() {
            return Err(PasskeyError::Refused(WebauthnError::UserNotVerified));
        }
        Ok(Used(used))
    }
}

impl Used {
    /// The id that the device gave the key, in base64url.
    pub(super) fn credential_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.cred_id())
    }

    /// What is to be kept of the key from now on; None when nothing changed. The library compared
    /// the counter with the one at the question; this compares it with the one that is there now.
    pub(super) fn advance(&self, factor: &FactorRow) -> Result<Option<String>, PasskeyError> {
        let mut kept = kept(factor)?;
        let counter = counter(&kept.passkey)?;
        let said = self.0.counter();
        if (said > 0 || counter > 0) && u64::from(said) <= counter {
            return Err(PasskeyError::Counter);
        }
        match kept.passkey.update_credential(&self.0) {
            Some(true) => text(&kept).map(Some),
            Some(false) => Ok(None),
            None => Err(PasskeyError::OtherPerson),
        }
    }
}

fn kept(factor: &FactorRow) -> Result<Kept, PasskeyError> {
    let data = factor.data.as_deref().ok_or(PasskeyError::Stored)?;
    serde_json::from_str(data).map_err(|_| PasskeyError::Stored)
}

/// The library shows it in its stored form alone.
fn counter(passkey: &Passkey) -> Result<u64, PasskeyError> {
    let stored = written(passkey)?;
    stored.pointer("/cred/counter").and_then(Value::as_u64).ok_or(PasskeyError::Stored)
}

/// Known ways to reach the device that a new passkey lists, each once.
fn listed_transports(credential: &Value) -> Vec<String> {
    let listed = credential.pointer("/response/transports").and_then(Value::as_array);
    let is_listed = |known: &&str| listed.is_some_and(|listed| listed.iter().any(|said| said == *known));
    TRANSPORTS.iter().copied().filter(is_listed).map(str::to_owned).collect()
}

fn written(value: &impl Serialize) -> Result<Value, PasskeyError> {
    serde_json::to_value(value).map_err(|_| PasskeyError::Stored)
}

fn text(value: &impl Serialize) -> Result<String, PasskeyError> {
    serde_json::to_string(value).map_err(|_| PasskeyError::Stored)
}
