//! Proofs on both databases: each is believed once, guesses are few, and all is on the record.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use rack_gateway::factor::{Answer, Confirmation, Desk, Method, Methods};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use time::Duration;

use super::{Bench, ORIGIN, SESSION, STEP, now, slug};
use crate::harness::Db;
use crate::harness::authenticator::{Authenticator, Quirks, totp};

mod each {
    crate::on_both!(
        each_kind_of_factor_proves_its_person,
        a_step_is_believed_once_and_never_an_older_one,
        a_clock_that_goes_back_gives_no_second_chance,
        nobody_proves_by_what_is_not_theirs,
        what_is_not_confirmed_proves_nothing,
        the_fifth_wrong_answer_locks,
        four_wrong_answers_and_right_ones_do_not_lock,
        a_crowd_of_guesses_is_no_more_than_five,
        an_assertion_answers_one_question_once,
        an_assertion_is_of_the_right_device_page_and_person,
        a_counter_only_grows,
        keys_without_a_counter_work_at_once_in_two_tabs,
        a_backup_code_is_believed_once,
        what_a_person_can_be_asked_for_is_told,
    );
}

async fn each_kind_of_factor_proves_its_person(db: Db) {
    let bench = Bench::new(&db).await;
    let (app, secret) = bench.app(&bench.ada).await;
    let proof = bench.show(&bench.ada, &totp(&secret, now()), now()).await.unwrap();
    assert_eq!((proof.method, proof.factor_id.as_ref(), proof.at), (Method::Totp, Some(&app), now()));
    assert!(!proof.is_strong());

    let mut device = Authenticator::new(ORIGIN);
    let key = bench.passkey(&bench.ada, &mut device).await;
    for _ in 0..3 {
        let (options, state) = bench.factors.assertion(&bench.desk(now()), &bench.ada).await.unwrap().unwrap();
        let credential = device.assert(&options).unwrap();
        let proof = bench.verify(&bench.ada, Answer::Webauthn { state, credential }, now()).await.unwrap();
        assert_eq!((proof.method, proof.factor_id.as_ref()), (Method::Webauthn, Some(&key.id)));
        assert!(proof.is_strong());
    }

    let codes = bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await.unwrap();
    let typed = codes[3].expose_secret().to_lowercase().replace('-', "");
    let proof = bench.verify(&bench.ada, Answer::Backup(typed.into()), now()).await.unwrap();
    assert_eq!((proof.method, proof.factor_id), (Method::Backup, None));

    let records = bench.records("factor:verify").await;
    assert!(records.iter().all(|record| record["actor"]["id"] == bench.ada.as_str()), "{records:?}");
    assert!(records.iter().all(|record| record["req"] == "request-1"), "{records:?}");
    let told: Vec<_> = records.iter().map(|record| &record["detail"]).collect();
    let of = |method: &str, purpose: &str| json!({ "method": method, "purpose": purpose, "result": "verified" });
    let with = |mut detail: Value, id: &str| {
        detail["factor"] = id.into();
        detail
    };
    assert_eq!(told[0], &with(of("totp", "enrolment"), &app));
    assert_eq!(told[1], &with(of("totp", "proof"), &app));
    assert_eq!(told[2], &with(of("webauthn", "enrolment"), &key.id));
    assert_eq!(told[3], &with(of("webauthn", "proof"), &key.id));
    assert_eq!(told.last(), Some(&&of("backup", "proof")));
    assert_eq!(bench.notices(&bench.ada).await, ["backup-code-used", "factor-added", "factor-added"]);
    let row = bench.store.factor_find(&key.id).await.unwrap().unwrap();
    assert_eq!(row.last_used_at, Some(now()));
}

async fn a_step_is_believed_once_and_never_an_older_one(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let code = |steps: i32| totp(&secret, now() + STEP * steps);
    assert_eq!(slug(bench.show(&bench.ada, &code(0), now()).await), "none");
    assert_eq!(slug(bench.show(&bench.ada, &code(0), now()).await), "factor-rejected", "the same again");
    assert_eq!(slug(bench.show(&bench.ada, &code(-1), now()).await), "factor-rejected", "the one before");
    assert_eq!(slug(bench.show(&bench.ada, &code(1), now()).await), "none", "the one after, of a fast clock");
    assert_eq!(slug(bench.show(&bench.ada, &code(0), now() + STEP).await), "factor-rejected", "still the same");
    assert_eq!(slug(bench.show(&bench.ada, &code(2), now() + STEP * 2).await), "none");
    // What completed the enrolment is spent as well.
    let enrolment = bench.begin_totp(&bench.bob, now()).await;
    let code = totp(enrolment.secret.expose_secret(), now());
    bench.confirm(&bench.bob, &enrolment.factor_id, Confirmation::Totp(code.as_str().into()), now()).await.unwrap();
    assert_eq!(slug(bench.show(&bench.bob, &code, now()).await), "factor-rejected");
    // Of several at once one is believed.
    let later = now() + Duration::HOUR;
    let code = totp(&secret, later);
    let all = join_all((0..4).map(|_| bench.show(&bench.ada, &code, later))).await;
    assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 1, "{all:?}");
}

