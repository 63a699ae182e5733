//! Commands that belong to the API.

use rack_gateway::store::{CredentialKind, FactorKind, NewCredential, NewFactor, NewUser, SecretKey};
use serde_json::json;
use time::OffsetDateTime;

use crate::harness::Db;
use crate::harness::binary::run;
use crate::harness::policies::repository;

async fn say(arguments: &[&str], url: &str) -> (i32, String) {
    let output = run(arguments, &[("RGW_DATABASE_URL", url), ("RACK", "acme/dev")]).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn the_first_administrator_is_added_once(db: Db) {
    let url = db.url().await;
    let bootstrap = |email: &'static str| ["admin", "bootstrap", email];
    assert_eq!(say(&bootstrap("nobody"), &url).await.0, 1);
    let (code, text) = say(&["admin", "bootstrap", "Ada@example.com", "--name", "Ada"], &url).await;
    assert_eq!(code, 0, "{text}");
    let store = db.store().await;
    let ada = store.user_find_by_email("ada@example.com").await.unwrap().unwrap();
    assert_eq!((ada.name.as_str(), ada.roles.as_slice()), ("Ada", ["admin".to_owned()].as_slice()));
    for email in ["ada@example.com", "grace@example.com"] {
        let (code, text) = say(&bootstrap(email), &url).await;
        assert_eq!((code, text.contains("there is an administrator")), (1, true), "{text}");
    }
    // One who is locked is none; but nobody who is known is changed.
    store.user_lock(&ada.id, "left", "test", time::OffsetDateTime::now_utc()).await.unwrap();
    let (code, text) = say(&bootstrap("ada@example.com"), &url).await;
    assert_eq!((code, text.contains("keeps the roles")), (1, true), "{text}");
    assert_eq!(say(&bootstrap("grace@example.com"), &url).await.0, 0);
    let records = store.records_after(0, 100).await.unwrap();
    let created = records.iter().map(crate::harness::parse_record).filter(|record| record["action"] == "user:create");
    assert_eq!(created.count(), 2);
    store.close().await;
}

async fn who_cannot_get_in_is_helped(db: Db) {
    let url = db.url().await;
    let now = OffsetDateTime::now_utc();
    let store = db.store().await;
    let ada = NewUser { id: "u1".to_owned(), email: "ada@example.com".to_owned(), ..NewUser::default() };
    let ada = store.user_create(ada, now).await.unwrap();
    let sealed = SecretKey { purpose: "totp".to_owned(), id: "f1".to_owned() };
    let phone = NewFactor {
        id: "f1".to_owned(),
        user_id: ada.id.clone(),
        kind: FactorKind::Totp,
        name: "phone".to_owned(),
        credential_id: None,
        data: None,
        created_with: "c1".to_owned(),
        expires_at: now + time::Duration::MINUTE,
    };
    store.factor_begin(phone, now).await.unwrap();
    store.secret_put(sealed.clone(), "x".to_owned(), "k".to_owned(), now).await.unwrap();
    assert!(store.factor_confirm("f1", &ada.id, None, None, None, now).await.unwrap());
    let session = NewCredential::new("c1".to_owned(), CredentialKind::Cli, [1; 32], now + time::Duration::DAY);
    store.credential_create(NewCredential { user_id: Some(ada.id.clone()), ..session }, now).await.unwrap();
    for command in ["unlock", "reset-factors"] {
        let (code, text) = say(&["admin", command, "eve@example.com"], &url).await;
        assert_eq!((code, text.contains("there is no user with the address eve@example.com")), (1, true), "{text}");
    }
    let (code, text) = say(&["admin", "unlock", "Ada@example.com"], &url).await;
    assert_eq!((code, text.contains("is not locked: nothing was changed")), (0, true), "{text}");
    let (code, text) = say(&["admin", "reset-factors", "Ada@example.com"], &url).await;
    assert_eq!((code, text.contains("(1 removed, 1 sessions ended)")), (0, true), "{text}");
    assert!(!text.contains("admin unlock"), "{text}");
    assert_eq!(store.user_find(&ada.id).await.unwrap().unwrap().enrolled_at, None);
    assert_eq!(store.factor_find("f1").await.unwrap(), None);
    assert_eq!(store.secret_get(&sealed).await.unwrap(), None, "the secret is gone with its factor");
    assert!(store.credential_get("c1").await.unwrap().unwrap().revoked_at.is_some());
    let told = store.notice_list(&ada.id, 9).await.unwrap();
    assert_eq!((told.len(), told[0].kind.as_str()), (1, "factors-reset"));
    store.user_lock(&ada.id, "left", "test", now).await.unwrap();
    let (code, text) = say(&["admin", "reset-factors", "ada@example.com"], &url).await;
    assert_eq!((code, text.contains("admin unlock ada@example.com")), (0, true), "{text}");
    let (code, text) = say(&["admin", "unlock", "ada@example.com"], &url).await;
    assert_eq!((code, text.contains("is no longer locked")), (0, true), "{text}");
    assert!(!store.user_find(&ada.id).await.unwrap().unwrap().is_locked());
    let records = store.records_after(0, 100).await.unwrap();
    let records = records.iter().map(crate::harness::parse_record);
    let done = records.filter(|record| record["kind"] == "admin").map(|record| {
        let (actor, detail) = (&record["actor"], &record["detail"]);
        assert_eq!((&actor["type"], &detail["user"]), (&json!("Operator"), &json!("u1")), "{record}");
        record["action"].as_str().unwrap().to_owned()
    });
    assert_eq!(done.collect::<Vec<_>>(), ["factor:reset", "factor:reset", "user:unlock"]);
    store.close().await;
}

#[tokio::test]
async fn the_description_is_printed_as_it_is_checked_in() {
    let output = run(&["openapi"], &[]).await;
    assert!(output.status.success());
    let document = std::fs::read_to_string(repository().join("docs/openapi.json")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), document);
}

mod both {
    crate::on_both!(the_first_administrator_is_added_once, who_cannot_get_in_is_helped);
}
