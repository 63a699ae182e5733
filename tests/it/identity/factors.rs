//! Factors, backup codes, trusted devices and notices: what may happen once happens once, and what stands for
//! a factor goes with the last one.

use rack_gateway::store::{
    DeviceRow, FactorKind, FactorRow, NewCredential, NewDevice, NewFactor, Options, SecretKey, Store, StoreError,
    UserChange, UserRow,
};
use time::{Duration, OffsetDateTime};

use super::{DAY, NOW, alice, at_once, session, user};
use crate::harness::db::Db;

mod both {
    crate::on_both!(
        a_factor_is_confirmed_once_and_in_time,
        the_first_factor_enrols_and_the_last_one_unenrols,
        the_preferred_method_goes_with_its_last_factor,
        a_passkey_belongs_to_one_person,
        a_factor_is_its_persons_alone,
        a_step_counts_once_and_only_forwards,
        a_counter_moves_in_one_version_only,
        of_many_one_uses_a_code,
        new_backup_codes_replace_the_old_ones,
        a_device_is_trusted_until_it_is_not,
        a_session_begins_only_on_a_device_of_its_person,
        a_reset_leaves_nothing,
        with_a_person_goes_all_of_theirs,
        a_sealed_secret_goes_with_its_factor,
        what_a_session_has_shown_only_moves_forwards,
        only_sessions_show_factors,
        a_cli_session_takes_over_what_was_shown,
        notices_are_listed_and_seen,
    );
}

/// How many try at the same time.
const CROWD: std::ops::Range<usize> = 0..20;

/// An enrolment of a one-time code that can be confirmed for ten minutes.
pub fn enrolment(id: &str, who: &str) -> NewFactor {
    NewFactor {
        id: id.to_owned(),
        user_id: who.to_owned(),
        kind: FactorKind::Totp,
        name: format!("phone {id}"),
        credential_id: None,
        data: None,
        created_with: "c1".to_owned(),
        expires_at: NOW + Duration::minutes(10),
    }
}

/// A device that is trusted for a day.
pub fn device(id: &str, who: &str, hash: u8) -> NewDevice {
    NewDevice {
        id: id.to_owned(),
        user_id: who.to_owned(),
        token_hash: [hash; 32],
        browser: "Firefox on Linux".to_owned(),
        source_ip: "192.0.2.1".parse().expect("an address"),
        expires_at: NOW + DAY,
    }
}

async fn two_people(db: &Db) -> Store {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.user_create(user("u2", "bob@example.com"), NOW).await.expect("a user");
    store
}

async fn enrol(store: &Store, new: NewFactor) {
    let (id, who) = (new.id.clone(), new.user_id.clone());
    store.factor_begin(new, NOW).await.expect("begun");
    assert_eq!(store.factor_confirm(&id, &who, None, None, None, NOW).await, Ok(true));
}

pub fn preferring(method: Option<&str>) -> UserChange {
    UserChange { preferred_method: Some(method.map(str::to_owned)), ..UserChange::default() }
}

async fn prefer(store: &Store, method: Option<&str>) -> Result<UserRow, StoreError> {
    store.user_update("u1", preferring(method), None).await
}

async fn enrolled_at(store: &Store, who: &str) -> Option<OffsetDateTime> {
    store.user_find(who).await.expect("a search").expect("a user").enrolled_at
}

async fn device_of(store: &Store, credential: &str) -> Option<String> {
    store.credential_get(credential).await.expect("a search").expect("a session").device_id
}

/// One `true` among all answers.
fn assert_once(answers: &[Result<bool, StoreError>]) {
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(true)).count(), 1, "{answers:?}");
}