async fn a_clock_that_goes_back_gives_no_second_chance(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let seen = [totp(&secret, now()), totp(&secret, now() + Duration::HOUR)];
    assert_eq!(slug(bench.show(&bench.ada, &seen[0], now()).await), "none");
    assert_eq!(slug(bench.show(&bench.ada, &seen[1], now() + Duration::HOUR).await), "none");
    for (code, at) in [(&seen[0], now()), (&seen[1], now() + Duration::HOUR)] {
        assert_eq!(slug(bench.show(&bench.ada, code, at).await), "factor-rejected", "{at}");
    }
    let fresh = totp(&secret, now() + STEP);
    assert_eq!(slug(bench.show(&bench.ada, &fresh, now() + STEP).await), "factor-rejected", "older than the last one");
}

async fn nobody_proves_by_what_is_not_theirs(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    assert_eq!(slug(bench.show(&bench.bob, &totp(&secret, now()), now()).await), "factor-not-enrolled");
    bench.app(&bench.bob).await;
    assert_eq!(slug(bench.show(&bench.bob, &totp(&secret, now()), now()).await), "factor-rejected");
    let codes = bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await.unwrap();
    let stolen = || Answer::Backup(codes[0].clone());
    assert_eq!(slug(bench.verify(&bench.bob, stolen(), now()).await), "factor-not-enrolled");
    bench.factors.backup_codes(&bench.desk(now()), &bench.bob).await.unwrap();
    assert_eq!(slug(bench.verify(&bench.bob, stolen(), now()).await), "factor-rejected");
    assert_eq!(slug(bench.verify(&bench.ada, stolen(), now()).await), "none", "it is not spent by the other one");
    assert_eq!(slug(bench.show("0192f0c1-0000-7000-8000-00000000ffff", "123456", now()).await), "factor-not-enrolled");
}

async fn what_is_not_confirmed_proves_nothing(db: Db) {
    let bench = Bench::new(&db).await;
    let enrolment = bench.begin_totp(&bench.ada, now()).await;
    let code = totp(enrolment.secret.expose_secret(), now());
    assert_eq!(slug(bench.show(&bench.ada, &code, now()).await), "factor-not-enrolled");
    bench.app(&bench.ada).await;
    assert_eq!(slug(bench.show(&bench.ada, &code, now()).await), "factor-rejected");
    let desk = bench.desk(now());
    bench.factors.enrol_webauthn(&desk, &bench.ada, "ada@example.com", "Ada", "Key", SESSION).await.unwrap();
    assert!(bench.factors.assertion(&desk, &bench.ada).await.unwrap().is_none());
}

async fn the_fifth_wrong_answer_locks(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let wrong = [Answer::Totp("12345".into()), Answer::Totp("".into()), Answer::Totp("abcdef".into())];
    for answer in wrong {
        assert_eq!(slug(bench.verify(&bench.ada, answer, now()).await), "factor-rejected");
    }
    assert_eq!(slug(bench.show(&bench.ada, "x", now()).await), "factor-rejected");
    assert!(!bench.store.user_find(&bench.ada).await.unwrap().unwrap().is_locked());
    assert_eq!(slug(bench.show(&bench.ada, "x", now() + Duration::seconds(299)).await), "account-locked");
    let lock = bench.store.user_find(&bench.ada).await.unwrap().unwrap().lock.unwrap();
    assert_eq!((lock.by.as_str(), lock.at), ("gateway", now() + Duration::seconds(299)));
    let records = bench.records("user:lock").await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0]["kind"], &records[0]["resource"]),
        (&json!("system"), &json!(format!("User::{}", bench.ada)))
    );
    assert_eq!(records[0]["detail"], json!({ "by": "gateway", "reason": lock.reason }));
    assert_eq!(bench.notices(&bench.ada).await[0], "account-locked");

    let right = totp(&secret, now() + STEP);
    assert_eq!(slug(bench.show(&bench.ada, &right, now() + STEP).await), "account-locked");
    let before = bench.records("factor:verify").await.len();
    bench.store.user_unlock(&bench.ada, "root", now()).await.unwrap();
    let result = bench.show(&bench.ada, &right, now() + STEP).await;
    assert!(result.as_ref().is_err_and(|error| error.to_string().contains("270 seconds")), "{result:?}");
    assert_eq!(slug(result), "too-many", "unlocked, while the window is full");
    assert_eq!(bench.records("factor:verify").await.len(), before, "it was not even looked at");
    let later = now() + Duration::minutes(5);
    assert_eq!(slug(bench.show(&bench.ada, &totp(&secret, later), later).await), "none");
    assert_eq!(bench.records("user:lock").await.len(), 1);
    assert!(!bench.store.user_find(&bench.bob).await.unwrap().unwrap().is_locked(), "the other one is not concerned");
}

