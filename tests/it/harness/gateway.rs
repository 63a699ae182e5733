//! A gateway in process, as production composes it, with one person for each role.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::audit::Actor;
use rack_gateway::audit::live;
use rack_gateway::clock::Clock;
use rack_gateway::config::{Catalog, RackSettings, Site, Trust, WorkloadSettings};
use rack_gateway::http::{Launch, PolicySource, Running, bind};
use rack_gateway::identity::Issuer;
use rack_gateway::proof::commitment::commit;
use rack_gateway::proof::verify::{Code, Options};
use rack_gateway::store::Record;
use rack_gateway::upstream::Limits;
use rack_gateway::vault::Keyring;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::Db;

/// The rack's password, which only the gateway knows.
pub const RACK_PASSWORD: &str = "the rack's password";
/// What stored secrets are sealed under.
pub const SECRET_KEY: &str = "made-up-key-yf6nKq2Ws8Zt0Lb4xT3E";
pub const ROLES: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor", "cicd"];

/// A credential as the CLI sends it.
pub fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("convox:{password}")))
}

pub struct Gateway {
    pub running: Running,
    tokens: BTreeMap<String, String>,
}

impl Gateway {
    /// Serves the rack at `rack` from `db`.
    pub async fn start(db: &Db, rack: SocketAddr) -> Self {
        Self::start_with(db, rack, None, Limits::default()).await
    }

    /// The same with policies of a folder, or with other limits.
    pub async fn start_with(db: &Db, rack: SocketAddr, policies: Option<PathBuf>, limits: Limits) -> Self {
        let policy = policies.map_or_else(without_step_up, |dir| PolicySource { dir: Some(dir), ..all_policies() });
        Self::of(launch(db, rack, policy, limits).await).await
    }

    /// One that runs already, with its people.
    pub async fn of(running: Running) -> Self {
        let mut tokens = BTreeMap::new();
        for role in ROLES {
            tokens.insert((*role).to_owned(), token(&running, role).await);
        }
        Self { running, tokens }
    }

    pub fn addr(&self) -> SocketAddr {
        self.running.addr
    }

    pub fn token(&self, role: &str) -> &str {
        &self.tokens[role]
    }

    pub fn basic(&self, role: &str) -> String {
        basic(self.token(role))
    }

    /// Every record so far.
    pub async fn records(&self) -> Vec<Record> {
        self.running.gate.store.records_after(0, 1_000_000).await.unwrap()
    }

    /// The records of one request, parsed.
    pub async fn records_of(&self, id: &str) -> Vec<serde_json::Value> {
        let records = self.running.gate.store.records_by_request(id, 100).await.unwrap();
        records.iter().map(parse_record).collect()
    }

    /// The records of one request, once there are `count`: an outcome follows its answer.
    pub async fn records_until(&self, id: &str, count: usize) -> Vec<serde_json::Value> {
        let wait = async {
            loop {
                let records = self.records_of(id).await;
                if records.len() >= count {
                    return records;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(std::time::Duration::from_secs(20), wait).await {
            Ok(records) => records,
            Err(_) => panic!("{id}: {:?}", self.records_of(id).await),
        }
    }

    /// Records of the gateway itself and of its administration, parsed, by their action.
    pub async fn records_about(&self, action: &str) -> Vec<serde_json::Value> {
        let all = self.records().await;
        all.iter().map(parse_record).filter(|record| record["action"] == action).collect()
    }

    /// A personal value beside a record, which must hold the commitment to it.
    pub async fn beside(&self, record: &serde_json::Value, name: &str) -> Option<String> {
        let seq = record["seq"].as_u64().unwrap();
        let rows = self.running.gate.store.private_of(seq, seq).await.unwrap();
        let row = rows.into_iter().find(|row| row.name == name)?;
        assert_eq!(record["private"][name], hex::encode(commit(&row.salt, &row.value)));
        Some(row.value)
    }

    /// Stops, and lets the verifier recompute the chain.
    pub async fn stop_and_verify(self) {
        let options = Options::new(OffsetDateTime::now_utc());
        let outcome = live::verify(&self.running.gate.store, None, &options, |_, _| {}).await.unwrap();
        let found: Vec<_> = outcome.report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, [Code::Unanchored], "{:?}", outcome.report);
        let people = self.running.gate.store.user_list(None, 100).await.unwrap();
        for record in self.records().await {
            let known = people.iter().find(|user| String::from_utf8_lossy(&record.canon).contains(&user.email));
            assert_eq!(known, None, "no e-mail is in a record: {record:?}");
        }
        self.running.stop().await;
    }
}

fn rack_settings(rack: SocketAddr) -> RackSettings {
    RackSettings {
        organization: "acme".to_owned(),
        name: "dev".to_owned(),
        url: format!("http://{rack}"),
        username: "convox".to_owned(),
        token: SecretString::from(RACK_PASSWORD),
        trust: Trust::System,
    }
}

pub async fn launch(db: &Db, rack: SocketAddr, policy: PolicySource, limits: Limits) -> Running {
    launch_with(db, rack, |launch| Launch { policy, limits, ..launch }).await
}

/// The same, changed by the test before it starts.
pub async fn launch_with(db: &Db, rack: SocketAddr, change: impl FnOnce(Launch) -> Launch) -> Running {
    let store = db.store().await;
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let launch = Launch {
        store,
        policy: without_step_up(),
        keyring: Keyring::new(&SecretString::from(SECRET_KEY), None).unwrap(),
        accept_loss: false,
        rack: rack_settings(rack),
        sign_in: None,
        workloads: WorkloadSettings::default(),
        yubico: None,
        // What a rack can do is tested whole; who may turn this on, and what it does, is tested for itself.
        catalog: Catalog::unpinned().pin("allow_destructive_actions", true.into()),
        anchors: None,
        admins: Vec::new(),
        limits: Limits::default(),
        listener,
        metrics: None,
        workers: 2,
        clock: Clock::system(),
        site: site(address),
        sink: None,
    };
    change(launch).start().await.unwrap()
}

/// The policies that are compiled in.
pub fn all_policies() -> PolicySource {
    PolicySource { dir: None, rack: "acme/dev".to_owned() }
}

/// The same without step-up.
pub fn without_step_up() -> PolicySource {
    PolicySource { dir: Some(super::policies::without_step_up()), ..all_policies() }
}

/// Its public name, and the address at which tests reach it.
fn site(address: SocketAddr) -> Site {
    let mut site = Site::https("gateway.example.com", Vec::new());
    site.hosts.push(address.to_string());
    site
}

/// What a record says.
pub fn parse_record(record: &Record) -> serde_json::Value {
    serde_json::from_slice(&record.canon).unwrap()
}

/// A token for `role@example.com`; `cicd` is a machine.
pub async fn token(running: &Running, role: &str) -> String {
    let issuer = issuer(running);
    let roles = [role.to_owned()];
    let end = issuer.now + time::Duration::days(1);
    let token = if role == "cicd" {
        issuer.api_token("ci", &roles, end).await
    } else {
        issuer.cli_token(&format!("{role}@example.com"), "test", Some(&roles), end).await
    };
    token.unwrap().expose().to_owned()
}

pub fn issuer(running: &Running) -> Issuer<'_> {
    let gate = &running.gate;
    let actor = Actor { kind: "Operator".to_owned(), id: "test".to_owned() };
    Issuer::recording(&gate.store, &gate.audit, actor, gate.clock.now())
}
