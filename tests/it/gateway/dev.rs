//! `dev`: the first screen, and what can be done with what it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::{Ask, Socket, error, json, text};
use super::is_open;
use crate::harness::binary::{Started, command, run};
use crate::harness::policies::without_step_up;
use crate::harness::until;

const PEOPLE: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor"];

/// The development set-up on free ports, and its first screen.
struct Dev {
    process: Started,
    screen: String,
}

impl Dev {
    async fn start(data: &std::path::Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with more options.
    async fn start_with(data: &std::path::Path, more: &[&str]) -> Self {
        let data = data.to_str().unwrap();
        let ports = ["--port", "--rack-port", "--idp-port", "--metrics-port"];
        let arguments = [&["dev", "--data", data][..], &ports.map(|port| [port, "0"]).concat(), more].concat();
        let mut process = Started::new(command(&arguments, &[]));
        let last = "Ctrl-C stops everything.\n";
        let screen = process.out.until(|said| said.ends_with(last).then(|| said.to_owned())).await;
        let Some(screen) = screen else { panic!("{}", process.err.into_all().await) };
        Self { process, screen }
    }

    /// The address on the line that begins so.
    fn address(&self, name: &str) -> SocketAddr {
        let mut lines = self.screen.lines().map(str::trim_start).filter_map(|line| line.strip_prefix(name));
        let line = lines.next().unwrap_or_else(|| panic!("no {name} in {}", self.screen));
        let url = line.trim_start().strip_prefix("http://").unwrap();
        url.split(['/', ' ']).next().unwrap().parse().unwrap()
    }

    /// What is to be pasted, by person: the credential as the CLI would send it.
    fn credentials(&self) -> BTreeMap<String, String> {
        let gateway = self.address("gateway");
        let mut all = BTreeMap::new();
        let mut person = String::new();
        for line in self.screen.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("# ") {
                comment.split(' ').next().unwrap().clone_into(&mut person);
            }
            let Some(url) = line.strip_prefix("export RACK_URL=http://") else { continue };
            let (credential, host) = url.rsplit_once('@').unwrap();
            assert_eq!(host, gateway.to_string());
            assert!(credential.starts_with("convox:rgw_"), "{line}");
            all.insert(std::mem::take(&mut person), format!("Basic {}", STANDARD.encode(credential)));
        }
        all
    }

    async fn stop(self) {
        let addr = self.address("gateway");
        self.process.signal("INT").await;
        let (status, _, said) = self.process.ended().await;
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!is_open(addr).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_screen_is_enough_to_begin() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path()).await;
    let [gateway, rack, idp, metrics] = ["gateway", "rack", "sign-in", "metrics"].map(|name| dev.address(name));
    let ready = Ask::get("/api/v1/ready", "").local().send(gateway).await;
    assert_eq!(ready.status(), 200, "{}", text(&ready));
    let anchors = &json(&ready)["anchors"];
    assert_eq!((&anchors["state"], &anchors["development"]), (&"green".into(), &true.into()), "{anchors}");
    assert_eq!(Ask::get("/metrics", "").local().send(metrics).await.status(), 200);
    assert_eq!(Ask::get("/apps?", "").local().send(rack).await.status(), 401, "the rack has a password of its own");
    assert_eq!(json(&Ask::get("/jwks", "").local().send(idp).await)["keys"][0]["alg"], "ES256");
    let credentials = dev.credentials();
    let people: Vec<&String> = credentials.keys().collect();
    let mut expected: Vec<String> = PEOPLE.iter().map(|name| format!("{name}@example.com")).collect();
    expected.sort();
    assert_eq!(people, expected.iter().collect::<Vec<_>>(), "{}", dev.screen);

