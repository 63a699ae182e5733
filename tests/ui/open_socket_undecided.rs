// error: E0308
// A socket needs a permit like everything else.

use rack_gateway::pep::Gathered;
use rack_gateway::upstream::{Rack, open_socket};

fn any<T>() -> T {
    loop {}
}

pub async fn undecided(rack: &Rack, gathered: Gathered) {
    drop(open_socket(rack, gathered, any(), any(), any()).await);
}
