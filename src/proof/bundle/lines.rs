//! The lines of some files of an export, one after another, with the hash of each file on the way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::BundleError;
use super::source::Source;
use crate::proof::canonical::MAX_BYTES;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 18;

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its newline.
    Whole,
    /// The last line of a file, which lacks its newline.
    Cut,
    /// A line of more bytes than any may have: the hash that it has as a record.
    Oversized([u8; 32]),
}

/// A stream that hashes what passes.
#[derive(Debug)]
struct Hashed {
    stream: io::Take<File>,
    hash: Sha256,
    length: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.length += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

/// The lines of files of one kind.
#[derive(Debug)]
pub(super) struct Lines {
    names: VecDeque<String>,
    current: Option<(String, BufReader<Hashed>)>,
    /// Files that were read to their end: name, length, hash.
    read: Vec<(String, u64, [u8; 32])>,
}

impl Lines {
    /// The lines of all files of that folder with a name of the format.
    pub(super) fn new(source: &Source, folder: &str) -> Self {
        let names = source.names().filter(|name| name.starts_with(folder) && is_numbered(name)).cloned().collect();
        Self { names, current: None, read: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn take_read(&mut self) -> Vec<(String, u64, [u8; 32])> {
        std::mem::take(&mut self.read)
    }

    /// Appends the next line to `line`, which is empty; None at the end of all files.
    pub(super) fn next(&mut self, source: &Source, line: &mut Vec<u8>) -> Result<Option<Line>, BundleError> {
        loop {
            if self.current.is_none() {
                let Some(name) = self.names.pop_front() else { return Ok(None) };
                let Some(stream) = source.stream(&name)? else { continue };
                let hashed = Hashed { stream, hash: Sha256::new(), length: 0 };
                self.current = Some((name, BufReader::with_capacity(BUFFER, hashed)));
            }
            let Some((name, reader)) = &mut self.current else { return Ok(None) };
            if let Some(found) = read(reader, line).map_err(|cause| source.error(name, cause))? {
                return Ok(Some(found));
            }
            if let Some((name, reader)) = self.current.take() {
                let Hashed { hash, length, .. } = reader.into_inner();
                self.read.push((name, length, hash.finalize().into()));
            }
        }
    }
}

fn read(reader: &mut BufReader<Hashed>, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
    reader.take(most).read_until(b'\n', line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Some(Line::Whole));
    }
    if line.len() <= MAX_BYTES {
        return Ok((!line.is_empty()).then_some(Line::Cut));
    }
    let mut hash = Sha256::new_with_prefix([0x00]);
    hash.update(&line);
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        hash.update(buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default());
        let passed = end.map_or(buffer.len(), |end| end + 1);
        let is_end = end.is_some() || buffer.is_empty();
        reader.consume(passed);
        if is_end {
            return Ok(Some(Line::Oversized(hash.finalize().into())));
        }
    }
}

/// `records/000001.jsonl`: a folder, six digits, and the ending.
pub(super) fn is_numbered(name: &str) -> bool {
    let digits = name.split_once('/').and_then(|(_, file)| file.strip_suffix(".jsonl"));
    digits.is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
