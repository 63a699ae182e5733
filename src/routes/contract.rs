//! The wire contract: what a request may carry to the rack, checked and written anew.
//!
//! The rack reads an option from the form, then from the query, then from the header of that
//! name. Here every name has one place per row; in any other place it is refused, so that policy
//! and rack read the same value.

use std::fmt;

use super::find::Matched;
use super::row::Body;
use super::{headers, pairs};

/// Where a key stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The query of the target.
    Query,
    /// A form body.
    Form,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query => "query",
            Self::Form => "form",
        })
    }
}

/// Why a request that names a route may not carry what it carries. Names are cut to a safe
/// alphabet; values never appear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// A key that the row does not list.
    #[error("the {place} key {name:?} is not known on this route")]
    UnknownKey {
        /// Query or form.
        place: Place,
        /// The key.
        name: String,
    },
    /// A key twice.
    #[error("the {place} key {name:?} occurs twice: send it once")]
    DuplicateKey {
        /// Query or form.
        place: Place,
        /// The key.
        name: String,
    },
    /// A value without a key, or nothing between two `&`.
    #[error("the {place} has an empty key")]
    EmptyKey {
        /// Query or form.
        place: Place,
    },
    /// `;`: some servers read it as `&`.
    #[error("the {place} has a semicolon: percent-encode it")]
    Semicolon {
        /// Query or form.
        place: Place,
    },
    /// A percent sign without two hexadecimal digits.
    #[error("the {place} has an invalid percent-encoding")]
    Escape {
        /// Query or form.
        place: Place,
    },
    /// Not UTF-8 once decoded.
    #[error("the {place} is not valid UTF-8 once decoded")]
    Utf8 {
        /// Query or form.
        place: Place,
    },
    /// NUL in a form value, any control character in a query value.
    #[error("the {place} value of {name:?} has a control character")]
    Control {
        /// Query or form.
        place: Place,
        /// The key.
        name: String,
    },
    /// An option header that belongs to another route.
    #[error("the header {name:?} is an option of another route")]
    ForeignHeader {
        /// The header.
        name: String,
    },
    /// A header twice that may occur once.
    #[error("the header {name:?} occurs twice: send it once")]
    DuplicateHeader {
        /// The header.
        name: String,
    },
    /// NUL, CR, LF or another control character in a forwarded header.
    #[error("the value of the header {name:?} has a control character")]
    HeaderValue {
        /// The header.
        name: String,
    },
    /// `Expect` other than `100-continue`.
    #[error("the header \"expect\" may only be 100-continue")]
    Expect,
    /// A body where the row has none.
    #[error("this route takes no body")]
    BodyNotAllowed,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("the request has two lengths: send content-length or transfer-encoding")]
    TwoLengths,
    /// More than the row reads.
    #[error("the body is too large: this route reads at most {max} bytes")]
    TooLarge {
        /// Most bytes that the row reads.
        max: usize,
    },
    /// The rack reads parameters from multipart bodies; the contract has no place for them.
    #[error("multipart bodies are not accepted: send {expected}")]
    Multipart {
        /// The media type to send.
        expected: &'static str,
    },
    /// Any other media type than the row's.
    #[error("this content-type is not accepted here: send {expected}")]
    ContentType {
        /// The media type to send.
        expected: &'static str,
    },
    /// A compressed body: the rack would read the compressed bytes.
    #[error("compressed bodies are not accepted: send the body without content-encoding")]
    ContentEncoding,
    /// An `object://` URL of another app, or outside the part that the row takes objects from.
    #[error("the form key {key:?} may only name an object of this app: object://{expected}")]
    ForeignObject {
        /// The form key.
        key: &'static str,
        /// How the object must begin.
        expected: String,
    },
}

impl ContractError {
    /// Stable name for records, metrics and tests.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::ForeignObject { .. } => "form-foreign-object",
            Self::UnknownKey { place, .. } => place.pick("query-unknown-key", "form-unknown-key"),
            Self::DuplicateKey { place, .. } => place.pick("query-duplicate-key", "form-duplicate-key"),
            Self::EmptyKey { place } => place.pick("query-empty-key", "form-empty-key"),
            Self::Semicolon { place } => place.pick("query-semicolon", "form-semicolon"),
            Self::Escape { place } => place.pick("query-escape", "form-escape"),
            Self::Utf8 { place } => place.pick("query-utf8", "form-utf8"),
            Self::Control { place, .. } => place.pick("query-control", "form-control"),
            Self::ForeignHeader { .. } => "header-foreign",
            Self::DuplicateHeader { .. } => "header-duplicate",
            Self::HeaderValue { .. } => "header-value",
            Self::Expect => "header-expect",
            Self::BodyNotAllowed => "body-not-allowed",
            Self::TwoLengths => "body-two-lengths",
            Self::TooLarge { .. } => "body-too-large",
            Self::Multipart { .. } => "content-type-multipart",
            Self::ContentType { .. } => "content-type",
            Self::ContentEncoding => "content-encoding",
        }
    }

    /// HTTP status of the refusal.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Multipart { .. } | Self::ContentType { .. } | Self::ContentEncoding => 415,
            Self::UnknownKey { .. }
            | Self::DuplicateKey { .. }
            | Self::EmptyKey { .. }
            | Self::Semicolon { .. }
            | Self::Escape { .. }
            | Self::Utf8 { .. }
            | Self::Control { .. }
            | Self::ForeignHeader { .. }
            | Self::DuplicateHeader { .. }
            | Self::HeaderValue { .. }
            | Self::Expect
            | Self::BodyNotAllowed
            | Self::ForeignObject { .. }
            | Self::TwoLengths => 400,
        }
    }
}

