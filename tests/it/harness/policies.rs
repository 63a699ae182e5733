//! The policies of the repository, in a folder that a test may change.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A copy of `policies/` and `schema/`.
pub struct Policies(TempDir);

impl Policies {
    pub fn copy() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["policies", "schema"] {
            copy(&repository().join(folder), &dir.path().join(folder));
        }
        Self(dir)
    }

    /// What `RGW_POLICY_DIR` names.
    pub fn dir(&self) -> PathBuf {
        self.0.path().join("policies")
    }

    /// A file, by its name as problems name it: `policies/roles.cedar`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
}
