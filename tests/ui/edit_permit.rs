// error: E0616
// What was decided cannot be changed before it is forwarded.

use rack_gateway::pep::Permit;

pub fn elsewhere(permit: &mut Permit, target: &str) {
    permit.prepared.outgoing.target = target.to_owned();
}
