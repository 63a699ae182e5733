//! The bytes of a record: a restricted profile of RFC 8785 (JSON Canonicalization Scheme).
//!
//! One object of at most 64 KiB with lower-case snake keys in ascending order; objects, arrays,
//! strings, booleans, and integers within ±(2⁵³−1); no floats, no null, no white space, one
//! spelling for every string. Within the profile `json.dumps(value, sort_keys=True,
//! separators=(",", ":"), ensure_ascii=False)` of Python gives the same bytes. Outside it,
//! implementations of JCS differ, so [`check`] rejects and never repairs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str;

/// Most bytes of one record.
pub const MAX_BYTES: usize = 65_536;
/// Largest integer that every JSON implementation holds exactly.
pub const MAX_INTEGER: u64 = 9_007_199_254_740_991;
/// Most objects and arrays inside one another.
const MAX_DEPTH: u32 = 8;
/// Longest key.
const MAX_KEY: usize = 64;

/// A value inside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer within ±(2⁵³−1).
    Integer(i64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Map(BTreeMap<String, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(pairs: [(K, V); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// Appends a value. Integers beyond the profile are brought within it; keys must be plain.
pub(crate) fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => push_text(out, text),
        Value::Integer(number) => {
            let max = i64::try_from(MAX_INTEGER).unwrap_or(i64::MAX);
            out.extend_from_slice(number.clamp(&-max, &max).to_string().as_bytes());
        }
        Value::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_value(out, item);
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.push(b'{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_text(out, key);
                out.push(b':');
                push_value(out, item);
            }
            out.push(b'}');
        }
    }
}

/// Whether a byte inside a string needs an escape.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends a string in its only spelling.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| is_special(*b)) {
        let Some((plain, after)) = rest.split_at_checked(at) else { break };
        out.extend_from_slice(plain);
        let Some((special, after)) = after.split_first() else { break };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Why bytes are not a record of the profile, and where (in bytes from the start).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// More than [`MAX_BYTES`].
    #[error("larger than 64 KiB")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Not JSON, or not in its shortest spelling.
    #[error("not canonical JSON at byte {0}")]
    Syntax(usize),
    /// A key that is not lower-case snake.
    #[error("a key that is not lower-case snake at byte {0}")]
    Key(usize),
    /// A key that is out of order or there twice.
    #[error("a key out of order at byte {0}")]
    Order(usize),
    /// A number that is no integer within ±(2⁵³−1).
    #[error("a number outside the profile at byte {0}")]
    Number(usize),
    /// A string that is not in its only spelling.
    #[error("a string in another spelling at byte {0}")]
    Escape(usize),
    /// Too many objects inside one another.
    #[error("nested too deeply at byte {0}")]
    Depth(usize),
}

/// A scalar, borrowed from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    /// A string, still escaped.
    Text(Raw<'a>),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Flag,
    /// An integer of a list that is directly in an inner object.
    Listed(i64),
}

/// A string between its quotes, as it stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Whether it is that text, told without unescaping: `false` may be wrong.
    pub(crate) fn is(self, text: &str) -> bool {
        self.0 == text && !text.contains('\\')
    }

    /// The string itself.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if !self.0.contains('\\') {
            return Cow::Borrowed(self.0);
        }
        let mut text = String::with_capacity(self.0.len());
        let mut chars = self.0.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('b') => text.push('\u{8}'),
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('f') => text.push('\u{c}'),
                Some('r') => text.push('\r'),
                Some('u') => {
                    let code = chars.by_ref().take(4).fold(0, |code, c| code * 16 + c.to_digit(16).unwrap_or(0));
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Some(other) => text.push(other),
                None => {}
            }
        }
        Cow::Owned(text)
    }
}

/// Whether `bytes` are a record of the profile, exactly.
///
/// # Errors
/// The first violation.
pub fn check(bytes: &[u8]) -> Result<(), ProfileError> {
    read(bytes, |_, _, _| {})
}

/// As [`check`], and shows every scalar of the outer object and of the objects directly in it, and
/// the integers of lists in those: the key of the inner object (or an empty string), the key, the scalar.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    mut found: impl FnMut(&'a str, &'a str, Scalar<'a>),
) -> Result<(), ProfileError> {
    if bytes.len() > MAX_BYTES {
        return Err(ProfileError::TooLarge);
    }
    let text = str::from_utf8(bytes).map_err(|_| ProfileError::NotUtf8)?;
    let mut reader = Reader { text, at: 0, found: &mut found };
    reader.expect(b'{')?;
    reader.object("", 1)?;
    if reader.at == bytes.len() { Ok(()) } else { Err(ProfileError::Syntax(reader.at)) }
}

