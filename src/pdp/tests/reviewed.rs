//! The default policies: their own tests, their matrix, and what the binary carries of them.

use super::super::{MATRIX_COMMAND, Sources, matrix, run_suite};
use super::{SourceFile, bundle};
use std::path::{Path, PathBuf};

fn files_of(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join(folder)];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| SourceFile::new(name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_policies_pass_their_tests() {
    let report = run_suite(&bundle(&[]), &files_of("policies/tests"));
    assert!(report.is_success(), "{report}");
}

#[test]
fn the_reviewed_matrix_is_current() {
    let current = matrix(&bundle(&[]));
    let reviewed = include_str!("../../../policies/tests/matrix.txt");
    let changed: Vec<&str> = current.lines().filter(|line| !reviewed.lines().any(|known| known == *line)).collect();
    assert!(current == reviewed, "who may do what has changed; review it after {MATRIX_COMMAND}\n{changed:#?}");
}

#[test]
fn the_binary_carries_what_the_folders_hold() {
    let files = files_of("schema").into_iter().chain(files_of("policies"));
    let read = Sources::from_files("dev", files.map(|file| (file.name, file.text))).unwrap();
    let embedded = Sources::embedded("dev");
    assert_eq!(read.digest(), embedded.digest(), "a file is missing in the list of embedded files");
    assert_eq!((read.schema, read.policies), (embedded.schema, embedded.policies));
    assert!(embedded.tests.iter().all(|file| read.tests.contains(file)));
}
