//! Challenges: posed once for one request, answered once, completed once, spent once, and never too late.

use rack_gateway::store::{ChallengeReason, ChallengeRow, Needs, NewChallenge, Store, StoreError, Way};
use time::{Duration, OffsetDateTime};

use super::{NOW, alice, at_once, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        what_is_posed_comes_back,
        the_same_question_is_posed_once,
        of_many_that_ask_at_once_all_get_one,
        attempts_are_counted,
        an_assertion_state_is_taken_once,
        it_is_answered_once_and_in_time,
        a_strong_one_takes_no_weak_answer,
        a_console_one_is_completed_once_with_its_proof,
        it_is_spent_once,
        an_answer_is_for_its_own_request_and_session,
        what_was_refused_with_a_link_is_found,
        a_clock_that_goes_back_opens_nothing_twice,
        it_goes_with_its_credential,
    );
}

const CROWD: std::ops::Range<usize> = 0..20;
const END: OffsetDateTime = time::macros::datetime!(2026-11-21 10:10:00 UTC);

/// A question about one request of a session, for ten minutes.
pub fn question(who: &str, credential: &str, n: usize) -> NewChallenge {
    let mut intent_digest = [0; 32];
    intent_digest[..8].copy_from_slice(&n.to_be_bytes());
    NewChallenge {
        id: format!("q{n}"),
        code: format!("code-{n}"),
        user_id: who.to_owned(),
        credential_id: credential.to_owned(),
        action: "app:delete".to_owned(),
        resource: "Rack::App::\"shop\"".to_owned(),
        reasons: vec![ChallengeReason { id: "step-up.bound".to_owned(), why: "it cannot be undone".to_owned() }],
        needs: Needs::Bound,
        strong: false,
        way: Way::Web,
        intent_digest,
        return_to: Some("/app".to_owned()),
        source_ip: "2001:db8::1".parse().expect("an address"),
        expires_at: END,
        ..NewChallenge::blank(NOW)
    }
}

/// Two people with a session each.
async fn two_sessions(db: &Db) -> Store {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    for (id, who, hash) in [("c1", "u1", 1), ("c2", "u1", 2), ("c3", "u2", 3)] {
        store.credential_create(session(id, who, hash), NOW).await.expect("a session");
    }
    store
}

async fn pose(store: &Store, new: NewChallenge) -> ChallengeRow {
    store.challenge_pose(new, NOW).await.expect("posed")
}

async fn find(store: &Store, id: &str) -> ChallengeRow {
    store.challenge_find(id).await.expect("a search").expect("a challenge")
}

async fn answer(store: &Store, id: &str, strong: bool, proof: Option<[u8; 32]>, now: OffsetDateTime) -> bool {
    let method = if strong { "webauthn" } else { "totp" };
    let until = now + Duration::minutes(5);
    store.challenge_answer(id, method, strong, proof, until, now).await.expect("an answer")
}

fn assert_once(answers: &[Result<bool, StoreError>]) {
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(true)).count(), 1, "{answers:?}");
}

async fn what_is_posed_comes_back(db: Db) {
    let store = two_sessions(&db).await;
    let new = question("u1", "c1", 1);
    let row = pose(&store, new.clone()).await;
    assert_eq!(store.challenge_find("q1").await, Ok(Some(row.clone())));
    assert_eq!(store.challenge_find_by_code("code-1").await, Ok(Some(row.clone())));
    assert_eq!(store.challenge_find_by_code("q1").await, Ok(None));
    assert_eq!(row, new, "nothing has become of it");
    for way in [Way::Web, Way::Console, Way::Link, Way::Socket] {
        assert_eq!(Way::from_word(way.as_str()), Some(way));
    }
    assert_eq!((Needs::from_word("mfa_bound"), Needs::from_word("x")), (Some(Needs::Bound), None));
    for (new, what) in [
        (NewChallenge { code: "code-1".to_owned(), ..question("u1", "c1", 2) }, "the code"),
        (NewChallenge { id: "q1".to_owned(), ..question("u1", "c1", 2) }, "the id"),
        (question("u1", "c9", 2), "no such session"),
    ] {
        let answer = store.challenge_pose(new, NOW).await;
        assert!(matches!(answer, Err(StoreError::Conflict(_))), "{what}: {answer:?}");
    }
    assert_eq!(store.challenge_pose(question("u9", "c1", 2), NOW).await, Err(StoreError::NotFound));
}

