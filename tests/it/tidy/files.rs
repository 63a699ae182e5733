//! Size and shape of files.

use super::{none, read, walk, walk_ext};

const SOURCE_LINES: usize = 500;
const TEST_LINES: usize = 1000;
const LINE_LENGTH: usize = 120;

/// Folders in which only one machine's files are.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Words for what is not done yet.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Of Rust; a script that is longer does more than one thing.
fn is_test(path: &str) -> bool {
    path.ends_with(".rs") && (path.starts_with("tests/") || super::source::is_test_file(path))
}

#[test]
fn files_are_short() {
    let too_long = walk_ext(".", &[".rs", ".mjs", ".css"]).into_iter().filter_map(|path| {
        let lines = read(&path).lines().count();
        let most = if is_test(&path) { TEST_LINES } else { SOURCE_LINES };
        (lines > most).then(|| format!("{path}: {lines} lines, of at most {most}: split it by concern"))
    });
    none(&too_long.collect::<Vec<_>>());
}

#[test]
fn lines_are_short() {
    let mut problems = Vec::new();
    // Not the schema: a string of Cedar cannot be broken.
    for path in walk_ext(".", &[".rs", ".mjs", ".css", ".cedar", ".sh", ".py"]) {
        for (at, line) in read(&path).lines().enumerate() {
            let length = line.chars().count();
            if length > LINE_LENGTH {
                problems.push(format!("{path}:{}: {length} characters, of at most {LINE_LENGTH}", at + 1));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent = walk_ext(".", &[".rs"]).into_iter().filter(|path| !path.starts_with("tests/ui/"));
    let silent = silent.filter(|path| !read(path).starts_with("//!"));
    let silent = silent.map(|path| format!("{path}: begin with a line of `//!`"));
    let scripts = walk_ext(".", &[".mjs"]).into_iter().filter(|path| !read(path).starts_with("// "));
    let scripts = scripts.map(|path| format!("{path}: begin with a line of `//`"));
    none(&silent.chain(scripts).collect::<Vec<_>>());
}

#[test]
fn nothing_names_a_developers_machine_or_unfinished_work() {
    let text = [
        ".rs",
        ".mjs",
        ".css",
        ".md",
        ".toml",
        ".yml",
        ".json",
        ".sh",
        ".py",
        ".cedar",
        ".cedarschema",
        "Makefile",
        "run",
    ];
    let mut problems = Vec::new();
    for path in walk(".").into_iter().filter(|path| text.iter().any(|end| path.ends_with(end))) {
        for (at, line) in read(&path).lines().enumerate() {
            let machine = MACHINE_PATHS.iter().find(|folder| line.contains(*folder));
            let unfinished =
                UNFINISHED.iter().find(|word| line.split(|c: char| !c.is_alphanumeric()).any(|w| w == **word));
            if let Some(what) = machine.or(unfinished) {
                problems.push(format!("{path}:{}: {what}", at + 1));
            }
        }
    }
    none(&problems);
}
