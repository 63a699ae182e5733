//! The table of contents of a tar archive (ustar, pax): regular files and folders, each name once, and
//! nothing else. Read here and not by a library that unpacks: what two programs could read in two
//! ways is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use super::BundleError;
use super::source::Extent;

/// Everything in an archive is a multiple of this.
const BLOCK: usize = 512;
/// Longest name.
const NAME: usize = 255;
/// Largest pax header.
const PAX: u64 = 1 << 16;
/// Largest file: far beyond any, and nothing overflows.
const LARGEST: u64 = 1 << 50;

type Block = [u8; BLOCK];

/// What a pax header says of the entry behind it.
#[derive(Default)]
struct Pax {
    path: Option<String>,
    size: Option<u64>,
}

struct Header {
    name: String,
    size: u64,
    kind: u8,
}

/// Finds the files of an archive.
pub(super) fn index(path: &Path) -> Result<BTreeMap<String, Extent>, BundleError> {
    let io = |cause| BundleError::io(path, cause);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut index = Index { reader: BufReader::with_capacity(4096, file), at: 0, length, names: BTreeMap::new() };
    match index.run() {
        Ok(()) => Ok(index.names.into_iter().filter_map(|(name, extent)| Some((name, extent?))).collect()),
        Err(Problem::Io(cause)) => Err(io(cause)),
        Err(Problem::Wrong(why)) => Err(BundleError::Archive { path: path.to_owned(), why }),
    }
}

enum Problem {
    Io(std::io::Error),
    Wrong(String),
}

impl From<std::io::Error> for Problem {
    fn from(cause: std::io::Error) -> Self {
        Self::Io(cause)
    }
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Wrong(why.into()))
}

struct Index {
    reader: BufReader<File>,
    at: u64,
    length: u64,
    /// A folder has no extent.
    names: BTreeMap<String, Option<Extent>>,
}

impl Index {
    fn run(&mut self) -> Result<(), Problem> {
        let mut pax: Option<Pax> = None;
        loop {
            let block = self.block()?;
            if block.iter().all(|byte| *byte == 0) {
                return if pax.is_some() { wrong("it ends behind a header") } else { self.end() };
            }
            let header = header(&block)?;
            if header.kind == b'x' {
                if pax.is_some() || header.size > PAX {
                    return wrong("a pax header that is too large, or behind another");
                }
                pax = Some(self.pax(header.size)?);
                continue;
            }
            self.entry(header, pax.take().unwrap_or_default())?;
        }
    }

    fn entry(&mut self, header: Header, pax: Pax) -> Result<(), Problem> {
        let name = pax.path.unwrap_or(header.name);
        let size = pax.size.unwrap_or(header.size);
        let is_folder = header.kind == b'5';
        if !matches!(header.kind, b'0' | 0 | b'5') {
            return wrong(format!("{name:?} is neither a file nor a folder"));
        }
        let name = if is_folder { name.strip_suffix('/').unwrap_or(&name).to_owned() } else { name };
        let is_plain = |part: &str| !part.is_empty() && part != "..";
        if name.len() > NAME || !name.split('/').all(is_plain) || name.chars().any(char::is_control) {
            return wrong(format!("{name:?} is no name of a file in it"));
        }
        if is_folder && size != 0 || size > LARGEST {
            return wrong(format!("{name:?} has an impossible size"));
        }
        let extent = (!is_folder).then_some(Extent { start: self.at, length: size });
        if self.names.insert(name.clone(), extent).is_some() {
            return wrong(format!("{name:?} is there twice"));
        }
        self.pass(size)
    }

    fn block(&mut self) -> Result<Block, Problem> {
        let mut block = [0; BLOCK];
        if self.length - self.at < 512 {
            return wrong("it ends early");
        }
        self.reader.read_exact(&mut block)?;
        self.at += 512;
        Ok(block)
    }

    /// Passes over the content of a file.
    fn pass(&mut self, size: u64) -> Result<(), Problem> {
        let padded = size.next_multiple_of(512);
        if padded > self.length - self.at {
            return wrong("it ends early");
        }
        self.at += padded;
        match i64::try_from(padded) {
            Ok(near) => self.reader.seek_relative(near)?,
            Err(_) => {
                self.reader.seek(SeekFrom::Start(self.at))?;
            }
        }
        Ok(())
    }

    fn pax(&mut self, size: u64) -> Result<Pax, Problem> {
        let mut bytes = Vec::new();
        for _ in 0..size.div_ceil(512) {
            bytes.extend_from_slice(&self.block()?);
        }
        bytes.truncate(usize::try_from(size).unwrap_or(0));
        let Ok(mut rest) = std::str::from_utf8(&bytes) else { return wrong("a pax header that is no text") };
        let mut pax = Pax::default();
        while !rest.is_empty() {
            let Some((key, value, after)) = keyword(rest) else { return wrong("a malformed pax header") };
            match key {
                "path" => pax.path = Some(value.to_owned()),
                "size" => pax.size = value.parse().ok(),
                "mtime" | "atime" | "ctime" | "uid" | "gid" | "uname" | "gname" | "comment" => {}
                other => return wrong(format!("the pax keyword {other:?}")),
            }
            if key == "size" && pax.size.is_none() {
                return wrong("a malformed pax header");
            }
            rest = after;
        }
        Ok(pax)
    }

    /// The end: a second block of zeros, and nothing but zeros behind it.
    fn end(&mut self) -> Result<(), Problem> {
        if self.block()?.iter().any(|byte| *byte != 0) {
            return wrong("a single block of zeros");
        }
        let mut buffer = [0; 4096];
        loop {
            let count = self.reader.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            if bytes.iter().any(|byte| *byte != 0) {
                return wrong("there is something behind its end");
            }
        }
    }
}

/// `<length> <key>=<value>\n`, and what follows.
fn keyword(text: &str) -> Option<(&str, &str, &str)> {
    let (digits, _) = text.split_once(' ')?;
    let length: usize = digits.parse().ok()?;
    let (record, after) = text.split_at_checked(length)?;
    let record = record.strip_prefix(digits)?.strip_prefix(' ')?.strip_suffix('\n')?;
    let (key, value) = record.split_once('=')?;
    Some((key, value, after))
}

fn header(block: &Block) -> Result<Header, Problem> {
    let field = |start: usize, length: usize| block.get(start..start + length).unwrap_or_default();
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        bytes.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
    };
    let sum = |sum: u64, (at, byte): (usize, &u8)| sum + u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
    if octal(field(148, 8)) != Some(block.iter().enumerate().fold(0, sum)) {
        return wrong("a header whose checksum is wrong");
    }
    let is_gnu = field(257, 8) == b"ustar  \0";
    if !is_gnu && field(257, 8) != b"ustar\x0000" {
        return wrong("a header that is not ustar");
    }
    let (name, prefix) = (text(field(0, 100)), text(field(345, 155)));
    let (Some(name), Some(prefix)) = (name, prefix) else { return wrong("a name that is no text") };
    if is_gnu && !prefix.is_empty() {
        return wrong("an extension of GNU tar");
    }
    let Some(size) = octal(field(124, 12)) else { return wrong(format!("{name:?} has an impossible size")) };
    let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let kind = block.get(156).copied().unwrap_or_default();
    Ok(Header { name, size, kind })
}

/// A number in octal digits, ended by spaces or zeros.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(|c| c == ' ' || c == '\0');
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(text, 8).ok()
}
