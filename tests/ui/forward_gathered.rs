// error: E0308
// A request whose facts are known but that was not decided is no permit.

use rack_gateway::pep::Gathered;
use rack_gateway::upstream::{Rack, forward};

fn any<T>() -> T {
    loop {}
}

pub async fn undecided(rack: &Rack, gathered: Gathered) {
    drop(forward(rack, gathered, any(), any()).await);
}
