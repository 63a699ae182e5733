//! Backup codes: ten for each person, for the day on which nothing else is at hand.

use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Codes of a set.
pub(super) const CODES: usize = 10;
/// Letters of a code: 80 bits, of which a plain hash tells nothing.
const LETTERS: usize = 16;
const GROUP: usize = 4;
/// Without I, O, 0 and 1, which look like others.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A code in the one form that is hashed: capital letters without dashes.
pub(super) struct Code(SecretString);

impl Code {
    /// A new one.
    pub(super) fn generate() -> Result<Self, SysError> {
        let mut bytes = [0; LETTERS];
        SysRng.try_fill_bytes(&mut bytes)?;
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        Ok(Self(SecretString::from(letters.map(|letter| char::from(*letter)).collect::<String>())))
    }

    /// Reads what somebody typed: any case, with dashes and spaces anywhere. None when it is no code.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let typed = text.chars().filter(|c| !matches!(c, '-' | ' '));
        let code: String = typed.take(LETTERS + 1).map(|c| c.to_ascii_uppercase()).collect();
        let is_code = code.len() == LETTERS && code.bytes().all(|byte| ALPHABET.contains(&byte));
        is_code.then(|| Self(SecretString::from(code)))
    }

    /// What the database holds of it. With the person, so that nothing can be moved to another one.
    pub(super) fn hash(&self, user_id: &str) -> [u8; 32] {
        let head = Sha256::new().chain_update(b"rack-gateway-backup-code\0").chain_update(user_id);
        head.chain_update([0]).chain_update(self.0.expose_secret()).finalize().into()
    }

    /// As it is shown, once: `ABCD-EFGH-JKLM-NPQR`.
    pub(super) fn shown(&self) -> SecretString {
        let bytes = self.0.expose_secret().as_bytes();
        let groups = bytes.chunks(GROUP).map(|group| String::from_utf8_lossy(group).into_owned());
        SecretString::from(groups.collect::<Vec<_>>().join("-"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_in_any_dress() {
        let plain = Code::parse("ABCDEFGHJKLMNPQR").unwrap();
        for text in ["ABCD-EFGH-JKLM-NPQR", "abcd-efgh-jklm-npqr", " aBcDeFgH jKlMnPqR ", "A-B-C-D-E-F-G-H-JKLMNPQR-"] {
            assert_eq!(Code::parse(text).unwrap().hash("ada"), plain.hash("ada"), "{text}");
        }
        assert_eq!(plain.shown().expose_secret(), "ABCD-EFGH-JKLM-NPQR");
        for odd in
            ["", "ABCDEFGHJKLMNPQ", "ABCDEFGHJKLMNPQRS", "ABCDEFGHJKLMNPQO", "ABCDEFGHJKLMNPQ1", "ÄBCDEFGHJKLMNPQ"]
        {
            assert!(Code::parse(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn a_hash_is_of_one_person() {
        let code = Code::parse("ABCDEFGHJKLMNPQR").unwrap();
        assert_ne!(code.hash("ada"), code.hash("bob"));
        assert_ne!(code.hash("ada"), Code::parse("ABCDEFGHJKLMNPQS").unwrap().hash("ada"));
    }

    #[test]
    fn new_codes_use_the_whole_alphabet() {
        let codes: Vec<_> = (0..100).map(|_| Code::generate().unwrap().shown()).collect();
        let all: BTreeSet<_> = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        assert_eq!(all.len(), codes.len());
        let letters: BTreeSet<_> = all.iter().flat_map(|code| code.bytes()).collect();
        assert_eq!(letters.len(), ALPHABET.len() + 1, "with the dash");
        for code in &all {
            assert_eq!(Code::parse(code).unwrap().shown().expose_secret(), code);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_does_harm(text in "\\PC{0,60}") {
            if let Some(code) = Code::parse(&text) {
                prop_assert_eq!(code.shown().expose_secret().len(), 19);
            }
        }
    }
}
