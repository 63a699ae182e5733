//! Changes to the same people at the same time wait for each other in one order, so that none is given up.

use rack_gateway::store::{NewCredential, Store, StoreError, UserChange};

use super::{NOW, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(changes_that_cross_all_come_through);
}

const PEOPLE: usize = 3;
const SESSIONS: usize = 8;

/// One of many things that may happen to a person.
async fn change(store: Store, n: usize) -> Result<(), StoreError> {
    let who = format!("u{}", n % PEOPLE);
    let id = format!("{who}-{}", n % SESSIONS);
    match n % 7 {
        0 => store.user_lock(&who, "left", "root", NOW).await.map(drop),
        1 => store.credential_revoke(&id, "lost", NOW).await.map(drop),
        2 => store.credentials_revoke_of_user(&who, None, "all", NOW).await.map(drop),
        3 => store.user_update(&who, UserChange::default(), None).await.map(drop),
        4 => store.user_unlock(&who).await.map(drop),
        5 => store.user_signed_in(&who, &id, vec![id.clone()], NOW).await.map(drop),
        _ if n > 270 => store.user_delete(&who).await,
        _ => store.sweep(NOW).await.map(drop),
    }
}

async fn changes_that_cross_all_come_through(db: Db) {
    let store = db.store().await;
    for person in 0..PEOPLE {
        let who = format!("u{person}");
        store.user_create(user(&who, &format!("{who}@example.com")), NOW).await.expect("a user");
        for n in 0..SESSIONS {
            let mut hash = [0; 32];
            (hash[0], hash[1]) = (u8::try_from(person).expect("few"), u8::try_from(n).expect("few"));
            let new = NewCredential { secret_hash: hash, ..session(&format!("{who}-{n}"), &who, 0) };
            store.credential_create(new, NOW).await.expect("a session");
        }
    }
    let tasks: Vec<_> = (0..300).map(|n| tokio::spawn(change(store.clone(), n))).collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let done = task.await.expect("no panic");
        assert!(matches!(done, Ok(()) | Err(StoreError::NotFound)), "{n}: {done:?}");
    }
}
