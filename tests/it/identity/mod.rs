//! People, their credentials, and how they sign in.

mod callers;
mod challenges;
mod credentials;
mod crossing;
mod epoch;
pub mod factors;
pub mod plans;
mod sign_in;
mod sweep;
mod users;

use std::ops::Range;

use rack_gateway::store::{CredentialKind, NewCredential, NewUser, Store};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub const NOW: OffsetDateTime = datetime!(2026-11-21 10:00:00 UTC);
pub const DAY: Duration = Duration::DAY;

pub fn user(id: &str, email: &str) -> NewUser {
    let roles = vec!["viewer".to_owned(), "ops".to_owned()];
    NewUser { id: id.to_owned(), email: email.to_owned(), name: id.to_uppercase(), roles, ..NewUser::default() }
}

pub fn alice() -> NewUser {
    user("u1", "Alice@Example.com")
}

/// A session that is good for a day.
pub fn session(id: &str, user: &str, hash: u8) -> NewCredential {
    let base = NewCredential::new(id.to_owned(), CredentialKind::Cli, [hash; 32], NOW + DAY);
    NewCredential { name: format!("laptop {id}"), user_id: Some(user.to_owned()), ..base }
}

/// A machine's token that is good for a day.
pub fn machine(id: &str, hash: u8) -> NewCredential {
    let base = NewCredential::new(id.to_owned(), CredentialKind::Api, [hash; 32], NOW + DAY);
    NewCredential { name: format!("machine {id}"), roles: vec!["cicd".to_owned()], ..base }
}

/// What comes of the same work, done at the same time by as many tasks as there are numbers.
pub async fn at_once<T, F>(store: &Store, range: Range<usize>, work: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = range.map(|n| tokio::spawn(work(store.clone(), n))).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("no panic"));
    }
    all
}
