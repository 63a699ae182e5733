//! The real binary, as an operator runs it.

use std::net::SocketAddr;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::gateway::{RACK_PASSWORD, SECRET_KEY};
use super::policies::without_step_up;

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
    let output = run(&all, &[("RGW_DATABASE_URL", database), ("RACK", "acme/dev")]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a process writes to one of its outputs, as it comes: a full pipe would stop the process.
pub struct Said(watch::Receiver<String>);

impl Said {
    fn by(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (all, said) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                all.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
        });
        Self(said)
    }

    /// Waits until `find` finds something in it; none when the process ends before.
    pub async fn until<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        let wait = self.0.wait_for(|all| {
            found = find(all);
            found.is_some()
        });
        let waited = timeout(HANG, wait).await.map(|waited| waited.is_ok());
        assert!(waited.is_ok(), "it says nothing more: {}", *self.0.borrow());
        found
    }

    /// All of it, once the process has ended.
    pub async fn into_all(mut self) -> String {
        self.until(|_| None::<()>).await;
        self.0.borrow().clone()
    }
}

/// A process that is under way.
pub struct Started {
    pub child: Child,
    pub out: Said,
    pub err: Said,
}

impl Started {
    pub fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = Said::by(child.stdout.take().unwrap());
        let err = Said::by(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Sends a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for the end; gives its exit status and all that it said.
    pub async fn ended(mut self) -> (ExitStatus, String, String) {
        let status = timeout(HANG, self.child.wait()).await.expect("it does not stop").unwrap();
        (status, self.out.into_all().await, self.err.into_all().await)
    }
}

/// `serve`, answering.
pub struct Serving {
    pub process: Started,
    pub addr: SocketAddr,
    pub metrics: SocketAddr,
}

impl Serving {
    /// Starts it; fails with what it said when it does not come up.
    pub async fn start(database: &str, rack: SocketAddr, more: &[(&str, &str)]) -> Result<Self, String> {
        Self::start_with(&["serve"], database, rack, more).await
    }

    /// The same with options of the command.
    pub async fn start_with(
        arguments: &[&str],
        database: &str,
        rack: SocketAddr,
        more: &[(&str, &str)],
    ) -> Result<Self, String> {
        let host = format!("http://{rack}");
        let policies = without_step_up();
        let mut env = vec![
            ("RGW_POLICY_DIR", policies.to_str().unwrap()),
            ("RGW_DATABASE_URL", database),
            ("RACK", "acme/dev"),
            ("RACK_HOST", &host),
            ("RACK_TOKEN", RACK_PASSWORD),
            ("APP_SECRET_KEY", SECRET_KEY),
            ("RGW_LISTEN", "127.0.0.1:0"),
            ("RGW_METRICS_LISTEN", "127.0.0.1:0"),
            ("DOMAIN", "gateway.example.com"),
        ];
        env.extend(more);
        let mut process = Started::new(command(arguments, &env));
        match process.err.until(|said| said.lines().find_map(serving_at)).await {
            Some([addr, metrics]) => Ok(Self { process, addr, metrics }),
            None => Err(process.err.into_all().await),
        }
    }

    /// As the kernel or a power failure would.
    pub async fn kill(mut self) {
        self.process.child.kill().await.unwrap();
    }

    /// As an orchestrator would: SIGTERM, then wait for the end.
    pub async fn terminate(self) -> ExitStatus {
        self.process.signal("TERM").await;
        self.process.ended().await.0
    }

    /// The most memory it ever had, in KiB (`VmHWM`), and what it has now (`VmRSS`).
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id().unwrap())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmHWM:"), field("VmRSS:"))
    }
}

/// The log line that says where it listens: for people, and for metrics.
fn serving_at(line: &str) -> Option<[SocketAddr; 2]> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = &value["fields"];
    let address = |name: &str| fields[name].as_str().unwrap().parse().unwrap();
    (fields["message"] == "serving").then(|| [address("address"), address("metrics")])
}