async fn the_same_question_is_posed_once(db: Db) {
    let store = two_sessions(&db).await;
    let again = |n: usize| NewChallenge { id: format!("q{n}"), code: format!("code-{n}"), ..question("u1", "c1", 1) };
    pose(&store, question("u1", "c1", 1)).await;
    assert!(store.challenge_try("q1", 10, NOW).await.unwrap());
    let row = store.challenge_pose(again(2), END - Duration::SECOND).await.unwrap();
    assert_eq!((row.id.as_str(), row.attempts, row.expires_at), ("q1", 1, END), "no fresh attempts, no more time");
    for (n, new) in [
        (3, NewChallenge { needs: Needs::Mfa, ..again(3) }),
        (4, NewChallenge { strong: true, ..again(4) }),
        (5, NewChallenge { way: Way::Link, ..again(5) }),
        (6, NewChallenge { intent_digest: [6; 32], ..again(6) }),
        (7, NewChallenge { credential_id: "c2".to_owned(), ..again(7) }),
    ] {
        assert_eq!(pose(&store, new).await.id, format!("q{n}"));
    }
    let late = NewChallenge { expires_at: END + Duration::minutes(10), ..again(8) };
    assert_eq!(store.challenge_pose(late, END).await.unwrap().id, "q8", "the first one is over");
    assert!(answer(&store, "q8", false, None, END).await);
    let next = NewChallenge { expires_at: END + Duration::minutes(10), ..again(9) };
    assert_eq!(store.challenge_pose(next, END).await.unwrap().id, "q9", "an answered one is not asked again");
}

async fn of_many_that_ask_at_once_all_get_one(db: Db) {
    let store = two_sessions(&db).await;
    // Again and again: at first they wait for connections, one after the other.
    for round in 1..=10 {
        let many = at_once(&store, CROWD, move |store, n| async move {
            let n = n + 100 * usize::from(round);
            let new = NewChallenge { intent_digest: [round; 32], ..question("u1", "c1", n) };
            store.challenge_pose(new, NOW).await.expect("posed").id
        });
        let many = many.await;
        assert!(many.iter().all(|id| *id == many[0]), "{many:?}");
    }
}

async fn attempts_are_counted(db: Db) {
    let store = two_sessions(&db).await;
    pose(&store, question("u1", "c1", 1)).await;
    let many = at_once(&store, CROWD, |store, _| async move { store.challenge_try("q1", 5, NOW).await });
    assert_eq!(many.await.iter().filter(|answer| **answer == Ok(true)).count(), 5);
    assert_eq!(find(&store, "q1").await.attempts, 5, "a refused one is not counted");
    assert_eq!(store.challenge_try("q1", 6, END).await, Ok(false), "it is over");
    assert_eq!(store.challenge_try("q1", 6, NOW).await, Ok(true));
    assert_eq!(store.challenge_try("q9", 6, NOW).await, Ok(false), "there is none");
    assert!(answer(&store, "q1", false, None, NOW).await);
    assert_eq!(store.challenge_try("q1", 99, NOW).await, Ok(false), "it is answered");
}

async fn an_assertion_state_is_taken_once(db: Db) {
    let store = two_sessions(&db).await;
    pose(&store, question("u1", "c1", 1)).await;
    assert_eq!(store.challenge_take_webauthn("q1").await, Ok(None), "there is none");
    for state in ["first", "second"] {
        store.challenge_set_webauthn("q1", Some(state.to_owned())).await.expect("set");
    }
    let many = at_once(&store, CROWD, |store, _| async move { store.challenge_take_webauthn("q1").await.unwrap() });
    let taken: Vec<_> = many.await.into_iter().flatten().collect();
    assert_eq!(taken, ["second"]);
    store.challenge_set_webauthn("q1", Some("third".to_owned())).await.expect("set");
    store.challenge_set_webauthn("q1", None).await.expect("cleared");
    assert_eq!(store.challenge_take_webauthn("q1").await, Ok(None));
    store.challenge_set_webauthn("q1", Some("fourth".to_owned())).await.expect("set");
    assert!(answer(&store, "q1", false, None, NOW).await);
    assert_eq!(store.challenge_take_webauthn("q1").await, Ok(None), "an answer leaves none");
    store.challenge_set_webauthn("q1", Some("fifth".to_owned())).await.expect("an answer");
    assert_eq!(store.challenge_take_webauthn("q1").await, Ok(None), "nothing is asked any more");
}

