// compiles
// The stages in their order.

use rack_gateway::pep::{Accepted, Gate, Passed, Stopped};

fn any<T>() -> T {
    loop {}
}

pub async fn all(gate: &Gate, accepted: Accepted) -> Result<Passed, Box<Stopped>> {
    accepted.identify(gate).await?.classify(gate)?.gather(gate, any()).await?.decide(gate).await
}
