//! What the database itself holds, whoever writes to it.

use rack_gateway::store::{ApprovalState, Party, Store, StoreError};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::{APP, COMMIT, stored};
use crate::harness::Db;

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

mod both {
    crate::on_both!(
        rows_come_back_as_they_were_stored,
        only_what_may_become_of_one_does,
        statements_that_must_fail_do,
        a_vote_of_those_behind_it_counts_for_nothing,
        grants_are_found_by_deployer_app_and_time,
    );
}

async fn request(store: &Store, id: &str, commit: &str) {
    let (row, is_new) = store.approval_request(stored(id, APP, commit, NOW), NOW).await.expect("a request");
    assert!(is_new && row.id == id);
}

fn hash(n: u32) -> String {
    format!("{n:040x}")
}

async fn rows_come_back_as_they_were_stored(db: Db) {
    let store = db.store().await;
    let mut new = stored("a1", APP, COMMIT, NOW);
    new.branch = Some("main".to_owned());
    new.pr_url = Some("https://example.com/1".to_owned());
    new.ci = Some(serde_json::json!({ "run": 7, "b": [1, null] }));
    let (made, is_new) = store.approval_request(new.clone(), NOW + Duration::milliseconds(900)).await.expect("made");
    assert!(is_new);
    assert_eq!((made.created_at, made.expires_at), (NOW, NOW + Duration::hours(1)), "whole seconds");
    assert_eq!((&made.ci, &made.branch, &made.pr_url), (&new.ci, &new.branch, &new.pr_url));
    assert_eq!((made.env_changes.join(","), made.users.join(",")), ("A,B".to_owned(), "u1,u2".to_owned()));
    assert_eq!(store.approval_find("a1").await, Ok(Some(made.clone())));
    assert_eq!(store.approval_find("a2").await, Ok(None));
    // The same again, with another id.
    let again = store.approval_request(stored("a2", APP, COMMIT, NOW), NOW).await;
    assert_eq!(again, Ok((made.clone(), false)));
    assert!(store.approval_request(stored("a1", APP, &hash(1), NOW), NOW).await.is_err(), "the id is taken");
    // Once its time is over, it makes way.
    let later = NOW + Duration::hours(1);
    let (next, is_new) = store.approval_request(stored("a3", APP, COMMIT, later), later).await.expect("made");
    assert!(is_new && next.id == "a3");
    let ended = store.approval_find("a1").await.expect("an answer").expect("it stays");
    assert_eq!((ended.state, ended.ended_at, ended.version), (ApprovalState::Expired, Some(later), 2));
}

async fn only_what_may_become_of_one_does(db: Db) {
    let store = db.store().await;
    let by = Party::new("User", "u9");
    let end = async |id: &str, to: ApprovalState, now: OffsetDateTime| {
        store.approval_end(id, to, Some("why"), Some(&by), now, None).await.map(|row| row.state)
    };
    request(&store, "a1", COMMIT).await;
    let until = NOW + Duration::minutes(15);
    assert_eq!(store.approval_grant("a1", until, NOW).await, Err(StoreError::Stale), "nobody agrees");
    assert_eq!(end("a1", ApprovalState::Deployed, NOW).await, Err(StoreError::Stale), "it is no grant");
    let voted = store.approval_vote("a1", "u9", "fine", NOW).await.expect("a vote");
    assert_eq!(store.approval_vote("a1", "u9", "again", NOW).await, Ok(voted.clone()), "once");
    assert_eq!(voted.votes[0].notes, "fine");
    let granted = store.approval_grant("a1", until, NOW).await.expect("a grant");
    assert_eq!((granted.state, granted.expires_at, granted.approved_at), (ApprovalState::Approved, until, Some(NOW)));
    assert_eq!(store.approval_grant("a1", until, NOW).await, Err(StoreError::Stale), "it is one already");
    assert_eq!(store.approval_vote("a1", "u8", "", NOW).await, Err(StoreError::Stale), "it is not pending");
    assert_eq!(
        store.approval_extend("a1", 1, until + Duration::HOUR, NOW).await,
        Err(StoreError::Stale),
        "not so often"
    );
    assert_eq!(store.approval_extend("a1", 0, until, NOW).await, Err(StoreError::Stale), "not longer");
    assert_eq!(store.approval_extend("a1", 0, until + Duration::HOUR, until).await, Err(StoreError::Stale), "too late");
    let longer = store.approval_extend("a1", 0, until + Duration::MINUTE, NOW).await.expect("longer");
    assert_eq!((longer.extensions, longer.version), (1, 3));
    assert_eq!(end("a1", ApprovalState::Deployed, until + Duration::HOUR).await, Ok(ApprovalState::Deployed));
    for to in ApprovalState::ALL {
        assert_eq!(end("a1", to, NOW).await, Err(StoreError::Stale), "{to:?} after the end");
    }
    assert_eq!(store.approval_expire("a1", NOW + Duration::DAY).await, Ok(false));
    for (n, to) in [ApprovalState::Rejected, ApprovalState::Revoked, ApprovalState::Expired].into_iter().enumerate() {
        let id = format!("b{n}");
        request(&store, &id, &hash(u32::try_from(n).expect("few"))).await;
        assert_eq!(end(&id, to, NOW).await, Ok(to));
        assert_eq!(store.approval_vote(&id, "u9", "", NOW).await, Err(StoreError::Stale));
        assert_eq!(store.approval_grant(&id, until, NOW).await, Err(StoreError::Stale));
    }
    request(&store, "c1", &hash(9)).await;
    let over = NOW + Duration::hours(1);
    assert_eq!(store.approval_vote("c1", "u9", "", over).await, Err(StoreError::Stale), "its time is over");
    assert_eq!(store.approval_expire("c1", over - Duration::SECOND).await, Ok(false), "not yet");
    assert_eq!(store.approval_expire("c1", over).await, Ok(true));
    for id in ["x", ""] {
        assert_eq!(store.approval_vote(id, "u9", "", NOW).await, Err(StoreError::NotFound));
        assert_eq!(end(id, ApprovalState::Revoked, NOW).await, Err(StoreError::NotFound));
    }
}

