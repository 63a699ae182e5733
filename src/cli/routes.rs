//! `routes`: the route table.

use std::process::ExitCode;

use clap::Args;

use super::{Done, Output};
use crate::routes::emit;

#[derive(Debug, Args)]
pub(super) struct RoutesArguments {
    /// As JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As the document `docs/routes.md`.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn routes(arguments: &RoutesArguments, output: &mut Output<'_>) -> Done {
    let text = if arguments.json {
        emit::json()
    } else if arguments.markdown {
        emit::markdown()
    } else {
        emit::text()
    };
    output.out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