async fn a_factor_is_confirmed_once_and_in_time(db: Db) {
    let store = two_people(&db).await;
    let end = NOW + Duration::minutes(10);
    enrol(&store, enrolment("f0", "u1")).await;
    for id in ["f1", "f2", "f3"] {
        store.factor_begin(enrolment(id, "u1"), NOW).await.expect("begun");
    }
    let again = store.factor_begin(enrolment("f1", "u1"), NOW).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let nobodys = store.factor_begin(enrolment("f9", "u9"), NOW).await;
    assert!(matches!(nobodys, Err(StoreError::Conflict(_))), "{nobodys:?}");
    assert_eq!(store.factor_list("u1").await.unwrap().len(), 1, "the others are not confirmed");
    let pending = store.factor_find("f1").await.unwrap().unwrap();
    assert_eq!((pending.expires_at, pending.confirmed_at, pending.created_at), (Some(end), None, NOW));
    let confirm = |id: &'static str, who: &'static str, now| {
        let store = store.clone();
        async move { store.factor_confirm(id, who, None, Some("{}".to_owned()), Some(7), now).await }
    };
    assert_eq!(confirm("f1", "u2", NOW).await, Ok(false), "of somebody else");
    assert_eq!(confirm("f1", "u9", NOW).await, Err(StoreError::NotFound));
    assert_eq!(confirm("f9", "u1", NOW).await, Ok(false), "there is none");
    assert_eq!(confirm("f1", "u1", end).await, Ok(false), "too late");
    assert_eq!(confirm("f2", "u1", end - Duration::SECOND).await, Ok(true));
    let many =
        at_once(&store, CROWD, |store, _| async move { store.factor_confirm("f3", "u1", None, None, None, NOW).await });
    assert_once(&many.await);
    let rows = store.factor_list("u1").await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.data.as_deref(), row.last_step)).collect();
    assert_eq!(shown, [("f0", None, None), ("f2", Some("{}"), Some(7)), ("f3", None, None)]);
    assert!(rows.iter().all(|row| row.expires_at.is_none() && row.version == 2), "{rows:?}");
    let confirmed = |row: &FactorRow| row.confirmed_at;
    assert_eq!(rows.iter().map(confirmed).collect::<Vec<_>>(), [Some(NOW), Some(end - Duration::SECOND), Some(NOW)]);
}

async fn the_first_factor_enrols_and_the_last_one_unenrols(db: Db) {
    let store = two_people(&db).await;
    assert_eq!(enrolled_at(&store, "u1").await, None);
    for (id, who) in [("f0", "u1"), ("g0", "u2")] {
        store.factor_begin(enrolment(id, who), NOW).await.expect("begun");
    }
    enrol(&store, enrolment("f1", "u1")).await;
    assert_eq!(store.factor_find("f0").await, Ok(None), "it was begun without a factor");
    assert!(store.factor_find("g0").await.unwrap().is_some(), "somebody else's");
    assert_eq!(enrolled_at(&store, "u1").await, Some(NOW));
    assert_eq!(enrolled_at(&store, "u2").await, None);
    store.factor_begin(enrolment("f2", "u1"), NOW).await.expect("begun");
    assert_eq!(store.factor_confirm("f2", "u1", None, None, None, NOW + Duration::MINUTE).await, Ok(true));
    assert_eq!(enrolled_at(&store, "u1").await, Some(NOW), "since the first one");
    store.factor_begin(enrolment("f3", "u1"), NOW).await.expect("begun");
    store.backup_codes_replace("u1", vec![[1; 32], [2; 32]], NOW).await.expect("made");
    store.backup_codes_replace("u2", vec![[3; 32]], NOW).await.expect("made");
    store.device_add(device("d1", "u1", 1), NOW).await.expect("added");
    store.device_add(device("d2", "u2", 2), NOW).await.expect("added");
    let on_it = NewCredential { device_id: Some("d1".to_owned()), ..session("c1", "u1", 1) };
    store.credential_create(on_it, NOW).await.expect("a session");
    assert_eq!(store.factor_delete("f1", "u1").await, Ok(true));
    assert_eq!(store.factor_delete("f1", "u1").await, Ok(false), "gone already");
    assert_eq!(store.backup_codes_left("u1").await, Ok((2, 2)), "there is another factor");
    assert_eq!(store.factor_delete("f2", "u1").await, Ok(true));
    assert_eq!(enrolled_at(&store, "u1").await, None, "one that is not confirmed does not count");
    assert_eq!(store.backup_codes_left("u1").await, Ok((0, 0)));
    assert_eq!(store.device_list("u1", NOW).await, Ok(vec![]));
    assert_eq!(device_of(&store, "c1").await, None);
    assert_eq!(store.backup_codes_left("u2").await, Ok((1, 1)), "somebody else's");
    assert_eq!(store.device_list("u2", NOW).await.unwrap().len(), 1, "somebody else's");
    assert_eq!(store.factor_delete("f3", "u1").await, Ok(true));
}

