//! The one integration binary: requests in, effects out, against the real library, the real binary
//! and both databases.

mod anchor;
mod anchoring;
mod api;
mod approvals;
mod attacks;
mod audit;
mod audit_api;
mod client;
mod compile_fail;
mod deploys;
mod dev_rack;
mod evidence;
mod factors;
mod failure;
mod gateway;
mod harness;
mod identity;
mod idp;
mod oidc;
mod pages;
mod process;
mod replay;
mod revocation;
mod routes;
mod rows;
mod sign_in;
mod step_up;
mod tamper;
mod tidy;
mod vault;
mod verifier;
