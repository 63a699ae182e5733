// error: E0308
// A request that was classified but not decided is no permit.

use rack_gateway::pep::Classified;
use rack_gateway::upstream::{Rack, forward};

fn any<T>() -> T {
    loop {}
}

pub async fn undecided(rack: &Rack, classified: Classified) {
    drop(forward(rack, classified, any(), any()).await);
}
