//! What is over is deleted; what is not, and what was over only lately, stays.

use rack_gateway::store::{LoginChannel, LoginRow, NewCliLogin, NewCredential, Store, Swept};
use time::{Duration, OffsetDateTime};

use super::{DAY, NOW, machine};
use crate::harness::db::Db;

mod both {
    crate::on_both!(what_is_over_goes, many_go_in_batches);
}

async fn login(store: &Store, hash: u8, end: OffsetDateTime) {
    let new = LoginRow {
        id: format!("l{hash}"),
        state_hash: [hash; 32],
        browser_hash: [0; 32],
        nonce: String::new(),
        sealed_verifier: String::new(),
        channel: LoginChannel::Web,
        return_to: "/app".to_owned(),
        expires_at: end,
    };
    store.login_begin(new, NOW).await.expect("begun");
}

async fn cli_login(store: &Store, id: &str, end: OffsetDateTime) {
    let new = NewCliLogin {
        id: id.to_owned(),
        user_code: id.to_owned(),
        code_challenge: String::new(),
        device_name: String::new(),
        device_os: String::new(),
        client_version: String::new(),
        source_ip: "192.0.2.1".parse().expect("an address"),
        expires_at: end,
    };
    store.cli_login_begin(new, NOW).await.expect("begun");
}

async fn what_is_over_goes(db: Db) {
    let store = db.store().await;
    let (over, goes_on) = (NOW + Duration::MINUTE, NOW + Duration::MINUTE * 2);
    for (n, end) in [(1, over), (2, goes_on)] {
        login(&store, n, end).await;
        cli_login(&store, &format!("l{n}"), end).await;
        let window = std::time::Duration::from_secs(60 * u64::from(n));
        store.rate_hit(&format!("k{n}"), window, NOW).await.expect("counted");
        store.workload_token_seen("i", &format!("t{n}"), end).await.expect("seen");
    }
    // Dead for 30 days, and not quite.
    let ends = [("c1", over - DAY * 30, false), ("c2", over - DAY * 29, false), ("c3", over + DAY, true)];
    for (n, (id, end, is_revoked)) in (1..).zip(ends) {
        let new = NewCredential { expires_at: end, ..machine(id, n) };
        store.credential_create(new, NOW - DAY * 60).await.expect("a token");
        if is_revoked {
            store.credential_revoke(id, "lost", over - DAY * 30).await.expect("revoked");
        }
    }
    let swept = Swept { logins: 1, cli_logins: 1, rate_limits: 1, workload_tokens: 1, credentials: 2 };
    assert_eq!(store.sweep(over).await, Ok(swept));
    assert_eq!(store.sweep(over).await, Ok(Swept::default()), "nothing is left to do");
    assert!(store.login_take(&[2; 32], over).await.expect("an answer").is_some());
    assert_eq!(store.cli_login_find("l1").await, Ok(None));
    assert!(store.cli_login_find("l2").await.expect("a search").is_some());
    assert_eq!(store.workload_token_seen("i", "t2", goes_on).await, Ok(false), "it is still remembered");
    let hit = store.rate_hit("k2", std::time::Duration::from_secs(60), over).await.expect("counted");
    assert_eq!(hit.count, 2, "it still counts");
    assert!(store.credential_get("c2").await.expect("a search").is_some());
}

async fn many_go_in_batches(db: Db) {
    let store = db.store().await;
    let insert = match &db {
        Db::Sqlite(_) => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234) \
             INSERT INTO workload_jtis SELECT 'i', 't' || i, '2020-01-01T00:00:00Z' FROM n"
        }
        Db::Postgres(_) => {
            "INSERT INTO workload_jtis SELECT 'i', 't' || i, '2020-01-01T00:00:00Z' FROM generate_series(1, 1234) i"
        }
    };
    db.execute(insert).await;
    let (one, two) = tokio::join!(store.sweep(NOW), store.sweep(NOW));
    let count = one.expect("swept").workload_tokens + two.expect("swept").workload_tokens;
    assert_eq!(count, 1234, "each is deleted once");
}
