//! What endpoints work with.

use crate::config::RackSettings;
use crate::pep::Gate;

/// Shared by all endpoints.
#[derive(Clone, Debug)]
pub struct Services {
    /// The enforcement point.
    pub gate: Gate,
    /// The one rack, as a console lists it.
    pub rack: RackSettings,
}
