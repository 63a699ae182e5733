//! What an operator types when the key changes, or is lost.

use serde_json::{Value, json};

use super::KEYS;
use super::kept::{now, open, text};
use crate::gateway::assert_unanchored;
use crate::harness::binary::{Serving, run};
use crate::harness::{Db, parse_record};
use crate::rows::CountingRack;

/// Runs `secrets …` with these keys; gives exit code, output, complaints.
async fn secrets(db: &Db, arguments: &[&str], current: &str, previous: Option<&str>) -> (i32, String, String) {
    let url = db.url().await;
    let mut env = vec![("RGW_DATABASE_URL", url.as_str()), ("RACK", "acme/dev"), ("APP_SECRET_KEY", current)];
    env.extend(previous.map(|key| ("APP_SECRET_KEY_PREVIOUS", key)));
    let output = run(&[&["secrets"], arguments].concat(), &env).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

async fn keep(db: &Db, key: &str, values: &[(&str, &str, &str)]) {
    let store = db.store().await;
    let vault = open(&store, key, None).await.unwrap().vault;
    for (purpose, id, plain) in values {
        vault.put(purpose, id, plain.as_bytes(), now()).await.unwrap();
    }
    store.close().await;
}

/// Records by their action.
async fn records(db: &Db, action: &str) -> Vec<Value> {
    let store = db.store().await;
    let all = store.records_after(0, 1_000).await.unwrap();
    store.close().await;
    all.iter().map(parse_record).filter(|record| record["action"] == action).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_changed_step_by_step() {
    let [old, new, _] = KEYS;
    for db in Db::each().await {
        let (url, rack) = (db.url().await, CountingRack::start().await);
        let first = Serving::start(&url, rack.addr, &[("APP_SECRET_KEY", old)]).await.unwrap();
        assert!(first.terminate().await.success());
        keep(&db, old, &[("totp", "ada", "made-up-secret-of-ada"), ("sso", "x", "made-up-secret-of-x")]).await;

        let said = Serving::start(&url, rack.addr, &[("APP_SECRET_KEY", new)]).await.err().expect("another key");
        let remedies = ["APP_SECRET_KEY_PREVIOUS", "rack-gateway-api secrets rotate", "serve --accept-loss", "sso: 1"];
        for part in remedies {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        let both = [("APP_SECRET_KEY", new), ("APP_SECRET_KEY_PREVIOUS", old)];
        let serving = Serving::start(&url, rack.addr, &both).await.unwrap();

        let (code, out, _) = secrets(&db, &["status"], new, Some(old)).await;
        assert_eq!(code, 0, "{out}");
        for part in ["current", "previous", "sso: 1, totp: 1, vault:canary: 1", "rack-gateway-api secrets rotate"] {
            assert!(out.contains(part), "`{part}` is not in: {out}");
        }
        let (code, out, err) = secrets(&db, &["rotate"], new, Some(old)).await;
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains("sealed 3 again, 0 left") && out.contains("remove it"), "{out}");
        assert!(err.contains("sealed 3 of 3 again"), "{err}");
        let (code, out, _) = secrets(&db, &["rotate", "--json"], new, Some(old)).await;
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (code, &said["resealed"], &said["left"], &said["unreadable"]),
            (0, &json!(0), &json!({}), &json!({}))
        );
        let (code, out, _) = secrets(&db, &["status", "--json"], new, None).await;
        let said: Value = serde_json::from_str(&out).unwrap();
        let settled = json!({ "sso": 1, "totp": 1, "vault:canary": 1 });
        assert_eq!((code, &said["current"], &said["unknown"]), (0, &settled, &json!({})), "{said}");
        assert_eq!(
            (&said["previous_key"], &said["key"]),
            (&Value::Null, &json!(super::ring(new, None).current_id().to_string()))
        );
        assert!(serving.terminate().await.success());

        let last = Serving::start(&url, rack.addr, &[("APP_SECRET_KEY", new)]).await.unwrap();
        assert!(last.terminate().await.success());
        let store = db.store().await;
        let vault = open(&store, new, None).await.unwrap().vault;
        assert_eq!(text(&vault, "totp", "ada").await.as_deref(), Some("made-up-secret-of-ada"));
        store.close().await;
        let rotated = records(&db, "vault:rotate").await;
        let waiting: Vec<_> = rotated.iter().map(|record| record["detail"]["waiting"].as_str().unwrap()).collect();
        assert_eq!(waiting, ["3", "0"], "{rotated:?}");
        assert_eq!(rotated[0]["actor"]["id"], "command-line", "{rotated:?}");
        assert_eq!(records(&db, "vault:status").await.len(), 2);
        assert_unanchored(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_given_up_on_the_record() {
    let [lost, new, kept] = KEYS;
    for db in Db::each().await {
        let (url, rack) = (db.url().await, CountingRack::start().await);
        keep(&db, kept, &[("sso", "x", "still readable")]).await;
        db.execute("DELETE FROM secrets WHERE purpose = 'vault:canary'").await;
        let store = db.store().await;
        let unreadable = super::ring(lost, None);
        for id in ["ada", "bob"] {
            let at = rack_gateway::store::SecretKey { purpose: "totp".to_owned(), id: id.to_owned() };
            let sealed = unreadable.seal("totp", id, b"made-up-lost-value").unwrap();
            store.secret_put(at, sealed, unreadable.current_id().to_string(), now()).await.unwrap();
        }
        store.close().await;
        let keys = [("APP_SECRET_KEY", new), ("APP_SECRET_KEY_PREVIOUS", kept)];
        assert!(Serving::start(&url, rack.addr, &keys).await.is_err());
        let (code, out, _) = secrets(&db, &["status"], new, Some(kept)).await;
        assert_eq!(code, 1, "{out}");
        assert!(out.contains("not set") && out.contains("totp: 2") && out.contains("--accept-loss"), "{out}");
        let (code, out, _) = secrets(&db, &["rotate"], new, Some(kept)).await;
        assert_eq!(code, 1, "{out}");
        assert!(out.contains("no key opens these (totp: 2)"), "{out}");
        assert_eq!(records(&db, "vault:accept-loss").await, Vec::<Value>::new());

        let accept = ["serve", "--accept-loss"];
        for _ in 0..2 {
            let serving = Serving::start_with(&accept, &url, rack.addr, &keys).await.unwrap();
            assert!(serving.terminate().await.success());
        }
        let told = records(&db, "vault:accept-loss").await;
        assert_eq!(told.len(), 1, "the second time there was nothing to lose: {told:?}");
        assert_eq!(told[0]["detail"]["lost"], "totp: 2", "{told:?}");
        let seq = |record: &Value| record["seq"].as_u64();
        assert!(seq(&told[0]) < records(&db, "gateway:start").await.iter().find_map(seq), "recorded before it serves");
        let store = db.store().await;
        let vault = open(&store, new, None).await.unwrap().vault;
        assert_eq!(text(&vault, "sso", "x").await.as_deref(), Some("still readable"));
        assert_eq!(text(&vault, "totp", "ada").await, None);
        store.close().await;
        assert_unanchored(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_need_a_good_key_and_show_none() {
    let db = Db::sqlite().await;
    for (current, previous, expected) in [
        ("", None, "APP_SECRET_KEY is not set"),
        ("short", None, "APP_SECRET_KEY is too weak: it has 5 bytes"),
        (KEYS[0], Some("changeme-changeme-changeme-changeme"), "APP_SECRET_KEY_PREVIOUS is too weak"),
        (KEYS[0], Some(KEYS[0]), "the same key"),
    ] {
        for command in ["status", "rotate"] {
            let (code, out, err) = secrets(&db, &[command], current, previous).await;
            assert_eq!((code, out.as_str()), (3, ""), "{err}");
            assert!(err.contains(expected), "`{expected}` is not in: {err}");
            assert!(!err.contains("changeme") && !err.contains("made-up-key"), "{err}");
        }
    }
    assert_eq!(records(&db, "vault:rotate").await, Vec::<Value>::new());
    // On a database where nothing is kept yet, there is nothing to do, and nothing is made.
    let (code, out, _) = secrets(&db, &["rotate"], KEYS[0], None).await;
    assert_eq!((code, out.as_str()), (0, "sealed 0 again, 0 left\n"));
    let (code, out, _) = secrets(&db, &["status"], KEYS[1], None).await;
    assert!(code == 0 && !out.contains("canary"), "{out}");
}
