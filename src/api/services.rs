//! What endpoints work with.

use std::sync::Arc;

use crate::config::{Catalog, RackSettings};
use crate::identity::{Oidc, Rules, Workloads};
use crate::pep::{BundleStatus, Gate};

use super::Problem;

/// Shared by all endpoints.
#[derive(Clone, Debug)]
pub struct Services {
    /// The enforcement point.
    pub gate: Gate,
    /// The one rack, as a console lists it.
    pub rack: RackSettings,
    /// The identity provider of people, where one is set.
    pub oidc: Option<Arc<Oidc>>,
    /// The CI platforms whose word is taken.
    pub workloads: Arc<Workloads>,
    /// What of the settings is pinned.
    pub catalog: Arc<Catalog>,
    /// Whether the last bundle was good.
    pub bundle: BundleStatus,
}

impl Services {
    /// How long sessions last and who may come, as set now.
    ///
    /// # Errors
    /// When the settings cannot be read.
    pub async fn rules(&self) -> Result<Rules, Problem> {
        Ok(Rules::load(&self.gate.store, &self.catalog).await?)
    }
}
