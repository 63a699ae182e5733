//! The rules of the repository that no compiler holds: who may import whom, what source may not
//! contain, what documents and deployment files must agree on. A failure names file and remedy.

mod browser;
mod dependencies;
mod deploy;
mod docs;
mod files;
mod imports;
mod migrations;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "venv", ".git", ".dev", "__pycache__"];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository").to_path_buf()
}

/// All files below a folder of the repository, as paths relative to its root, sorted.
fn walk(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(folder)];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let entry = entry.expect("readable entry");
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            let kind = entry.file_type().expect("file type");
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path().strip_prefix(root()).expect("below the root").to_path_buf();
                found.push(path.to_str().expect("a UTF-8 file name").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// All files below a folder whose names end with one of these.
fn walk_ext(folder: &str, ends: &[&str]) -> Vec<String> {
    walk(folder).into_iter().filter(|path| ends.iter().any(|end| path.ends_with(end))).collect()
}

/// The text of a file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Fails with all problems at once.
#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The rows of the first markdown table after a marker, cells trimmed, without its two head lines.
fn table(text: &str, marker: &str) -> Vec<Vec<String>> {
    let at = text.find(marker).unwrap_or_else(|| panic!("the marker {marker:?} is gone"));
    let rows = text[at..].lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<_> = rows.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "the table after {marker:?} is empty");
    rows
}