async fn the_preferred_method_goes_with_its_last_factor(db: Db) {
    let store = two_people(&db).await;
    let preferred = || async { store.user_find("u1").await.unwrap().unwrap().preferred_method };
    for id in ["f1", "f2"] {
        enrol(&store, enrolment(id, "u1")).await;
    }
    let key = NewFactor { kind: FactorKind::Yubico, credential_id: Some("k".to_owned()), ..enrolment("f3", "u1") };
    enrol(&store, key).await;
    let version = prefer(&store, Some("totp")).await.unwrap().version;
    let odd = prefer(&store, Some("sms")).await;
    assert!(matches!(odd, Err(StoreError::Corrupt(_))), "{odd:?}");
    store.factor_delete("f1", "u1").await.unwrap();
    assert_eq!(preferred().await.as_deref(), Some("totp"), "there is another one");
    store.factor_delete("f2", "u1").await.unwrap();
    assert_eq!(preferred().await, None);
    assert!(store.user_find("u1").await.unwrap().unwrap().version > version);
    prefer(&store, Some("yubico")).await.unwrap();
    prefer(&store, None).await.unwrap();
    assert_eq!(preferred().await, None);
    assert!(enrolled_at(&store, "u1").await.is_some());
}

async fn a_passkey_belongs_to_one_person(db: Db) {
    let store = two_people(&db).await;
    let passkey = |id: &str, who: &str| NewFactor { kind: FactorKind::Webauthn, ..enrolment(id, who) };
    for (id, who) in [("f1", "u1"), ("f2", "u2")] {
        store.factor_begin(passkey(id, who), NOW).await.expect("begun");
    }
    let confirm = |id: &'static str, who: &'static str, credential: Option<&'static str>| {
        let store = store.clone();
        async move { store.factor_confirm(id, who, credential.map(str::to_owned), None, None, NOW).await }
    };
    let nameless = confirm("f1", "u1", None).await;
    assert!(matches!(nameless, Err(StoreError::Corrupt(_))), "{nameless:?}");
    assert_eq!(confirm("f1", "u1", Some("key")).await, Ok(true));
    store.factor_begin(passkey("f3", "u1"), NOW).await.expect("begun");
    for (id, who) in [("f2", "u2"), ("f3", "u1")] {
        let taken = confirm(id, who, Some("key")).await;
        assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    }
    assert_eq!(enrolled_at(&store, "u2").await, None);
    let found = store.factor_by_credential("key").await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.user_id.as_str(), found.kind), ("f1", "u1", FactorKind::Webauthn));
    assert_eq!(store.factor_by_credential("other").await, Ok(None));
}

async fn a_factor_is_its_persons_alone(db: Db) {
    let store = two_people(&db).await;
    enrol(&store, enrolment("f1", "u1")).await;
    assert_eq!(store.factor_rename("f1", "u2", "mine").await, Ok(false));
    assert_eq!(store.factor_delete("f1", "u2").await, Ok(false));
    assert_eq!(store.factor_delete("f1", "u9").await, Err(StoreError::NotFound));
    assert_eq!(store.factor_list("u2").await, Ok(vec![]));
    assert_eq!(store.factor_rename("f1", "u1", "mine").await, Ok(true));
    assert_eq!(store.factor_find("f1").await.unwrap().unwrap().name, "mine");
    store.factor_begin(enrolment("f2", "u1"), NOW).await.expect("begun");
    assert_eq!(store.factor_rename("f2", "u1", "early").await, Ok(false), "not confirmed");
}

