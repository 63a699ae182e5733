//! `config check`: are the settings usable? Secrets are not printed.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Done, Failure, Output};
use crate::config::{Config, Process};
use crate::vault::Keyring;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the settings as `serve` would, and print them without their secrets.
    Check,
}

pub(super) fn config(command: &ConfigCommand, output: &mut Output<'_>) -> Done {
    match command {
        ConfigCommand::Check => {
            let config = Config::from_env(&Process).map_err(|errors| Failure::new(errors.to_string()))?;
            let policies = config.policy_dir.as_ref().map_or("compiled in".into(), |dir| dir.display().to_string());
            writeln!(output.out, "listen     {}", config.listen)?;
            writeln!(output.out, "metrics    {}", config.metrics_listen)?;
            writeln!(output.out, "rack       {} at {}", config.rack.full_name(), config.rack.url)?;
            writeln!(output.out, "rack user  {}", config.rack.username)?;
            writeln!(output.out, "rack trust {}", trust(&config.rack.trust))?;
            writeln!(output.out, "policies   {policies}")?;
            writeln!(output.out, "domain     {}", config.site.domain())?;
            writeln!(output.out, "secret key {}", keys(&config.keyring))?;
            let sign_in = config.sign_in.as_ref().map_or("off".into(), |settings| {
                let domains = if settings.allowed_domains.is_empty() {
                    "any domain".into()
                } else {
                    settings.allowed_domains.join(", ")
                };
                format!("{} as {} ({domains})", settings.issuer, settings.client_id)
            });
            writeln!(output.out, "sign-in    {sign_in}")?;
            for issuer in &config.workloads.issuers {
                writeln!(output.out, "workloads  {}: {} for {}", issuer.name, issuer.issuer, issuer.audience)?;
            }
            if let Some(yubico) = &config.yubico {
                let urls: Vec<_> = yubico.urls.iter().map(|url| url.as_str()).collect();
                writeln!(output.out, "yubico     {} at {}", yubico.client_id, urls.join(", "))?;
            }
            if let Some(webhook) = &config.webhook {
                let rotating = if webhook.previous.is_some() { ", signed with the previous secret too" } else { "" };
                writeln!(output.out, "webhook    {}{rotating}", webhook.origin())?;
            }
            let anchors = config.anchors.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string);
            writeln!(output.out, "anchors    {anchors}")?;
            for (name, value) in config.catalog.pins() {
                writeln!(output.out, "pinned     {name} = {value}")?;
            }
            if !config.admins.is_empty() {
                writeln!(output.out, "admins     {}", config.admins.join(", "))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Keys by their ids, which tell nothing about them.
fn keys(keyring: &Keyring) -> String {
    let current = keyring.current_id();
    keyring.previous_id().map_or_else(|| current.to_string(), |previous| format!("{current}, previous {previous}"))
}

fn trust(trust: &crate::config::Trust) -> String {
    use crate::config::Trust;
    match trust {
        Trust::System => "system roots".to_owned(),
        Trust::Ca(_) => "the given CA".to_owned(),
        Trust::Pinned(pins) => format!("{} pinned key(s)", pins.len()),
    }
}
