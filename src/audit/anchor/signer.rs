//! Who signs anchors: a key of KMS, which nobody can take away, or in development a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};

use super::AnchorError;
use super::aws::{Aws, trouble};
use crate::config::AnchorKey;
use crate::proof::key::PublicKey;

pub(super) const KMS: &str = "KMS";

/// A key that signs.
pub struct Signer {
    public: PublicKey,
    name: String,
    held: Held,
}

enum Held {
    Kms(Client),
    File(EcdsaKeyPair),
}

impl Signer {
    /// Opens the key that is configured, and checks that it is what anchors are signed with.
    ///
    /// # Errors
    /// [`AnchorError::Unusable`] for another kind of key, or a file that others may read;
    /// [`AnchorError::Unavailable`]; [`AnchorError::Refused`].
    pub async fn open(key: &AnchorKey, aws: &Aws) -> Result<Self, AnchorError> {
        match key {
            AnchorKey::Kms(id) => Self::kms(id, aws).await,
            AnchorKey::File(path) => Self::file(path),
        }
    }

    async fn kms(id: &str, aws: &Aws) -> Result<Self, AnchorError> {
        let client = Client::new(&aws.load().await);
        let told = client.get_public_key().key_id(id).send().await.map_err(|error| trouble(KMS, &error))?;
        let good =
            told.key_spec() == Some(&KeySpec::EccNistP256) && told.key_usage() == Some(&KeyUsageType::SignVerify);
        let der = told.public_key().map(Blob::as_ref).filter(|_| good);
        let public = der.and_then(|der| PublicKey::from_spki(der).ok()).ok_or_else(|| {
            AnchorError::Unusable(format!(
                "the KMS key {id} must be of the spec ECC_NIST_P256 and the usage SIGN_VERIFY"
            ))
        })?;
        // An alias may be pointed elsewhere later: what signs is the key that was looked at.
        let name = told.key_id().unwrap_or(id).to_owned();
        Ok(Self { public, name, held: Held::Kms(client) })
    }

    fn file(path: &Path) -> Result<Self, AnchorError> {
        let unusable = |why: &str| AnchorError::Unusable(format!("the key file {} {why}", path.display()));
        let pem = read_private(path).map_err(|error| unusable(&format!("cannot be used: {error}")))?;
        let wrong = || unusable("holds no private key of ECDSA on P-256 (PKCS#8, PEM)");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret()).map_err(|_| wrong())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der());
        let pair = pair.map_err(|_| wrong())?;
        let public = public_of(&pair).ok_or_else(wrong)?;
        Ok(Self { public, name: format!("file:{}", path.display()), held: Held::File(pair) })
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What people call it: the ARN of a key of KMS, the path of a file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a software key.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        matches!(self.held, Held::File(_))
    }

    /// Signs a text: ECDSA with SHA-256, as ASN.1 DER. The signature is verified before anybody gets it.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub async fn sign(&self, text: &[u8]) -> Result<Vec<u8>, AnchorError> {
        let signature = match &self.held {
            Held::Kms(client) => {
                let signed = client
                    .sign()
                    .key_id(&self.name)
                    .message(Blob::new(Sha256::digest(text).to_vec()))
                    .message_type(MessageType::Digest)
                    .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
                let signed = signed.send().await.map_err(|error| trouble(KMS, &error))?;
                signed.signature().map(|blob| blob.as_ref().to_vec())
            }
            Held::File(pair) => pair.sign(&SystemRandom::new(), text).ok().map(|signature| signature.as_ref().to_vec()),
        };
        signature
            .filter(|signature| self.public.verify(text, signature))
            .ok_or_else(|| AnchorError::Unusable(format!("{} gave no good signature of its own", self.name)))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).field("public", &self.public).finish_non_exhaustive()
    }
}

fn public_of(pair: &EcdsaKeyPair) -> Option<PublicKey> {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    PublicKey::from_spki(der.as_ref()).ok()
}

/// Reads a file that only its owner may read.
fn read_private(path: &Path) -> io::Result<SecretSlice<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it: chmod 600"));
    }
    let mut bytes = Vec::new();
    file.take(65_536).read_to_end(&mut bytes)?;
    Ok(SecretSlice::from(bytes))
}

/// Makes a key file that only its owner may read, and gives the public half.
///
/// # Errors
/// When there is such a file already, or it cannot be written.
pub fn make_key_file(path: &Path) -> io::Result<PublicKey> {
    let failed = || io::Error::other("the system makes no key");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed())?;
    let der = pair.to_pkcs8v1().map_err(|_| failed())?;
    let public = public_of(&pair).ok_or_else(failed)?;
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(pem("PRIVATE KEY", der.as_ref()).expose_secret().as_bytes())?;
    file.sync_all()?;
    Ok(public)
}

/// RFC 7468: lines of 64 characters of base64.
fn pem(label: &str, der: &[u8]) -> secrecy::SecretString {
    let encoded = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (at, c) in encoded.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    secrecy::SecretString::from(out)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Signer, make_key_file};
    use crate::audit::anchor::{AnchorError, Aws};
    use crate::config::AnchorKey;

    #[tokio::test]
    async fn a_key_file_signs_for_its_owner_only() {
        let path = std::env::temp_dir().join(format!("rgw-key-{}", uuid::Uuid::now_v7()));
        let public = make_key_file(&path).unwrap();
        assert!(make_key_file(&path).is_err(), "a key is never written over");
        let open = || async { Signer::open(&AnchorKey::File(path.clone()), &Aws::environment()).await };
        let signer = open().await.unwrap();
        assert_eq!(signer.public(), &public);
        assert!(signer.is_development());
        let signature = signer.sign(b"text").await.unwrap();
        assert!(public.verify(b"text", &signature) && !public.verify(b"other", &signature));
        let cases: [(u32, Option<&str>, &str); 2] =
            [(0o640, None, "others may read it"), (0o600, Some("nothing"), "holds no private key")];
        for (mode, content, expected) in cases {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = open().await.unwrap_err();
            assert!(matches!(&error, AnchorError::Unusable(text) if text.contains(expected)), "{error}");
        }
        fs::remove_file(&path).unwrap();
    }
}
