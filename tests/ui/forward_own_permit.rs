// error: E0308
// The permit for an answer of the gateway's own opens nothing at the rack.

use rack_gateway::pep::OwnPermit;
use rack_gateway::upstream::{Rack, forward};

fn any<T>() -> T {
    loop {}
}

pub async fn wrong_door(rack: &Rack, permit: OwnPermit) {
    drop(forward(rack, permit, any(), any()).await);
}
