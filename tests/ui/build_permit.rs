// error: E0451
// A permit cannot be put together from its parts.

use rack_gateway::pep::Permit;

fn any<T>() -> T {
    loop {}
}

pub fn permit() -> Permit {
    Permit { row: any(), prepared: any(), intent: any(), followers: any() }
}
