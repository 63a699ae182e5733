// compiles
// A decision may be read by everybody.

use rack_gateway::pdp::{Decision, Verdict};

pub fn read(decision: &Decision) -> Verdict {
    decision.verdict()
}