async fn a_step_counts_once_and_only_forwards(db: Db) {
    let store = two_people(&db).await;
    store.factor_begin(enrolment("f1", "u1"), NOW).await.expect("begun");
    assert_eq!(store.factor_step("f1", 1, NOW).await, Ok(false), "not confirmed");
    assert_eq!(store.factor_confirm("f1", "u1", None, None, Some(10), NOW).await, Ok(true));
    assert_eq!(store.factor_step("f1", 10, NOW).await, Ok(false), "it confirmed the factor");
    let many = at_once(&store, CROWD, |store, _| async move { store.factor_step("f1", 11, NOW).await });
    assert_once(&many.await);
    // Whatever the order, a step that is behind the last one does not count.
    let steps = at_once(&store, CROWD, |store, n| async move {
        (n, store.factor_step("f1", 100 + i64::try_from(n).unwrap(), NOW).await.unwrap())
    });
    assert!(steps.await.iter().any(|(n, counts)| *n == 19 && *counts), "the last one always does");
    for step in [0, 11, 100, 118, 119, -1, i64::MIN] {
        assert_eq!(store.factor_step("f1", step, NOW).await, Ok(false), "{step}");
    }
    let before = NOW - Duration::HOUR;
    assert_eq!(store.factor_step("f1", 50, before).await, Ok(false), "the clock went back");
    let key = NewFactor { kind: FactorKind::Yubico, credential_id: Some("k".to_owned()), ..enrolment("f2", "u1") };
    enrol(&store, key).await;
    assert_eq!(store.factor_step("f2", 1000, NOW).await, Ok(false), "another kind");
    assert_eq!(store.factor_step("f9", 1000, NOW).await, Ok(false), "there is none");
}

async fn a_counter_moves_in_one_version_only(db: Db) {
    let store = two_people(&db).await;
    let passkey =
        NewFactor { kind: FactorKind::Webauthn, credential_id: Some("k".to_owned()), ..enrolment("f1", "u1") };
    store.factor_begin(passkey, NOW).await.expect("begun");
    assert_eq!(store.factor_used("f1", None, 1, NOW).await, Ok(false), "not confirmed");
    assert_eq!(store.factor_confirm("f1", "u1", None, Some("0".to_owned()), None, NOW).await, Ok(true));
    let later = NOW + Duration::MINUTE;
    let many =
        at_once(
            &store,
            CROWD,
            move |store, n| async move { store.factor_used("f1", Some(n.to_string()), 2, later).await },
        );
    let many = many.await;
    assert_once(&many);
    let winner = many.iter().position(|answer| *answer == Ok(true)).expect("one");
    let row = store.factor_find("f1").await.unwrap().unwrap();
    assert_eq!((row.data, row.version, row.last_used_at), (Some(winner.to_string()), 3, Some(later)));
    assert_eq!(store.factor_used("f1", None, 3, later).await, Ok(true));
    let row = store.factor_find("f1").await.unwrap().unwrap();
    assert_eq!((row.data, row.version), (Some(winner.to_string()), 4), "it stays as it was");
}

async fn of_many_one_uses_a_code(db: Db) {
    let store = two_people(&db).await;
    store.backup_codes_replace("u1", vec![[1; 32], [2; 32]], NOW).await.expect("made");
    assert_eq!(store.backup_code_use("u2", &[1; 32], NOW).await, Ok(false), "somebody else's");
    assert_eq!(store.backup_code_use("u1", &[9; 32], NOW).await, Ok(false), "no code");
    let many = at_once(&store, CROWD, |store, _| async move { store.backup_code_use("u1", &[1; 32], NOW).await });
    assert_once(&many.await);
    assert_eq!(store.backup_codes_left("u1").await, Ok((1, 2)));
    store.sweep(NOW + DAY * 400).await.expect("swept");
    assert_eq!(store.backup_codes_left("u1").await, Ok((1, 2)), "a used one stays until the next ten");
    assert_eq!(store.backup_code_use("u1", &[1; 32], NOW).await, Ok(false), "and stays used");
}

