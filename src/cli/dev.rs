//! `dev`: the whole development set-up in one process, on loopback, with made-up people.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::SecretString;
use serde_json::json;

use super::runtime::block_on;
use super::serve::{Signals, until_told, workers};
use super::{Done, Failure, Output};
use crate::audit::anchor::make_key_file;
use crate::clock::Clock;
use crate::config::{
    AnchorKey, AnchorPlace, AnchorSettings, Catalog, Env, Process, ProviderHttp, RackSettings, SignInSettings, Site,
    Trust, WorkloadIssuer, WorkloadSettings,
};
use crate::dev::idp::{Idp, IdpOptions};
use crate::dev::{Person, people, rack, secret_key};
use crate::http::{Launch, PolicySource, bind};
use crate::store::{Options, Store};
use crate::telemetry;
use crate::upstream::Limits;
use crate::vault::Keyring;

/// Ports of the development set-up.
#[derive(Debug, Args)]
pub(super) struct DevArguments {
    /// Port of the gateway.
    #[arg(long, default_value_t = 8447)]
    port: u16,
    /// Port of the development rack.
    #[arg(long, default_value_t = 5443)]
    rack_port: u16,
    /// Port of the development identity provider.
    #[arg(long, default_value_t = 3345)]
    idp_port: u16,
    /// Port of the metrics.
    #[arg(long, default_value_t = 9447)]
    metrics_port: u16,
    /// Folder for the database, the tokens and the key of stored secrets.
    #[arg(long, default_value = ".dev")]
    data: PathBuf,
    /// Folder of policies; without it, the compiled-in ones.
    #[arg(long)]
    policies: Option<PathBuf>,
}

/// The password between the gateway and the development rack; both live in this process.
const RACK_PASSWORD: &str = "development";

pub(super) fn dev(arguments: &DevArguments, output: &mut Output<'_>) -> Done {
    telemetry::init_logs(&Process.get("RGW_LOG").unwrap_or_else(|| "warn".to_owned()), false);
    let metrics = telemetry::init_metrics()?;
    std::fs::create_dir_all(&arguments.data)?;
    block_on(async {
        let signals = Signals::new()?;
        let rack = rack::Rack::start(local(arguments.rack_port), rack_options())?;
        let store =
            Store::connect(&format!("sqlite://{}", database(&arguments.data).display()), Options::default()).await?;
        store.migrate(None).await?;
        let settings = RackSettings {
            organization: "acme".to_owned(),
            name: "dev".to_owned(),
            url: format!("http://{}", rack.addr),
            username: "convox".to_owned(),
            token: SecretString::from(RACK_PASSWORD),
            trust: Trust::System,
        };
        let key = secret_key(&arguments.data.join("secret.key")).map_err(Failure::new)?;
        let log = std::fs::File::options().create(true).append(true).open(arguments.data.join("audit.jsonl"))?;
        let listener = bind(local(arguments.port))?;
        let site = Site::local(listener.local_addr()?.port());
        let idp = Idp::start(local(arguments.idp_port), idp_options(&site))?;
        let launch = Launch {
            store: store.clone(),
            policy: PolicySource { dir: arguments.policies.clone(), rack: settings.full_name() },
            keyring: Keyring::new(&key, None)?,
            accept_loss: false,
            rack: settings,
            sign_in: Some(sign_in(&idp)),
            workloads: workloads(&idp, &site)?,
            yubico: None,
            // Looking around needs no factor of people who have none; what is sensitive asks for one.
            catalog: Catalog::unpinned()
                .pin("mfa_require_all_users", json!(false))
                .pin("allow_destructive_actions", json!(true)),
            anchors: Some(anchors(&arguments.data)?),
            admins: Vec::new(),
            limits: Limits::default(),
            listener,
            metrics: Some((local(arguments.metrics_port), metrics)),
            workers: workers(),
            clock: Clock::system(),
            site,
            sink: Some(Box::new(log)),
        };
        let running = launch.start().await?;
        let people = people(&running.gate, &arguments.data.join("tokens.json")).await.map_err(Failure::new)?;
        let addresses = [running.addr, rack.addr, idp.addr];
        greet(output, addresses, running.metrics_addr, &people, &arguments.data)?;
        let done = until_told(running, signals).await;
        idp.stop().await;
        rack.stop().await;
        done
    })
}

