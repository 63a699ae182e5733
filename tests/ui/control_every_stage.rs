// compiles
// The stages in their order.

use std::rc::Rc;

use rack_gateway::pep::{Accepted, Gate, Passed, Reader, Stopped};

fn any<T>() -> T {
    loop {}
}

pub async fn all(gate: &Gate, accepted: Accepted) -> Result<Passed, Box<Stopped>> {
    let classified = accepted.identify(gate).await?.classify(gate)?;
    classified.gather(gate, any(), any::<Rc<dyn Reader>>()).await?.decide(gate).await
}
