//! `audit init`, `audit trust`, `audit key`: what anchors need at AWS, and what auditors are given.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::anchor::settings;
use super::runtime::{block_on, open_store};
use super::{Done, Failure, Output};
use crate::audit::anchor::{self, Aws, CheckResult, Inspection, PolicyFacts, inspect, make_key_file};
use crate::config::{AnchorPlace, AnchorSettings, Env, Process};
use crate::http::origin;

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Write the trust file there.
    #[arg(long)]
    trust: Option<PathBuf>,
    /// ARN of the role that makes anchors, for the policies.
    #[arg(long)]
    anchorer: Option<String>,
    /// ARN of the role that serves, when another one makes anchors.
    #[arg(long)]
    serving: Option<String>,
    /// Everything as JSON.
    #[arg(long)]
    json: bool,
}

/// The name of the log: what the database says, or what it will be.
async fn log_name() -> Result<String, Failure> {
    if let Some(rack) = Process.get("RACK") {
        return Ok(origin(&rack));
    }
    let head = open_store().await?.head().await?;
    head.map(|(origin, _)| origin).ok_or_else(|| Failure::could_not_run("set RACK: it names the log"))
}

pub(super) fn init(arguments: &InitArguments, output: &mut Output<'_>) -> Done {
    let settings = settings()?;
    let (inspection, log) = block_on(async {
        let log = log_name().await?;
        Ok((inspect(&settings, &Aws::environment(), &log).await?, log))
    })?;
    let policies = facts(arguments, &settings, &inspection, log).map(|facts| policies(&facts));
    if arguments.json {
        let (checks, trust) = (&inspection.checks, &inspection.trust);
        let all = json!({ "usable": inspection.is_usable(), "checks": checks, "policies": policies, "trust": trust });
        writeln!(output.out, "{}", serde_json::to_string_pretty(&all)?)?;
    } else {
        tell(&inspection, policies.as_deref(), output)?;
    }
    if let Some(file) = &arguments.trust {
        std::fs::write(file, trust_file(&inspection.trust)?)?;
    }
    Ok(ExitCode::from(u8::from(!inspection.is_usable())))
}

fn tell(inspection: &Inspection, policies: Option<&[(&str, Value)]>, output: &mut Output<'_>) -> Result<(), Failure> {
    for check in &inspection.checks {
        let result = match check.result {
            CheckResult::Good => "good",
            CheckResult::Weak => "weak",
            CheckResult::Bad => "BAD",
        };
        writeln!(output.out, "{result:<4}  {:<17}  {}", check.name, check.detail)?;
    }
    for (title, policy) in policies.unwrap_or_default() {
        writeln!(output.out, "\n# {title}\n{}", serde_json::to_string_pretty(policy)?)?;
    }
    if !inspection.is_usable() {
        writeln!(output.err, "anchors in this bucket would prove nothing: change what is BAD first")?;
    }
    Ok(())
}

/// What the policies are about; none for a folder, which has none.
fn facts(
    arguments: &InitArguments,
    settings: &AnchorSettings,
    inspection: &Inspection,
    origin: String,
) -> Option<PolicyFacts> {
    let AnchorPlace::S3 { bucket, account } = &settings.place else { return None };
    let key = inspection.keys.first().cloned().unwrap_or_default();
    // arn:aws:kms:<region>:<account>:key/<id>
    let of_key = key.split(':').nth(4).filter(|part| part.len() == 12).map(str::to_owned);
    let account = account.clone().or(of_key).unwrap_or_else(|| "<account>".to_owned());
    let role = |name: &str| format!("arn:aws:iam::{account}:role/{name}");
    let serving = arguments.serving.clone();
    Some(PolicyFacts {
        bucket: bucket.clone(),
        origin,
        key,
        anchorer: arguments.anchorer.clone().unwrap_or_else(|| role("rack-gateway-anchorer")),
        serving: serving.or_else(|| (!settings.in_server).then(|| role("rack-gateway"))),
        account,
        retention_days: settings.retention_days,
    })
}

fn policies(facts: &PolicyFacts) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("bucket: Object Lock configuration", facts.object_lock()),
        ("bucket: policy", facts.bucket_policy()),
        ("key: policy", facts.key_policy()),
        ("role of the anchorer: policy", facts.anchorer_policy()),
        ("role of an auditor: policy", facts.auditor_policy()),
    ];
    if facts.serving.is_some() {
        all.push(("role that serves: policy", facts.serving_policy()));
    }
    all
}

fn trust_file(trust: &crate::proof::trust::Trust) -> Result<String, Failure> {
    Ok(format!("{}\n", serde_json::to_string_pretty(trust)?))
}

pub(super) fn trust(output: &mut Output<'_>) -> Done {
    let settings = settings()?;
    let trust = block_on(async {
        let log = log_name().await?;
        Ok(anchor::trust(&settings, &Aws::environment(), &log).await?)
    })?;
    output.out.write_all(trust_file(&trust)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn key(file: &Path, output: &mut Output<'_>) -> Done {
    let public = make_key_file(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    writeln!(output.out, "a key for development anchors, {}", hex::encode(public.fingerprint()))?;
    Ok(ExitCode::SUCCESS)
}
