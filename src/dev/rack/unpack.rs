//! The manifest inside an upload, as the rack finds it: by Go's forgiving rules (convox `pkg/build`,
//! `pkg/common/tarball.go`).

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// The file of that name in a gzipped tarball; of two, the one that was written last.
pub(super) fn manifest(object: &[u8], name: &str) -> Option<String> {
    let name = if name.is_empty() { "convox.yml" } else { name };
    let mut archive = ::tar::Archive::new(MultiGzDecoder::new(object));
    let mut found = None;
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if cleaned(&entry.path().ok()?) == cleaned(Path::new(name)) && entry.header().entry_type().is_file() {
            let mut text = String::new();
            entry.read_to_string(&mut text).ok()?;
            found = Some(text);
        }
    }
    found
}

/// As Go's `filepath.Clean` has it beneath a folder.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(part) => clean.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}
