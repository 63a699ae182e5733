// error: E0599
// A request without a row has no facts.

use rack_gateway::pep::{Gate, Identified};

fn any<T>() -> T {
    loop {}
}

pub fn unclassified(identified: Identified, gate: &Gate) {
    drop(identified.gather(gate, any(), any()));
}