async fn four_wrong_answers_and_right_ones_do_not_lock(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let mut at = now();
    for round in 0..4 {
        assert_eq!(slug(bench.show(&bench.ada, "x", at).await), "factor-rejected", "{round}");
        for _ in 0..2 {
            assert_eq!(slug(bench.show(&bench.ada, &totp(&secret, at), at).await), "none", "{round}");
            at += STEP;
        }
    }
    assert_eq!(slug(bench.verify(&bench.ada, Answer::Yubico("x".into()), at).await), "factor-unsupported");
    assert_eq!(slug(bench.verify(&bench.ada, Answer::Backup("x".into()), at).await), "factor-not-enrolled");
    assert!(!bench.store.user_find(&bench.ada).await.unwrap().unwrap().is_locked());
    // In the next window there are four more.
    let at = now() + Duration::minutes(5);
    for _ in 0..4 {
        assert_eq!(slug(bench.show(&bench.ada, "x", at).await), "factor-rejected");
    }
    assert_eq!(slug(bench.show(&bench.ada, &totp(&secret, at), at).await), "none");
    assert_eq!(bench.records("user:lock").await.len(), 0);
}

async fn a_crowd_of_guesses_is_no_more_than_five(db: Db) {
    let bench = Bench::new(&db).await;
    let (_, secret) = bench.app(&bench.ada).await;
    let right = totp(&secret, now());
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let replicas = [db.store().await, db.store().await];
    let guesses = (0..24).map(|number| {
        let desk = Desk { store: &replicas[number % 2], ..bench.desk(now()) };
        let (factors, ada) = (&bench.factors, &bench.ada);
        async move { slug(factors.verify(&desk, ada, Answer::Totp(wrong.into())).await) }
    });
    let told = join_all(guesses).await;
    let count = |what: &str| told.iter().filter(|told| **told == what).count();
    assert_eq!(count("factor-rejected"), 4, "{told:?}");
    assert_eq!(count("too-many") + count("account-locked"), 20, "{told:?}");
    assert!(bench.store.user_find(&bench.ada).await.unwrap().unwrap().is_locked());
    assert_eq!(bench.records("user:lock").await.len(), 1);
    assert_eq!(slug(bench.show(&bench.ada, &right, now()).await), "account-locked");
}

async fn an_assertion_answers_one_question_once(db: Db) {
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    bench.passkey(&bench.ada, &mut device).await;
    let desk = bench.desk(now());
    let (options, state) = bench.factors.assertion(&desk, &bench.ada).await.unwrap().unwrap();
    let (_, other) = bench.factors.assertion(&desk, &bench.ada).await.unwrap().unwrap();
    let credential = device.assert(&options).unwrap();
    let show = async |state: &str| {
        let answer = Answer::Webauthn { state: state.to_owned(), credential: credential.clone() };
        slug(bench.verify(&bench.ada, answer, now()).await)
    };
    assert_eq!(show(&other).await, "factor-rejected", "for another question");
    assert_eq!(show(&state).await, "none");
    assert_eq!(show(&state).await, "factor-rejected", "again, even where the caller forgets that it was used");
}

