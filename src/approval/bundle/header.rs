//! One header block of a tarball, in the form that Go writes: POSIX `ustar` and `pax` (IEEE Std 1003.1, "pax").
//! Old, GNU and star forms are read in more than one way and are refused; so is every number that is not written in
//! octal digits, and everything behind the end of a text.

use super::BundleError;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    SymLink,
    Folder,
    /// Records about the next entry.
    Pax,
    /// Records about all that follow.
    Global,
}

/// A header that was checked.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
}

const fn bad(why: &'static str) -> BundleError {
    BundleError::Form(why)
}

impl Header {
    /// # Errors
    /// [`BundleError::Form`] for every other form.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, BundleError> {
        let (magic, end) = (field(block, 257, 8), field(block, 500, 12));
        if magic != b"ustar\x0000" || end.iter().any(|byte| *byte != 0) {
            return Err(bad("a header is of an old form"));
        }
        if octal(field(block, 148, 8)) != Some(sum(block)) {
            return Err(bad("a header has a wrong checksum"));
        }
        let kind = match field(block, 156, 1) {
            b"0" => Kind::File,
            b"1" => Kind::HardLink,
            b"2" => Kind::SymLink,
            b"5" => Kind::Folder,
            b"x" => Kind::Pax,
            b"g" => Kind::Global,
            _ => return Err(bad("an entry is neither file, folder nor link")),
        };
        let size = octal(field(block, 124, 12)).ok_or(bad("a size is not written in octal digits"))?;
        if matches!(kind, Kind::HardLink | Kind::SymLink | Kind::Folder) && size != 0 {
            return Err(bad("a folder or link has content"));
        }
        let (mut name, prefix) = (text(field(block, 0, 100))?.to_vec(), text(field(block, 345, 155))?);
        if !prefix.is_empty() {
            name = [prefix, name.as_slice()].join(&b'/');
        }
        Ok(Self { kind, name, link: text(field(block, 157, 100))?.to_vec(), size })
    }
}

fn field(block: &[u8; BLOCK], start: usize, length: usize) -> &[u8] {
    block.get(start..start.saturating_add(length)).unwrap_or_default()
}

/// The sum of all bytes, with blanks in place of the sum itself.
fn sum(block: &[u8; BLOCK]) -> u64 {
    let all: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = field(block, 148, 8).iter().map(|byte| u64::from(*byte)).sum();
    all.saturating_sub(own).saturating_add(8 * u64::from(b' '))
}

/// Octal digits, then only NUL and blanks.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(field.len());
    let (digits, rest) = field.split_at_checked(digits)?;
    if digits.is_empty() || rest.is_empty() || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()
}

/// What stands before the first NUL; nothing may follow it.
fn text(field: &[u8]) -> Result<&[u8], BundleError> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at_checked(end).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        return Err(bad("something stands behind the end of a name"));
    }
    Ok(text)
}

/// What `pax` records say of the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

/// Records that change nothing of what is read here.
const HARMLESS: [&[u8]; 7] = [b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname"];

/// Reads records of the form `LENGTH KEY=VALUE\n`.
///
/// # Errors
/// For keys that are not known (sizes, sparse files), keys twice, and everything that is not of that form. Of records
/// for all that follows, only a comment is known.
pub(super) fn records(mut raw: &[u8], kind: Kind) -> Result<Records, BundleError> {
    let mut records = Records::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    while !raw.is_empty() {
        let (key, value, rest) = record(raw).ok_or(bad("a record about an entry cannot be read"))?;
        raw = rest;
        if seen.contains(&key) || value.contains(&0) {
            return Err(bad("a record about an entry stands there twice or holds NUL"));
        }
        seen.push(key);
        match (kind, key) {
            (_, b"comment") => {}
            (Kind::Pax, b"path") if !value.is_empty() => records.path = Some(value.to_vec()),
            (Kind::Pax, b"linkpath") if !value.is_empty() => records.link = Some(value.to_vec()),
            (Kind::Pax, key) if HARMLESS.contains(&key) || key.starts_with(b"SCHILY.xattr.") => {}
            _ => return Err(bad("a record about an entry is of a kind that is not known")),
        }
    }
    Ok(records)
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn record(raw: &[u8]) -> Option<Record<'_>> {
    let blank = raw.iter().position(|byte| *byte == b' ')?;
    let digits = raw.get(..blank).filter(|digits| digits.len() <= 7 && digits.iter().all(u8::is_ascii_digit))?;
    let length: usize = str::from_utf8(digits).ok()?.parse().ok()?;
    if digits.first() == Some(&b'0') || length > raw.len() {
        return None;
    }
    let (whole, rest) = raw.split_at_checked(length)?;
    let body = whole.get(blank.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((body.get(..equals)?, body.get(equals.checked_add(1)?..)?, rest))
}
