//! Credentials: what is read, what is refused before any database is asked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::{CredentialError, Presented, Token};

fn read(values: &[&str]) -> Result<String, CredentialError> {
    Presented::from_authorization(values.iter().map(|value| value.as_bytes()))
        .map(|presented| presented.secret().expose_secret().to_owned())
}

#[test]
fn credentials_are_read_as_the_cli_sends_them() {
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let cases: &[(Vec<String>, Result<&str, CredentialError>)] = &[
        (vec![], Err(CredentialError::Missing)),
        (vec![basic("convox:rgw_x")], Ok("rgw_x")),
        (vec![basic("rgw_x")], Ok("rgw_x")),
        (vec![basic("convox:a:b")], Ok("a:b")),
        (vec![basic("convox:")], Err(CredentialError::Malformed)),
        (vec![basic("")], Err(CredentialError::Malformed)),
        (vec!["bearer rgw_x".to_owned()], Ok("rgw_x")),
        (vec!["Bearer ".to_owned()], Err(CredentialError::Malformed)),
        (vec!["Basic !!!".to_owned()], Err(CredentialError::Malformed)),
        (vec!["Digest x".to_owned()], Err(CredentialError::Malformed)),
        (vec!["rgw_x".to_owned()], Err(CredentialError::Malformed)),
        (vec![basic("convox:a"), basic("convox:b")], Err(CredentialError::Malformed)),
        (vec![format!("Bearer {}", "a".repeat(9000))], Err(CredentialError::Malformed)),
    ];
    for (values, expected) in cases {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert_eq!(read(&values), expected.map(str::to_owned), "{values:?}");
    }
}

#[test]
fn a_token_is_known_by_its_checksum() {
    let token = Token::generate().unwrap();
    let text = token.expose().to_owned();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{text}");
    assert_eq!(Token::parse(&text).unwrap().hash(), token.hash());
    let mut changed = text.clone().into_bytes();
    changed[10] = if changed[10] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for bad in ["", "rgw_", "rgw_AAAA", changed.as_str(), text.trim_start_matches("rgw_")] {
        assert!(Token::parse(bad).is_none(), "{bad}");
    }
    assert_ne!(Token::generate().unwrap().hash(), token.hash());
    assert!(!format!("{token:?}").contains(&text));
}
