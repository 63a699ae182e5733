//! Callers: what a credential proves, for how long, and what is remembered of that.

use std::sync::Arc;
use std::time::Duration as Std;

use base64::Engine as _;
use rack_gateway::config::Catalog;
use rack_gateway::identity::{Callers, IdentifyError, Identity, Presented, PrincipalType, Token, Workload};
use rack_gateway::store::{CredentialKind, NewCredential, NewUser, Store};
use sqlx::{Connection as _, SqliteConnection};
use time::{Duration, OffsetDateTime};

use super::{DAY, NOW, alice, machine, session};
use crate::harness::db::Db;
use crate::harness::until;

mod both {
    crate::on_both!(
        a_credential_says_who_and_within_which_limits,
        a_session_ends_without_use,
        a_use_on_another_replica_counts,
        a_replaced_secret_is_good_for_the_overlap,
        use_is_noted_but_changes_nobody,
        claims_that_cannot_be_read_prove_nothing,
    );
}

const IDLE: Std = Std::from_secs(600);

fn presented(token: &Token) -> Presented {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("convox:{}", token.expose()));
    Presented::from_authorization([format!("Basic {basic}").as_bytes()].into_iter()).expect("a credential")
}

fn callers() -> Callers {
    Callers::new(Arc::new(Catalog::unpinned()))
}

/// Who that is, by the database alone.
async fn identify(store: &Store, shown: &Presented, now: OffsetDateTime) -> Result<Arc<Identity>, IdentifyError> {
    callers().refresh(store, shown, now).await.map(|known| known.identity)
}

fn at(seconds: i64) -> OffsetDateTime {
    NOW + Duration::seconds(seconds)
}

/// Adds a credential with a fresh secret.
async fn give(store: &Store, new: NewCredential) -> Presented {
    let token = Token::generate().expect("randomness");
    store.credential_create(NewCredential { secret_hash: token.hash().0, ..new }, NOW).await.expect("a credential");
    presented(&token)
}

fn idle_session() -> NewCredential {
    NewCredential { idle: Some(IDLE), ..session("c1", "u1", 0) }
}

async fn a_credential_says_who_and_within_which_limits(db: Db) {
    let store = db.store().await;
    let person = NewUser { groups: vec!["platform".to_owned()], ..alice() };
    store.user_create(person, NOW).await.expect("a user");
    let network = Some("192.0.2.0/24".parse().expect("a network"));
    let new = NewCredential { network, apps: vec!["myapp".to_owned()], ..idle_session() };
    let who = identify(&store, &give(&store, new).await, NOW).await.expect("alice");
    assert_eq!((who.principal, who.id.as_str(), who.email.as_str()), (PrincipalType::User, "u1", "alice@example.com"));
    assert_eq!((who.roles.join(","), who.groups.join(",")), ("viewer,ops".to_owned(), "platform".to_owned()));
    assert_eq!((who.network, who.apps.join(","), who.idle), (network, "myapp".to_owned(), Some(IDLE)));
    assert_eq!((who.credential.kind, who.expires_at, who.last_used_at), (CredentialKind::Cli, NOW + DAY, NOW));
    let who = identify(&store, &give(&store, machine("c2", 0)).await, NOW).await.expect("a machine");
    assert_eq!(
        (who.principal, who.id.as_str(), who.label.as_str()),
        (PrincipalType::ApiToken, "c2", "token:machine c2")
    );
    assert_eq!((who.roles.join(","), who.groups.len(), who.version), ("cicd".to_owned(), 0, 1));
    let claims = Workload { repository: "acme/app".to_owned(), ref_protected: true, ..Workload::default() };
    let text = Some(claims.to_text().expect("text"));
    let run = NewCredential { kind: CredentialKind::Workload, workload: text, ..machine("c3", 0) };
    let who = identify(&store, &give(&store, run).await, NOW).await.expect("a run");
    assert_eq!((who.principal, who.id.as_str(), who.workload.as_ref()), (PrincipalType::Workload, "c3", Some(&claims)));
}

async fn claims_that_cannot_be_read_prove_nothing(db: Db) {
    let store = db.store().await;
    for (n, text) in ["", "[]", "{}", "{\"issuer\": 1}"].into_iter().enumerate() {
        let run = NewCredential {
            kind: CredentialKind::Workload,
            workload: Some(text.to_owned()),
            ..machine(&n.to_string(), 0)
        };
        let result = identify(&store, &give(&store, run).await, NOW).await;
        assert!(matches!(result, Err(IdentifyError::Unavailable(_))), "{text}: {result:?}");
    }
}

