// error: E0382
// One decision forwards at most one request.

use rack_gateway::pep::Permit;
use rack_gateway::upstream::{Rack, forward};

fn any<T>() -> T {
    loop {}
}

pub async fn twice(rack: &Rack, permit: Permit) {
    drop(forward(rack, permit, any(), any()).await);
    drop(forward(rack, permit, any(), any()).await);
}
