// error: E0451
// Nothing but the writer says that a record is durable.

use rack_gateway::audit::Intent;

fn any<T>() -> T {
    loop {}
}

pub fn intent() -> Intent {
    Intent { receipt: any(), request_id: any(), shared: any() }
}
