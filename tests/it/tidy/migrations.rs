//! Migrations that are merged are never edited: their digests are on a list.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{none, read, walk_ext};

const LIST: &str = "tests/fixtures/migrations.sha256";

fn digests() -> BTreeMap<String, String> {
    let is_migration =
        |path: &String| path.ends_with(".sql") || path.rsplit('/').next().is_some_and(|name| name.starts_with('m'));
    let files = walk_ext("migrations/src", &[".rs", ".sql"]).into_iter().filter(is_migration);
    files.map(|path| (path.clone(), hex::encode(Sha256::digest(read(&path))))).collect()
}

#[test]
fn merged_migrations_are_never_edited() {
    let list = read(LIST);
    let entries = list.lines().filter(|line| !line.starts_with('#'));
    let listed: BTreeMap<_, _> = entries.filter_map(|line| line.split_once("  ")).map(|(d, p)| (p, d)).collect();
    let written = digests();
    let mut problems = Vec::new();
    for (path, digest) in &written {
        match listed.get(path.as_str()) {
            None => problems.push(format!("{LIST}: a new migration; add the line\n{digest}  {path}")),
            Some(merged) if merged != digest => {
                problems.push(format!("{path}: was edited after it was merged; write a new migration instead"));
            }
            Some(_) => {}
        }
    }
    let gone = listed.keys().filter(|path| !written.contains_key(**path));
    problems.extend(gone.map(|path| format!("{path}: was merged and is gone")));
    none(&problems);
}
