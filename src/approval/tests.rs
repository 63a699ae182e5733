//! What may be asked for, and what is said about it.

use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::store::{ApprovalRow, ApprovalState, Party};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn ask() -> Ask {
    Ask { commit: COMMIT.to_owned(), message: "Fix the basket".to_owned(), ..Ask::default() }
}

#[test]
fn a_commit_is_a_whole_one() {
    let sha256 = "ab".repeat(32);
    for (text, stored) in [(COMMIT, COMMIT), (&COMMIT.to_uppercase(), COMMIT), (&sha256, &sha256)] {
        assert_eq!(commit(text).as_deref(), Ok(stored));
    }
    let cut = |letters: usize| COMMIT.chars().take(letters).collect::<String>();
    let (short, brief) = (cut(39), cut(7));
    let almost = format!("{short}g");
    let wide = format!("{}é", cut(38));
    let like = format!("{short}%");
    let spaced = format!(" {COMMIT}");
    let wild = "_".repeat(40);
    for text in ["", "%", "0", "HEAD", &short, &brief, &almost, &wide, &like, &spaced, &wild] {
        assert_eq!(commit(text), Err(AskError::Commit), "{text:?}");
    }
}

#[test]
fn what_is_asked_for_is_bounded() {
    let good = Ask {
        branch: Some(" main ".to_owned()),
        pr_url: Some("https://github.com/acme/shop/pull/7".to_owned()),
        ci: Some(json!({ "workflow": "deploy" })),
        ..ask()
    };
    let stored = good.clone().checked().unwrap();
    assert_eq!(stored, Ask { branch: Some("main".to_owned()), ..good });
    let empty = Ask { branch: Some("  ".to_owned()), pr_url: Some(String::new()), ci: Some(json!(null)), ..ask() };
    assert_eq!(empty.checked().unwrap(), ask());
    let cases = [
        (Ask { commit: "main".to_owned(), ..ask() }, AskError::Commit),
        (Ask { branch: Some("a b".to_owned()), ..ask() }, AskError::Branch),
        (Ask { branch: Some("x".repeat(256)), ..ask() }, AskError::Branch),
        (Ask { message: " ".to_owned(), ..ask() }, AskError::Message),
        (Ask { message: "x".repeat(2_001), ..ask() }, AskError::Message),
        (Ask { message: "a\u{1b}[31mb".to_owned(), ..ask() }, AskError::Message),
        (Ask { pr_url: Some("http://github.com/a/b/pull/1".to_owned()), ..ask() }, AskError::Address),
        (Ask { pr_url: Some("javascript:alert(1)".to_owned()), ..ask() }, AskError::Address),
        (Ask { pr_url: Some("https://user:secret@github.com/".to_owned()), ..ask() }, AskError::Address),
        (Ask { ci: Some(json!(["a"])), ..ask() }, AskError::Ci),
        (Ask { ci: Some(json!({ "a": "x".repeat(8 << 10) })), ..ask() }, AskError::Ci),
    ];
    for (bad, error) in cases {
        assert_eq!(bad.clone().checked(), Err(error), "{bad:?}");
        assert!(!error.to_string().contains('%'));
    }
}

#[test]
fn a_preview_names_what_differs_and_no_value() {
    let names = differing("A=1\nB=2\nC=3", "A=1\nB=secret\nD=4").unwrap();
    assert_eq!(names, ["B", "C", "D"]);
    assert_eq!(differing("A=1", "A=1").unwrap(), [""; 0]);
    differing(&format!("A={}", "x".repeat(70_000)), "").unwrap_err();
}

fn row(id: &str, commit: &str, state: ApprovalState) -> ApprovalRow {
    ApprovalRow {
        id: id.to_owned(),
        app: "shop".to_owned(),
        commit: commit.to_owned(),
        branch: None,
        message: "Fix".to_owned(),
        pr_url: None,
        ci: None,
        state,
        reason: None,
        requester: Party::new("ApiToken", "t"),
        deployer: Party::new("ApiToken", "t"),
        users: vec!["u".to_owned()],
        created_at: NOW,
        expires_at: NOW + Duration::minutes(15),
        approved_at: None,
        ended_at: None,
        ended_by: None,
        extensions: 0,
        votes: Vec::new(),
        running_release: None,
        parent_release: None,
        env_changes: Vec::new(),
        version: 1,
    }
}

#[test]
fn a_refused_deploy_is_told_what_to_do() {
    let other = "f".repeat(40);
    let ask = format!(
        "ask for it: rack-gateway deploy-approval request --app shop --git-commit {COMMIT} --message TEXT --wait"
    );
    let waiting = [row("one", &other, ApprovalState::Pending), row("two", COMMIT, ApprovalState::Pending)];
    assert!(hint("shop", Some(COMMIT), &waiting, NOW).starts_with("request two "));
    assert!(hint("shop", Some(&other), &waiting, NOW).starts_with("request one "));
    assert_eq!(hint("shop", Some(COMMIT), &waiting[..1], NOW), ask);
    assert_eq!(hint("shop", Some(COMMIT), &[], NOW), ask);
    assert_eq!(hint("shop", Some("50%s"), &[], NOW), ask.replace(COMMIT, "COMMIT"));
    assert!(hint("shop", None, &waiting, NOW).starts_with("request two "));
    // One whose time is over is no request any more, and a grant for another commit is none for this one.
    assert_eq!(hint("shop", Some(COMMIT), &waiting, NOW + Duration::hours(1)), ask);
    let granted = [row("one", &other, ApprovalState::Approved)];
    assert_eq!(
        hint("shop", Some(COMMIT), &granted, NOW),
        format!("grant one is for commit {other} and what came of it; {ask}")
    );
}
