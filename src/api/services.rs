//! What endpoints work with.

use std::sync::Arc;

use crate::audit::anchor::Sealer;
use crate::config::{Catalog, RackSettings};
use crate::factor::Desk;
use crate::identity::{Oidc, Rules, Workloads};
use crate::pep::{BundleStatus, Gate, Trace};

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
    /// What signs exports, where this process has the key of the anchors.
    pub sealer: Option<Sealer>,
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

    /// What second factors work with, for a request.
    #[must_use]
    pub fn desk<'a>(&'a self, trace: &'a Trace) -> Desk<'a> {
        let gate = &self.gate;
        Desk {
            store: &gate.store,
            vault: &gate.vault,
            audit: &gate.audit,
            now: trace.at,
            request_id: &trace.request_id,
            source_ip: Some(trace.source_ip),
        }
    }
}
