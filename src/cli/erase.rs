//! `audit erase`: erase personal values beside the log, for good.

use std::io::BufRead as _;
use std::process::ExitCode;

use clap::Args;

use super::runtime::{FLUSH, block_on, open_recorded};
use super::{Done, Failure, Output};
use crate::audit::erase::{Erasure, Whose};
use crate::audit::{Actor, Keeper, Writer};
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct EraseArguments {
    /// Erase the values of this record.
    #[arg(long, value_name = "N", required_unless_present = "person", conflicts_with = "person")]
    record: Option<u64>,
    /// Erase the values of this person, by id or e-mail: where they came from, and what records about them hold.
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    /// Only values of this name, such as `src_ip`.
    #[arg(long)]
    name: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    basis: String,
    /// Who agreed, for the record.
    #[arg(long)]
    approver: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn erase(arguments: &EraseArguments, output: &mut Output<'_>) -> Done {
    block_on(async {
        let (store, audit) = open_recorded().await?;
        let done = work(arguments, store, &audit, output).await;
        audit.shutdown(FLUSH).await;
        done
    })
}

async fn work(arguments: &EraseArguments, store: Store, audit: &Writer, output: &mut Output<'_>) -> Done {
    let whose = whose(arguments, &store).await?;
    let keeper = Keeper::new(store);
    let erasure = Erasure::new(whose, arguments.name.clone(), &arguments.basis, &arguments.approver);
    let erasure = erasure.map_err(|error| Failure::new(error.to_string()))?;
    let counts = erasure.count(&keeper).await?;
    if counts.is_empty() {
        writeln!(output.out, "there is nothing to erase")?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, count) in &counts {
        writeln!(output.out, "{name:<16}  {count:>8}")?;
    }
    if !arguments.yes && !agreed(output)? {
        return Err(Failure::new("nothing was erased"));
    }
    let actor = Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() };
    let gone = erasure.run(&keeper, audit, &actor).await?;
    writeln!(output.out, "erased {gone} values; backups made before still hold them")?;
    Ok(ExitCode::SUCCESS)
}

/// People who are gone are known by their id alone.
async fn whose(arguments: &EraseArguments, store: &Store) -> Result<Whose, Failure> {
    let person = match (arguments.record, &arguments.person) {
        (Some(seq), _) => return Ok(Whose::Record(seq)),
        (None, person) => person.clone().unwrap_or_default(),
    };
    if !person.contains('@') {
        return Ok(Whose::Person(person));
    }
    let user = store.user_find_by_email(&person.to_lowercase()).await?;
    let unknown = || Failure::new("nobody has this e-mail (any more): find the id in the records about them");
    Ok(Whose::Person(user.ok_or_else(unknown)?.id))
}

fn agreed(output: &mut Output<'_>) -> Result<bool, Failure> {
    write!(output.err, "they cannot be had back; type `yes` to erase them: ")?;
    output.err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
