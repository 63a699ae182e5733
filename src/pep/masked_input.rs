//! Masks that come back where nothing can be kept, and secrets that are shown once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::inform::Also;
use super::permit::PreparedBody;
use super::refusal::Refusal;
use super::{Gate, Gathered};
use crate::mask::Mask;
use crate::pdp::ResourceRef;
use crate::routes::{self, Body, DERIVED, Redactor, Resource};

/// Rows that take a secret whole, with the form key that holds it. What was shown of it was a mask, and storing
/// that would lose the secret.
const WHOLE: &[(&str, &[&str])] = &[
    ("config:update", &["value"]),
    ("registry:create", &["username", "password"]),
    ("build-image:import", &["src-creds-user", "src-creds-pass"]),
    ("rack-resource:create", &["parameters"]),
    ("rack-resource:update", &["parameters"]),
    ("certificate:create", &["key"]),
    ("letsencrypt:update", &[]),
];

impl Gathered {
    /// Refuses a mask where a secret should be; asks for more where the answer can be had only once.
    ///
    /// # Errors
    /// When a mask stands where a value should be.
    pub(super) fn look_at_secrets(&mut self, gate: &Gate) -> Result<(), Refusal> {
        let row = self.classified.matched.row();
        if let Some((_, keys)) = WHOLE.iter().find(|(action, _)| *action == row.action)
            && self.prepared.as_ref().is_ok_and(|prepared| holds_mask(&prepared.body, row.contract.body, keys))
        {
            let why = "a value is a mask, asterisks in place of a secret: send the whole value";
            return Err(Refusal::BadRequest("masked-value", why));
        }
        // To mask the new key would lose it.
        if row.contract.redact == Some(Redactor::InstanceKey)
            && let Some(row) = DERIVED.iter().find(|row| row.action == "rack-credential:read")
        {
            let resource = ResourceRef::new(Resource::Rack, gate.rack.to_string(), None);
            self.also.push(Also { row, resource });
        }
        Ok(())
    }
}

fn holds_mask(body: &PreparedBody, contract: Body, keys: &[&str]) -> bool {
    let PreparedBody::Bytes(bytes) = body else { return false };
    let Body::Form { keys: allowed, .. } = contract else {
        return Mask::is_within(&String::from_utf8_lossy(bytes));
    };
    let Ok(form) = routes::form(allowed, bytes) else { return false };
    keys.iter().filter_map(|key| form.get(key)).any(|value| Mask::is_within(value) || is_within_base64(value))
}

fn is_within_base64(value: &str) -> bool {
    STANDARD.decode(value.trim()).is_ok_and(|bytes| Mask::is_within(&String::from_utf8_lossy(&bytes)))
}
