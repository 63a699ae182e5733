//! `audit`: the log of what happened, as the gateway shows it and as files prove it.

mod export;
mod search;

use clap::{Args, Subcommand};

use super::arguments::Global;
use super::{Done, World, block_on};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Search the records at the gateway, newest first: rack-gateway audit search app:delete --decision deny.
    ///
    /// The gateway records who searched for what.
    Search(search::SearchArguments),
    /// Take records out of the gateway: rack-gateway audit export -o audit.tar.
    ///
    /// A bundle (tar) holds all records of a range with what proves them, for `audit verify`; it begins and ends at
    /// anchors, so it may hold a little more than was asked for. JSON lines and CSV hold what matches. It asks for a
    /// second factor of the last ten minutes, and the gateway records who exported what.
    Export(export::ExportArguments),
}

/// Which records.
#[derive(Args, Debug, Default)]
pub(super) struct FilterArguments {
    /// Words that the record holds, all of them.
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Id of who acted, as records name it.
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Action, such as app:delete.
    #[arg(long)]
    action: Option<String>,
    /// Resource, such as App::myapp.
    #[arg(long)]
    resource: Option<String>,
    /// What was decided: allow, deny or challenge.
    #[arg(long)]
    decision: Option<String>,
    /// Kind: intent, outcome, denial, admin, system, erasure or epoch.
    #[arg(long)]
    kind: Option<String>,
    /// A policy that determined the decision.
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Id of a request.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Not before this time: 2026-11-21T10:00:00Z, or a day, which begins at midnight UTC.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

impl FilterArguments {
    /// As the gateway takes it.
    fn query(&self) -> Vec<(&'static str, String)> {
        let words = (!self.words.is_empty()).then(|| self.words.join(" "));
        let given = [
            ("actor", &self.actor),
            ("action", &self.action),
            ("resource", &self.resource),
            ("decision", &self.decision),
            ("kind", &self.kind),
            ("policy", &self.policy),
            ("request", &self.request),
            ("from", &self.from),
            ("to", &self.to),
            ("q", &words),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

pub(super) fn audit(command: &AuditCommand, global: &Global, world: &mut World<'_>) -> Done {
    match command {
        AuditCommand::Search(arguments) => block_on(search::search(arguments, global, world)),
        AuditCommand::Export(arguments) => block_on(export::export(arguments, global, world)),
    }
}
