// error: E0599
// A permit cannot be copied.

use rack_gateway::pep::Permit;

pub fn copy(permit: Permit) -> (Permit, Permit) {
    (permit.clone(), permit)
}
