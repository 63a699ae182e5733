//! The files of an export, wherever they lie.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BundleError, archive};

/// Deepest folder below an export.
const DEPTH: u32 = 16;

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// From the begin of the archive, or of the file itself.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The files of an export by name.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    is_archive: bool,
    files: BTreeMap<String, Extent>,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let is_archive = !fs::metadata(path).map_err(|cause| BundleError::io(path, cause))?.is_dir();
        let files = if is_archive {
            archive::index(path)?
        } else {
            let mut files = BTreeMap::new();
            walk(path, "", DEPTH, &mut files)?;
            files
        };
        Ok(Self { path: path.to_owned(), is_archive, files })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    pub(super) fn length(&self, name: &str) -> Option<u64> {
        self.files.get(name).map(|extent| extent.length)
    }

    /// The bytes of a file as a stream; None when there is no such file.
    pub(super) fn stream(&self, name: &str) -> Result<Option<io::Take<File>>, BundleError> {
        let Some(extent) = self.files.get(name) else { return Ok(None) };
        let path = if self.is_archive { self.path.clone() } else { self.path.join(name) };
        let open = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(extent.start))?;
            Ok(file)
        };
        let file = open().map_err(|cause| BundleError::io(&path, cause))?;
        Ok(Some(file.take(extent.length)))
    }

    /// The bytes of a small file. One of more than `largest` bytes is cut behind the first one too many.
    pub(super) fn read(&self, name: &str, largest: u64) -> Result<Option<Vec<u8>>, BundleError> {
        let Some(stream) = self.stream(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        stream.take(largest.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| self.error(name, cause))?;
        Ok(Some(bytes))
    }

    /// Length and hash of a file.
    pub(super) fn digest(&self, name: &str) -> Result<Option<(u64, [u8; 32])>, BundleError> {
        let Some(mut stream) = self.stream(name)? else { return Ok(None) };
        let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            let count = stream.read(&mut buffer).map_err(|cause| self.error(name, cause))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            hash.update(bytes);
            length += u64::try_from(count).unwrap_or_default();
        }
        Ok(Some((length, hash.finalize().into())))
    }

    pub(super) fn error(&self, name: &str, cause: io::Error) -> BundleError {
        BundleError::io(&self.path.join(name), cause)
    }
}

/// Collects the files below a folder. Links are not followed: they could lead anywhere.
fn walk(folder: &Path, prefix: &str, depth: u32, files: &mut BTreeMap<String, Extent>) -> Result<(), BundleError> {
    let entries = fs::read_dir(folder).map_err(|cause| BundleError::io(folder, cause))?;
    for entry in entries {
        let entry = entry.map_err(|cause| BundleError::io(folder, cause))?;
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).map_err(|cause| BundleError::io(&path, cause))?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
            return Err(BundleError::Odd(path));
        };
        if metadata.is_file() {
            files.insert(name, Extent { start: 0, length: metadata.len() });
        } else if metadata.is_dir() && depth > 0 {
            walk(&path, &format!("{name}/"), depth - 1, files)?;
        } else {
            return Err(BundleError::Odd(path));
        }
    }
    Ok(())
}
