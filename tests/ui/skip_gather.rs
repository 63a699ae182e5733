// error: E0599
// A request without facts is not decided.

use rack_gateway::pep::{Classified, Gate};

pub fn without_facts(classified: Classified, gate: &Gate) {
    drop(classified.decide(gate));
}
