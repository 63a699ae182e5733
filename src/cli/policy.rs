//! `policy`: check, test and print what decides. The evaluator is that of the server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Done, Failure, Output};
use crate::http::PolicySource;
use crate::pdp::{Bundle, Sources, check, explain, matrix, run_suite};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Load the bundle as the server would: syntax, names, types, canaries.
    Check(PolicyArguments),
    /// Run the tests of a folder of policies: exact reasons, and every policy must be tried.
    Test(TestArguments),
    /// Print who may do what: role × action × assurance.
    Matrix(PolicyArguments),
    /// Say how one question is decided, and why. It is written like a case of `policies/tests/`.
    Explain {
        #[command(flatten)]
        arguments: TestArguments,
        /// JSON file of the question.
        question: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct PolicyArguments {
    /// Folder of policies, with `schema/` beside it. Without it: the compiled-in ones.
    #[arg(long, env = "RGW_POLICY_DIR")]
    policies: Option<PathBuf>,
    /// Name of the rack that the policies speak of.
    #[arg(long, env = "RACK", default_value = "acme/dev")]
    rack: String,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Folder of policies, with `tests/` in it and `schema/` beside it.
    #[arg(long, env = "RGW_POLICY_DIR", default_value = "policies")]
    policies: PathBuf,
    /// Name of the rack that the policies speak of.
    #[arg(long, env = "RACK", default_value = "acme/dev")]
    rack: String,
}

impl TestArguments {
    fn sources(&self) -> Result<Sources, Failure> {
        let source = PolicySource { dir: Some(self.policies.clone()), rack: self.rack.clone() };
        source.sources().map_err(Failure::new)
    }
}

impl PolicyArguments {
    fn sources(&self) -> Result<Sources, Failure> {
        let source = PolicySource { dir: self.policies.clone(), rack: self.rack.clone() };
        source.sources().map_err(Failure::new)
    }
}

pub(super) fn policy(command: &PolicyCommand, output: &mut Output<'_>) -> Done {
    match command {
        PolicyCommand::Check(arguments) => {
            let report = check(&arguments.sources()?).map_err(|errors| Failure::new(errors.to_string()))?;
            writeln!(output.out, "{report}")?;
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test(arguments) => {
            let sources = arguments.sources()?;
            let report = run_suite(&load(&sources)?, &sources.tests);
            writeln!(output.out, "{report}")?;
            if report.is_success() { Ok(ExitCode::SUCCESS) } else { Err(Failure::new("the policy tests fail")) }
        }
        PolicyCommand::Matrix(arguments) => {
            output.out.write_all(matrix(&load(&arguments.sources()?)?).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Explain { arguments, question } => {
            let sources = arguments.sources()?;
            let text = std::fs::read_to_string(question)?;
            let answer = explain(&load(&sources)?, &sources.tests, &text);
            writeln!(output.out, "{}", answer.map_err(|problem| Failure::new(problem.to_string()))?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(sources: &Sources) -> Result<Bundle, Failure> {
    Bundle::load(sources).map_err(|errors| Failure::new(errors.to_string()))
}
