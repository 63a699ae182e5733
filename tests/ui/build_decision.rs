// error: E0451
// A decision cannot be put together: only a bundle decides.

use rack_gateway::pdp::{Decision, Verdict};

fn any<T>() -> T {
    loop {}
}

pub fn decision() -> Decision {
    Decision {
        verdict: Verdict::Allow,
        reasons: any(),
        errors: any(),
        challenges: any(),
        hypothetical: any(),
        shadow: any(),
        bundle: any(),
        explanation: any(),
    }
}
