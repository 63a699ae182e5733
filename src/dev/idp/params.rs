//! Parameters of a query or a form, read as OAuth wants them read.

use std::collections::BTreeMap;

/// Each parameter once, none empty (RFC 6749 §3.1: one without a value counts as left out, and none
/// may come twice).
#[derive(Debug, Default)]
pub(super) struct Params(BTreeMap<String, String>);

/// A parameter came twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

impl Params {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Repeated> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if all.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Repeated);
            }
        }
        all.retain(|_, value| !value.is_empty());
        Ok(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    /// The words of a parameter that is a list.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        self.get(name).unwrap_or_default().split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_once_and_with_a_value() {
        let params = Params::parse(b"a=1&b=&scope=openid+email%20%20x&c=%26").unwrap();
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1"), None, Some("&")));
        assert_eq!(params.words("scope"), ["openid", "email", "x"]);
        assert_eq!(params.words("none"), Vec::<String>::new());
        for repeated in ["a=1&a=1", "a=1&a=", "a=&a=2", "a=1&%61=2"] {
            assert_eq!(Params::parse(repeated.as_bytes()).unwrap_err(), Repeated, "{repeated}");
        }
    }
}
