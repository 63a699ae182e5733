// error: E0599
// A request of nobody has no route.

use rack_gateway::pep::{Accepted, Gate};

pub fn anonymous(accepted: Accepted, gate: &Gate) {
    drop(accepted.classify(gate));
}