async fn an_assertion_is_of_the_right_device_page_and_person(db: Db) {
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    bench.passkey(&bench.ada, &mut device).await;
    let bobs = uuid::Uuid::parse_str(&bench.bob).unwrap();
    let bobs = URL_SAFE_NO_PAD.encode(bobs);
    let plain = Quirks::default;
    let cases = [
        ("nobody unlocked it", Quirks { unverified: true, ..plain() }),
        ("nobody touched it", Quirks { absent: true, ..plain() }),
        ("another site", Quirks { origin: Some("https://gateway.example.com.evil.example".to_owned()), ..plain() }),
        ("a part of it", Quirks { origin: Some("https://sub.gateway.example.com".to_owned()), ..plain() }),
        ("another port", Quirks { origin: Some(format!("{ORIGIN}:8443")), ..plain() }),
        ("without TLS", Quirks { origin: Some("http://gateway.example.com".to_owned()), ..plain() }),
        ("in a frame", Quirks { framed: true, ..plain() }),
        ("another relying party", Quirks { rp_id: Some("example.com".to_owned()), ..plain() }),
        ("another challenge", Quirks { challenge: Some("AAAA".to_owned()), ..plain() }),
        ("an enrolment", Quirks { kind: Some("webauthn.create"), ..plain() }),
        ("another key", Quirks { forged: true, ..plain() }),
        ("another person's", Quirks { user_handle: Some(bobs), ..plain() }),
    ];
    // Each an hour later, so that nobody is locked.
    let mut at = now();
    for (what, quirks) in cases {
        at += Duration::HOUR;
        let (options, state) = bench.factors.assertion(&bench.desk(at), &bench.ada).await.unwrap().unwrap();
        let credential = device.with(quirks, |device| device.assert(&options)).unwrap();
        let result = bench.verify(&bench.ada, Answer::Webauthn { state, credential }, at).await;
        assert_eq!(slug(result), "factor-rejected", "{what}");
    }
    let (options, state) = bench.factors.assertion(&bench.desk(at), &bench.ada).await.unwrap().unwrap();
    let credential = device.assert(&options).unwrap();
    bench.passkey(&bench.bob, &mut Authenticator::new(ORIGIN)).await;
    let mut theirs = credential.clone();
    theirs["response"].as_object_mut().unwrap().remove("userHandle");
    let (_, others) = bench.factors.assertion(&bench.desk(at), &bench.bob).await.unwrap().unwrap();
    for (what, state) in [("their own question", others), ("ada's question", state.clone())] {
        let answer = Answer::Webauthn { state, credential: theirs.clone() };
        assert_eq!(slug(bench.verify(&bench.bob, answer, at).await), "factor-rejected", "{what}");
    }
    // Security keys do not say whose key it is, and that is right too.
    let result = bench.verify(&bench.ada, Answer::Webauthn { state, credential: theirs }, at).await;
    assert_eq!(slug(result), "none");
}

async fn a_counter_only_grows(db: Db) {
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    bench.passkey(&bench.ada, &mut device).await;
    let desk = bench.desk(now());
    let steps: [(Option<u32>, &str); 6] = [
        (Some(10), "none"),
        (Some(10), "factor-rejected"),
        (Some(9), "factor-rejected"),
        (Some(0), "factor-rejected"),
        (Some(11), "none"),
        (Some(u32::MAX), "none"),
    ];
    for (counter, expected) in steps {
        let (options, state) = bench.factors.assertion(&desk, &bench.ada).await.unwrap().unwrap();
        let credential =
            device.with(Quirks { counter, ..Quirks::default() }, |device| device.assert(&options)).unwrap();
        let result = bench.verify(&bench.ada, Answer::Webauthn { state, credential }, now()).await;
        assert_eq!(slug(result), expected, "{counter:?}");
    }
    // Two copies of a key, both asked before either answered: the second one is found out.
    let mut device = Authenticator::new(ORIGIN);
    bench.passkey(&bench.bob, &mut device).await;
    let quirks = Quirks { counter: Some(50), ..Quirks::default() };
    let mut answers = Vec::new();
    for _ in 0..2 {
        let (options, state) = bench.factors.assertion(&desk, &bench.bob).await.unwrap().unwrap();
        let credential = device.with(quirks.clone(), |device| device.assert(&options)).unwrap();
        answers.push(Answer::Webauthn { state, credential });
    }
    let all = join_all(answers.into_iter().map(|answer| bench.verify(&bench.bob, answer, now()))).await;
    assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 1, "{all:?}");
}

async fn keys_without_a_counter_work_at_once_in_two_tabs(db: Db) {
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    device.counts = false;
    bench.passkey(&bench.ada, &mut device).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        let (options, state) = bench.factors.assertion(&bench.desk(now()), &bench.ada).await.unwrap().unwrap();
        answers.push(Answer::Webauthn { state, credential: device.assert(&options).unwrap() });
    }
    for result in join_all(answers.into_iter().map(|answer| bench.verify(&bench.ada, answer, now()))).await {
        assert_eq!(slug(result), "none");
    }
}

