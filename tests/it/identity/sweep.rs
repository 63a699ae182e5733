//! What is over is deleted; what is not, and what was over only lately, stays.

use rack_gateway::store::{
    LoginChannel, LoginRow, NewChallenge, NewCliLogin, NewCredential, NewDevice, NewFactor, Store, Swept,
};
use time::{Duration, OffsetDateTime};

use super::challenges::question;
use super::factors::{device, enrolment};
use super::{DAY, NOW, alice, machine, session};
use crate::harness::db::Db;

mod both {
    crate::on_both!(what_is_over_goes, what_belongs_to_factors_goes_in_its_time, many_go_in_batches);
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
    let swept =
        Swept { logins: 1, cli_logins: 1, rate_limits: 1, workload_tokens: 1, credentials: 2, ..Swept::default() };
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

async fn what_belongs_to_factors_goes_in_its_time(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    store.factor_begin(enrolment("f3", "u1"), NOW - DAY).await.expect("begun");
    assert_eq!(store.factor_confirm("f3", "u1", None, None, None, NOW - DAY).await, Ok(true));
    for (id, end) in [("f1", NOW), ("f2", NOW + Duration::SECOND)] {
        let new = NewFactor { expires_at: end, ..enrolment(id, "u1") };
        store.factor_begin(new, NOW - DAY).await.expect("begun");
    }
    for (n, end) in [(1, NOW), (2, NOW + Duration::SECOND)] {
        let id = format!("d{n}");
        store.device_add(NewDevice { expires_at: end, ..device(&id, "u1", n) }, NOW - DAY).await.expect("added");
        let new = NewCredential { device_id: Some(id), ..session(&format!("c{n}"), "u1", n) };
        store.credential_create(new, NOW - DAY).await.expect("a session");
    }
    for (n, end) in [(1, NOW - Duration::HOUR), (2, NOW - Duration::HOUR + Duration::SECOND)] {
        let new = NewChallenge { expires_at: end, ..question("u1", "c1", n) };
        store.challenge_pose(new, NOW - DAY).await.expect("posed");
    }
    for at in [NOW - DAY * 180, NOW - DAY * 180 + Duration::SECOND] {
        store.notice_add("u1", "test", "hello", at).await.expect("told");
    }
    let swept = Swept { factors: 1, devices: 1, challenges: 1, notices: 1, ..Swept::default() };
    assert_eq!(store.sweep(NOW).await, Ok(swept));
    assert_eq!(store.sweep(NOW).await, Ok(Swept::default()), "nothing is left to do");
    for (id, is_there) in [("f1", false), ("f2", true), ("f3", true)] {
        assert_eq!(store.factor_find(id).await.unwrap().is_some(), is_there, "{id}");
    }
    for (n, is_there) in [(1, false), (2, true)] {
        let place = store.credential_get(&format!("c{n}")).await.unwrap().unwrap().device_id;
        assert_eq!((place.is_some(), store.device_find(&[n; 32]).await.unwrap().is_some()), (is_there, is_there));
        assert_eq!(store.challenge_find(&format!("q{n}")).await.unwrap().is_some(), is_there, "q{n}");
    }
    assert_eq!(store.notice_list("u1", 9).await.unwrap().len(), 1);
    let (one, two) = tokio::join!(store.sweep(NOW + DAY), store.sweep(NOW + DAY));
    let (one, two) = (one.expect("swept"), two.expect("swept"));
    assert_eq!((one.devices + two.devices, one.factors + two.factors), (1, 1), "each is deleted once");
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
