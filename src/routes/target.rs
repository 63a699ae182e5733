//! The request target: parsed once, refused when two parsers could read it differently.
//!
//! The rack routes on the decoded path without cleaning it (gorilla mux with `SkipClean`), so
//! every spelling that a second decoding, a cleaning proxy or a matrix-parameter parser would
//! read as another path is refused here. Nothing is repaired: what is left has one meaning, and
//! the gateway forwards its own spelling of it.

use super::escape::{DecodeError, decode, push_path};

/// Longest target, in bytes, query included.
pub const MAX_TARGET: usize = 16 << 10;
/// Most path segments.
pub const MAX_SEGMENTS: usize = 64;

/// An HTTP/1.1 request target in origin form (RFC 9112 §3.2.1) that has exactly one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    segments: Vec<String>,
    slash: bool,
    path: String,
    query: Option<String>,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than [`MAX_TARGET`].
    #[error("the request target is too long: at most 16384 bytes are read")]
    TooLong,
    /// More than [`MAX_SEGMENTS`].
    #[error("the path has too many segments: at most 64 are read")]
    TooManySegments,
    /// `GET http://host/path`.
    #[error("the request target is absolute: send the path alone")]
    Absolute,
    /// `*`.
    #[error("the request target is an asterisk: send a path")]
    Asterisk,
    /// Neither of the above, and no leading slash.
    #[error("the request target does not start with a slash")]
    NoSlash,
    /// A byte beyond ASCII.
    #[error("the request target has a character beyond ASCII: percent-encode it")]
    NotAscii,
    /// A space.
    #[error("the request target has a space: percent-encode it")]
    Space,
    /// A control character.
    #[error("the request target has a control character")]
    Control,
    /// `#`.
    #[error("the request target has a fragment")]
    Fragment,
    /// `\`.
    #[error("the path has a backslash")]
    Backslash,
    /// `;`, encoded or not: some servers read matrix parameters after it.
    #[error("the path has a semicolon")]
    Semicolon,
    /// `.` or `..`.
    #[error("the path has a dot segment: send the path it stands for")]
    DotSegment,
    /// `//`.
    #[error("the path has an empty segment: send each slash once")]
    EmptySegment,
    /// An encoded `/ \ . ? #` or percent sign.
    #[error("the path has an encoded slash, backslash, dot, question mark, hash or percent sign")]
    EncodedDelimiter,
    /// An encoded control character, NUL included.
    #[error("the path has an encoded control character")]
    EncodedControl,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has an invalid percent-encoding")]
    Escape,
    /// The decoded path is not UTF-8.
    #[error("the path is not valid UTF-8 once decoded")]
    Utf8,
}

impl TargetError {
    /// Stable name for records, metrics and tests.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::TooLong => "target-too-long",
            Self::TooManySegments => "target-too-many-segments",
            Self::Absolute => "target-absolute",
            Self::Asterisk => "target-asterisk",
            Self::NoSlash => "target-no-slash",
            Self::NotAscii => "target-not-ascii",
            Self::Space => "target-space",
            Self::Control => "target-control",
            Self::Fragment => "target-fragment",
            Self::Backslash => "target-backslash",
            Self::Semicolon => "target-semicolon",
            Self::DotSegment => "target-dot-segment",
            Self::EmptySegment => "target-empty-segment",
            Self::EncodedDelimiter => "target-encoded-delimiter",
            Self::EncodedControl => "target-encoded-control",
            Self::Escape => "target-escape",
            Self::Utf8 => "target-utf8",
        }
    }

    /// HTTP status of the refusal.
    #[must_use]
    pub const fn status(self) -> u16 {
        400
    }
}

impl From<DecodeError> for TargetError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Escape => Self::Escape,
            DecodeError::Utf8 => Self::Utf8,
        }
    }
}

impl Target {
    /// Reads a target exactly as it stood in the request line.
    ///
    /// # Errors
    /// One [`TargetError`] per cause; the first that applies.
    pub fn parse(raw: &str) -> Result<Self, TargetError> {
        if raw.len() > MAX_TARGET {
            return Err(TargetError::TooLong);
        }
        for byte in raw.bytes() {
            check_raw(byte)?;
        }
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (raw, None),
        };
        let Some(rest) = path.strip_prefix('/') else {
            return Err(not_origin_form(raw));
        };
        let (segments, slash) = split(rest)?;
        let path = canonical(&segments, slash);
        Ok(Self { segments, slash, path, query })
    }

    /// The canonical path, percent-encoded: for records.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The raw query; empty when the target ended in a bare `?`, as the CLI's do.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Decoded segments, none of them empty.
    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether one slash followed the last segment.
    pub(super) const fn slash(&self) -> bool {
        self.slash
    }

    /// The path and query in canonical spelling; the query as it came.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

const fn check_raw(byte: u8) -> Result<(), TargetError> {
    match byte {
        b' ' => Err(TargetError::Space),
        0..=0x1f | 0x7f => Err(TargetError::Control),
        0x80.. => Err(TargetError::NotAscii),
        b'#' => Err(TargetError::Fragment),
        _ => Ok(()),
    }
}

fn not_origin_form(raw: &str) -> TargetError {
    if raw == "*" {
        TargetError::Asterisk
    } else if raw.contains("://") {
        TargetError::Absolute
    } else {
        TargetError::NoSlash
    }
}

fn split(rest: &str) -> Result<(Vec<String>, bool), TargetError> {
    let mut segments = Vec::new();
    let mut pieces = rest.split('/').peekable();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            let last = pieces.peek().is_none();
            return if last { Ok((segments, !rest.is_empty())) } else { Err(TargetError::EmptySegment) };
        }
        if segments.len() == MAX_SEGMENTS {
            return Err(TargetError::TooManySegments);
        }
        segments.push(segment(piece)?);
    }
    Ok((segments, false))
}

fn segment(piece: &str) -> Result<String, TargetError> {
    if piece == "." || piece == ".." {
        return Err(TargetError::DotSegment);
    }
    if piece.contains('\\') {
        return Err(TargetError::Backslash);
    }
    if piece.contains(';') {
        return Err(TargetError::Semicolon);
    }
    let decoded: String = decode(piece, |byte| byte, check_encoded)?;
    // The controls beyond ASCII (U+0080..U+009F) show only after decoding.
    if decoded.chars().any(char::is_control) {
        return Err(TargetError::EncodedControl);
    }
    Ok(decoded)
}

const fn check_encoded(byte: u8) -> Result<(), TargetError> {
    match byte {
        b'/' | b'\\' | b'.' | b'?' | b'#' | b'%' => Err(TargetError::EncodedDelimiter),
        b';' => Err(TargetError::Semicolon),
        0..=0x1f | 0x7f => Err(TargetError::EncodedControl),
        _ => Ok(()),
    }
}

fn canonical(segments: &[String], slash: bool) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        push_path(&mut path, segment);
    }
    if slash || segments.is_empty() {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests;
