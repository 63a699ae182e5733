// error: E0624
// Only the stage that decided may make a permit.

use rack_gateway::pep::Permit;

fn any<T>() -> T {
    loop {}
}

pub fn permit() -> Option<Permit> {
    Permit::new(any(), any(), any(), any(), any())
}
