//! PostgreSQL as Debian packages it: one cluster for the whole test binary on a free port, one
//! database per test, copied from a migrated template. It ends with the binary, however that
//! ends: a small shell holds the other end of a pipe and stops the cluster when it closes.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rack_gateway::store::{Options, Store};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;

/// A running server in a directory of its own.
pub struct Cluster {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    /// Holds the pipe whose end stops the cluster.
    _leash: ChildStdin,
}

impl Cluster {
    /// Makes and starts one. `settings` are `name=value` of `postgresql.conf`.
    pub fn start(settings: &[&str]) -> Self {
        let bin = bin_dir();
        // Root's own temporary directory may be closed to the user that the server runs as.
        let place = if is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("rgw-pg-").tempdir_in(place).expect("a temporary directory").keep();
        if is_root() {
            expect_ok(Command::new("chown").arg("postgres").arg(&dir), "give the directory to postgres");
        }
        let leash = leash(&bin, &dir);
        let mut init = as_server(&bin.join("initdb"));
        init.arg("-D").arg(dir.join("data"));
        init.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        expect_ok(&mut init, "initdb");
        let settings: String = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        for _ in 0..4 {
            // Free now; another process may be quicker.
            let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            if run(&mut pg_ctl_start(&bin, &dir, port, &settings)).status.success() {
                return Self { bin, dir, port, _leash: leash };
            }
        }
        panic!("PostgreSQL does not start:\n{}", fs::read_to_string(dir.join("log")).unwrap_or_default());
    }

    /// Starts it again after [`Cluster::down`], on the same port.
    pub fn up(&self) {
        expect_ok(&mut pg_ctl_start(&self.bin, &self.dir, self.port, ""), "start PostgreSQL again");
    }

    /// Stops it, cutting all connections.
    pub fn down(&self) {
        let mut stop = as_server(&self.bin.join("pg_ctl"));
        expect_ok(stop.arg("-D").arg(self.dir.join("data")).args(["-m", "fast", "-w", "stop"]), "stop PostgreSQL");
    }

    /// Where it listens, on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements as its superuser.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = PgConnection::connect(&self.url(database)).await.expect("connect to PostgreSQL");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        connection.close().await.expect("close a connection");
    }
}

/// The cluster of this test binary, with the template migrated.
pub async fn shared() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    let make = || async {
        let cluster = Cluster::start(&["fsync=off", "max_connections=400"]);
        cluster.execute("postgres", "CREATE DATABASE migrated").await;
        let store = Store::connect(&cluster.url("migrated"), Options::default()).await.expect("connect a store");
        store.migrate(None).await.expect("migrate the template");
        store.close().await;
        cluster
    };
    SHARED.get_or_init(make).await
}

/// A migrated database of its own in the shared cluster; its name.
pub async fn database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    shared().await.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE migrated")).await;
    name
}

/// A copy of a database of the shared cluster; its name. Cuts all connections to it.
pub async fn copy(original: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("copy_{}_of_{original}", COUNT.fetch_add(1, Ordering::Relaxed));
    let cluster = shared().await;
    for _ in 0..20 {
        cluster.execute("postgres", &cut(original)).await;
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.expect("connect to PostgreSQL");
        let sql = format!("CREATE DATABASE {name} TEMPLATE {original}");
        // Whoever uses it may connect again in between.
        if sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.is_ok() {
            return name;
        }
    }
    panic!("{original} cannot be copied");
}

/// A statement that cuts all connections to a database.
pub fn cut(name: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )
}

/// Where Debian, or anybody, keeps the server programs.
fn bin_dir() -> PathBuf {
    let version = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut versions: Vec<PathBuf> = installed.filter(|path| path.join("bin/initdb").exists()).collect();
    versions.sort_by_key(|path| version(path));
    if let Some(newest) = versions.pop() {
        return newest.join("bin");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|dir| dir.join("initdb").exists())
        .expect("no PostgreSQL server found: run `apt-get install postgresql`")
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).stdout.starts_with(b"0\n")
}

/// The server refuses to run as root.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn pg_ctl_start(bin: &Path, dir: &Path, port: u16, settings: &str) -> Command {
    let place = dir.display();
    let options = format!("-p {port} -k {place} -c listen_addresses=127.0.0.1{settings}");
    let mut command = as_server(&bin.join("pg_ctl"));
    command.arg("-D").arg(dir.join("data")).arg("-l").arg(dir.join("log")).args(["-w", "-o", &options, "start"]);
    command
}

/// Waits for this process to end, then stops the cluster and removes its directory. Signals of
/// the terminal reach it too, and must not end it first.
fn leash(bin: &Path, dir: &Path) -> ChildStdin {
    let stop = as_server(&bin.join("pg_ctl"));
    let words = std::iter::once(stop.get_program()).chain(stop.get_args());
    let script = r#"trap "" INT TERM HUP; dir=$1; shift; cat >/dev/null
        "$@" -D "$dir/data" -m immediate -w stop; rm -rf "$dir""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "leash"]).arg(dir).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    let mut shell = command.spawn().expect("start a shell");
    let leash = shell.stdin.take().expect("its input");
    std::thread::spawn(move || shell.wait());
    leash
}

/// Output goes to files and pipes of its own: a server that inherits the test's output would keep
/// whoever reads it waiting.
fn run(command: &mut Command) -> Output {
    let mut log = tempfile::tempfile().expect("a temporary file");
    let out = log.try_clone().expect("a file handle");
    let err = log.try_clone().expect("a file handle");
    let status = command.current_dir("/").stdin(Stdio::null()).stdout(out).stderr(err).status();
    let status = status.unwrap_or_else(|e| panic!("{:?} cannot be run: {e}", command.get_program()));
    let mut stdout = Vec::new();
    std::io::Seek::rewind(&mut log).expect("rewind");
    std::io::Read::read_to_end(&mut log, &mut stdout).expect("read");
    Output { status, stdout, stderr: Vec::new() }
}

fn expect_ok(command: &mut Command, what: &str) {
    let output = run(command);
    assert!(output.status.success(), "cannot {what}: {}", String::from_utf8_lossy(&output.stdout));
}
