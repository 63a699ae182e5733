//! A signing key in memory.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::proof::key::PublicKey;

/// ECDSA on P-256.
#[derive(Clone)]
pub struct Key {
    pair: Arc<EcdsaKeyPair>,
    public: PublicKey,
}

impl Key {
    /// A new one.
    ///
    /// # Panics
    /// When the machine gives no random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("its public key");
        let public = PublicKey::from_spki(spki.as_ref()).expect("a key on P-256");
        Self { pair: Arc::new(pair), public }
    }

    /// Its public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signature in DER over the SHA-256 of `text`.
    ///
    /// # Panics
    /// When the machine gives no random numbers.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), text).expect("a signature").as_ref().to_vec()
    }

    /// The private key as a file of `AUDIT_ANCHOR_KEY_FILE`: PKCS #8, PEM.
    ///
    /// # Panics
    /// Never: a generated key can be written.
    #[must_use]
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", self.pair.to_pkcs8v1().expect("the key").as_ref())
    }

    /// The public key as `openssl` reads it.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", self.public.spki())
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
