//! `rack-gateway audit watch` against the real gateway.

use std::path::PathBuf;

use serde_json::Value;

use crate::audit_api::Stage;
use crate::client::Machine;
use crate::harness::Db;

struct Watcher {
    machine: Machine,
    stage: Stage,
    /// Gone when it is dropped.
    _db: Db,
}

impl Watcher {
    async fn new() -> Self {
        let db = Db::sqlite().await;
        let stage = Stage::new(&db).await;
        let mut machine = Machine::new();
        machine.set("RACK_GATEWAY_URL", &format!("http://{}", stage.gateway.addr()));
        machine.set("RACK_GATEWAY_API_TOKEN", stage.gateway.token("auditor"));
        let watcher = Self { machine, stage, _db: db };
        std::fs::write(watcher.path("trust.json"), watcher.stage.trust().to_string()).unwrap();
        watcher
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.path().join(name)
    }

    /// Looks once; the exit code, and what was said.
    async fn look(&self) -> (i32, Value) {
        let (trust, state) = (self.path("trust.json"), self.path("state.json"));
        let (trust, state) = (trust.to_str().unwrap(), state.to_str().unwrap());
        let arguments = ["audit", "watch", "--once", "--json", "--trust", trust, "--state", state];
        let output = self.machine.command(&arguments).output().await.unwrap();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Value::String(text)
        });
        (output.status.code().unwrap(), said)
    }

    /// Changes what is remembered.
    fn remember(&self, change: impl FnOnce(&mut Value)) {
        let mut state: Value = serde_json::from_slice(&std::fs::read(self.path("state.json")).unwrap()).unwrap();
        change(&mut state);
        std::fs::write(self.path("state.json"), state.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows() {
    let watcher = Watcher::new().await;
    let (code, said) = watcher.look().await;
    assert_eq!((code, &said["detail"]), (2, &"nothing is anchored yet".into()), "{said}");
    for records in [3, 0, 300] {
        watcher.stage.fill(records).await;
        let anchor = watcher.stage.anchor().await;
        let (code, said) = watcher.look().await;
        assert_eq!((code, &said["verdict"], said["size"].as_u64()), (0, &"good".into(), Some(anchor.size)), "{said}");
        assert!(said["detail"].as_str().unwrap().contains("DEVELOPMENT ANCHOR"), "{said}");
    }
    assert_eq!(watcher.look().await.0, 0, "nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history() {
    let watcher = Watcher::new().await;
    watcher.stage.fill(5).await;
    watcher.stage.anchor().await;
    assert_eq!(watcher.look().await.0, 0);
    let good = std::fs::read(watcher.path("state.json")).unwrap();
    let wrong = async |words: &str| {
        let (code, said) = watcher.look().await;
        assert_eq!((code, &said["verdict"]), (1, &"tampered".into()), "{said}");
        assert!(said["detail"].as_str().unwrap().contains(words), "{words}: {said}");
        std::fs::write(watcher.path("state.json"), &good).unwrap();
    };
    watcher.remember(|state| state["checkpoint"] = "00".repeat(32).into());
    wrong("anchor 1 is another one now").await;
    watcher.remember(|state| state["number"] = 2.into());
    wrong("is not any more").await;
    watcher.stage.fill(5).await;
    watcher.stage.anchor().await;
    watcher.remember(|state| state["root"] = "00".repeat(32).into());
    wrong("does not begin with that").await;
    watcher.remember(|state| state["size"] = 1_000.into());
    wrong("the log had 1000 records").await;
    assert_eq!(watcher.look().await.0, 0);
    // Signed by nobody who is trusted.
    let db = Db::sqlite().await;
    let other = Stage::new(&db).await;
    let mut trust = watcher.stage.trust();
    trust["keys"] = other.trust()["keys"].clone();
    std::fs::write(watcher.path("trust.json"), trust.to_string()).unwrap();
    std::fs::remove_file(watcher.path("state.json")).unwrap();
    let (code, said) = watcher.look().await;
    assert!(code == 1 && said["detail"].as_str().unwrap().contains("not signed by a key that counts"), "{said}");
    assert!(!watcher.path("state.json").exists(), "what is wrong is not remembered");
}
