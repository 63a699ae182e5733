//! The gateway's own API: what it answers itself once policy has allowed it.
//!
//! A handler takes a [`Call`] of its action, and only [`guarded`] mounts one, so that no handler
//! runs without a decision on exactly its action. The body is parsed by the handler: policy has
//! spoken by then.

mod account;
pub mod action;
mod call;
mod console;
mod endpoint;
mod problem;
pub mod public;
mod reply;
pub mod return_to;
mod services;

pub use call::Call;
pub use endpoint::{Answer, Endpoint, Endpoints, guarded};
pub use problem::Problem;
pub use reply::{Content, Reply};
pub use services::Services;

/// Every endpoint that needs no decision to begin with. Health and readiness are `http`'s own.
#[must_use]
pub fn doors() -> public::Doors {
    public::Doors::default()
}

/// Every endpoint behind a decision, one for each of the gateway's own rows.
#[must_use]
pub fn endpoints() -> Endpoints {
    Endpoints::new([
        guarded::<action::ConsoleLogin, _, _>(console::login),
        guarded::<action::ConsoleRackList, _, _>(console::racks),
        guarded::<action::ConsoleRackRead, _, _>(console::rack),
        guarded::<action::ConsoleMachineList, _, _>(console::machines),
        guarded::<action::AccountRead, _, _>(account::whoami),
    ])
}
