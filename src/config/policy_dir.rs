//! Reading the folder that holds the policies of production.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the folder could not be read.
#[derive(Debug, Error)]
pub enum PolicyDirError {
    /// A folder or file cannot be read.
    #[error("{}: {source}; check RGW_POLICY_DIR and the permissions", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The policy folder has no parent to hold `schema/`.
    #[error("{}: has no folder `schema` beside it", .0.display())]
    NoSchema(PathBuf),
}

/// Reads every file of `dir` and its subfolders, and of the folder `schema` beside it: pairs of
/// relative name (`policies/roles.cedar`) and text, sorted. Hidden files are left out.
///
/// # Errors
/// When a folder or file cannot be read as UTF-8 text.
pub fn read_policy_dir(dir: &Path) -> Result<Vec<(String, String)>, PolicyDirError> {
    let absolute =
        fs::canonicalize(dir).map_err(|source| PolicyDirError::Unreadable { path: dir.to_owned(), source })?;
    let parent = absolute.parent().ok_or_else(|| PolicyDirError::NoSchema(dir.to_owned()))?;
    let mut files = Vec::new();
    read_folder(&absolute, "policies", &mut files)?;
    read_folder(&parent.join("schema"), "schema", &mut files)?;
    files.sort();
    Ok(files)
}

fn read_folder(dir: &Path, label: &str, files: &mut Vec<(String, String)>) -> Result<(), PolicyDirError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| PolicyDirError::Unreadable { path, source }
    };
    for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let label = format!("{label}/{name}");
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            read_folder(&path, &label, files)?;
        } else {
            files.push((label, fs::read_to_string(&path).map_err(unreadable(&path))?));
        }
    }
    Ok(())
}