/// The gateway takes the provider's answers under its public name only.
fn idp_options(site: &Site) -> IdpOptions {
    let callback = |caller| format!("{}/api/v1/auth/{caller}/callback", site.origin);
    IdpOptions { redirect_uris: ["web", "cli"].map(callback).to_vec(), ..IdpOptions::default() }
}

/// People of the development provider sign in; the address of one of them is of another domain.
fn sign_in(idp: &Idp) -> SignInSettings {
    let client = idp.client();
    SignInSettings {
        issuer: client.issuer,
        client_id: client.client_id,
        client_secret: client.client_secret,
        scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
        groups_claim: "groups".to_owned(),
        allowed_domains: vec!["example.com".to_owned()],
        google: false,
        http: ProviderHttp::default(),
    }
}

/// Its CI tokens are taken as those of GitHub Actions.
fn workloads(idp: &Idp, site: &Site) -> Result<WorkloadSettings, Failure> {
    let entry = json!([{
        "name": "development",
        "issuer": idp.ci_issuer(),
        "audience": site.origin,
        "claims": {
            "repository": "repository",
            "ref": "ref",
            "ref_protected": "ref_protected",
            "sha": "sha",
            "environment": "environment",
            "run": "run_id",
        },
        "require": { "repository": "acme/*" },
    }]);
    let issuers = WorkloadIssuer::parse_list(&entry.to_string());
    let issuers = issuers.map_err(|problems| Failure::new(problems.join("; ")))?;
    Ok(WorkloadSettings { issuers, http: ProviderHttp::default() })
}

/// A folder and a key beside the database: whoever can change the one can change the others.
fn anchors(data: &Path) -> Result<AnchorSettings, Failure> {
    let key = data.join("anchor.key");
    if !key.exists() {
        make_key_file(&key)?;
    }
    let place = AnchorPlace::Folder(std::path::absolute(data.join("anchors"))?);
    Ok(AnchorSettings::new(place, AnchorKey::File(key)))
}

fn rack_options() -> rack::RackOptions {
    rack::RackOptions { password: RACK_PASSWORD.to_owned(), ..rack::RackOptions::default() }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn database(data: &Path) -> PathBuf {
    data.join("rack-gateway.sqlite")
}

/// The first screen: addresses, and one line to paste for each person.
fn greet(
    output: &mut Output<'_>,
    [gateway, rack, idp]: [SocketAddr; 3],
    metrics: Option<SocketAddr>,
    people: &[Person],
    data: &Path,
) -> std::io::Result<()> {
    let out: &mut dyn Write = output.out;
    writeln!(out, "Rack Gateway, development set-up (made-up people, no real rack)\n")?;
    writeln!(out, "  gateway   http://{gateway}   health: http://{gateway}/api/v1/ready")?;
    writeln!(out, "  rack      http://{rack}   (in memory; only the gateway should talk to it)")?;
    writeln!(out, "  sign-in   http://{idp}   (identity provider: pick a made-up person, no password)")?;
    if let Some(metrics) = metrics {
        writeln!(out, "  metrics   http://{metrics}/metrics")?;
    }
    writeln!(out, "  data      {}/ (database, audit.jsonl, tokens.json, secret.key)", data.display())?;
    writeln!(out, "  anchors   {}/anchors/ (development anchors: they prove nothing)\n", data.display())?;
    writeln!(out, "Be one of them, then use the convox CLI as ever, for example `convox apps`:\n")?;
    for person in people {
        writeln!(out, "  # {} ({})", person.email, person.roles.join(", "))?;
        writeln!(out, "  export RACK_URL=http://convox:{}@{gateway}", person.token)?;
    }
    let factors = format!("http://localhost:{}/app/factors", gateway.port());
    writeln!(out, "\nWhat is sensitive asks for a second factor: sign in and set one up at {factors}")?;
    writeln!(out, "\nCtrl-C stops everything.")?;
    out.flush()
}
