//! `openapi`: the description of the API, as `docs/openapi.json` holds it.

use std::process::ExitCode;

use super::{Done, Output};
use crate::api::openapi;

pub(super) fn openapi(output: &mut Output<'_>) -> Done {
    writeln!(output.out, "{}", openapi::text()?)?;
    Ok(ExitCode::SUCCESS)
}
