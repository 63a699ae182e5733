//! Enrolments on both databases: in one session, in ten minutes, of what nobody has yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rack_gateway::config::Site;
use rack_gateway::factor::{self, Confirmation, Factors};
use rack_gateway::store::FactorKind;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use time::Duration;

use super::{Bench, ORIGIN, SESSION, now, slug};
use crate::harness::Db;
use crate::harness::authenticator::{AAGUID, Authenticator, Quirks, totp};

mod each {
    crate::on_both!(
        an_app_is_enrolled_by_its_code,
        only_the_session_that_began_can_confirm,
        an_enrolment_is_over_after_ten_minutes_and_after_its_end,
        a_passkey_keeps_what_its_device_says,
        a_passkey_is_of_one_person_and_enrolled_once,
        a_passkey_that_is_not_right_is_not_enrolled,
        nobody_enrols_without_end,
    );
}

async fn an_app_is_enrolled_by_its_code(db: Db) {
    let bench = Bench::new(&db).await;
    let enrolment = bench.begin_totp(&bench.ada, now()).await;
    assert_eq!(enrolment.expires_at, now() + Duration::minutes(10));
    let secret = enrolment.secret.expose_secret();
    let uri = enrolment.uri.expose_secret();
    assert!(uri.starts_with("otpauth://totp/Rack%20Gateway%20%28acme%2Fprod%29:ada%40example.com?"), "{uri}");
    assert!(uri.contains(&format!("secret={secret}")) && secret.len() == 32, "{uri}");
    assert!(enrolment.qr_svg.starts_with("<svg "), "{}", enrolment.qr_svg);
    let id = enrolment.factor_id.as_str();
    for wrong in ["000000000", "", &totp(secret, now() + Duration::HOUR)] {
        let result = bench.confirm(&bench.ada, id, Confirmation::Totp(wrong.into()), now()).await;
        assert_eq!(slug(result), "factor-rejected", "{wrong}");
    }
    let result = bench.confirm(&bench.ada, id, Confirmation::Webauthn(json!({})), now()).await;
    assert_eq!(slug(result), "factor-rejected", "another kind");
    assert!(bench.store.user_find(&bench.ada).await.unwrap().unwrap().enrolled_at.is_none());
    let code = Confirmation::Totp(totp(secret, now()).into());
    let factor = bench.confirm(&bench.ada, id, code, now()).await.unwrap();
    assert_eq!((factor.kind, factor.name.as_str(), factor.confirmed_at), (FactorKind::Totp, "Phone", Some(now())));
    assert_eq!(bench.store.user_find(&bench.ada).await.unwrap().unwrap().enrolled_at, Some(now()));
    assert_eq!(bench.notices(&bench.ada).await, ["factor-added"]);
    assert!(!bench.store.user_find(&bench.ada).await.unwrap().unwrap().is_locked(), "mistyping here is harmless");
    // What an app shows is gone with it.
    bench.store.factor_delete(id, &bench.ada).await.unwrap();
    assert!(bench.vault.get("totp", id).await.unwrap().is_none());
}

async fn only_the_session_that_began_can_confirm(db: Db) {
    let bench = Bench::new(&db).await;
    let enrolment = bench.begin_totp(&bench.ada, now()).await;
    let (id, secret) = (enrolment.factor_id.as_str(), enrolment.secret.expose_secret());
    let code = || Confirmation::Totp(totp(secret, now()).into());
    let desk = bench.desk(now());
    let other = "0192f0c1-0000-7000-8000-00000000000b";
    for (user, session) in [(&bench.ada, other), (&bench.bob, SESSION), (&bench.bob, other)] {
        assert_eq!(slug(bench.factors.confirm(&desk, user, session, id, code()).await), "enrolment-over");
    }
    assert_eq!(slug(bench.factors.confirm(&desk, &bench.ada, SESSION, other, code()).await), "enrolment-over");
    assert_eq!(slug(bench.factors.confirm(&desk, &bench.ada, SESSION, id, code()).await), "none");
}