struct Reader<'a, 'f> {
    text: &'a str,
    at: usize,
    found: &'f mut dyn FnMut(&'a str, &'a str, Scalar<'a>),
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> u8 {
        // No byte of JSON is zero, so the end needs no case of its own.
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == byte;
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, byte: u8) -> Result<(), ProfileError> {
        if self.eat(byte) { Ok(()) } else { Err(ProfileError::Syntax(self.at)) }
    }

    /// An object after its brace. `name` is its key when it is directly in the outer object.
    fn object(&mut self, name: &'a str, depth: u32) -> Result<(), ProfileError> {
        if self.eat(b'}') {
            return Ok(());
        }
        let mut previous = "";
        loop {
            let start = self.at;
            let key = self.key()?;
            if key <= previous {
                return Err(ProfileError::Order(start));
            }
            previous = key;
            self.expect(b':')?;
            self.value(Some((name, key)), depth)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// An array after its bracket. `place` is that of the array itself.
    fn array(&mut self, place: Option<(&'a str, &'a str)>, depth: u32) -> Result<(), ProfileError> {
        if self.eat(b']') {
            return Ok(());
        }
        let listed = place.filter(|(name, _)| depth == 3 && !name.is_empty());
        loop {
            match (listed, self.peek()) {
                (Some((name, key)), b'-' | b'0'..=b'9') => {
                    let number = self.integer()?;
                    (self.found)(name, key, Scalar::Listed(number));
                }
                _ => self.value(None, depth)?,
            }
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn value(&mut self, place: Option<(&'a str, &'a str)>, depth: u32) -> Result<(), ProfileError> {
        let start = self.at;
        let scalar = match self.peek() {
            b'"' => Scalar::Text(Raw(self.string()?)),
            b'-' | b'0'..=b'9' => Scalar::Integer(self.integer()?),
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            open @ (b'{' | b'[') => {
                if depth >= MAX_DEPTH {
                    return Err(ProfileError::Depth(start));
                }
                self.at += 1;
                if open == b'[' {
                    return self.array(place, depth + 1);
                }
                let name = place.filter(|_| depth == 1).map_or("", |(_, key)| key);
                return self.object(name, depth + 1);
            }
            _ => return Err(ProfileError::Syntax(start)),
        };
        if let Some((name, key)) = place
            && (depth == 1 || (depth == 2 && !name.is_empty()))
        {
            (self.found)(name, key, scalar);
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<Scalar<'a>, ProfileError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(ProfileError::Syntax(self.at));
        }
        self.at += word.len();
        Ok(Scalar::Flag)
    }

    fn key(&mut self) -> Result<&'a str, ProfileError> {
        let start = self.at;
        self.expect(b'"')?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().take_while(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')).count();
        let key = rest.get(..length).unwrap_or_default();
        self.at += length;
        let plain = key.starts_with(|c: char| c.is_ascii_lowercase()) && length <= MAX_KEY;
        if plain && self.eat(b'"') { Ok(key) } else { Err(ProfileError::Key(start)) }
    }

    fn string(&mut self) -> Result<&'a str, ProfileError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let Some(plain) = rest.iter().position(|b| is_special(*b)) else {
                return Err(ProfileError::Syntax(self.text.len()));
            };
            self.at += plain;
            match self.peek() {
                b'"' => {
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => self.escape()?,
                _ => return Err(ProfileError::Escape(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ProfileError> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at += match rest {
            [_, b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => 2,
            // Controls with a short form (08, 09, 0a, 0c, 0d) must use it.
            [_, b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..] => 6,
            [_, b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return Err(ProfileError::Escape(start)),
        };
        Ok(())
    }

    fn integer(&mut self) -> Result<i64, ProfileError> {
        let start = self.at;
        let negative = self.eat(b'-');
        let digits = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let wrong = Err(ProfileError::Number(start));
        let zero = digits.first() == Some(&b'0');
        // 2⁵³ has 16 digits: longer ones cannot be in range, and none of these overflows.
        if length == 0 || length > 16 || (zero && (length > 1 || negative)) {
            return wrong;
        }
        let size = digits.iter().take(length).fold(0_u64, |n, digit| n * 10 + u64::from(digit - b'0'));
        self.at += length;
        if size > MAX_INTEGER || matches!(self.peek(), b'.' | b'e' | b'E') {
            return wrong;
        }
        i64::try_from(size).map(|n| if negative { -n } else { n }).or(wrong)
    }
}

#[cfg(test)]
mod tests;
