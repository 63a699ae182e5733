//! What holds for every value: it comes back, and nothing that was changed does.

use proptest::prelude::*;
use rack_gateway::vault::Keyring;
use secrecy::{ExposeSecret, SecretString};

use super::ring;

/// Keys that an operator could have made.
fn key() -> impl Strategy<Value = String> {
    let bytes = proptest::collection::vec(any::<u8>(), 24..48);
    let good = |text: &String| Keyring::new(&SecretString::from(text.as_str()), None).is_ok();
    bytes.prop_map(hex::encode).prop_filter("a weak key", good)
}

proptest! {
    #[test]
    fn what_is_sealed_opens_to_the_same(
        keys in (key(), key()), purpose in ".{0,20}", row in ".{0,40}",
        plain in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let sealed = ring(&keys.0, None).seal(&purpose, &row, &plain).unwrap();
        prop_assert!(sealed.is_ascii());
        for ring in [ring(&keys.0, None), ring(&keys.1, Some(&keys.0))] {
            let opened = ring.open(&purpose, &row, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), plain.as_slice());
        }
        prop_assert!(ring(&keys.1, None).open(&purpose, &row, &sealed).is_err());
    }

    #[test]
    fn a_value_opens_for_its_own_purpose_and_row_only(
        here in (".{0,12}", ".{0,12}"), there in (".{0,12}", ".{0,12}"), key in key(),
    ) {
        let ring = ring(&key, None);
        let sealed = ring.seal(&here.0, &here.1, b"value").unwrap();
        prop_assert_eq!(ring.open(&there.0, &there.1, &sealed).is_ok(), here == there);
    }

    #[test]
    fn every_flipped_bit_is_refused(key in key(), plain in proptest::collection::vec(any::<u8>(), 0..24)) {
        let ring = ring(&key, None);
        let sealed = ring.seal("totp", "row", &plain).unwrap();
        for at in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(ring.open("totp", "row", &changed).is_err(), "bit {}: {}", at, changed);
            }
        }
        for length in 0..sealed.len() {
            prop_assert!(ring.open("totp", "row", &sealed[..length]).is_err(), "{} bytes of {}", length, sealed);
        }
    }

    #[test]
    fn no_text_makes_it_fail_otherwise(text in any::<String>(), tail in "[A-Za-z0-9_-]{0,60}", key in key()) {
        let ring = ring(&key, None);
        prop_assert!(ring.open("p", "r", &text).is_err());
        let near = format!("v1.{}.{tail}", ring.current_id());
        prop_assert!(ring.open("p", "r", &near).is_err());
        prop_assert!(!ring.is_current(&text));
    }
}