    for (person, authorization) in &credentials {
        let answer = Ask::get("/apps?", authorization).local().send(gateway).await;
        assert_eq!(answer.status(), 200, "{person}: {}", text(&answer));
        assert_eq!(json(&answer)[0]["name"], "myapp", "{person}");
        let answer = Ask::new("DELETE", "/apps/nosuch?", authorization).local().send(gateway).await;
        assert_eq!(answer.status(), 403, "{person}: {}", text(&answer));
        assert!(error(&answer).contains("app:delete on App nosuch refused"), "{person}: {}", text(&answer));
        // Whoever may do it is told where to get the second factor that it needs.
        let enrol = format!("http://localhost:{}/app/factors", gateway.port());
        assert_eq!(error(&answer).contains(&enrol), person == "admin@example.com", "{person}: {}", text(&answer));
    }
    assert_eq!(Ask::get("/apps/myapp?", &credentials["viewer@example.com"]).local().send(gateway).await.status(), 200);
    dev.stop().await;
    let url = format!("sqlite://{}", data.path().join("rack-gateway.sqlite").display());
    let bucket = format!("file://{}", data.path().join("anchors").display());
    let key = data.path().join("anchor.key").display().to_string();
    let anchored =
        [("RGW_DATABASE_URL", url.as_str()), ("AUDIT_ANCHOR_BUCKET", &bucket), ("AUDIT_ANCHOR_KEY_FILE", &key)];
    let verified = run(&["audit", "verify"], &anchored).await;
    assert!(verified.status.success(), "{verified:?}");
    let copy = std::fs::read_to_string(data.path().join("audit.jsonl")).unwrap();
    assert!(copy.lines().last().unwrap().contains("gateway:stop"), "{copy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_through() {
    let data = tempfile::tempdir().unwrap();
    let policies = without_step_up();
    let dev = Dev::start_with(data.path(), &["--policies", policies.to_str().unwrap()]).await;
    let gateway = dev.address("gateway");
    let credentials = dev.credentials();
    for person in ["admin@example.com", "deployer@example.com"] {
        let authorization = credentials[person].as_str();
        let get = async |target: &str| {
            let answer = Ask::get(target, authorization).local().send(gateway).await;
            assert_eq!(answer.status(), 200, "{person} {target}: {}", text(&answer));
            json(&answer)
        };
        get("/system?").await;
        let source = Ask::new("POST", "/apps/myapp/objects/tmp/0123456789abcdef.tgz?", authorization);
        let source = source.header("Content-Type", "application/octet-stream");
        let answer = Ask { body: b"source code", ..source }.local().send(gateway).await;
        assert_eq!(answer.status(), 200, "{person}: {}", text(&answer));
        let url = json(&answer)["Url"].as_str().unwrap_or_else(|| panic!("{}", text(&answer))).to_owned();
        assert_eq!(url, "object://myapp/tmp/0123456789abcdef.tgz");
        let form = format!("description=first&url={}", url.replace(':', "%3A").replace('/', "%2F"));
        let build = Ask::new("POST", "/apps/myapp/builds?", authorization).form(&form).local().send(gateway).await;
        assert_eq!(build.status(), 200, "{person}: {}", text(&build));
        let build = format!("/apps/myapp/builds/{}", json(&build)["id"].as_str().unwrap());

        get("/machines?").await;
        let host = gateway.to_string();
        let mut log = Socket::open(gateway, &format!("{build}/logs"), authorization, &[("Host", &host)]).await;
        let lines = log.frames().await;
        let lines = lines.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect::<String>();
        assert!(lines.contains("received source 11 bytes") && lines.contains("Build complete"), "{lines}");
        let complete: Value = until("a complete build", async || {
            Some(get(&format!("{build}?")).await).filter(|build| build["status"] != "running")
        })
        .await;
        assert_eq!(complete["status"], "complete", "{complete}");
        let release = complete["release"].as_str().unwrap();
        let promote = format!("/apps/myapp/releases/{release}/promote?");
        let answer = Ask::new("POST", &promote, authorization).form("force=false").local().send(gateway).await;
        assert_eq!(answer.status(), 200, "{person}: {}", text(&answer));
        assert_eq!(get("/apps/myapp?").await["release"], release);
        let running = get("/apps/myapp/processes?").await;
        let running = running.as_array().unwrap();
        assert!(!running.is_empty() && running.iter().all(|process| process["release"] == release), "{running:?}");
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pasted_goes_on_working_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let first = Dev::start(data.path()).await;
    let before = first.credentials();
    first.stop().await;
    let second = Dev::start(data.path()).await;
    assert_eq!(second.credentials(), before, "the same lines are shown again");
    for (person, authorization) in &before {
        let answer = Ask::get("/apps?", authorization).local().send(second.address("gateway")).await;
        assert_eq!(answer.status(), 200, "{person}: {}", text(&answer));
    }
    for file in ["tokens.json", "secret.key", "anchor.key"] {
        let permissions = data.path().join(file).metadata().unwrap().permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&permissions);
        assert_eq!(mode & 0o777, 0o600, "{file} is nobody else's");
    }
    second.stop().await;
}
