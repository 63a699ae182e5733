//! The digest of an intent: what a second factor is proved for, when it is proved for one request.

use sha2::{Digest as _, Sha256};

use super::permit::{Prepared, PreparedBody};
use crate::pdp::ResourceRef;
use crate::routes::Row;

/// Names the form below; another form gets another name.
const FORM: &[u8] = b"rack-gateway/intent/1";
/// Options that say how a terminal looks, not what happens in it.
const LOOKS: [&str; 2] = ["height", "width"];

/// SHA-256 over action, resource, method, target, options and body, each with its length before it.
/// The body of an upload is not known before it is forwarded; it stands as such.
pub(super) fn digest(row: &Row, resource: &ResourceRef, prepared: &Prepared) -> [u8; 32] {
    let mut parts = Parts(Sha256::new());
    let outgoing = &prepared.outgoing;
    parts.add(FORM);
    parts.add(row.action.as_bytes());
    parts.add(resource.kind.entity_type().as_bytes());
    parts.add(resource.id.as_bytes());
    parts.add(row.kind.as_str().as_bytes());
    parts.add(outgoing.target.as_bytes());
    let is_option = |name: &str| row.contract.headers.contains(&name) && !LOOKS.contains(&name);
    let mut options: Vec<_> = outgoing.headers.iter().filter(|(name, _)| is_option(name)).collect();
    options.sort();
    parts.add(&u64::try_from(options.len()).unwrap_or(u64::MAX).to_be_bytes());
    for (name, value) in options {
        parts.add(name.as_bytes());
        parts.add(value);
    }
    match &prepared.body {
        PreparedBody::Empty => parts.add(b"empty"),
        PreparedBody::Bytes(bytes) => parts.add(&Sha256::digest(bytes)),
        PreparedBody::Stream => parts.add(b"stream"),
    }
    parts.0.finalize().into()
}

struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }
}
