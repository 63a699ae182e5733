//! A real browser, driven by the scripts of `tests/browser/scripts/`, and an OpenID provider that
//! is not ours for it to sign in at. `.ci/install` brings what both need.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::tidy::root;

/// Starting a browser, or a provider, and all that a script does then: each takes a tenth of this.
const HANG: Duration = Duration::from_secs(60);
/// What a script that is late has left for pictures of its pages.
const REMAINS: Duration = Duration::from_secs(30);
/// Browsers at a time: each wants a processor.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// Runs scripts.
pub struct Script;

impl Script {
    /// Runs `tests/browser/scripts/{name}` with `input`; gives its output. Fails with what it says,
    /// and with where the pictures of its pages are.
    pub async fn run(name: &str, input: &Value) -> Value {
        Self::try_run(name, input, HANG).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same, for a script that may fail, and has so much time once there is a browser.
    pub async fn try_run(name: &str, input: &Value, most: Duration) -> Result<Value, Failure> {
        let permit = BROWSERS.acquire().await.expect("nobody closes it");
        // Profile and temporary files of the browser.
        let scratch = tempfile::Builder::new().prefix("rgw-browser-").tempdir().expect("a temporary directory");
        let pictures = pictures(name);
        let mut command = node(&format!("scripts/{name}"));
        command.env("TMPDIR", scratch.path()).env("HOME", scratch.path());
        command.env("BROWSER_ARTIFACTS", &pictures).env("BROWSER_DEADLINE", most.as_millis().to_string());
        let output = timeout(HANG + most + REMAINS, feed(command, input)).await;
        drop(permit);
        let failed = |said: String| Failure { script: name.to_owned(), said, pictures: pictures.clone() };
        let output = output.map_err(|_| failed("it hangs".to_owned()))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(failed(said));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| failed(format!("its output is no JSON: {error}\n{said}")))
    }
}

/// Why a script failed.
#[derive(Debug)]
pub struct Failure {
    script: String,
    /// What it wrote to its standard error.
    pub said: String,
    /// The folder of its pictures; there is none when no page was open.
    pub pictures: PathBuf,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pictures = self.pictures.display();
        write!(f, "tests/browser/scripts/{}: {}\npictures: {pictures}", self.script, self.said)
    }
}

/// A folder of its own below the target folder for each run in this process.
fn pictures(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let run = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = name.trim_end_matches(".mjs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser").join(format!("{name}-{run}"));
    // What an earlier run of the tests left.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("remove old pictures");
    }
    folder
}

/// `node` with a script of `tests/browser/`.
fn node(script: &str) -> Command {
    let place = root().join("tests/browser");
    assert!(place.join("node_modules/playwright-core").exists(), "the browser tests are not set up: run .ci/install");
    let mut command = Command::new("node");
    command.arg(place.join(script)).current_dir(place).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn feed(mut command: Command, input: &Value) -> Output {
    let mut child = command.spawn().expect("node runs: see CONTRIBUTING.md");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.to_string().as_bytes()).await.expect("it reads its input");
    drop(stdin);
    child.wait_with_output().await.expect("its output")
}

/// What a provider says when it listens.
#[derive(Deserialize)]
struct Listening {
    issuer: String,
    client_id: String,
    client_secret: String,
}

/// panva's oidc-provider with one client; it ends with this value, or with the test binary.
pub struct OidcProvider {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    _child: Child,
    /// The provider ends when this pipe does.
    _leash: ChildStdin,
}

impl OidcProvider {
    /// One whose answers may go to `redirect_uris`. Of `accounts`, each is an object with `sub`,
    /// which its sign-in page asks for, `email`, `email_verified`, `name` and `groups`.
    pub async fn start(redirect_uris: &[&str], accounts: &Value) -> Self {
        Self::with(&json!({"redirect_uris": redirect_uris, "accounts": accounts})).await
    }

    /// One with all that `tests/browser/provider.mjs` takes.
    pub async fn with(settings: &Value) -> Self {
        let mut child = node("provider.mjs").spawn().expect("node runs: see CONTRIBUTING.md");
        let mut leash = child.stdin.take().expect("its input");
        leash.write_all(format!("{settings}\n").as_bytes()).await.expect("it reads its settings");
        let mut said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut complaints = BufReader::new(child.stderr.take().expect("its errors")).lines();
        let first = timeout(HANG, said.next_line()).await.expect("it listens soon").expect("a line");
        let Some(first) = first else {
            let mut all = String::new();
            while let Ok(Some(line)) = complaints.next_line().await {
                writeln!(all, "{line}").expect("a string");
            }
            panic!("the provider does not start: {all}");
        };
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = complaints.next_line().await {} });
        let listening: Listening = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
        let Listening { issuer, client_id, client_secret } = listening;
        Self { issuer, client_id, client_secret, _child: child, _leash: leash }
    }
}
