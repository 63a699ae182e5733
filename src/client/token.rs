//! A gateway's token, as the client sees it: something secret that fits into a URL.

use secrecy::{ExposeSecret, SecretString};

/// Longest token that is taken; those of a gateway are shorter than a hundred characters.
const LONGEST: usize = 512;

/// A secret of a gateway: `rgw_` and characters that need no escaping in a URL, a header or a shell.
#[derive(Clone, Debug)]
pub(super) struct Token(SecretString);

impl Token {
    /// Reads a token; none when it cannot be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.strip_prefix("rgw_")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_token = !rest.is_empty() && text.len() <= LONGEST && rest.chars().all(is_plain);
        is_token.then(|| Self(SecretString::from(text)))
    }

    /// The token in clear.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_needs_no_escaping_and_is_never_shown() {
        for good in ["rgw_abc-DEF_123", " rgw_abc\n"] {
            assert!(Token::parse(good).is_some(), "{good}");
        }
        for bad in ["", "rgw_", "abc", "rgw_a b", "rgw_a@evil.example", "rgw_a'b", "rgw_a\nb", "RGW_abc", "rgw_ä"] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
        assert!(Token::parse(&format!("rgw_{}", "a".repeat(LONGEST))).is_none());
        assert!(!format!("{:?}", Token::parse("rgw_hidden")).contains("hidden"));
    }
}
