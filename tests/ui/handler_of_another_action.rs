// error: E0631
// A handler is mounted behind the action that its call names, and behind no other.

use rack_gateway::api::action::{AccountRead, UserDelete};
use rack_gateway::api::{Answer, Call, Endpoint, guarded};

async fn delete(_: Call<UserDelete>) -> Answer {
    loop {}
}

pub fn mounted() -> Endpoint {
    guarded::<AccountRead, _, _>(delete)
}
