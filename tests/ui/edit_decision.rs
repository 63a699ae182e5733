// error: E0616
// A decision cannot be changed.

use rack_gateway::pdp::{Decision, Verdict};

pub fn allow(decision: &mut Decision) {
    decision.verdict = Verdict::Allow;
}