async fn a_backup_code_is_believed_once(db: Db) {
    let bench = Bench::new(&db).await;
    assert_eq!(slug(bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await), "factor-not-enrolled");
    bench.app(&bench.ada).await;
    let codes = bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await.unwrap();
    assert_eq!(codes.len(), 10);
    let show = async |code: &SecretString| slug(bench.verify(&bench.ada, Answer::Backup(code.clone()), now()).await);
    assert_eq!(show(&codes[0]).await, "none");
    assert_eq!(show(&codes[0]).await, "factor-rejected", "again");
    let all = join_all((0..4).map(|_| show(&codes[1]))).await;
    assert_eq!(all.iter().filter(|told| **told == "none").count(), 1, "{all:?}");
    assert_eq!(bench.store.backup_codes_left(&bench.ada).await.unwrap(), (8, 10));

    // An hour later nothing of that counts any more.
    let later = now() + Duration::HOUR;
    let new = bench.factors.backup_codes(&bench.desk(later), &bench.ada).await.unwrap();
    let show = async |code: &SecretString| slug(bench.verify(&bench.ada, Answer::Backup(code.clone()), later).await);
    assert_eq!(show(&codes[2]).await, "factor-rejected", "of the old set");
    assert_eq!(show(&new[2]).await, "none");
    assert_eq!(bench.store.backup_codes_left(&bench.ada).await.unwrap(), (9, 10));
}

async fn what_a_person_can_be_asked_for_is_told(db: Db) {
    let bench = Bench::new(&db).await;
    let methods = async || bench.factors.methods(&bench.desk(now()), &bench.ada).await.unwrap();
    assert_eq!(methods().await, Methods::default());
    assert!(bench.factors.assertion(&bench.desk(now()), &bench.ada).await.unwrap().is_none());
    let (app, _) = bench.app(&bench.ada).await;
    bench.factors.backup_codes(&bench.desk(now()), &bench.ada).await.unwrap();
    let expected = Methods { totp: true, backup: 10, ..Methods::default() };
    assert_eq!(methods().await, expected);
    bench.passkey(&bench.ada, &mut Authenticator::new(ORIGIN)).await;
    assert_eq!(methods().await, Methods { webauthn: true, ..expected });
    bench.store.factor_delete(&app, &bench.ada).await.unwrap();
    assert_eq!(methods().await, Methods { webauthn: true, backup: 10, ..Methods::default() });
}

/// Each bit that a device signed or a browser reported counts; and nothing falls over.
#[tokio::test]
async fn no_byte_of_an_assertion_can_be_changed() {
    let db = Db::sqlite().await;
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    bench.passkey(&bench.ada, &mut device).await;
    let (options, state) = bench.factors.assertion(&bench.desk(now()), &bench.ada).await.unwrap().unwrap();
    let right = device.assert(&options).unwrap();
    let mut hostile = Vec::new();
    for field in ["/response/clientDataJSON", "/response/authenticatorData", "/response/signature", "/rawId"] {
        let bytes = URL_SAFE_NO_PAD.decode(right.pointer(field).unwrap().as_str().unwrap()).unwrap();
        let mut spoil = |bytes: &[u8]| {
            let mut changed = right.clone();
            *changed.pointer_mut(field).unwrap() = URL_SAFE_NO_PAD.encode(bytes).into();
            hostile.push(changed);
        };
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            spoil(&changed);
        }
        (0..bytes.len()).step_by(7).for_each(|length| spoil(&bytes[..length]));
        spoil(&[&bytes[..], b"x"].concat());
        for odd in [json!(null), json!(7), json!({}), json!(["x"]), json!("!"), json!("A".repeat(100_000))] {
            let mut changed = right.clone();
            *changed.pointer_mut(field).unwrap() = odd;
            hostile.push(changed);
        }
    }
    hostile.extend([json!(null), json!([]), json!({}), json!("x"), json!({ "response": {} })]);
    let mut at = now();
    for credential in hostile {
        // Each an hour later, so that nobody is locked.
        at += Duration::HOUR;
        let answer = Answer::Webauthn { state: state.clone(), credential: credential.clone() };
        assert_eq!(slug(bench.verify(&bench.ada, answer, at).await), "factor-rejected", "{credential}");
    }
    let answer = Answer::Webauthn { state, credential: right };
    assert_eq!(slug(bench.verify(&bench.ada, answer, at).await), "none");
}
