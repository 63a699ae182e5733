//! The decision point: questions in, decisions out.
//!
//! Pure: no I/O, no clock, no async. The only room that knows Cedar. What may be decided is in
//! `policies/` and `schema/`; this room reads them, refuses what is wrong with them, and answers.
//! Rust computes facts and decides nothing.

mod annotations;
mod bundle;
mod canary;
mod case;
mod context;
mod data;
mod decide;
mod decision;
mod entities;
mod listing;
mod loader;
mod matrix;
mod problem;
mod question;
mod refusal;
mod slices;
mod sources;
mod suite;
mod table;

#[cfg(test)]
mod tests;

pub use bundle::{Bundle, CheckReport, check};
pub use decision::{ChallengeKind, Decision, Hypothetical, Reason, Shadow, Verdict};
pub use listing::{PolicyInfo, RoleInfo};
pub use matrix::{MATRIX_COMMAND, matrix};
pub use problem::{BundleErrors, Problem};
pub use question::{
    About, Approval, Audit, Context, DeployApproval, EnvVar, Exec, Mfa, NEVER_S, Principal, PrincipalKind, Question,
    ResourceRef, Settings, WorkloadFacts,
};
pub use sources::{SourceFile, Sources};
pub use suite::{Failure, SuiteReport, explain, run_suite};
