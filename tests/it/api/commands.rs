//! Commands that belong to the API.

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

#[tokio::test]
async fn the_description_is_printed_as_it_is_checked_in() {
    let output = run(&["openapi"], &[]).await;
    assert!(output.status.success());
    let document = std::fs::read_to_string(repository().join("docs/openapi.json")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), document);
}

mod both {
    crate::on_both!(the_first_administrator_is_added_once);
}