async fn new_backup_codes_replace_the_old_ones(db: Db) {
    let store = two_people(&db).await;
    assert_eq!(store.backup_codes_left("u1").await, Ok((0, 0)));
    let nobodys = store.backup_codes_replace("u9", vec![[1; 32]], NOW).await;
    assert_eq!(nobodys, Err(StoreError::NotFound));
    store.backup_codes_replace("u1", vec![[1; 32], [2; 32]], NOW).await.expect("made");
    let taken = store.backup_codes_replace("u2", vec![[3; 32], [2; 32]], NOW).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    assert_eq!(store.backup_codes_left("u2").await, Ok((0, 0)), "all or none");
    store.backup_codes_replace("u1", vec![[1; 32], [4; 32], [5; 32]], NOW).await.expect("made");
    assert_eq!(store.backup_codes_left("u1").await, Ok((3, 3)));
    assert_eq!(store.backup_code_use("u1", &[2; 32], NOW).await, Ok(false), "an old one");
    assert_eq!(store.backup_code_use("u1", &[4; 32], NOW).await, Ok(true));
    let sets = at_once(&store, CROWD, |store, n| async move {
        let code = |k: u8| [u8::try_from(n).unwrap() + 100 * k; 32];
        store.backup_codes_replace("u1", vec![code(1), code(2)], NOW).await
    });
    assert!(sets.await.iter().all(Result::is_ok));
    assert_eq!(store.backup_codes_left("u1").await, Ok((2, 2)), "one set is left, and whole");
}

async fn a_device_is_trusted_until_it_is_not(db: Db) {
    let store = two_people(&db).await;
    store.device_add(device("d1", "u1", 1), NOW).await.expect("added");
    store.device_add(NewDevice { expires_at: NOW + DAY * 2, ..device("d2", "u1", 2) }, NOW).await.expect("added");
    for taken in [device("d3", "u1", 1), device("d1", "u1", 3), device("d3", "u9", 3)] {
        let answer = store.device_add(taken, NOW).await;
        assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    }
    let ids = |rows: Vec<DeviceRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.device_list("u1", NOW).await.unwrap()), ["d2", "d1"]);
    assert_eq!(ids(store.device_list("u1", NOW + DAY).await.unwrap()), ["d2"]);
    let found = store.device_find(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((found.is_live(NOW + DAY), found.is_live(NOW + DAY - Duration::SECOND)), (false, true));
    assert_eq!(store.device_find(&[9; 32]).await, Ok(None));
    for (at, noted) in [(NOW, NOW), (NOW + Duration::HOUR, NOW + Duration::HOUR), (NOW, NOW + Duration::HOUR)] {
        store.device_touch("d1", at).await.expect("touched");
        assert_eq!(store.device_find(&[1; 32]).await.unwrap().unwrap().last_used_at, Some(noted));
    }
    for (id, place) in [("c1", "d1"), ("c2", "d2")] {
        let new = NewCredential { device_id: Some(place.to_owned()), ..session(id, "u1", id.as_bytes()[1]) };
        store.credential_create(new, NOW).await.expect("a session");
    }
    assert_eq!(store.device_delete("d1", "u2").await, Ok(false), "somebody else's");
    assert_eq!(device_of(&store, "c1").await.as_deref(), Some("d1"));
    let many = at_once(&store, CROWD, |store, _| async move { store.device_delete("d1", "u1").await });
    assert_once(&many.await);
    assert_eq!((device_of(&store, "c1").await, device_of(&store, "c2").await), (None, Some("d2".to_owned())));
    assert_eq!(store.device_find(&[1; 32]).await, Ok(None));
}

async fn a_session_begins_only_on_a_device_of_its_person(db: Db) {
    let store = two_people(&db).await;
    store.device_add(device("d1", "u1", 1), NOW).await.expect("added");
    let on = |place: &str, who: &str| {
        let store = store.clone();
        let new = NewCredential { device_id: Some(place.to_owned()), ..session("c1", who, 1) };
        async move { store.credential_create(new, NOW).await }
    };
    for (place, who) in [("d1", "u2"), ("d9", "u1")] {
        let answer = on(place, who).await;
        assert!(matches!(answer, Err(StoreError::Conflict(_))), "{place} {who}: {answer:?}");
    }
    assert_eq!(on("d1", "u9").await, Err(StoreError::NotFound));
    assert_eq!(on("d1", "u1").await, Ok(()));
}