async fn it_is_answered_once_and_in_time(db: Db) {
    let store = two_sessions(&db).await;
    pose(&store, question("u1", "c1", 1)).await;
    pose(&store, question("u1", "c1", 2)).await;
    assert!(!answer(&store, "q1", false, None, END).await, "too late");
    assert!(!answer(&store, "q9", false, None, NOW).await, "there is none");
    let at = NOW + Duration::minutes(9);
    let many = at_once(&store, CROWD, move |store, _| async move {
        store.challenge_answer("q1", "backup", false, None, at + Duration::minutes(5), at).await
    });
    assert_once(&many.await);
    let row = find(&store, "q1").await;
    assert_eq!((row.answered_at, row.method.as_deref(), row.answered_strong), (Some(at), Some("backup"), false));
    assert_eq!(row.expires_at, at + Duration::minutes(5));
    assert!(find(&store, "q2").await.answered_at.is_none());
    let odd = store.challenge_answer("q2", "sms", false, None, END, NOW).await;
    assert!(matches!(odd, Err(StoreError::Corrupt(_))), "{odd:?}");
}

async fn a_strong_one_takes_no_weak_answer(db: Db) {
    let store = two_sessions(&db).await;
    pose(&store, NewChallenge { strong: true, ..question("u1", "c1", 1) }).await;
    assert!(!answer(&store, "q1", false, None, NOW).await);
    assert!(answer(&store, "q1", true, None, NOW).await);
    assert!(find(&store, "q1").await.answered_strong);
}

async fn a_console_one_is_completed_once_with_its_proof(db: Db) {
    let store = two_sessions(&db).await;
    let new = NewChallenge { way: Way::Console, ..question("u1", "c1", 1) };
    let digest = new.intent_digest;
    pose(&store, new).await;
    let complete = |proof: u8, now| {
        let store = store.clone();
        async move { store.challenge_complete("q1", &[proof; 32], now).await }
    };
    assert_eq!(complete(7, NOW).await, Ok(false), "nobody has answered");
    assert!(answer(&store, "q1", false, Some([7; 32]), NOW).await);
    assert_eq!(store.challenge_for("c1", &digest, NOW).await, Ok(None), "the CLI has not handed it in");
    assert_eq!(store.challenge_spend("q1", NOW).await, Ok(false), "nor can it be spent");
    assert_eq!(complete(8, NOW).await, Ok(false), "another proof");
    assert_eq!(complete(7, NOW + Duration::minutes(5)).await, Ok(false), "too late");
    let many = at_once(&store, CROWD, |store, _| async move { store.challenge_complete("q1", &[7; 32], NOW).await });
    assert_once(&many.await);
    assert_eq!(find(&store, "q1").await.completed_at, Some(NOW));
    assert_eq!(store.challenge_for("c1", &digest, NOW).await.unwrap().unwrap().id, "q1");
    assert_eq!(store.challenge_spend("q1", NOW).await, Ok(true));
    pose(&store, question("u1", "c1", 2)).await;
    assert!(answer(&store, "q2", false, None, NOW).await);
    assert_eq!(store.challenge_complete("q2", &[0; 32], NOW).await, Ok(false), "no proof was asked for");
}

async fn it_is_spent_once(db: Db) {
    let store = two_sessions(&db).await;
    let new = question("u1", "c1", 1);
    let digest = new.intent_digest;
    pose(&store, new).await;
    assert_eq!(store.challenge_spend("q1", NOW).await, Ok(false), "not answered");
    assert!(answer(&store, "q1", false, None, NOW).await);
    let end = NOW + Duration::minutes(5);
    assert_eq!(store.challenge_spend("q1", end).await, Ok(false), "too late");
    assert_eq!(store.challenge_for("c1", &digest, end).await, Ok(None), "too late");
    let many = at_once(&store, CROWD, |store, _| async move { store.challenge_spend("q1", NOW).await });
    assert_once(&many.await);
    assert_eq!(store.challenge_for("c1", &digest, NOW).await, Ok(None), "spent");
    assert_eq!(find(&store, "q1").await.spent_at, Some(NOW));
}

