//! What `docs/verify.py` and `docs/verify.sh` promise to who reads them.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::corpus::plain;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.py");
const SHELL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.sh");
/// Somebody must be able to read it before lunch.
const LINES: usize = 400;

#[test]
fn the_script_is_short_and_old_pythons_read_it() {
    let lines = fs::read_to_string(SCRIPT).expect("the script").lines().count();
    assert!(lines <= LINES, "{lines} lines, of at most {LINES}");
    let check = "import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 9))";
    let output = Command::new("python3").args(["-c", check, SCRIPT]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_script_imports_nothing_but_what_comes_with_python() {
    let check = "import ast, sys\n\
        for node in ast.walk(ast.parse(open(sys.argv[1]).read())):\n\
        \x20   names = [a.name for a in node.names] if isinstance(node, ast.Import) else []\n\
        \x20   names += [node.module] if isinstance(node, ast.ImportFrom) else []\n\
        \x20   for name in names:\n\
        \x20       assert name.split('.')[0] in sys.stdlib_module_names, name";
    let output = Command::new("python3").args(["-c", check, SCRIPT]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_arguments_are_no_verdict() {
    for arguments in [&[][..], &["a"], &["a", "--trust"], &["a", "--trust", "b", "--more"], &["--trust", "b"]] {
        let output = Command::new("python3").arg(SCRIPT).args(arguments).output().expect("python3");
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
    }
}

fn shell(folder: &TempDir) -> Output {
    let mut command = Command::new("sh");
    command.args([SHELL, "note", "key.pem"]).current_dir(folder.path()).output().expect("sh")
}

#[test]
fn a_checkpoint_by_shell() {
    let log = plain();
    let folder = TempDir::new().expect("a folder");
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
    let good = log.anchors[3].checkpoint.clone();
    put("key.pem", log.first_key.public_pem().as_bytes());
    put("note", &good);
    let output = shell(&folder);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("Verified OK\n") && said.contains("\n60\n"), "{said}");
    let text = String::from_utf8_lossy(&good);
    let wrong = [
        text.replace("\n60\n", "\n61\n"),
        text.replace("prod", "dev"),
        text.split("\n\n").next().unwrap_or_default().to_owned(),
        text.replace("\n\n", "\nmore\n\n"),
    ];
    for note in wrong {
        put("note", note.as_bytes());
        assert!(!shell(&folder).status.success(), "{note}");
    }
    put("note", &good);
    put("key.pem", rack_gateway_tests::evidence::Key::generate().public_pem().as_bytes());
    assert!(!shell(&folder).status.success(), "another key");
}
