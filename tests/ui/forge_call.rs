// error: E0624
// A handler is not called with what nobody granted.

use rack_gateway::api::{Call, action::UserList};

fn any<T>() -> T {
    loop {}
}

pub fn forged() -> Option<Call<UserList>> {
    Call::new(any(), any())
}
