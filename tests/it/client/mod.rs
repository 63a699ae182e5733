//! The program of people and CI, as they run it, against a gateway that keeps the contract strictly.

mod account;
mod ci;
mod deploy_approval;
mod desk;
mod fake;
mod login;
mod saved;
mod terminal;
mod transport;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use fake::{Fake, Say};

/// `src/bin/rack-gateway.rs`, built beside the tests.
const PATH: &str = env!("CARGO_BIN_EXE_client-under-test");
/// No command takes this long.
const HANG: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It must have failed with this code, and have said all of these on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for part in said {
            assert!(self.err.contains(part), "`{part}` is not in {self:?}");
        }
    }

    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

/// A person's machine: a home and an environment.
pub struct Machine {
    home: TempDir,
    env: BTreeMap<String, String>,
}

impl Machine {
    pub fn new() -> Self {
        let home = TempDir::new().unwrap();
        let env = [("HOME", home.path().to_str().unwrap()), ("PATH", &std::env::var("PATH").unwrap())];
        Self { env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), home }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// A machine whose user has signed in to `name`.
    async fn signed_in(name: &str, gateway: &Fake) -> Self {
        let machine = Self::new();
        machine.run(&["login", name, &gateway.url, "--no-open"]).await.ok();
        machine
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PATH);
        command.args(arguments).env_clear().envs(&self.env).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let output = tokio::time::timeout(HANG, self.command(arguments).output()).await.expect("it hangs").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {}", output.status));
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }

    fn config_path(&self) -> PathBuf {
        self.home.path().join(".config/rack-gateway/config.json")
    }

    pub fn config(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.config_path()).unwrap()).unwrap()
    }
}

/// A gateway that approves at once.
fn approving() -> Fake {
    Fake::start(&[Say::Approve])
}
