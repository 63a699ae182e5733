//! The vault on both databases: what is kept comes back under its own key only, and a start with
//! another key is refused.

use std::collections::BTreeMap;

use rack_gateway::store::{SecretKey, Store};
use rack_gateway::vault::{Census, Loss, OpenError, Opened, Survey, Vault, VaultError};
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{KEYS, ring};
use crate::harness::Db;

mod each {
    crate::on_both!(
        what_is_kept_comes_back,
        what_an_administrator_moves_or_changes_does_not_open,
        another_key_is_refused_and_says_what_to_do,
        a_proof_that_was_changed_is_no_proof,
        of_replicas_that_start_at_once_one_makes_the_proof,
        only_what_no_key_opens_is_given_up,
        nothing_stands_in_the_database_in_clear,
    );
}

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

pub(super) fn census(pairs: &[(&str, u64)]) -> Census {
    Census(pairs.iter().map(|(purpose, count)| ((*purpose).to_owned(), *count)).collect::<BTreeMap<_, _>>())
}

pub(super) async fn open(store: &Store, current: &str, previous: Option<&str>) -> Result<Opened, VaultError> {
    Vault::open(store.clone(), ring(current, previous), now()).await
}

/// What is there, in clear; fails when it does not open.
pub(super) async fn text(vault: &Vault, purpose: &str, id: &str) -> Option<String> {
    vault.get_text(purpose, id).await.unwrap().map(|text| text.expose_secret().to_owned())
}

fn at(purpose: &str, id: &str) -> SecretKey {
    SecretKey { purpose: purpose.to_owned(), id: id.to_owned() }
}

async fn what_is_kept_comes_back(db: Db) {
    let store = db.store().await;
    let opened = open(&store, KEYS[0], None).await.unwrap();
    assert!(opened.is_new && opened.waiting == Census::default());
    let vault = opened.vault;
    for (purpose, id, plain) in [("totp", "1", "one"), ("totp", "2", "two"), ("sso", "1", ""), ("totp", "1", "third")] {
        vault.put(purpose, id, plain.as_bytes(), now()).await.unwrap();
        assert_eq!(text(&vault, purpose, id).await.as_deref(), Some(plain));
    }
    let again = open(&store, KEYS[0], None).await.unwrap();
    assert!(!again.is_new);
    for (purpose, id, plain) in
        [("totp", "1", Some("third")), ("totp", "2", Some("two")), ("sso", "1", Some("")), ("sso", "2", None)]
    {
        assert_eq!(text(&again.vault, purpose, id).await.as_deref(), plain, "{purpose} {id}");
    }
    vault.put("totp", "raw", b"\xff\x00", now()).await.unwrap();
    assert_eq!(vault.get("totp", "raw").await.unwrap().unwrap().expose_secret(), b"\xff\x00");
    assert_eq!(vault.get_text("totp", "raw").await.err(), Some(VaultError::Open(OpenError::NotText)));
    assert!(vault.delete("totp", "1").await.unwrap());
    assert!(!vault.delete("totp", "1").await.unwrap());
    assert_eq!((text(&vault, "totp", "1").await, text(&vault, "sso", "1").await), (None, Some(String::new())));
    let survey = Survey::take(&store, vault.keyring()).await.unwrap();
    assert_eq!(survey.settled(), census(&[("sso", 1), ("totp", 2), ("vault:canary", 1)]));
    assert_eq!((survey.waiting().total(), survey.unknown().total()), (0, 0));
}

async fn what_an_administrator_moves_or_changes_does_not_open(db: Db) {
    let store = db.store().await;
    let vault = open(&store, KEYS[0], None).await.unwrap().vault;
    vault.put("totp", "eve", b"known to eve", now()).await.unwrap();
    let moves = [
        ("to another row", "id = 'ada'"),
        ("to another purpose", "purpose = 'sso'"),
        (
            "changed",
            "sealed = substr(sealed, 1, 30) || CASE substr(sealed, 31, 1) WHEN 'A' THEN 'B' ELSE 'A' END \
             || substr(sealed, 32)",
        ),
        ("cut", "sealed = substr(sealed, 1, length(sealed) - 4)"),
    ];
    for (what, change) in moves {
        vault.put("totp", "eve", b"known to eve", now()).await.unwrap();
        db.execute(&format!("UPDATE secrets SET {change} WHERE id = 'eve'")).await;
        for (purpose, id) in [("totp", "ada"), ("sso", "eve"), ("totp", "eve")] {
            match vault.get(purpose, id).await {
                Ok(None) => {}
                Err(VaultError::Open(OpenError::Refused)) => {}
                Err(VaultError::Open(OpenError::Malformed)) if what == "cut" => {}
                got => panic!("{what}: {purpose} {id}: {got:?}"),
            }
        }
        db.execute("DELETE FROM secrets WHERE purpose <> 'vault:canary'").await;
    }
}

