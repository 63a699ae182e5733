//! The policy enforcement point: the only way to a [`Permit`].
//!
//! A request passes the stages below in this order; each owns the one before it, so that nothing
//! can be swapped on the way, and each may stop it. What stops is recorded before it is answered.

mod accept;
mod admit;
mod app_variables;
mod browser;
mod classify;
mod decide;
mod deploy;
mod environment;
mod errand;
mod event;
mod facts;
mod follow;
mod gate;
mod gather;
mod granted;
mod identify;
mod inform;
mod inline;
mod intent;
mod keys;
mod masked_input;
mod parameters;
mod permit;
mod recheck;
mod redact;
mod refusal;
mod step_up;
mod trace;
mod variables;

pub use accept::Accepted;
pub use classify::Classified;
pub use environment::{EnvironmentUnknown, Releases, app_rules, env_var};
pub use errand::{Chunks, Errand, ErrandError, Look, Reader};
pub use facts::deploy_approval;
pub use follow::{Answered, Follow, Followers, Unfollowed};
pub use gate::{Active, BundleStatus, Gate, Latest};
pub use gather::Gathered;
pub use granted::Granted;
pub use identify::Identified;
pub use permit::{OwnPermit, Passed, Permit, Prepared, PreparedBody};
pub use recheck::{Recheck, Standing};
pub use refusal::{Recorded, Refusal, SignInRefusal, Stopped};
pub use step_up::{Posed, Wanted, Way};
pub use trace::Trace;
