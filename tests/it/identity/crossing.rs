//! Changes to the same people at the same time wait for each other in one order, so that none is given up.

use std::ops::Range;
use std::time::Duration;

use rack_gateway::store::{NewCredential, Options, Store, StoreError, UserChange};

use super::{NOW, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(changes_that_cross_all_come_through);
}

const PEOPLE: usize = 3;
const SESSIONS: usize = 8;

/// A session with a secret of its own.
fn fresh(id: &str, who: &str, n: usize) -> NewCredential {
    let mut secret_hash = [0; 32];
    secret_hash[..8].copy_from_slice(&n.to_be_bytes());
    NewCredential { secret_hash, ..session(id, who, 0) }
}

/// One of many things that may happen to a person.
async fn change(store: Store, n: usize) -> Done {
    let who = format!("u{}", n % PEOPLE);
    let id = format!("{who}-{}", n % SESSIONS);
    match n % 7 {
        0 => store.user_lock(&who, "left", "root", NOW).await.map(drop),
        1 => store.credential_revoke(&id, "lost", NOW).await.map(drop),
        2 => store.credentials_revoke_of_user(&who, None, "all", NOW).await.map(drop),
        3 => store.user_update(&who, UserChange::default(), None).await.map(drop),
        4 => store.user_unlock(&who).await.map(drop),
        5 => store.user_signed_in(&who, &id, vec![id.clone()], NOW).await.map(drop),
        _ => store.credential_create(fresh(&format!("c{n}"), &who, n), NOW).await,
    }
}

async fn changes_that_cross_all_come_through(db: Db) {
    // A busy machine is not what this is about; one that waits for itself is found by the database.
    let patient = Duration::from_secs(60);
    let store = db.store_with(Options { timeout: patient, acquire: patient, ..Options::default() }).await;
    for person in 0..PEOPLE {
        let who = format!("u{person}");
        store.user_create(user(&who, &format!("{who}@example.com")), NOW).await.expect("a user");
        for n in 0..SESSIONS {
            let new = fresh(&format!("{who}-{n}"), &who, 1000 * (person + 1) + n);
            store.credential_create(new, NOW).await.expect("a session");
        }
    }
    for (n, done) in at_once(&store, 0..210, change).await {
        assert!(done.is_ok(), "{n}: {done:?}");
    }
    let changes = at_once(&store, 210..280, change);
    let deletions = at_once(&store, 0..PEOPLE, |store, n| async move { store.user_delete(&format!("u{n}")).await });
    let (changed, deleted) = tokio::join!(changes, deletions);
    for (n, done) in changed {
        // The person may be gone.
        assert!(matches!(done, Ok(()) | Err(StoreError::NotFound | StoreError::Conflict(_))), "{n}: {done:?}");
    }
    assert!(deleted.iter().all(|(_, done)| done.is_ok()), "{deleted:?}");
}

type Done = Result<(), StoreError>;

async fn at_once<F>(store: &Store, range: Range<usize>, work: impl Fn(Store, usize) -> F) -> Vec<(usize, Done)>
where
    F: Future<Output = Done> + Send + 'static,
{
    let tasks: Vec<_> = range.map(|n| (n, tokio::spawn(work(store.clone(), n)))).collect();
    let mut all = Vec::new();
    for (n, task) in tasks {
        all.push((n, task.await.expect("no panic")));
    }
    all
}
