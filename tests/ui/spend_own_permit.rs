// error: E0624
// What a permit holds is taken out by the server alone.

use rack_gateway::pep::OwnPermit;

pub fn taken(permit: OwnPermit) {
    drop(permit.into_parts());
}
