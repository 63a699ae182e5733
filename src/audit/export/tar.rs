//! A tar archive (ustar) that is written while it is made, and the list of what is in it.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{ExportError, Sink};

/// Bytes of a block.
const BLOCK: usize = 512;
/// Zeros to fill the last block of a file, and to end the archive.
static ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// A file of the archive, as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: usize,
    pub(super) sha256: [u8; 32],
}

/// An archive under way. Without [`Archive::end`] it has no end, and readers of tar say so.
pub(super) struct Archive<'a> {
    sink: &'a Sink,
    /// Seconds since 1970: when every file says that it was made.
    made_at: u64,
    listed: Vec<Listed>,
}

impl<'a> Archive<'a> {
    pub(super) const fn new(sink: &'a Sink, made_at: u64) -> Self {
        Self { sink, made_at, listed: Vec::new() }
    }

    /// What was added so far.
    pub(super) fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Writes a file.
    pub(super) async fn add(&mut self, name: String, content: Vec<u8>) -> Result<(), ExportError> {
        let header = header(&name, content.len(), self.made_at)?;
        self.listed.push(Listed { name, bytes: content.len(), sha256: Sha256::digest(&content).into() });
        let filler = content.len().next_multiple_of(BLOCK).saturating_sub(content.len());
        self.sink.send(Bytes::copy_from_slice(header.as_bytes())).await?;
        self.sink.send(Bytes::from(content)).await?;
        self.sink.send(Bytes::from_static(ZEROS.get(..filler).unwrap_or_default())).await
    }

    /// Ends the archive.
    pub(super) async fn end(self) -> Result<(), ExportError> {
        self.sink.send(Bytes::from_static(&ZEROS)).await
    }
}

fn header(name: &str, bytes: usize, made_at: u64) -> Result<tar::Header, ExportError> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(name).map_err(|_| ExportError::Unwritable("a file of the bundle has an impossible name"))?;
    header.set_size(u64::try_from(bytes).unwrap_or(u64::MAX));
    header.set_mode(0o644);
    header.set_mtime(made_at);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// Most bytes of a file of lines, but for its last line.
const FILE_BYTES: usize = 4 << 20;
/// Most lines of one.
const FILE_LINES: usize = 4096;

/// Lines on their way into files `<folder>/000001.jsonl` and so on.
#[derive(Debug)]
pub(super) struct Lines {
    folder: &'static str,
    files: u32,
    lines: usize,
    content: Vec<u8>,
}

impl Lines {
    pub(super) const fn of(folder: &'static str) -> Self {
        Self { folder, files: 0, lines: 0, content: Vec::new() }
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        self.content.extend_from_slice(line);
        self.content.push(b'\n');
        self.lines += 1;
    }

    pub(super) const fn is_full(&self) -> bool {
        self.lines >= FILE_LINES || self.content.len() >= FILE_BYTES
    }

    /// Writes what there is as the next file.
    pub(super) async fn flush(&mut self, archive: &mut Archive<'_>) -> Result<(), ExportError> {
        if self.lines == 0 {
            return Ok(());
        }
        self.files += 1;
        self.lines = 0;
        let name = format!("{}/{:06}.jsonl", self.folder, self.files);
        archive.add(name, std::mem::take(&mut self.content)).await
    }
}
