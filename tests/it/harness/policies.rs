//! The policies of the repository, in a folder that a test may change.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A copy of `policies/` and `schema/`.
pub struct Policies(TempDir);

impl Policies {
    /// Without step-up, which tests of its own hold: others would be asked for a second factor at
    /// every step.
    pub fn copy() -> Self {
        let policies = Self::whole();
        lay_down_step_up(policies.0.path());
        policies
    }

    /// All of them.
    pub fn whole() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_both(dir.path());
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

/// The policies of most tests: those of the repository without step-up. Read only.
pub fn without_step_up() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("policies-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        copy_both(&dir);
        lay_down_step_up(&dir);
        dir
    });
    made.join("policies")
}

fn copy_both(to: &Path) {
    for folder in ["policies", "schema"] {
        copy(&repository().join(folder), &to.join(folder));
    }
}

fn lay_down_step_up(dir: &Path) {
    for name in ["policies/step-up.cedar", "policies/tests/step-up.json"] {
        std::fs::remove_file(dir.join(name)).unwrap();
    }
    let canaries = dir.join("policies/tests/canaries.json");
    let all: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&canaries).unwrap()).unwrap();
    let is_about_factors = |case: &serde_json::Value| {
        let name = case["name"].as_str().unwrap();
        ["factor", "device", "passkey"].iter().any(|word| name.contains(word))
    };
    let (about, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_about_factors);
    assert!(!about.is_empty() && !others.is_empty());
    std::fs::write(canaries, serde_json::to_vec(&others).unwrap()).unwrap();
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
