//! `migrate`: bring the database to the schema of this version.

use std::process::ExitCode;

use super::runtime::{block_on, open_store};
use super::{Done, Output};
use crate::config::{Env, Process};

pub(super) fn migrate(output: &mut Output<'_>) -> Done {
    let applied = block_on(async {
        let store = open_store().await?;
        Ok(store.migrate(Process.get("RGW_DATABASE_APP_ROLE").as_deref()).await?)
    })?;
    writeln!(output.out, "the database has the schema of this version: {}", applied.applied.join(", "))?;
    Ok(ExitCode::SUCCESS)
}
