//! A signing key that lives as long as the process, and the JWTs made with it.

use std::fmt;
use std::io;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;

/// An ES256 key (RFC 7518 §3.4) with its name.
pub(super) struct Key {
    pair: EcdsaKeyPair,
    kid: String,
    jwk: Value,
}

impl Key {
    /// A new one.
    pub(super) fn generate() -> io::Result<Self> {
        let unfit = |_| io::Error::other("no signing key can be made on this machine");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(unfit)?;
        // SEC 1 §2.3.3: one byte that says "uncompressed", then both coordinates.
        let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(COORDINATE).unwrap_or_default();
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        // RFC 7638 §3: the required members, in the order of their names, without blanks.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = digest(canonical.as_bytes());
        let jwk = json!({"kty": "EC", "use": "sig", "alg": "ES256", "kid": kid, "crv": "P-256", "x": x, "y": y});
        Ok(Self { pair, kid, jwk })
    }

    /// The set of public keys (RFC 7517 §5), which is this one.
    pub(super) fn jwks(&self) -> Value {
        json!({"keys": [self.jwk]})
    }

    /// A JWT in compact form (RFC 7515 §7.1).
    pub(super) fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        let [header, payload] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{payload}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| io::Error::other("the signing key does not sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// SHA-256 in base64url, as thumbprints and PKCE challenges are written.
pub(super) fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// `at_hash` of OpenID Connect Core §3.1.3.6 for ES256: the left half of the digest.
pub(super) fn half_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.get(..digest.len() / 2).unwrap_or_default())
}

/// 256 random bits, as a code, a token or a secret.
pub(super) fn random() -> io::Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the operating system has no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_specifications() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(digest(verifier.as_bytes()), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        // OpenID Connect Core, appendix A.3: the token and its hash.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_digest(token), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn each_key_has_a_name_and_a_point_of_its_own() {
        let [one, other] = [Key::generate().unwrap(), Key::generate().unwrap()];
        assert_ne!(one.kid, other.kid);
        for key in [&one, &other] {
            let jwk = &key.jwks()["keys"][0];
            for coordinate in ["x", "y"] {
                let bytes = URL_SAFE_NO_PAD.decode(jwk[coordinate].as_str().unwrap()).unwrap();
                assert_eq!(bytes.len(), COORDINATE, "{jwk}");
            }
            assert_eq!(jwk["kid"], key.kid);
        }
    }
}