/// A person with everything that there is.
async fn furnish(store: &Store, who: &str, n: u8) {
    enrol(store, enrolment(&format!("f-{who}"), who)).await;
    store.factor_begin(enrolment(&format!("g-{who}"), who), NOW).await.expect("begun");
    store.user_update(who, preferring(Some("totp")), None).await.expect("preferred");
    store.backup_codes_replace(who, vec![[n; 32]], NOW).await.expect("made");
    store.device_add(device(&format!("d-{who}"), who, n), NOW).await.expect("added");
    let place = Some(format!("d-{who}"));
    let new = NewCredential { device_id: place, ..session(&format!("c-{who}"), who, n) };
    store.credential_create(new, NOW).await.expect("a session");
    assert_eq!(store.credential_verified(&format!("c-{who}"), NOW, "totp", false).await, Ok(true));
    let question = super::challenges::question(who, &format!("c-{who}"), n.into());
    store.challenge_pose(question, NOW).await.expect("posed");
    store.notice_add(who, "test", "hello", NOW).await.expect("told");
}

async fn has_nothing(store: &Store, who: &str, n: u8) {
    assert_eq!(store.factor_list(who).await, Ok(vec![]), "{who}");
    for id in [format!("f-{who}"), format!("g-{who}")] {
        assert_eq!(store.factor_find(&id).await, Ok(None), "{id}");
    }
    assert_eq!(store.backup_codes_left(who).await, Ok((0, 0)), "{who}");
    assert_eq!(store.device_find(&[n; 32]).await, Ok(None), "{who}");
    assert_eq!(store.challenge_find(&format!("q{n}")).await, Ok(None), "{who}");
}

async fn a_reset_leaves_nothing(db: Db) {
    let store = two_people(&db).await;
    furnish(&store, "u1", 1).await;
    furnish(&store, "u2", 2).await;
    assert_eq!(store.factors_reset("u9", "root", NOW).await, Err(StoreError::NotFound));
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(2));
    has_nothing(&store, "u1", 1).await;
    let row = store.user_find("u1").await.unwrap().unwrap();
    assert_eq!((row.enrolled_at, row.preferred_method), (None, None));
    let left = store.credential_get("c-u1").await.unwrap().unwrap();
    assert_eq!((left.factor_at, left.factor_method, left.factor_strong, left.device_id), (None, None, false, None));
    assert_eq!(store.notice_list("u1", 10).await.unwrap().len(), 1, "what they were told stays");
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(0));
    assert_eq!(store.user_find("u1").await.unwrap().unwrap().version, row.version, "nothing changed");
    let other = store.credential_get("c-u2").await.unwrap().unwrap();
    assert_eq!((other.factor_at, other.device_id.as_deref()), (Some(NOW), Some("d-u2")));
    assert!(store.challenge_find("q2").await.unwrap().is_some());
    assert_eq!(enrolled_at(&store, "u2").await, Some(NOW));
}

async fn with_a_person_goes_all_of_theirs(db: Db) {
    let store = two_people(&db).await;
    furnish(&store, "u1", 1).await;
    furnish(&store, "u2", 2).await;
    store.user_delete("u1").await.expect("deleted");
    has_nothing(&store, "u1", 1).await;
    assert_eq!(store.notice_list("u1", 10).await, Ok(vec![]));
    assert_eq!(store.factor_list("u2").await.unwrap().len(), 1);
}