impl Place {
    const fn pick(self, query: &'static str, form: &'static str) -> &'static str {
        match self {
            Self::Query => query,
            Self::Form => form,
        }
    }
}

/// A name that came from the client, fit for a message that a `printf` will read.
pub(super) fn label(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '?' };
    name.chars().take(64).map(fit).collect()
}

/// A request as the rack will get it: built from the row and its parameters, never copied.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Method on the wire.
    pub method: &'static str,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Lower-case names, each once; values as they came. No `Host`, no length, no identity.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the body may be.
    pub body: Body,
}

impl fmt::Debug for Outgoing {
    /// Values stay out: `Private-Key` and `Environment` are headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &names)
            .field("body", &self.body)
            .finish()
    }
}

impl Matched {
    /// Checks query and headers (names in lower case) against the row's contract and builds the
    /// request for the rack.
    ///
    /// # Errors
    /// [`ContractError`]: something that the row does not list, or lists once and that is there
    /// twice.
    pub fn request(&self, headers: &[(&str, &[u8])]) -> Result<Outgoing, ContractError> {
        let row = self.row();
        let mut target = self.path();
        if let Some(query) = self.target().query() {
            let pairs = pairs::parse(Place::Query, row.contract.query, query)?;
            target.push('?');
            target.push_str(&pairs::encode(&pairs));
        }
        let headers = headers::check(&row.contract, headers)?;
        Ok(Outgoing { method: row.kind.method(), target, headers, body: row.contract.body })
    }
}

impl Matched {
    /// What stands behind the `?`, by the contract of the row.
    ///
    /// # Errors
    /// As [`Matched::request`].
    pub fn query(&self) -> Result<Form, ContractError> {
        let query = self.target().query().unwrap_or_default();
        Ok(Form { pairs: pairs::parse(Place::Query, self.row().contract.query, query)? })
    }
}

impl Outgoing {
    /// Reads `raw`, the whole body, as this row's form. An empty body is an empty form.
    ///
    /// # Errors
    /// [`ContractError::ContentType`] when there are bytes that were not declared as a form,
    /// [`ContractError::TooLarge`] when there are more than the row reads,
    /// [`ContractError::BodyNotAllowed`] when the row has no form; else as [`form`].
    pub fn form(&self, raw: &[u8]) -> Result<Form, ContractError> {
        let Body::Form { keys, max } = self.body else {
            return if raw.is_empty() { Ok(Form::default()) } else { Err(ContractError::BodyNotAllowed) };
        };
        if raw.len() > max {
            return Err(ContractError::TooLarge { max });
        }
        if !raw.is_empty() && !self.headers.iter().any(|(name, value)| name == "content-type" && value == headers::FORM)
        {
            return Err(ContractError::ContentType { expected: headers::FORM_TYPE });
        }
        form(keys, raw)
    }
}

/// A form body: what the client sent, in its order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Keys and values, decoded; every key once.
    pub pairs: Vec<(String, String)>,
}

impl fmt::Debug for Form {
    /// Values stay out: environments, passwords and private keys are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(key, _)| key)).finish()
    }
}

impl Form {
    /// Value of `key`, if it was sent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Sets a value, in its place if it was sent, else at the end.
    pub fn set(&mut self, key: &str, value: String) {
        match self.pairs.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((key.to_owned(), value)),
        }
    }

    /// Writes the form as Go's `url.Values` does, in the order in which it came: what the CLI
    /// sent comes out byte for byte.
    #[must_use]
    pub fn encode(&self) -> String {
        pairs::encode(&self.pairs)
    }
}

impl Matched {
    /// Whether the object that the form names, if any, belongs to the app of the path.
    ///
    /// # Errors
    /// [`ContractError::ForeignObject`] when it does not, or when its key could mean another one.
    pub fn check_object(&self, form: &Form) -> Result<(), ContractError> {
        let Some((key, prefix)) = self.row().contract.object else { return Ok(()) };
        let Some((scheme, rest)) = form.get(key).and_then(|url| url.trim().split_once(':')) else { return Ok(()) };
        // Go's `url.Parse` reads the scheme in any case.
        if !scheme.eq_ignore_ascii_case("object") {
            return Ok(());
        }
        let expected = format!("{}/{prefix}", self.app().unwrap_or_default());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let object = rest.strip_prefix("//").and_then(|rest| rest.strip_prefix(&expected));
        let good = object.is_some_and(|object| {
            !object.is_empty()
                && object.chars().all(plain)
                && object.split('/').all(|part| !matches!(part, "" | "." | ".."))
        });
        if good { Ok(()) } else { Err(ContractError::ForeignObject { key, expected }) }
    }
}

/// Reads a body as `application/x-www-form-urlencoded` by the rules of Go's `ParseForm`.
///
/// # Errors
/// [`ContractError`] for a key that is not in `keys` or that is there twice, for an encoding that
/// is not one, for what is not UTF-8, and for NUL.
pub fn form(keys: &[&str], raw: &[u8]) -> Result<Form, ContractError> {
    let raw = str::from_utf8(raw).map_err(|_| ContractError::Utf8 { place: Place::Form })?;
    Ok(Form { pairs: pairs::parse(Place::Form, keys, raw)? })
}

/// Reads a form value or header that is itself a query string, such as `parameters`: names and values of the
/// client's own choice (Go's `url.ParseQuery`).
///
/// # Errors
/// As [`form`], but for keys that are not known.
pub fn map(raw: &str) -> Result<Form, ContractError> {
    Ok(Form { pairs: pairs::parse_any(Place::Form, raw)? })
}

#[cfg(test)]
mod tests;
