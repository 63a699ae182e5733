// compiles
// The stages in their order.

use std::rc::Rc;

use rack_gateway::pep::{Accepted, Gate, Passed, Reader, Stopped};

fn any<T>() -> T {
    loop {}
}

pub async fn all(gate: &Gate, accepted: Accepted) -> Result<Passed, Box<Stopped>> {
    accepted.identify(gate).await?.classify(gate)?.gather(gate, any(), any::<Rc<dyn Reader>>()).await?.decide(gate).await
}
