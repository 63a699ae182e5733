// error: E0451
// An endpoint without a decision does not exist.

use rack_gateway::api::Endpoint;

fn any<T>() -> T {
    loop {}
}

pub fn mounted(endpoint: Endpoint) -> Endpoint {
    Endpoint { handler: any(), ..endpoint }
}