async fn a_vote_of_those_behind_it_counts_for_nothing(db: Db) {
    let store = db.store().await;
    request(&store, "a1", COMMIT).await;
    for user in ["u1", "u2"] {
        let row = store.approval_vote("a1", user, "", NOW).await.expect("a vote");
        assert_eq!(row.counted().count(), 0);
    }
    let until = NOW + Duration::minutes(15);
    assert_eq!(store.approval_grant("a1", until, NOW).await, Err(StoreError::Stale));
    // Nor when somebody writes to the database by hand.
    let grant = "UPDATE deploy_approvals SET state = 'approved', approved_at = created_at, version = version + 1";
    db.try_execute(grant).await.expect_err("nobody else agrees");
    store.approval_vote("a1", "u3", "", NOW).await.expect("a vote");
    store.approval_grant("a1", until, NOW).await.expect("a grant");
}

/// A change of one column, and of the version with it.
fn update(set: &str, id: &str) -> String {
    format!("UPDATE deploy_approvals SET {set}, version = version + 1 WHERE id = '{id}'")
}

/// What nobody does to a request that is pending, approved or ended.
fn forbidden() -> Vec<String> {
    let mut statements = vec![
        "DELETE FROM deploy_approvals WHERE id = 'ended'".to_owned(),
        "DELETE FROM deploy_approval_votes".to_owned(),
        "UPDATE deploy_approval_votes SET notes = 'x'".to_owned(),
        "UPDATE deploy_approval_votes SET user_id = 'u8'".to_owned(),
        "UPDATE deploy_approvals SET state = 'revoked', reason = 'x', ended_at = created_at WHERE id = 'pending'"
            .to_owned(),
        "INSERT INTO deploy_approval_votes SELECT 'approved', 'u8', created_at, '' FROM deploy_approvals".to_owned(),
        "INSERT INTO deploy_approval_votes SELECT 'ended', 'u8', created_at, '' FROM deploy_approvals".to_owned(),
        "INSERT INTO deploy_approval_votes SELECT 'nothing', 'u8', created_at, '' FROM deploy_approvals".to_owned(),
        "INSERT INTO deploy_approval_votes SELECT id, 'u8', expires_at, '' FROM deploy_approvals WHERE id = 'pending'"
            .to_owned(),
    ];
    for column in [
        "id",
        "app",
        "git_commit",
        "branch",
        "message",
        "pr_url",
        "ci",
        "requester_id",
        "deployer_id",
        "users",
        "running_release",
        "parent_release",
        "env_changes",
    ] {
        let value = if column == "git_commit" { hash(7) } else { "[\"x\"]".to_owned() };
        statements.push(update(&format!("{column} = '{value}'"), "pending"));
    }
    for set in ["requester_kind = 'User'", "deployer_kind = 'User'", "created_at = expires_at"] {
        statements.push(update(set, "pending"));
    }
    for (set, id) in [
        ("state = 'deployed', approved_at = created_at, ended_at = created_at", "pending"),
        ("expires_at = '2099-01-01 00:00:00+00:00'", "pending"),
        ("extensions = 1", "pending"),
        ("state = 'rejected', ended_at = created_at", "pending"),
        ("state = 'rejected', ended_at = created_at, reason = ''", "pending"),
        ("state = 'consumed'", "pending"),
        ("state = 'pending', approved_at = NULL", "approved"),
        ("approved_at = expires_at", "approved"),
        ("expires_at = '2099-01-01 00:00:00+00:00'", "approved"),
        ("extensions = 2, expires_at = '2099-01-01 00:00:00+00:00'", "approved"),
        ("extensions = 1, expires_at = created_at", "approved"),
        ("state = 'deployed'", "approved"),
        ("state = 'pending', ended_at = NULL, reason = NULL", "ended"),
        ("state = 'approved', approved_at = created_at, ended_at = NULL, reason = NULL", "ended"),
        ("reason = 'another'", "ended"),
        ("ended_by_kind = 'User', ended_by_id = 'x'", "ended"),
    ] {
        statements.push(update(set, id));
    }
    statements
}