async fn an_enrolment_is_over_after_ten_minutes_and_after_its_end(db: Db) {
    let bench = Bench::new(&db).await;
    for (minutes, seconds, expected) in [(9, 59, "none"), (10, 0, "enrolment-over"), (60, 0, "enrolment-over")] {
        let enrolment = bench.begin_totp(&bench.ada, now()).await;
        let at = now() + Duration::minutes(minutes) + Duration::seconds(seconds);
        let code = || Confirmation::Totp(totp(enrolment.secret.expose_secret(), at).into());
        let result = bench.confirm(&bench.ada, &enrolment.factor_id, code(), at).await;
        assert_eq!(slug(result), expected, "{minutes}:{seconds}");
        let again = bench.confirm(&bench.ada, &enrolment.factor_id, code(), at).await;
        assert_eq!(slug(again), "enrolment-over");
    }
}

async fn a_passkey_keeps_what_its_device_says(db: Db) {
    let bench = Bench::new(&db).await;
    let mut device = Authenticator::new(ORIGIN);
    let factor = bench.passkey(&bench.ada, &mut device).await;
    let said = factor::Authenticator::of(&factor);
    assert_eq!(said.aaguid.map(|id| id.to_string()).as_deref(), Some(AAGUID));
    assert_eq!(said.transports, ["internal", "hybrid"]);
    let desk = bench.desk(now());
    let (options, _) = bench.factors.assertion(&desk, &bench.ada).await.unwrap().unwrap();
    let allowed = &options["publicKey"]["allowCredentials"];
    assert_eq!(allowed.as_array().map(Vec::len), Some(1));
    assert_eq!(allowed[0]["transports"], json!(["internal", "hybrid"]));
    assert_eq!(allowed[0]["id"], factor.credential_id.clone().unwrap());
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert_eq!(options["publicKey"]["rpId"], "gateway.example.com");

    let enrolment = bench.factors.enrol_webauthn(&desk, &bench.ada, "ada@example.com", "Ada", "Key", SESSION).await;
    let options = enrolment.unwrap().options;
    let public = &options["publicKey"];
    assert_eq!(public["excludeCredentials"][0]["id"], factor.credential_id.clone().unwrap(), "not twice");
    assert_eq!(public["authenticatorSelection"]["userVerification"], "required");
    assert_eq!((&public["attestation"], &public["rp"]["id"]), (&json!("none"), &json!("gateway.example.com")));
    assert_eq!(public["rp"]["name"], "Rack Gateway (acme/prod)");
    let handle = URL_SAFE_NO_PAD.encode(uuid::Uuid::parse_str(&bench.ada).unwrap());
    assert_eq!((&public["user"]["id"], &public["user"]["displayName"]), (&json!(handle), &json!("Ada")));
    assert_eq!(bench.store.factor_list(&bench.ada).await.unwrap().len(), 1, "the second is only begun");
}

async fn a_passkey_is_of_one_person_and_enrolled_once(db: Db) {
    let bench = Bench::new(&db).await;
    let key_id = Some(b"a key that is on one device".to_vec());
    let quirks = Quirks { key_id, ..Quirks::default() };
    for (user, expected) in [(&bench.ada, "none"), (&bench.ada, "factor-rejected"), (&bench.bob, "factor-taken")] {
        let desk = bench.desk(now());
        let enrolment = bench.factors.enrol_webauthn(&desk, user, "x@example.com", "X", "Key", SESSION).await.unwrap();
        let made = Authenticator::new(ORIGIN).with(quirks.clone(), |device| device.register(&enrolment.options));
        let result = bench.confirm(user, &enrolment.factor_id, Confirmation::Webauthn(made), now()).await;
        assert_eq!(slug(result), expected, "{user}");
    }
}

