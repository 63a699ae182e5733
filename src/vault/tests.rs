//! The keyring: values sealed by another implementation open, and nothing else does.

use secrecy::{ExposeSecret, SecretString};

use super::{Keyring, KeyringError, OpenError, WeakKey};

const ONE: &str = "kX4mVw0Zt8q2Jc7rYb5nHs9dLf3gPa6uE1oTiQxWzRy=";
const TWO: &str = "d41f6b0a9c8e73522f1be0c4a7968d3517e2f9b06c5da8430b9e1c7f264a8d95";

fn ring(current: &str, previous: Option<&str>) -> Result<Keyring, KeyringError> {
    Keyring::new(&SecretString::from(current), previous.map(SecretString::from).as_ref())
}

/// Made with Python's `cryptography` (AESGCMSIV) and its own HKDF, from the description alone:
/// key, purpose, row, plain, sealed.
const VECTORS: &[(&str, &str, &str, &[u8], &str)] = &[
    (
        ONE,
        "totp",
        "0192f0c1-0000-7000-8000-000000000001",
        b"JBSWY3DPEHPK3PXP",
        "v1.851def89e268e681.AAECAwQFBgcICQoLVMy-eVanX04z_YOzOl5k0i16yo4mKI_Vgy04PVKWNVU",
    ),
    (ONE, "oidc verifier", "", b"", "v1.851def89e268e681.________________x8VlC9_cNcrdwiyCCsbktw"),
    (
        TWO,
        "p",
        "b",
        "zw\u{f6}lf \u{2603}".as_bytes(),
        "v1.71a8388a0769a2e0.AQIDBAUGBwgJCgsMqEJwzjCSm8Ums6VTioTst34Vz2iUAXcJKrw",
    ),
    (TWO, "p", "b", b"\xff\x00", "v1.71a8388a0769a2e0.EQIDBAUGBwgJCgsMrhcJjAgc67WkhTG3gEXWsm7_"),
];

#[test]
fn what_another_implementation_sealed_opens() {
    for (key, purpose, row, plain, sealed) in VECTORS {
        for ring in [ring(key, None).unwrap(), ring("another key that nobody has 8f21", Some(key)).unwrap()] {
            assert_eq!(ring.open(purpose, row, sealed).unwrap().expose_secret(), *plain, "{sealed}");
        }
        assert!(ring(key, None).unwrap().is_current(sealed));
        let (_, rest) = sealed.split_once('.').unwrap();
        assert!(rest.starts_with(&ring(key, None).unwrap().current_id().to_string()));
    }
}

#[test]
fn text_is_given_as_text_only_when_it_is() {
    let ring = ring(TWO, None).unwrap();
    let [.., (_, _, _, text, sealed_text), (_, _, _, _, sealed_bytes)] = VECTORS else { panic!() };
    assert_eq!(ring.open_text("p", "b", sealed_text).unwrap().expose_secret().as_bytes(), *text);
    assert_eq!(ring.open_text("p", "b", sealed_bytes).err(), Some(OpenError::NotText));
}

#[test]
fn what_is_not_right_says_what_is_wrong() {
    let one = ring(ONE, None).unwrap();
    let sealed = one.seal("totp", "row 1", b"a value").unwrap();
    let body = sealed.rsplit('.').next().unwrap();
    let foreign = ring(TWO, None).unwrap().current_id();
    let cases = [
        ("another purpose", "totq", "row 1", sealed.clone(), OpenError::Refused),
        ("another row", "totp", "row 2", sealed.clone(), OpenError::Refused),
        ("the border moved", "totprow", " 1", sealed.clone(), OpenError::Refused),
        ("another key", "totp", "row 1", format!("v1.{foreign}.{body}"), OpenError::UnknownKey(foreign)),
        ("another version", "totp", "row 1", sealed.replacen("v1", "v2", 1), OpenError::Version),
        ("no version", "totp", "row 1", sealed.replacen("v1", "w1", 1), OpenError::Malformed),
        ("an id in capitals", "totp", "row 1", sealed.to_uppercase().replacen('V', "v", 1), OpenError::Malformed),
        ("a short id", "totp", "row 1", format!("v1.0011.{body}"), OpenError::Malformed),
        ("padding", "totp", "row 1", format!("{sealed}=="), OpenError::Malformed),
        ("too short for a nonce", "totp", "row 1", format!("v1.{}.AAAA", one.current_id()), OpenError::Malformed),
        (
            "too short for a tag",
            "totp",
            "row 1",
            format!("v1.{}.{}", one.current_id(), "A".repeat(32)),
            OpenError::Refused,
        ),
        ("empty", "totp", "row 1", String::new(), OpenError::Malformed),
        ("plain text", "totp", "row 1", "a value".to_owned(), OpenError::Malformed),
    ];
    for (what, purpose, row, text, expected) in cases {
        let error = one.open(purpose, row, &text).err();
        assert_eq!(error, Some(expected), "{what}");
        assert!(!expected.to_string().contains("a value"), "{what}");
    }
    let opened = one.open("totp", "row 1", &sealed).unwrap();
    assert_eq!(opened.expose_secret(), b"a value");
    assert_ne!(one.seal("totp", "row 1", b"a value").unwrap(), sealed, "each time another nonce");
}

