// compiles
// The one way through: a permit, given away once.

use rack_gateway::pep::Permit;
use rack_gateway::upstream::{Rack, forward};

fn any<T>() -> T {
    loop {}
}

pub async fn once(rack: &Rack, permit: Permit) {
    drop(forward(rack, permit, any(), any()).await);
}