async fn another_key_is_refused_and_says_what_to_do(db: Db) {
    let store = db.store().await;
    let vault = open(&store, KEYS[0], None).await.unwrap().vault;
    let other = open(&store, KEYS[1], None).await.err().unwrap();
    assert_eq!(other, VaultError::OtherKey(census(&[("vault:canary", 1)])), "even when nothing else is kept");
    vault.put("totp", "1", b"one", now()).await.unwrap();
    let other = open(&store, KEYS[1], Some(KEYS[2])).await.err().unwrap();
    assert_eq!(other, VaultError::OtherKey(census(&[("totp", 1), ("vault:canary", 1)])));
    for part in ["totp: 1", "APP_SECRET_KEY_PREVIOUS", "rack-gateway-api secrets rotate", "serve --accept-loss"] {
        assert!(other.to_string().contains(part), "`{part}` is not in: {other}");
    }

    let both = open(&store, KEYS[1], Some(KEYS[0])).await.unwrap();
    assert_eq!(both.waiting, census(&[("totp", 1), ("vault:canary", 1)]));
    assert_eq!(text(&both.vault, "totp", "1").await.as_deref(), Some("one"));
    both.vault.put("totp", "2", b"two", now()).await.unwrap();
    // The first replica has not got the new key yet.
    assert!(matches!(vault.get("totp", "2").await, Err(VaultError::Open(OpenError::UnknownKey(_)))));
    assert_eq!(text(&vault, "totp", "1").await.as_deref(), Some("one"));
    // Now some are under each, so neither is enough alone.
    for key in [KEYS[0], KEYS[1]] {
        assert!(matches!(open(&store, key, None).await, Err(VaultError::OtherKey(_))), "{key}");
    }
}

async fn a_proof_that_was_changed_is_no_proof(db: Db) {
    let store = db.store().await;
    let vault = open(&store, KEYS[0], None).await.unwrap().vault;
    vault.put("totp", "1", b"one", now()).await.unwrap();
    let foreign = ring(KEYS[0], None).seal("totp", "1", b"this key opens the vault").unwrap();
    for sealed in ["nonsense".to_owned(), foreign] {
        db.execute(&format!("UPDATE secrets SET sealed = '{sealed}' WHERE purpose = 'vault:canary'")).await;
        let error = open(&store, KEYS[0], None).await.err().unwrap();
        assert_eq!(error, VaultError::Damaged);
        assert!(error.to_string().contains("backup") && error.to_string().contains("--accept-loss"), "{error}");
    }
    db.execute("DELETE FROM secrets WHERE purpose = 'vault:canary'").await;
    let other = open(&store, KEYS[1], None).await.err();
    assert_eq!(other, Some(VaultError::OtherKey(census(&[("totp", 1)]))), "the values themselves are proof");
    assert_eq!(store.secret_get(&at("vault:canary", "canary")).await.unwrap(), None, "and it leaves none behind");
    assert!(open(&store, KEYS[0], None).await.unwrap().is_new);
}

async fn of_replicas_that_start_at_once_one_makes_the_proof(db: Db) {
    for round in 0..8 {
        db.execute("DELETE FROM secrets").await;
        let (here, there) = (db.store().await, db.store().await);
        let (a, b) = tokio::join!(open(&here, KEYS[0], None), open(&there, KEYS[0], None));
        let made = [a, b].map(|opened| u8::from(opened.unwrap().is_new)).iter().sum::<u8>();
        assert_eq!(made, 1, "round {round}");

        db.execute("DELETE FROM secrets").await;
        let (a, b) = tokio::join!(open(&here, KEYS[0], None), open(&there, KEYS[1], None));
        let refused: Vec<_> = [a, b].into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [VaultError::OtherKey(census(&[("vault:canary", 1)]))], "round {round}");
        here.close().await;
        there.close().await;
    }
}