async fn statements_that_must_fail_do(db: Db) {
    let store = db.store().await;
    for (id, n) in [("pending", 1), ("approved", 2), ("ended", 3)] {
        request(&store, id, &hash(n)).await;
        store.approval_vote(id, "u9", "", NOW).await.expect("a vote");
    }
    store.approval_grant("approved", NOW + Duration::minutes(15), NOW).await.expect("a grant");
    store.approval_end("ended", ApprovalState::Rejected, Some("no"), None, NOW, None).await.expect("ended");
    let before: Vec<_> = store.approvals_list(super::lists::all()).await.expect("a list");
    let mut statements = forbidden();
    let columns = "app, git_commit, branch, message, pr_url, ci, reason, requester_kind, requester_id, deployer_kind, \
                   users, created_at, expires_at, approved_at, ended_at, ended_by_kind, ended_by_id, extensions, \
                   running_release, parent_release, env_changes, version";
    let copy = |id: &str, deployer: &str, state: &str, from: &str| {
        format!(
            "INSERT INTO deploy_approvals (id, deployer_id, state, {columns}) SELECT '{id}', {deployer}, {state}, \
             {columns} FROM deploy_approvals WHERE id = '{from}'"
        )
    };
    statements.push(copy("second", "deployer_id", "state", "pending"));
    statements.push(copy("born", "'x'", "state", "approved"));
    statements.push(copy("over", "'x'", "state", "ended"));
    match &db {
        Db::Sqlite(_) => {
            statements.push(copy("pending", "'x'", "state", "pending").replacen("INSERT", "INSERT OR REPLACE", 1));
            statements.push(copy("new", "deployer_id", "state", "pending").replacen("INSERT", "INSERT OR REPLACE", 1));
            statements.push(
                "INSERT OR REPLACE INTO deploy_approval_votes SELECT id, 'u9', created_at, 'x' FROM deploy_approvals \
                 WHERE id = 'pending'"
                    .to_owned(),
            );
        }
        Db::Postgres(_) => {
            statements.push("TRUNCATE deploy_approvals CASCADE".to_owned());
            statements.push("TRUNCATE deploy_approval_votes".to_owned());
        }
    }
    for statement in &statements {
        assert!(db.try_execute(statement).await.is_err(), "{statement}");
    }
    assert_eq!(store.approvals_list(super::lists::all()).await.expect("a list"), before);
    // The form of these is not why they fail.
    db.execute(&copy("fresh", "'x'", "state", "pending")).await;
    db.execute(&update("state = 'revoked', reason = 'x', ended_at = created_at", "fresh")).await;
    let vote = "INSERT INTO deploy_approval_votes SELECT id, 'u8', created_at, '' FROM deploy_approvals \
                WHERE id = 'pending'";
    db.execute(vote).await;
}

async fn grants_are_found_by_deployer_app_and_time(db: Db) {
    let store = db.store().await;
    let mine = Party::new("ApiToken", "t1");
    for (n, id) in ["a1", "a2", "a3"].into_iter().enumerate() {
        request(&store, id, &hash(u32::try_from(n).expect("few"))).await;
        store.approval_vote(id, "u9", "", NOW).await.expect("a vote");
    }
    store.approval_request(stored("b1", "another", COMMIT, NOW), NOW).await.expect("a request");
    // In another order than they were asked for.
    for (id, after) in [("a3", 0), ("a1", 10)] {
        let now = NOW + Duration::seconds(after);
        store.approval_grant(id, now + Duration::minutes(15), now).await.expect("a grant");
    }
    let open = async |app: &str, party: &Party, after: Duration| {
        let rows = store.approvals_open(app, party, NOW + after).await.expect("an answer");
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(open(APP, &mine, Duration::MINUTE).await, ["a3", "a1"]);
    assert_eq!(open(APP, &mine, Duration::minutes(15)).await, ["a1"], "the moment of its end is its end");
    assert_eq!(open(APP, &mine, Duration::HOUR).await, [""; 0]);
    for (app, party) in
        [("another", &mine), ("%", &mine), (APP, &Party::new("User", "t1")), (APP, &Party::new("ApiToken", "%"))]
    {
        assert_eq!(open(app, party, Duration::MINUTE).await, [""; 0], "{app} {party:?}");
    }
    let live = store.approvals_live(APP, &mine, NOW + Duration::MINUTE).await.expect("an answer");
    assert_eq!(live.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["a1", "a2", "a3"]);
}