async fn a_passkey_that_is_not_right_is_not_enrolled(db: Db) {
    let bench = Bench::new(&db).await;
    let desk = bench.desk(now());
    let enrolment = bench.factors.enrol_webauthn(&desk, &bench.ada, "ada@example.com", "Ada", "Key", SESSION).await;
    let enrolment = enrolment.unwrap();
    let mut device = Authenticator::new(ORIGIN);
    let plain = Quirks::default;
    let cases = [
        ("nobody unlocked it", Quirks { unverified: true, ..plain() }),
        ("nobody touched it", Quirks { absent: true, ..plain() }),
        ("another site", Quirks { origin: Some("https://evil.example".to_owned()), ..plain() }),
        ("in a frame", Quirks { framed: true, ..plain() }),
        ("another relying party", Quirks { rp_id: Some("example.com".to_owned()), ..plain() }),
        ("another challenge", Quirks { challenge: Some("AAAA".to_owned()), ..plain() }),
        ("a proof", Quirks { kind: Some("webauthn.get"), ..plain() }),
    ];
    let mut hostile: Vec<(String, Value)> = Vec::new();
    for (what, quirks) in cases {
        hostile.push((what.to_owned(), device.with(quirks, |device| device.register(&enrolment.options))));
    }
    let right = device.register(&enrolment.options);
    let object = right["response"]["attestationObject"].as_str().unwrap();
    let object = URL_SAFE_NO_PAD.decode(object).unwrap();
    let mut spoil = |what: &str, bytes: &[u8]| {
        let mut changed = right.clone();
        changed["response"]["attestationObject"] = URL_SAFE_NO_PAD.encode(bytes).into();
        hostile.push((what.to_owned(), changed));
    };
    (0..object.len()).step_by(13).for_each(|length| spoil("cut", &object[..length]));
    spoil("nested", &[0x81; 50_000]);
    spoil("endless", &[0x9f; 50_000]);
    spoil("of any length", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff");
    let length_at = object.len() - 77 - 16 - 2;
    let mut longer = object.clone();
    longer[length_at..length_at + 2].copy_from_slice(&[0xff, 0xff]);
    spoil("an id that is longer than all", &longer);
    for odd in [json!(null), json!({}), json!([1]), json!("text"), json!({ "response": null })] {
        hostile.push(("no answer".to_owned(), odd));
    }
    for (number, (what, credential)) in hostile.into_iter().enumerate() {
        let result = bench.confirm(&bench.ada, &enrolment.factor_id, Confirmation::Webauthn(credential), now()).await;
        assert_eq!(slug(result), "factor-rejected", "{number}: {what}");
    }
    let result = bench.confirm(&bench.ada, &enrolment.factor_id, Confirmation::Webauthn(right), now()).await;
    assert_eq!(slug(result), "none", "the right one still works");
}

async fn nobody_enrols_without_end(db: Db) {
    let bench = Bench::new(&db).await;
    for _ in 0..10 {
        bench.app(&bench.ada).await;
    }
    let begin = |at| {
        let desk = bench.desk(at);
        let (factors, ada) = (&bench.factors, &bench.ada);
        async move { slug(factors.enrol_totp(&desk, ada, "ada@example.com", "Phone", SESSION).await) }
    };
    assert_eq!(begin(now()).await, "too-many-factors");
    let app = bench.store.factor_list(&bench.ada).await.unwrap().remove(0);
    bench.store.factor_delete(&app.id, &bench.ada).await.unwrap();
    let later = now() + Duration::HOUR;
    for _ in 0..60 {
        assert_eq!(begin(later).await, "none", "nothing that is pending counts");
    }
    assert_eq!(begin(later).await, "too-many");
    bench.store.user_lock(&bench.ada, "test", "test", later).await.unwrap();
    assert_eq!(begin(later).await, "account-locked");
}

/// A gateway without a name has no passkeys; all else works.
#[tokio::test]
async fn where_the_gateway_is_a_number_there_are_no_passkeys() {
    let db = Db::sqlite().await;
    let mut bench = Bench::new(&db).await;
    bench.factors = Factors::new(&Site::https("192.0.2.7", Vec::new()), "acme/prod", None).unwrap();
    let desk = bench.desk(now());
    let result = bench.factors.enrol_webauthn(&desk, &bench.ada, "ada@example.com", "Ada", "Key", SESSION).await;
    assert_eq!(slug(result), "factor-unsupported");
    assert!(bench.factors.assertion(&desk, &bench.ada).await.unwrap().is_none());
    bench.app(&bench.ada).await;
    assert!(Factors::new(&Site { origin: "no address".to_owned(), ..Site::local(1) }, "acme/prod", None).is_err());
}

/// Development has no TLS, and browsers take its name all the same.
#[tokio::test]
async fn passkeys_work_in_development() {
    let db = Db::sqlite().await;
    let mut bench = Bench::new(&db).await;
    bench.factors = Factors::new(&Site::local(8447), "acme/dev", None).unwrap();
    let mut device = Authenticator::new("http://localhost:8447");
    let factor = bench.passkey(&bench.ada, &mut device).await;
    assert!(factor.confirmed_at.is_some());
    let (options, _) = bench.factors.assertion(&bench.desk(now()), &bench.ada).await.unwrap().unwrap();
    assert_eq!(options["publicKey"]["rpId"], "localhost");
}