async fn only_what_no_key_opens_is_given_up(db: Db) {
    let store = db.store().await;
    let old = open(&store, KEYS[0], None).await.unwrap().vault;
    for id in 0..150 {
        old.put("totp", &format!("lost {id:03}"), b"x", now()).await.unwrap();
    }
    old.put("sso", "lost", b"x", now()).await.unwrap();
    old.put("sso", "replaced", b"x", now()).await.unwrap();
    let keyring = ring(KEYS[1], Some(KEYS[2]));
    let put = async |purpose: &str, id: &str, sealed: String, key: &str| {
        store.secret_put(at(purpose, id), sealed, ring(key, None).current_id().to_string(), now()).await.unwrap();
    };
    for (id, key) in [("current", KEYS[1]), ("previous", KEYS[2])] {
        put("totp", id, ring(key, None).seal("totp", id, b"kept").unwrap(), key).await;
    }
    put("totp", "newer", "v2.whatever".to_owned(), KEYS[1]).await;
    put("totp", "changed", ring(KEYS[1], None).seal("totp", "of another", b"x").unwrap(), KEYS[1]).await;
    assert!(matches!(Vault::open(store.clone(), keyring.clone(), now()).await, Err(VaultError::OtherKey(_))));

    let loss = Loss::find(&store, &keyring).await.unwrap();
    assert_eq!(loss.census(), census(&[("sso", 2), ("totp", 151), ("vault:canary", 1)]));
    assert_eq!(loss.census().to_string(), "sso: 2, totp: 151, vault:canary: 1");
    assert_eq!(text(&old, "sso", "lost").await.as_deref(), Some("x"), "finding deletes nothing");
    put("sso", "replaced", keyring.seal("sso", "replaced", b"new").unwrap(), KEYS[1]).await;
    loss.accept(&store).await.unwrap();
    let opened = Vault::open(store.clone(), keyring.clone(), now()).await.unwrap();
    assert!(opened.is_new);
    for (purpose, id, expected) in
        [("totp", "current", "kept"), ("totp", "previous", "kept"), ("sso", "replaced", "new")]
    {
        assert_eq!(text(&opened.vault, purpose, id).await.as_deref(), Some(expected), "{id}");
    }
    let survey = Survey::take(&store, &keyring).await.unwrap();
    let (settled, waiting) = (census(&[("sso", 1), ("totp", 2), ("vault:canary", 1)]), census(&[("totp", 1)]));
    assert_eq!((survey.settled(), survey.waiting(), survey.unknown().total()), (settled, waiting, 0));
    assert_eq!(Loss::find(&store, &keyring).await.unwrap().census().total(), 0);
}

async fn nothing_stands_in_the_database_in_clear(db: Db) {
    let plain = "made-up-plain-text-of-a-secret";
    let store = db.store().await;
    let vault = open(&store, KEYS[0], None).await.unwrap().vault;
    for id in 0..20 {
        vault.put("totp", &format!("row {id}"), plain.as_bytes(), now()).await.unwrap();
    }
    let pages = store.secret_page(None, None, 100).await.unwrap();
    let rows: Vec<String> = pages.into_iter().map(|row| row.sealed).collect();
    assert_eq!(rows.len(), 21);
    let mut stored = rows.join("\n").into_bytes();
    if let Some(file) = db.file() {
        let read = |end: &str| std::fs::read(format!("{}{end}", file.display())).unwrap_or_default();
        let written = [read(""), read("-wal")].concat();
        assert!(rows.iter().all(|row| contains(&written, row.as_bytes())), "the search would find it");
        stored.extend(written);
    }
    for secret in [plain, KEYS[0], "this key opens the vault"] {
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, secret);
        for form in [secret.to_owned(), encoded, hex::encode(secret)] {
            assert!(!contains(&stored, form.as_bytes()), "{form}");
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn the_serving_role_may_keep_secrets() {
    let db = Db::postgres().await;
    let role = format!("serving_{}", uuid::Uuid::now_v7().simple());
    db.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    let owner = db.store().await;
    owner.migrate(Some(&role)).await.unwrap();
    let url = db.url().await.replace("postgres@", &format!("{role}@"));
    let store = Store::connect(&url, rack_gateway::store::Options::default()).await.unwrap();
    let vault = open(&store, KEYS[0], None).await.unwrap().vault;
    vault.put("totp", "1", b"one", now()).await.unwrap();
    vault.put("totp", "1", b"two", now()).await.unwrap();
    let rotation = rack_gateway::vault::rotate(&store, &ring(KEYS[1], Some(KEYS[0])), now(), |_| {}).await.unwrap();
    assert_eq!((rotation.resealed, rotation.left.total()), (2, 0));
    let vault = open(&store, KEYS[1], None).await.unwrap().vault;
    assert_eq!(text(&vault, "totp", "1").await.as_deref(), Some("two"));
    assert!(vault.delete("totp", "1").await.unwrap());
}