async fn an_answer_is_for_its_own_request_and_session(db: Db) {
    let store = two_sessions(&db).await;
    let new = question("u1", "c1", 1);
    let digest = new.intent_digest;
    pose(&store, new.clone()).await;
    assert_eq!(store.challenge_for("c1", &digest, NOW).await, Ok(None), "not answered");
    assert!(answer(&store, "q1", false, None, NOW).await);
    for (credential, digest, found) in
        [("c1", digest, true), ("c2", digest, false), ("c3", digest, false), ("c1", [9; 32], false)]
    {
        let row = store.challenge_for(credential, &digest, NOW).await.unwrap();
        assert_eq!(row.is_some(), found, "{credential}");
    }
    let (id, code) = ("q2".to_owned(), "code-2".to_owned());
    let later = NewChallenge { id, code, needs: Needs::Mfa, ..new };
    store.challenge_pose(later, NOW + Duration::SECOND).await.expect("posed");
    assert!(answer(&store, "q2", false, None, NOW + Duration::SECOND).await);
    let newest = store.challenge_for("c1", &digest, NOW + Duration::SECOND).await.unwrap().unwrap();
    assert_eq!((newest.id.as_str(), newest.needs), ("q2", Needs::Mfa));
}

async fn what_was_refused_with_a_link_is_found(db: Db) {
    let store = two_sessions(&db).await;
    let socket = |n: usize| NewChallenge { way: Way::Link, action: "s".to_owned(), ..question("u1", "c1", n) };
    let pending = |now| {
        let store = store.clone();
        async move { store.challenge_linked("c1", &["r", "s"], now).await.unwrap().map(|row| row.id) }
    };
    pose(&store, NewChallenge { way: Way::Socket, ..socket(1) }).await;
    pose(&store, NewChallenge { credential_id: "c2".to_owned(), ..socket(2) }).await;
    pose(&store, NewChallenge { way: Way::Link, ..question("u1", "c1", 5) }).await;
    assert_eq!(pending(NOW).await, None, "another way, another session, another action");
    pose(&store, socket(3)).await;
    store.challenge_pose(socket(4), NOW + Duration::SECOND).await.expect("posed");
    assert_eq!(pending(NOW).await.as_deref(), Some("q4"), "the newest");
    assert!(answer(&store, "q4", false, None, NOW).await);
    assert_eq!(pending(NOW).await.as_deref(), Some("q3"));
    assert_eq!(pending(END).await, None, "it is over");
    let many = at_once(&store, CROWD, |store, _| async move { store.challenge_withdraw("q3", NOW).await });
    assert_once(&many.await);
    assert_eq!(pending(NOW).await, None, "it was taken back");
    assert!(!answer(&store, "q3", false, None, NOW).await);
    assert_eq!(store.challenge_withdraw("q4", NOW).await, Ok(false), "answered");
}

async fn a_clock_that_goes_back_opens_nothing_twice(db: Db) {
    let store = two_sessions(&db).await;
    pose(&store, question("u1", "c1", 1)).await;
    let before = NOW - Duration::DAY;
    assert!(answer(&store, "q1", false, None, NOW).await);
    assert!(!answer(&store, "q1", false, None, before).await);
    assert_eq!(store.challenge_try("q1", 10, before).await, Ok(false));
    assert_eq!(store.challenge_spend("q1", before).await, Ok(true));
    assert_eq!(store.challenge_spend("q1", before).await, Ok(false));
    assert_eq!(store.challenge_spend("q1", NOW).await, Ok(false));
}

async fn it_goes_with_its_credential(db: Db) {
    let store = two_sessions(&db).await;
    for (n, credential) in [(1, "c1"), (2, "c2")] {
        pose(&store, question("u1", credential, n)).await;
    }
    db.execute("DELETE FROM credentials WHERE id = 'c1'").await;
    assert_eq!(store.challenge_find("q1").await, Ok(None));
    assert!(store.challenge_find("q2").await.unwrap().is_some());
}