async fn a_session_ends_without_use(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let session = give(&store, idle_session()).await;
    let callers = callers();
    for (seconds, remembered) in [(0, false), (10, true)] {
        let known = callers.find(&store, &session, at(seconds)).await.expect("alice");
        assert_eq!(known.remembered, remembered, "at {seconds}");
    }
    for now in [at(600), at(610)] {
        assert!(matches!(callers.find(&store, &session, now).await, Err(IdentifyError::Expired)));
        assert!(matches!(identify(&store, &session, now).await, Err(IdentifyError::Expired)));
    }
    identify(&store, &session, at(599)).await.expect("alice");
}

async fn a_use_on_another_replica_counts(db: Db) {
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let session = give(&store, idle_session()).await;
    let here = callers();
    here.find(&store, &session, at(0)).await.expect("alice");
    store.credential_touch("c1", at(500)).await.expect("seen elsewhere");
    let known = here.find(&store, &session, at(1000)).await.expect("alice");
    assert!(!known.remembered, "the database was asked");
    assert!(here.find(&store, &session, at(1050)).await.expect("alice").remembered);
    // The end stays the end, however much a session is used.
    store.credential_touch("c1", NOW + DAY).await.expect("seen elsewhere");
    assert!(matches!(here.find(&store, &session, NOW + DAY).await, Err(IdentifyError::Expired)));
}

async fn a_replaced_secret_is_good_for_the_overlap(db: Db) {
    let store = db.store().await;
    let old = give(&store, machine("c1", 0)).await;
    let callers = callers();
    callers.find(&store, &old, at(0)).await.expect("a machine");
    let new = Token::generate().expect("randomness");
    store.credential_rotate("c1", &new.hash().0, at(60), 1).await.expect("rotated");
    let new = presented(&new);
    let known = callers.refresh(&store, &old, at(59)).await.expect("a machine");
    assert_eq!((known.identity.id.as_str(), known.identity.expires_at), ("c1", at(60)));
    assert!(matches!(callers.find(&store, &old, at(60)).await, Err(IdentifyError::Expired)), "from memory");
    assert!(matches!(identify(&store, &old, at(60)).await, Err(IdentifyError::Expired)));
    let known = callers.find(&store, &new, at(61)).await.expect("a machine");
    assert_eq!(known.identity.expires_at, NOW + DAY);
}

async fn use_is_noted_but_changes_nobody(db: Db) {
    let store = db.store().await;
    let token = give(&store, machine("c1", 0)).await;
    let callers = callers();
    let first = callers.find(&store, &token, at(0)).await.expect("a machine");
    callers.find(&store, &token, at(31)).await.expect("a machine");
    until("the use is noted", || async {
        let row = store.credential_get("c1").await.expect("a search").expect("a token");
        (row.last_used_at == at(31)).then_some(())
    })
    .await;
    let fresh = callers.refresh(&store, &token, at(32)).await.expect("a machine");
    assert_eq!((&fresh.identity, fresh.epoch), (&first.identity, first.epoch), "nothing else follows from it");
    assert_eq!(fresh.identity.last_used_at, at(31));
}

#[tokio::test]
async fn the_database_is_told_of_a_use_now_and_then() {
    let db = Db::sqlite().await;
    let store = db.store().await;
    store.user_create(alice(), NOW).await.expect("a user");
    let session = give(&store, NewCredential { idle: Some(IDLE * 2), ..idle_session() }).await;
    let count = "CREATE TABLE told (at TEXT); CREATE TRIGGER told AFTER UPDATE OF last_used_at ON credentials \
        BEGIN INSERT INTO told VALUES (NEW.last_used_at); END";
    db.execute(count).await;
    let callers = callers();
    // Twice the idle time is 1 200 s, so that a tenth of it is 120 s.
    for seconds in (0..=360).step_by(5) {
        callers.find(&store, &session, at(seconds)).await.expect("alice");
        if seconds % 120 == 0 && seconds > 0 {
            let expected = seconds / 120;
            let told = until("the use is noted", || async {
                let told = told(&db).await;
                (told.len() >= usize::try_from(expected).expect("small")).then_some(told)
            });
            assert_eq!(told.await.len() as i64, expected, "at {seconds}");
        }
    }
    assert_eq!(told(&db).await, ["2026-11-21T10:02:00Z", "2026-11-21T10:04:00Z", "2026-11-21T10:06:00Z"]);
}

async fn told(db: &Db) -> Vec<String> {
    let mut connection = SqliteConnection::connect(&db.url().await).await.expect("connect");
    sqlx::query_scalar("SELECT at FROM told").fetch_all(&mut connection).await.expect("rows")
}