async fn a_sealed_secret_goes_with_its_factor(db: Db) {
    let store = two_people(&db).await;
    let key = |purpose: &str, id: &str| SecretKey { purpose: purpose.to_owned(), id: id.to_owned() };
    for id in ["gone", "reset", "swept", "kept"] {
        let who = if id == "kept" || id == "swept" { "u2" } else { "u1" };
        if id == "swept" {
            enrol(&store, enrolment("first", "u2")).await;
        }
        store.factor_begin(enrolment(id, who), NOW).await.expect("begun");
        for purpose in ["totp", "other"] {
            store.secret_put(key(purpose, id), "x".to_owned(), "k".to_owned(), NOW).await.expect("kept");
        }
    }
    store.factor_confirm("kept", "u2", None, None, None, NOW).await.expect("confirmed");
    let is_there = |purpose: &'static str, id: &'static str| {
        let store = store.clone();
        async move { store.secret_get(&key(purpose, id)).await.expect("a search").is_some() }
    };
    assert!(store.factor_delete("gone", "u1").await.unwrap());
    assert!(!is_there("totp", "gone").await);
    assert!(is_there("totp", "swept").await);
    store.factor_confirm("reset", "u1", None, None, None, NOW).await.expect("confirmed");
    store.sweep(NOW + Duration::HOUR).await.expect("swept");
    assert!(!is_there("totp", "swept").await);
    assert!(is_there("totp", "reset").await);
    store.factors_reset("u1", "root", NOW).await.expect("reset");
    assert!(!is_there("totp", "reset").await);
    for id in ["gone", "reset", "swept"] {
        assert!(is_there("other", id).await, "{id}: what is not a factor's stays");
    }
    assert!(is_there("totp", "kept").await);
    store.user_delete("u2").await.expect("deleted");
    assert!(!is_there("totp", "kept").await);
}

async fn what_a_session_has_shown_only_moves_forwards(db: Db) {
    let store = two_people(&db).await;
    store.credential_create(session("c1", "u1", 1), NOW).await.expect("a session");
    let at = |s: i64| NOW + Duration::seconds(s);
    for (s, method, strong, counts, shown) in [
        (10, "totp", false, true, (10, "totp", false)),
        (9, "webauthn", true, false, (10, "totp", false)),
        (-3600, "webauthn", true, false, (10, "totp", false)),
        (10, "webauthn", true, true, (10, "webauthn", true)),
        (10, "totp", false, false, (10, "webauthn", true)),
        (11, "backup", false, true, (11, "backup", false)),
    ] {
        assert_eq!(store.credential_verified("c1", at(s), method, strong).await, Ok(counts), "{s} {method}");
        let row = store.credential_get("c1").await.unwrap().unwrap();
        let expected = (Some(at(shown.0)), Some(shown.1.to_owned()), shown.2);
        assert_eq!((row.factor_at, row.factor_method, row.factor_strong), expected, "{s} {method}");
    }
    assert_eq!(store.credential_get("c1").await.unwrap().unwrap().version, 4);
    store.credential_revoke("c1", "lost", NOW).await.expect("revoked");
    assert_eq!(store.credential_verified("c1", at(60), "totp", false).await, Ok(false), "it is revoked");
    assert_eq!(store.credential_verified("c9", at(60), "totp", false).await, Ok(false), "there is none");
}

async fn only_sessions_show_factors(db: Db) {
    let store = two_people(&db).await;
    store.credential_create(super::machine("m1", 1), NOW).await.expect("a token");
    assert_eq!(store.credential_verified("m1", NOW, "totp", false).await, Ok(false));
    let method = Some("totp".to_owned());
    let of_machine = NewCredential { factor_at: Some(NOW), factor_method: method.clone(), ..super::machine("m2", 2) };
    let no_method = NewCredential { factor_at: Some(NOW), ..session("c2", "u1", 3) };
    let no_time = NewCredential { factor_method: method, ..session("c3", "u1", 4) };
    let strong_nothing = NewCredential { factor_strong: true, ..session("c4", "u1", 5) };
    let word = Some("sms".to_owned());
    let odd = NewCredential { factor_at: Some(NOW), factor_method: word, ..session("c5", "u1", 6) };
    for new in [of_machine, no_method, no_time, strong_nothing, odd] {
        let id = new.id.clone();
        let answer = store.credential_create(new, NOW).await;
        assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{id}: {answer:?}");
    }
}