#[test]
fn the_previous_key_opens_and_does_not_seal() {
    let old = ring(ONE, None).unwrap();
    let sealed = old.seal("p", "b", b"x").unwrap();
    let both = ring(TWO, Some(ONE)).unwrap();
    assert_eq!(
        (both.current_id(), both.previous_id()),
        (ring(TWO, None).unwrap().current_id(), Some(old.current_id()))
    );
    assert_eq!(both.open("p", "b", &sealed).unwrap().expose_secret(), b"x");
    assert!(!both.is_current(&sealed) && old.is_current(&sealed));
    assert!(both.is_current(&both.seal("p", "b", b"x").unwrap()));
    assert_eq!(ring(TWO, None).unwrap().open("p", "b", &sealed).err(), Some(OpenError::UnknownKey(old.current_id())));
}

#[test]
fn keys_that_could_be_guessed_are_refused() {
    let cases = [
        ("", WeakKey::Short(0)),
        ("kX4mVw0Zt8q2Jc7rYb5nHs9dLf3gPa6", WeakKey::Short(31)),
        ("  kX4mVw0Zt8q2Jc7rYb5nHs9dLf3gPa6  \n", WeakKey::Short(31)),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", WeakKey::Repeats),
        ("abababacacacadadadaeaeaeafafafafafafafaf", WeakKey::Repeats),
        ("kX4mVw0Z!kX4mVw0Z!kX4mVw0Z!kX4mVw0Z!", WeakKey::Repeats),
        ("kX4mVw0Zt8q2Jc7rkX4mVw0Zt8q2Jc7r", WeakKey::Repeats),
        ("ChangeMe-kX4mVw0Zt8q2Jc7rYb5nHs9dLf3g", WeakKey::Placeholder),
        ("my super secret key for the gateway!", WeakKey::Placeholder),
        ("$(openssl rand -base64 32) and more of it", WeakKey::Placeholder),
        ("0123456789abcdef0123456789abcdeffedc", WeakKey::Placeholder),
        ("your-key-goes-here-1234-at-least-32-bytes", WeakKey::Placeholder),
    ];
    for (text, weak) in cases {
        assert_eq!(ring(text, None).err(), Some(KeyringError::Current(weak)), "{text}");
        assert_eq!(ring(ONE, Some(text)).err(), Some(KeyringError::Previous(weak)), "{text}");
    }
    assert_eq!(ring(ONE, Some(ONE)).err(), Some(KeyringError::Same));
    assert_eq!(ring(ONE, Some(&format!("{ONE}\n"))).err(), Some(KeyringError::Same));
    for good in [ONE, TWO, "d41f6b0a9c8e73522f1be0c4a7968d35", "d41f6b0a-9c8e-7352-2f1b-e0c4a7968d35"] {
        assert!(ring(good, None).is_ok(), "{good}");
    }
}

#[test]
fn no_key_shows() {
    let ring = ring(ONE, Some(TWO)).unwrap();
    let shown = format!("{ring:?}");
    for piece in ["kX4mVw0Z", "d41f6b0a"] {
        assert!([ONE, TWO].iter().any(|key| key.starts_with(piece)) && !shown.contains(piece), "{shown}");
    }
}
