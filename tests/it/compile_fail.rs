//! Programs that must not compile: the ways around a permit.
//!
//! Each file of `tests/ui/` begins with `// error: E0000`, the one error that it must have, or with
//! `// compiles`, a control that shows that the others fail for their own reason. They are compiled
//! against the library that these tests are linked to: `trybuild` would compile every dependency
//! again in a second target folder.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tidy::root;

/// A compiled library and the folder of its dependencies.
struct Library {
    rlib: PathBuf,
    deps: PathBuf,
}

/// What `rustc` says of a program: the error codes, and its whole output.
struct Verdict {
    codes: BTreeSet<String>,
    output: String,
    is_success: bool,
}

/// Libraries beside this test, newest first. There is one for each set of features that was built.
fn libraries() -> Vec<Library> {
    let test = std::env::current_exe().expect("the path of this test");
    let deps = test.parent().expect("the folder of this test").to_path_buf();
    let entries = fs::read_dir(&deps).expect("a readable folder").filter_map(Result::ok);
    let rlibs = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with("librack_gateway-") && name.ends_with(".rlib"))
    });
    let mut dated: Vec<_> =
        rlibs.map(|e| (e.metadata().and_then(|m| m.modified()).expect("a date"), e.path())).collect();
    dated.sort();
    dated.into_iter().rev().map(|(_, rlib)| Library { rlib, deps: deps.clone() }).collect()
}

fn compile(library: &Library, program: &Path) -> Verdict {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut external = OsString::from("rack_gateway=");
    external.push(&library.rlib);
    let mut dependencies = OsString::from("dependency=");
    dependencies.push(&library.deps);
    let ran = Command::new(rustc)
        .current_dir(root())
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--cap-lints", "allow"])
        .args(["--error-format", "short", "--out-dir"])
        .arg(out.path())
        .arg("--extern")
        .arg(external)
        .arg("-L")
        .arg(dependencies)
        .arg(program)
        .output()
        .expect("rustc runs");
    let output = String::from_utf8_lossy(&ran.stderr).into_owned();
    let codes = output.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).map(str::to_owned).collect();
    Verdict { codes, output, is_success: ran.status.success() }
}

fn programs() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/ui")).expect("tests/ui").filter_map(Result::ok);
    let mut programs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some()).collect();
    programs.sort();
    programs
}

fn expectation(program: &Path) -> String {
    let text = fs::read_to_string(program).expect("a readable program");
    text.lines().next().unwrap_or_default().trim_start_matches("// ").to_owned()
}

/// The newest library that the controls compile against, or what was wrong with each.
fn usable() -> Library {
    let controls: Vec<_> = programs().into_iter().filter(|path| expectation(path) == "compiles").collect();
    assert!(!controls.is_empty(), "tests/ui has no control");
    let mut said = String::new();
    for library in libraries() {
        let failed = controls.iter().map(|path| compile(&library, path)).find(|verdict| !verdict.is_success);
        match failed {
            None => return library,
            Some(verdict) => said.push_str(&verdict.output),
        }
    }
    panic!("the controls of tests/ui compile against no library beside this test:\n{said}");
}

#[test]
fn no_way_around_a_permit_compiles() {
    let library = usable();
    let attempts: Vec<_> = programs().into_iter().filter(|path| expectation(path) != "compiles").collect();
    assert!(attempts.len() >= 6, "attempts are gone from tests/ui");
    let problems: Vec<_> = attempts.iter().filter_map(|path| problem(&library, path)).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// What is wrong with an attempt, if anything.
fn problem(library: &Library, program: &Path) -> Option<String> {
    let first = expectation(program);
    let Some(expected) = first.strip_prefix("error: ") else {
        return Some(format!("{}: begin with `// error: E0000` or `// compiles`", program.display()));
    };
    let verdict = compile(library, program);
    if verdict.is_success {
        return Some(format!("{}: COMPILES: the proof has a hole", program.display()));
    }
    let only = verdict.codes.len() == 1 && verdict.codes.contains(expected);
    (!only).then(|| format!("{}: {:?} instead of {expected}\n{}", program.display(), verdict.codes, verdict.output))
}
