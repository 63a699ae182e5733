//! An authenticator in software: passkeys that answer as WebAuthn §6 says, or in ways that nobody
//! should believe; and the codes of an authenticator app.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// What it says of its make.
pub const AAGUID: &str = "f8a011f3-8c0a-4d15-8006-17111f9edc7d";

/// What is wrong with an answer; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// Nobody touched it.
    pub absent: bool,
    /// Nobody unlocked it.
    pub unverified: bool,
    /// The page that asked.
    pub origin: Option<String>,
    /// The page was in a frame of another site.
    pub framed: bool,
    /// The relying party that the key was asked about.
    pub rp_id: Option<String>,
    /// Another challenge than the one in the options, in base64url.
    pub challenge: Option<String>,
    /// The counter that it claims.
    pub counter: Option<u32>,
    /// Whose key it says it is: the `userHandle`, in base64url.
    pub user_handle: Option<String>,
    /// The `type` of the client data.
    pub kind: Option<&'static str>,
    /// Signed by a key that nobody registered.
    pub forged: bool,
    /// The id of the key that it makes.
    pub key_id: Option<Vec<u8>>,
}

struct Key {
    id: Vec<u8>,
    pair: EcdsaKeyPair,
    user_handle: String,
}

/// Passkeys of one person, and the browser around them.
pub struct Authenticator {
    origin: String,
    keys: Vec<Key>,
    /// Uses so far; stays 0 where `counts` is false, as for passkeys that are copied between devices.
    counter: u32,
    pub counts: bool,
    pub quirks: Quirks,
}

impl Authenticator {
    /// A new one in a browser at this origin, such as `https://gateway.example.com`.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), keys: Vec::new(), counter: 0, counts: true, quirks: Quirks::default() }
    }

    /// Does one thing with these quirks.
    pub fn with<T>(&mut self, quirks: Quirks, action: impl FnOnce(&mut Self) -> T) -> T {
        self.quirks = quirks;
        let result = action(self);
        self.quirks = Quirks::default();
        result
    }

    /// Makes a passkey for `{"publicKey": …}`: a `RegistrationResponseJSON` (WebAuthn L3 §5.1.8).
    pub fn register(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let id = self.quirks.key_id.clone().unwrap_or_else(|| random().to_vec());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let mut data = self.authenticator_data(options["rp"]["id"].as_str().unwrap(), 0x40);
        data.extend(uuid::Uuid::parse_str(AAGUID).unwrap().as_bytes());
        data.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        data.extend(&id);
        data.extend(cose_key(pair.public_key().as_ref()));
        let client = self.client_data("webauthn.create", options);
        let answer = json!({
            "id": encode(&id), "rawId": encode(&id), "type": "public-key",
            "response": {
                "clientDataJSON": encode(client.as_bytes()),
                "attestationObject": encode(&attestation(&data)),
                "transports": ["internal", "hybrid"],
            },
            "authenticatorAttachment": "platform",
            "clientExtensionResults": { "credProps": { "rk": true } },
        });
        let user_handle = options["user"]["id"].as_str().unwrap().to_owned();
        self.keys.push(Key { id, pair, user_handle });
        answer
    }

    /// Uses the first of its passkeys that `{"publicKey": …}` allows: an
    /// `AuthenticationResponseJSON`. None when it has none of them.
    pub fn assert(&mut self, options: &Value) -> Option<Value> {
        let options = &options["publicKey"];
        let allowed: Vec<_> = options["allowCredentials"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        let at = self.keys.iter().position(|key| allowed.contains(&&Value::from(encode(&key.id))))?;
        let data = self.authenticator_data(options["rpId"].as_str().unwrap(), 0);
        let client = self.client_data("webauthn.get", options);
        let signed = [&data[..], &Sha256::digest(client.as_bytes())].concat();
        let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let key = &self.keys[at];
        let pair = if self.quirks.forged { &other } else { &key.pair };
        let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
        let user_handle = self.quirks.user_handle.as_ref().unwrap_or(&key.user_handle);
        Some(json!({
            "id": encode(&key.id), "rawId": encode(&key.id), "type": "public-key",
            "response": {
                "clientDataJSON": encode(client.as_bytes()),
                "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()),
                "userHandle": user_handle,
            },
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }))
    }

    /// WebAuthn §6.1, without what may follow.
    fn authenticator_data(&mut self, rp_id: &str, more: u8) -> Vec<u8> {
        self.counter += u32::from(self.counts);
        let counter = self.quirks.counter.unwrap_or(self.counter);
        let rp_id = self.quirks.rp_id.as_deref().unwrap_or(rp_id);
        let flags = u8::from(!self.quirks.absent) | (u8::from(!self.quirks.unverified) << 2) | more;
        [&Sha256::digest(rp_id)[..], &[flags], &counter.to_be_bytes()].concat()
    }

    /// WebAuthn §5.8.1, as browsers write it.
    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = self.quirks.challenge.as_deref().or(options["challenge"].as_str()).unwrap();
        let origin = self.quirks.origin.as_ref().unwrap_or(&self.origin);
        let kind = self.quirks.kind.unwrap_or(kind);
        let framed = self.quirks.framed;
        json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": framed }).to_string()
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    fill(&mut bytes).unwrap();
    bytes
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `{"fmt": "none", "attStmt": {}, "authData": …}` in CBOR (RFC 8949).
fn attestation(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"[..], &length, data].concat()
}

/// An ES256 key (RFC 9053 §7.1.1) of an uncompressed point.
fn cose_key(point: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    [&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20][..], x, &[0x22, 0x58, 0x20], y].concat()
}

/// What an authenticator app shows (RFC 6238) for a secret in base32.
pub fn totp(secret: &str, at: OffsetDateTime) -> String {
    let step = u64::try_from(at.unix_timestamp()).unwrap() / 30;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &from_base32(secret));
    let digest = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(digest.as_ref()[19] & 0x0f);
    let number = u32::from_be_bytes(digest.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// RFC 4648 §6, without padding.
fn from_base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => panic!("{text} is not base32"),
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn the_app_shows_what_the_standard_says() {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    // RFC 6238, appendix B: the last six of its eight digits.
    for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
        assert_eq!(totp(secret, OffsetDateTime::from_unix_timestamp(at).unwrap()), code);
    }
}
