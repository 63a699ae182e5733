//! Changes to the same people at the same time wait for each other in one order, so that none is given up.

use std::time::Duration;

use rack_gateway::store::{NewCredential, NewDevice, Options, Store, StoreError, UserChange};

use super::challenges::question;
use super::factors::{device, enrolment};
use super::{NOW, at_once, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(changes_that_cross_all_come_through);
}

const PEOPLE: usize = 3;
const SESSIONS: usize = 8;

/// A session with a secret of its own.
fn fresh(id: &str, who: &str, n: usize) -> NewCredential {
    NewCredential { secret_hash: hash(n), ..session(id, who, 0) }
}

fn hash(n: usize) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&n.to_be_bytes());
    hash
}

/// A factor comes, and goes.
async fn enrol(store: &Store, who: &str, n: usize) -> Done {
    let id = format!("f{n}");
    store.factor_begin(enrolment(&id, who), NOW).await?;
    store.factor_confirm(&id, who, None, None, None, NOW).await?;
    store.factor_delete(&id, who).await.map(drop)
}

/// A trusted device, and a session that begins on it; somebody may end the trust in between.
async fn trust(store: &Store, who: &str, n: usize) -> Done {
    let id = format!("d{n}");
    store.device_add(NewDevice { token_hash: hash(n), ..device(&id, who, 0) }, NOW).await?;
    let new = NewCredential { device_id: Some(id), ..fresh(&format!("c{n}"), who, n) };
    match store.credential_create(new, NOW).await {
        Err(StoreError::Conflict(_)) => Ok(()),
        done => done,
    }
}

/// One of many things that may happen to a person.
async fn change(store: Store, n: usize) -> Done {
    let who = format!("u{}", n % PEOPLE);
    let id = format!("{who}-{}", n % SESSIONS);
    match n % 14 {
        0 => store.user_lock(&who, "left", "root", NOW).await.map(drop),
        1 => store.credential_revoke(&id, "lost", NOW).await.map(drop),
        2 => store.credentials_revoke_of_user(&who, None, "all", NOW).await.map(drop),
        3 => store.user_update(&who, UserChange::default(), None).await.map(drop),
        4 => store.user_unlock(&who, "root", NOW).await.map(drop),
        5 => store.user_signed_in(&who, &id, vec![id.clone()], NOW).await.map(drop),
        6 => store.credential_create(fresh(&format!("c{n}"), &who, n), NOW).await,
        7 => store.factors_reset(&who, "root", NOW).await.map(drop),
        8 => enrol(&store, &who, n).await,
        9 => store.challenge_pose(question(&who, &id, n), NOW).await.map(drop),
        10 => store.backup_codes_replace(&who, vec![hash(n)], NOW).await,
        11 => trust(&store, &who, n).await,
        12 => store.credential_verified(&id, NOW, "totp", false).await.map(drop),
        _ => store.device_delete(&format!("d{}", n.saturating_sub(30)), &who).await.map(drop),
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
    for (n, done) in at_once(&store, 0..420, change).await.into_iter().enumerate() {
        assert!(done.is_ok(), "{n}: {done:?}");
    }
    let changes = at_once(&store, 420..560, change);
    let deletions = at_once(&store, 0..PEOPLE, |store, n| async move { store.user_delete(&format!("u{n}")).await });
    let (changed, deleted) = tokio::join!(changes, deletions);
    for (n, done) in changed.into_iter().enumerate() {
        // The person may be gone.
        assert!(matches!(done, Ok(()) | Err(StoreError::NotFound | StoreError::Conflict(_))), "{n}: {done:?}");
    }
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

type Done = Result<(), StoreError>;
