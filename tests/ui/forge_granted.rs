// error: E0451
// What policy granted is not made by hand.

use rack_gateway::pep::Granted;

fn any<T>() -> T {
    loop {}
}

pub fn forged(granted: Granted) -> Granted {
    Granted { context: any(), ..granted }
}