async fn a_cli_session_takes_over_what_was_shown(db: Db) {
    let store = two_people(&db).await;
    let shown = || Some((NOW, "webauthn".to_owned(), true));
    for (id, approved, factor, expected) in [
        ("l1", true, shown(), (Some(NOW), Some("webauthn"), true)),
        ("l2", true, None, (None, None, false)),
        ("l3", false, shown(), (None, None, false)),
    ] {
        store.cli_login_begin(super::sign_in::cli_login(id, id), NOW).await.expect("begun");
        assert_eq!(store.cli_login_decide(id, "u1", approved, factor, NOW).await, Ok(true));
        let row = store.cli_login_find(id).await.unwrap().unwrap();
        assert_eq!((row.factor_at, row.factor_method.as_deref(), row.factor_strong), expected, "{id}");
    }
    let taken = store.cli_login_take("l1", NOW).await.unwrap().unwrap();
    let (factor_at, factor_method, factor_strong) = (taken.factor_at, taken.factor_method, taken.factor_strong);
    let new = NewCredential { factor_at, factor_method, factor_strong, ..session("c1", "u1", 1) };
    store.credential_create(new, NOW).await.expect("a session");
    let row = store.credential_find(&[1; 32]).await.unwrap().unwrap();
    let shown = (row.factor_at, row.factor_method.as_deref(), row.factor_strong);
    assert_eq!(shown, (Some(NOW), Some("webauthn"), true));
}

async fn notices_are_listed_and_seen(db: Db) {
    let store = two_people(&db).await;
    let at = |s: i64| NOW + Duration::seconds(s);
    for (s, text) in [(0, "one"), (1, "two"), (2, "three")] {
        store.notice_add("u1", "factor-added", text, at(s)).await.expect("told");
    }
    store.notice_add("u2", "factor-added", "other", NOW).await.expect("told");
    let nobodys = store.notice_add("u9", "factor-added", "x", NOW).await;
    assert!(matches!(nobodys, Err(StoreError::Conflict(_))), "{nobodys:?}");
    store.notices_seen("u1", at(1)).await.expect("seen");
    store.notices_seen("u1", at(1) + Duration::HOUR * -1).await.expect("seen");
    let rows = store.notice_list("u1", 10).await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.text.as_str(), row.created_at, row.seen_at)).collect();
    assert_eq!(shown, [("three", at(2), None), ("two", at(1), Some(at(1))), ("one", at(0), Some(at(1)))]);
    assert_eq!(store.notice_list("u1", 2).await.unwrap().len(), 2);
    let other = store.notice_list("u2", 10).await.unwrap();
    assert_eq!((other.len(), other[0].seen_at, other[0].kind.as_str()), (1, None, "factor-added"));
}

/// What people do on PostgreSQL, under the role that serves.
#[tokio::test]
async fn the_serving_role_may_do_all_of_it() {
    let db = Db::postgres().await;
    let role = format!("serving_{}", uuid::Uuid::now_v7().simple());
    db.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    db.store().await.migrate(Some(&role)).await.expect("granted");
    let url = db.url().await.replace("postgres@", &format!("{role}@"));
    let store = Store::connect(&url, Options::default()).await.expect("connect");
    store.user_create(alice(), NOW).await.expect("a user");
    furnish(&store, "u1", 1).await;
    let secret = SecretKey { purpose: "totp".to_owned(), id: "f-u1".to_owned() };
    store.secret_put(secret.clone(), "x".to_owned(), "k".to_owned(), NOW).await.expect("kept");
    assert_eq!(store.device_delete("d-u1", "u1").await, Ok(true));
    assert_eq!(store.factor_delete("f-u1", "u1").await, Ok(true));
    assert_eq!(store.secret_get(&secret).await, Ok(None));
    store.sweep(NOW + DAY * 365).await.expect("swept");
    furnish(&store, "u1", 2).await;
    assert_eq!(store.factors_reset("u1", "root", NOW).await, Ok(2));
    store.user_delete("u1").await.expect("deleted");
}
