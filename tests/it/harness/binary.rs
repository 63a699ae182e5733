//! The real binary, as an operator runs it.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::gateway::RACK_PASSWORD;

/// Starting takes a fraction of this.
const HANG: Duration = Duration::from_secs(60);

/// `src/main.rs`, built beside the tests.
const PATH: &str = env!("CARGO_BIN_EXE_gateway-under-test");

/// A command with nothing in its environment but what is given.
pub fn command(arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PATH);
    command.args(arguments).env_clear().envs(env.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub async fn run(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    timeout(HANG, command(arguments, env).output()).await.expect("the command hangs").unwrap()
}

/// Makes a token on the command line; gives what it printed.
pub async fn create_token(database: &str, arguments: &[&str]) -> String {
    let mut all = vec!["token", "create"];
    all.extend(arguments);
    let output = run(&all, &[("RGW_DATABASE_URL", database)]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `serve`, answering.
pub struct Serving {
    pub child: Child,
    pub addr: SocketAddr,
    _log: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    /// Starts it; fails with what it said when it does not come up.
    pub async fn start(database: &str, rack: SocketAddr, more: &[(&str, &str)]) -> Result<Self, String> {
        let host = format!("http://{rack}");
        let mut env = vec![
            ("RGW_DATABASE_URL", database),
            ("RACK", "acme/dev"),
            ("RACK_HOST", &host),
            ("RACK_TOKEN", RACK_PASSWORD),
            ("RGW_LISTEN", "127.0.0.1:0"),
            ("RGW_METRICS_LISTEN", "127.0.0.1:0"),
            ("DOMAIN", "gateway.example.com"),
        ];
        env.extend(more);
        let mut command = command(&["serve"], &env);
        command.stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let line = timeout(HANG, log.next_line()).await.map_err(|_| format!("it hangs: {said}"))?;
            let Some(line) = line.map_err(|error| error.to_string())? else { return Err(said) };
            if let Some(addr) = serving_at(&line) {
                return Ok(Self { child, addr, _log: log });
            }
            said += &line;
            said.push('\n');
        }
    }

    /// As the kernel or a power failure would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// As an orchestrator would: SIGTERM, then wait for the end.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(sent.success());
        timeout(HANG, self.child.wait()).await.expect("it does not stop").unwrap()
    }

    /// The most memory it ever had, in KiB (`VmHWM`), and what it has now (`VmRSS`).
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmHWM:"), field("VmRSS:"))
    }
}

/// The log line that says where it listens.
fn serving_at(line: &str) -> Option<SocketAddr> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = &value["fields"];
    (fields["message"] == "serving").then(|| fields["address"].as_str().unwrap().parse().unwrap())
}
