//! A copy of the bucket in a folder, as `aws s3 sync` makes it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::BundleError;
use crate::proof::anchor::{ObjectKey, epoch_origin};
use crate::proof::note::MAX_BYTES;
use crate::proof::verify::{Finding, GivenAnchor, Shelf};

/// The anchors of a copy, and what was found wrong with it.
#[derive(Clone, Debug)]
pub(super) struct BucketCopy {
    folder: PathBuf,
    origin: String,
    /// Epoch and number of each anchor that is there whole.
    anchors: VecDeque<(u64, u64)>,
    pub(super) findings: Vec<Finding>,
}

impl BucketCopy {
    pub(super) fn open(folder: &Path, origin: &str) -> Result<Self, BundleError> {
        let mut copy = Self {
            folder: folder.to_owned(),
            origin: origin.to_owned(),
            anchors: VecDeque::new(),
            findings: Vec::new(),
        };
        let home = folder.join("v1").join(origin);
        let is_safe = crate::proof::anchor::is_origin(origin) && home.is_dir();
        if !is_safe {
            return Err(BundleError::NoBucket { path: folder.to_owned(), origin: origin.to_owned() });
        }
        let mut epochs = vec![1];
        epochs.extend(names(&home)?.iter().filter_map(|name| {
            let digits = name.strip_prefix("epoch-")?;
            digits.parse().ok().filter(|epoch: &u64| *epoch > 1 && epoch.to_string() == digits)
        }));
        epochs.sort_unstable();
        let mut keys = Vec::new();
        for epoch in epochs {
            copy.list(epoch, &mut keys)?;
        }
        let Shelf { anchors, findings } = Shelf::of(keys);
        (copy.anchors, copy.findings) = (anchors.into(), findings);
        Ok(copy)
    }

    fn list(&self, epoch: u64, keys: &mut Vec<(u64, ObjectKey)>) -> Result<(), BundleError> {
        let origin = epoch_origin(&self.origin, epoch);
        for kind in ["checkpoint", "meta"] {
            let folder = self.folder.join("v1").join(&origin).join(kind);
            if folder.is_dir() {
                let key = |name: String| ObjectKey::parse(&origin, &format!("v1/{origin}/{kind}/{name}"));
                keys.extend(names(&folder)?.into_iter().filter_map(key).map(|key| (epoch, key)));
            }
        }
        Ok(())
    }

    /// The next anchors.
    pub(super) fn next(&mut self, count: usize) -> Result<Vec<GivenAnchor>, BundleError> {
        let count = count.min(self.anchors.len());
        let next: Vec<(u64, u64)> = self.anchors.drain(..count).collect();
        let read = |(epoch, number): (u64, u64)| {
            let origin = epoch_origin(&self.origin, epoch);
            let note = |key: ObjectKey| note(&self.folder.join(key.path(&origin)));
            let (checkpoint, meta) = (note(ObjectKey::Checkpoint(number))?, note(ObjectKey::Meta(number))?);
            Ok(GivenAnchor { epoch, number, checkpoint, meta })
        };
        next.into_iter().map(read).collect()
    }
}

/// A note. One that is too large is cut behind the first byte too many, and so is none.
fn note(path: &Path) -> Result<Vec<u8>, BundleError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|cause| BundleError::io(path, cause))
}

/// The names in a folder, which holds files and folders only.
fn names(folder: &Path) -> Result<Vec<String>, BundleError> {
    let io = |cause| BundleError::io(folder, cause);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let kind = entry.file_type().map_err(io)?;
        match entry.file_name().into_string() {
            Ok(name) if kind.is_file() || kind.is_dir() => names.push(name),
            Ok(_) | Err(_) => return Err(BundleError::Odd(entry.path())),
        }
    }
    Ok(names)
}
