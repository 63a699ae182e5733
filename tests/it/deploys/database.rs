//! What the database itself holds of the steps of a deploy.

use rack_gateway::store::{
    ApprovalState, DeployStepKind as Kind, NewApproval, NewDeployStep, Party, StepState, Store, StoreError,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::APP;
use crate::harness::Db;

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

mod both {
    crate::on_both!(a_step_is_taken_once_of_a_good_grant, steps_stay_as_they_are);
}

fn deployer() -> Party {
    Party::new("ApiToken", "t1")
}

async fn grant(store: &Store, id: &str, commit: u32) {
    let new = NewApproval {
        id: id.to_owned(),
        app: APP.to_owned(),
        commit: format!("{commit:040x}"),
        branch: None,
        message: "Fix".to_owned(),
        pr_url: None,
        ci: None,
        requester: deployer(),
        deployer: deployer(),
        users: Vec::new(),
        expires_at: NOW + Duration::HOUR,
        running_release: None,
        parent_release: None,
        env_changes: Vec::new(),
    };
    store.approval_request(new, NOW).await.expect("a request");
    store.approval_vote(id, "u9", "", NOW).await.expect("a vote");
    store.approval_grant(id, NOW + Duration::minutes(15), NOW).await.expect("a grant");
}

fn step(id: &str, approval: &str, step: Kind, subject: &str) -> NewDeployStep {
    NewDeployStep {
        id: id.to_owned(),
        approval_id: approval.to_owned(),
        app: APP.to_owned(),
        step,
        subject: subject.to_owned(),
        digest: None,
        by: deployer(),
        request_id: "r1".to_owned(),
    }
}

async fn a_step_is_taken_once_of_a_good_grant(db: Db) {
    let store = db.store().await;
    grant(&store, "a1", 1).await;
    grant(&store, "a2", 2).await;
    let claim = |id: &str, of: &str, kind: Kind, subject: &str| {
        let (store, new) = (store.clone(), step(id, of, kind, subject));
        async move { store.deploy_step_claim(new, NOW).await }
    };
    let taken = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Conflict(_)));
    claim("s1", "a1", Kind::Build, "tmp/a").await.expect("the first");
    assert!(taken(claim("s2", "a1", Kind::Build, "tmp/b").await), "a step once for a grant");
    assert!(taken(claim("s2", "a2", Kind::Build, "tmp/a").await), "an object once for an app");
    assert!(taken(claim("s1", "a2", Kind::Build, "tmp/b").await), "an id once");
    claim("s2", "a2", Kind::Build, "tmp/b").await.expect("another");
    for id in ["p1", "p2"] {
        claim(id, "a1", Kind::Start, "R1").await.expect("processes, as many as are needed");
    }
    // What was given back can be taken again; what is done cannot, and ends once.
    store.deploy_step_free("s1", NOW).await.expect("freed");
    assert_eq!(store.deploy_step_free("s1", NOW).await, Err(StoreError::Stale));
    claim("s3", "a1", Kind::Build, "tmp/a").await.expect("again");
    store.deploy_step_done("s3", Some("B1"), None, NOW).await.expect("done");
    assert_eq!(store.deploy_step_free("s3", NOW).await, Err(StoreError::Stale));
    assert_eq!(store.deploy_step_done("s3", Some("B2"), None, NOW).await, Err(StoreError::Stale));
    assert!(taken(claim("s4", "a1", Kind::Build, "tmp/c").await));
    let steps = store.deploy_steps(vec!["a1".to_owned()]).await.expect("steps");
    let seen: Vec<_> = steps.iter().map(|step| (step.id.as_str(), step.state, step.result.as_deref())).collect();
    let (claimed, done) = (StepState::Claimed, StepState::Done);
    assert_eq!(seen, [("p1", claimed, None), ("p2", claimed, None), ("s3", done, Some("B1"))]);
    let made = async |by: &Party, result: &str| {
        let found = store.deploy_step_that_made(APP, by, Kind::Build, result).await.expect("an answer");
        found.map(|step| step.id)
    };
    assert_eq!(made(&deployer(), "B1").await, Some("s3".to_owned()));
    for (by, result) in [(deployer(), "%"), (deployer(), "b1"), (Party::new("ApiToken", "t2"), "B1")] {
        assert_eq!(made(&by, result).await, None, "{by:?} {result}");
    }
    // A grant whose time is over, or that was taken back, gives nothing; nor one that nobody made.
    let late = store.deploy_step_claim(step("s5", "a2", Kind::Promote, "R2"), NOW + Duration::minutes(15)).await;
    assert_eq!(late, Err(StoreError::Stale));
    store.approval_end("a2", ApprovalState::Revoked, Some("x"), None, NOW, None).await.expect("an end");
    assert_eq!(claim("s5", "a2", Kind::Promote, "R2").await, Err(StoreError::Stale));
    assert_eq!(claim("s5", "nobody", Kind::Promote, "R2").await, Err(StoreError::NotFound));
}

async fn steps_stay_as_they_are(db: Db) {
    let store = db.store().await;
    grant(&store, "a1", 1).await;
    let digest = "ab".repeat(32);
    let new = NewDeployStep { digest: Some(digest), ..step("done", "a1", Kind::Build, "tmp/a") };
    store.deploy_step_claim(new, NOW).await.expect("a claim");
    store.deploy_step_done("done", Some("B1"), None, NOW).await.expect("done");
    store.deploy_step_claim(step("open", "a1", Kind::Upload, "tmp/a"), NOW).await.expect("a claim");
    let before = store.deploy_steps(vec!["a1".to_owned()]).await.expect("steps");
    let mut statements = vec!["DELETE FROM deploy_steps".to_owned(), "DELETE FROM deploy_approvals".to_owned()];
    for (id, set) in [
        ("done", "state = 'claimed', ended_at = NULL, result = NULL"),
        ("done", "state = 'freed', result = NULL"),
        ("done", "result = 'B2'"),
        ("done", "digest = NULL"),
        ("open", "subject = 'tmp/b'"),
        ("open", "approval_id = 'a2'"),
        ("open", "by_id = 't2'"),
        ("open", "request_id = 'r2'"),
        ("open", "result = 'x'"),
        ("open", "state = 'gone', ended_at = claimed_at"),
        ("open", "state = 'done'"),
        // An upload without its digest proves nothing.
        ("open", "state = 'done', ended_at = claimed_at, result = 'x'"),
    ] {
        statements.push(format!("UPDATE deploy_steps SET {set} WHERE id = '{id}'"));
    }
    let columns = "approval_id, app, subject, state, result, digest, by_kind, by_id, request_id, claimed_at, ended_at";
    let copy = |verb: &str, step: &str, from: &str| {
        format!(
            "{verb} INTO deploy_steps (id, step, {columns}) SELECT 'new', {step}, {columns} FROM deploy_steps \
             WHERE id = '{from}'"
        )
    };
    statements.push(copy("INSERT", "'start'", "done"));
    statements.push(copy("INSERT", "step", "open"));
    match &db {
        Db::Sqlite(_) => statements.push(copy("INSERT OR REPLACE", "step", "open")),
        Db::Postgres(_) => statements.push("TRUNCATE deploy_steps".to_owned()),
    }
    for statement in &statements {
        assert!(db.try_execute(statement).await.is_err(), "{statement}");
    }
    assert_eq!(store.deploy_steps(vec!["a1".to_owned()]).await, Ok(before));
    // The form of these is not why they fail.
    db.execute(&copy("INSERT", "'start'", "open")).await;
    db.execute("UPDATE deploy_steps SET state = 'freed', ended_at = claimed_at WHERE id = 'new'").await;
}
