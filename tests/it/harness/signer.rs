//! Keys of an identity provider, and tokens signed with them: properly, or in ways that nobody should
//! believe.

use std::sync::LazyLock;

use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::provider::{CLIENT_SECRET, changed};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Rs256,
    EdDsa,
    /// Not to be believed, like all below.
    Rs512,
    Ps256,
    /// With the client's secret.
    Hs256,
    /// With the published RSA key as the secret.
    Hs256OfPublicKey,
    /// `alg: none`, without a signature.
    Nothing,
    /// ES256, by a key that is not published, under the name of the one that is.
    Forged,
    /// ES256, with the last byte of the signature changed.
    Broken,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Es256 | Self::Forged | Self::Broken => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Hs256 | Self::Hs256OfPublicKey => "HS256",
            Self::Nothing => "none",
        }
    }
}

/// Keys under a name of their own.
pub struct Signer {
    name: String,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

/// Making one takes long; no test needs two.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(rsa::KeySize::Rsa2048).unwrap());

impl Default for Signer {
    fn default() -> Self {
        Self {
            name: hex::encode(&Self::random()[..8]),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }
}

impl Signer {
    pub fn random() -> [u8; 32] {
        let mut bytes = [0; 32];
        fill(&mut bytes).unwrap();
        bytes
    }

    /// The JWKS entries (RFC 7517, RFC 8037).
    pub fn public_keys(&self) -> Vec<Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let name = |kind: &str| format!("{kind}-{}", self.name);
        let point = self.ec.public_key().as_ref();
        let (n, e) = modulus_and_exponent(RSA.public_key().as_ref());
        vec![
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": name("ec"),
                    "x": encode(&point[1..33]), "y": encode(&point[33..]) }),
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": name("ed"),
                    "x": encode(self.ed.public_key().as_ref()) }),
            json!({ "kty": "RSA", "use": "sig", "kid": name("rsa"), "n": encode(n), "e": encode(e) }),
        ]
    }

    /// A compact JWS (RFC 7515 §7.1); `header` is over the right one.
    pub fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        let kind = match algorithm {
            Algorithm::Es256 | Algorithm::Forged | Algorithm::Broken => "ec",
            Algorithm::EdDsa => "ed",
            _ => "rsa",
        };
        let right = json!({ "alg": algorithm.name(), "typ": "JWT", "kid": format!("{kind}-{}", self.name) });
        let header = changed(right, header);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ecdsa = |key: &EcdsaKeyPair| key.sign(&random, message).unwrap().as_ref().to_vec();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; RSA.public_modulus_len()];
            RSA.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        let mac = |key: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, message).as_ref().to_vec()
        };
        match algorithm {
            Algorithm::Es256 => ecdsa(&self.ec),
            Algorithm::Forged => ecdsa(&Self::default().ec),
            Algorithm::Broken => {
                let mut signature = ecdsa(&self.ec);
                *signature.last_mut().unwrap() ^= 1;
                signature
            }
            Algorithm::EdDsa => self.ed.sign(message).as_ref().to_vec(),
            Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            Algorithm::Hs256 => mac(CLIENT_SECRET.as_bytes()),
            Algorithm::Hs256OfPublicKey => mac(RSA.public_key().as_ref()),
            Algorithm::Nothing => Vec::new(),
        }
    }
}

/// Of an `RSAPublicKey` with 2048 bits and three bytes of exponent (RFC 8017 §A.1.1).
fn modulus_and_exponent(der: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!((der.len(), &der[..9]), (270, &[0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0][..]));
    (&der[9..265], &der[267..])
}
