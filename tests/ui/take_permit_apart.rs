// error: E0624
// What a permit holds comes out only where it is forwarded.

use rack_gateway::pep::Permit;

pub fn open(permit: Permit) {
    drop(permit.into_parts());
}
