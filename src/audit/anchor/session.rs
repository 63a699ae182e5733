//! What anchors are made with: the store of the anchors and the keys, opened once.

use super::aws::Aws;
use super::found::Found;
use super::objects::Objects;
use super::signer::Signer;
use super::{AnchorError, Fault};
use crate::config::AnchorSettings;
use crate::proof::chain::Hash;
use crate::proof::key::PublicKey;
use crate::proof::note::Note;

/// Store and keys.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) objects: Objects,
    pub(super) key: Signer,
    pub(super) next: Option<Signer>,
}

impl Session {
    pub(super) async fn open(settings: &AnchorSettings, aws: &Aws) -> Result<Self, AnchorError> {
        let key = Signer::open(&settings.key, aws).await?;
        let next = match &settings.next_key {
            Some(next) => Some(Signer::open(next, aws).await?),
            None => None,
        };
        if next.as_ref().is_some_and(|next| next.public() == key.public()) {
            let same = "the next key of the anchors is the present one: leave it out";
            return Err(AnchorError::Unusable(same.to_owned()));
        }
        Ok(Self { objects: Objects::open(settings, aws).await?, key, next })
    }

    /// Whether anchors are signed by software, or put in a folder.
    pub(super) const fn is_development(&self) -> bool {
        let next = match &self.next {
            Some(next) => next.is_development(),
            None => false,
        };
        matches!(self.objects, Objects::Folder(_)) || self.key.is_development() || next
    }

    /// The configured key of that fingerprint.
    pub(super) fn signer(&self, fingerprint: &Hash) -> Result<&Signer, Fault> {
        let all = [Some(&self.key), self.next.as_ref()];
        let found = all.into_iter().flatten().find(|signer| signer.public().fingerprint() == fingerprint);
        found.ok_or_else(|| Fault::Key { fingerprint: hex::encode(fingerprint) })
    }

    /// The key that signs the anchor after that one.
    pub(super) fn in_force(&self, found: &Found) -> Result<&Signer, Fault> {
        let handed = found.meta.next_key.as_deref().and_then(|spki| PublicKey::from_spki(spki).ok());
        self.signer(handed.as_ref().map_or(&found.meta.signer, PublicKey::fingerprint))
    }
}

/// The bytes of a note with that text, signed by each.
pub(super) async fn signed(text: String, name: &str, signers: &[&Signer]) -> Result<Vec<u8>, AnchorError> {
    let mut note = Note { text, signatures: Vec::new() };
    for signer in signers {
        let signature = signer.sign(note.text.as_bytes()).await?;
        note.sign(name, signer.public(), signature);
    }
    Ok(note.encode().into_bytes())
}
