//! Deploy approvals: what a deploy that was approved may consist of.

pub mod bundle;
