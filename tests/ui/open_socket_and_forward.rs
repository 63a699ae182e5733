// error: E0382
// One decision opens at most one way.

use rack_gateway::pep::Permit;
use rack_gateway::upstream::{Rack, forward, open_socket};

fn any<T>() -> T {
    loop {}
}

pub async fn both(rack: &Rack, permit: Permit) {
    drop(open_socket(rack, permit, any(), any(), any()).await);
    drop(forward(rack, permit, any(), any()).await);
}
