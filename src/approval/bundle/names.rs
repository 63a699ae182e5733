//! Names of files in a tarball. A name is compared by its parts, so that `./convox.yml` is `convox.yml`; one that
//! climbs, or that is absolute, has no parts.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::BundleError;

/// Longest name, in bytes: Linux' own limit for a path.
const LONGEST: usize = 4096;

/// The manifest that a build means by its `manifest` parameter, as a name in the tarball; `convox.yml` when it is
/// empty, as the rack has it (convox `pkg/build/build.go`). None for one that leads out of the tree, or is a folder.
#[must_use]
pub fn wanted(parameter: &str) -> Option<Vec<u8>> {
    let name = if parameter.is_empty() { "convox.yml" } else { parameter };
    if name.ends_with('/') || name.ends_with("/.") {
        return None;
    }
    parts(name.as_bytes()).filter(|parts| !parts.is_empty()).map(|parts| parts.join(&b'/'))
}

/// The parts of a name without empty ones and `.`; none where it is absolute, climbs, or holds NUL.
pub(super) fn parts(name: &[u8]) -> Option<Vec<&[u8]>> {
    if name.len() > LONGEST || name.first() == Some(&b'/') || name.contains(&0) {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// Whether a link stays in the tree: `target` as seen from `folder`, which has so many parts above it.
pub(super) fn stays(depth: usize, target: &[u8]) -> bool {
    if target.is_empty() || target.first() == Some(&b'/') || target.len() > LONGEST || target.contains(&0) {
        return false;
    }
    let mut depth = depth;
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            _ => depth = depth.saturating_add(1),
        }
    }
    true
}

/// What a name was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Folder,
    Other,
}

/// All names so far, as digests: what they take is bounded by their number.
#[derive(Debug)]
pub(super) struct Names {
    known: HashMap<[u8; 32], Use>,
    max: usize,
}

impl Names {
    pub(super) fn new(max: usize) -> Self {
        Self { known: HashMap::new(), max }
    }

    /// Notes a name and the folders that it lies in.
    ///
    /// # Errors
    /// When it was there already, unless both are folders; when it lies beneath what is no folder; when there are
    /// too many.
    pub(super) fn add(&mut self, parts: &[&[u8]], used: Use) -> Result<(), BundleError> {
        let mut digest = Sha256::new();
        let last = parts.len().saturating_sub(1);
        for (position, part) in parts.iter().enumerate() {
            digest.update(part);
            digest.update(b"/");
            let as_what = if position == last { used } else { Use::Folder };
            let key = digest.clone().finalize().into();
            match self.known.get(&key) {
                Some(Use::Folder) if as_what == Use::Folder => {}
                Some(_) => return Err(BundleError::Twice),
                None if self.known.len() >= self.max => return Err(BundleError::Entries(self.max)),
                None => {
                    self.known.insert(key, as_what);
                }
            }
        }
        Ok(())
    }
}
