//! `audit`: the log of what happened, as the gateway shows it and as files prove it.

mod export;
mod proof;
mod search;
mod verify;
mod watch;

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
    /// Check an export against what you trust: rack-gateway audit verify audit.tar --trust trust.json.
    ///
    /// Needs no gateway, no database and no secret. Hashes every record from its bytes, and compares chain, tree,
    /// anchors and personal values. Exit code: 0 verified, 1 tampered, 2 incomplete, 3 could not be checked.
    Verify(verify::VerifyArguments),
    /// Take the proof of one record out of an export, as a file of its own.
    Prove(proof::ProveArguments),
    /// Check the proof of one record. Exit code: 0 good, 1 not, 3 could not be checked.
    CheckProof(proof::CheckArguments),
    /// Ask the gateway for its newest anchor again and again, and keep the last one, so that it cannot show
    /// one history to you and another to others.
    ///
    /// Exit code: 1 when anchors contradict each other or are not signed by a key that counts, 2 when the next one is
    /// overdue or a break was declared, 3 when the gateway cannot be asked (with --once).
    Watch(watch::WatchArguments),
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
        AuditCommand::Verify(arguments) => verify::verify(arguments, global, world),
        AuditCommand::Prove(arguments) => proof::prove(arguments, global, world),
        AuditCommand::CheckProof(arguments) => proof::check(arguments, global, world),
        AuditCommand::Watch(arguments) => block_on(watch::watch(arguments, global, world)),
    }
}
