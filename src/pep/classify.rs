//! Third stage: which line of the route table is it, and which resource?

use crate::pdp::ResourceRef;
use crate::routes::{Found, Matched, find};

use super::refusal::{Refusal, Stopped};
use super::{Gate, Identified};

/// A request that is a line of the route table.
#[derive(Debug)]
pub struct Classified {
    pub(super) identified: Identified,
    pub(super) matched: Matched,
    pub(super) resource: ResourceRef,
}

impl Identified {
    /// Finds the row and names the resource.
    ///
    /// # Errors
    /// When no row fits, or when the row is refused.
    pub fn classify(mut self, gate: &Gate) -> Result<Classified, Box<Stopped>> {
        let found = find(self.accepted.kind, self.accepted.target.clone());
        let unknown = found.slug().unwrap_or_default();
        let refusal = match found {
            Found::Row(matched) => return Ok(self.with(gate, matched)),
            Found::Refused(refused) => Refusal::RefusedRoute(refused),
            Found::BadParameter(error) => {
                self.accepted.trace.row = Some(error.row);
                Refusal::BadParameter(error)
            }
            Found::Unknown | Found::WrongMethod => Refusal::UnknownRoute(unknown),
        };
        Err(Stopped::new(self.accepted.trace, refusal))
    }

    fn with(mut self, gate: &Gate, matched: Matched) -> Classified {
        let row = matched.row();
        let id = matched.resource_id(&gate.rack);
        let trace = &mut self.accepted.trace;
        trace.row = Some(row);
        trace.resource = Some(format!("{}::{id}", row.resource.entity_type()));
        let resource = ResourceRef::new(row.resource, id, matched.app().map(str::to_owned));
        Classified { identified: self, matched, resource }
    }
}
