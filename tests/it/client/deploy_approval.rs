//! `deploy-approval`: what is asked for, what people read, and how a CI job learns the outcome.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::desk::{CODE, COMMIT, Desk, Now, PAGE, approval};
use super::fake::{API_TOKEN, Fake};
use super::{HANG, Machine, Ran, approving};

const ASK: &str = "/api/v1/apps/shop/deploy-approvals";

/// A machine with a token for `gateway`, as a CI job has.
fn job(gateway: &Fake) -> Machine {
    Machine::new().with("RACK_GATEWAY_URL", &gateway.url).with("RACK_GATEWAY_API_TOKEN", API_TOKEN)
}

/// A gateway that has these requests.
fn desk(change: impl FnOnce(&mut Desk)) -> Fake {
    let gateway = approving();
    gateway.desk(change);
    gateway
}

fn waiting(app: &str) -> Value {
    approval("a-1", app, COMMIT, "pending")
}

async fn run_in(folder: &Path, machine: &Machine, arguments: &[&str]) -> Ran {
    let mut command = machine.command(arguments);
    let output = tokio::time::timeout(HANG, command.current_dir(folder).output()).await.expect("it hangs").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").args(who).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder with two commits; gives both.
fn checkout() -> (TempDir, [String; 2]) {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    git(at, &["init", "--quiet", "--initial-branch", "feature/x"]);
    git(at, &["commit", "--quiet", "--allow-empty", "--message", "First"]);
    git(at, &["tag", "v1"]);
    git(at, &["commit", "--quiet", "--allow-empty", "--message", "Second\n\nwith more to say"]);
    let commits = ["v1", "HEAD"].map(|name| git(at, &["rev-parse", name]));
    (folder, commits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_about_what_is_checked_out() {
    let (folder, [first, second]) = checkout();
    let upper = second.to_uppercase();
    let cases: &[(&[&str], Value)] = &[
        (&[], json!({ "commit": second, "message": "Second", "branch": "feature/x" })),
        (&["--git-commit", "v1"], json!({ "commit": first, "message": "First" })),
        (&["--git-commit", &first[..9]], json!({ "commit": first, "message": "First" })),
        (&["--git-commit", "HEAD"], json!({ "commit": second, "message": "Second", "branch": "feature/x" })),
        (&["--git-commit", &upper, "--message", "as it is"], json!({ "commit": upper, "message": "as it is" })),
        (
            &["--git-commit", COMMIT, "-m", "of another clone"],
            json!({ "commit": COMMIT, "message": "of another clone" }),
        ),
        (
            &[
                "--branch",
                "main",
                "--pr-url",
                "https://git.example/1",
                "--ci-metadata",
                r#"{"run":"17"}"#,
                "--deployer",
                "ci",
            ],
            json!({
                "commit": second, "message": "Second", "branch": "main", "pr_url": "https://git.example/1",
                "ci": { "run": "17" }, "deployer": "ci",
            }),
        ),
    ];
    for (arguments, expected) in cases {
        let gateway = approving();
        let mut all = vec!["deploy-approval", "request", "--app", "shop", "--json"];
        all.extend(*arguments);
        let answer = run_in(folder.path(), &job(&gateway), &all).await.json();
        assert_eq!(answer["id"], "a-1", "{arguments:?}");
        let seen = gateway.seen_at(ASK);
        assert_eq!(seen.len(), 1);
        assert_eq!(serde_json::from_str::<Value>(&seen[0].body).unwrap(), *expected, "{arguments:?}");
    }
    // A commit alone is checked out: there is no branch.
    git(folder.path(), &["checkout", "--quiet", "--detach"]);
    let gateway = approving();
    run_in(folder.path(), &job(&gateway), &["deploy-approval", "request", "-a", "shop"]).await.ok();
    let asked: Value = serde_json::from_str(&gateway.seen_at(ASK)[0].body).unwrap();
    assert_eq!(asked, json!({ "commit": second, "message": "Second" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_is_asked_for() {
    let (folder, _) = checkout();
    let nowhere = TempDir::new().unwrap();
    let gateway = approving();
    let job = job(&gateway);
    let without_git = Machine { home: TempDir::new().unwrap(), env: job.env.clone() }.with("PATH", "/nonexistent");
    let ask = ["deploy-approval", "request", "-a", "shop"];
    let with = |more: &[&'static str]| [&ask[..], more].concat();
    for machine in [&job, &without_git] {
        run_in(nowhere.path(), machine, &ask).await.failed(2, &["no checkout of git", "--git-commit"]);
        run_in(nowhere.path(), machine, &with(&["--git-commit", COMMIT])).await.failed(2, &["--message"]);
        run_in(nowhere.path(), machine, &with(&["--git-commit", "main"]))
            .await
            .failed(2, &["git knows no commit main"]);
    }
    for name in ["unknown", "--help", "-1", "", "HEAD:README", "a b"] {
        let all = [&ask[..], &["--git-commit"], &[name]].concat();
        let ran = run_in(folder.path(), &job, &all).await;
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
    }
    for (option, value) in [("--ci-metadata", "17"), ("--ci-metadata", "{"), ("--timeout", "soon"), ("--timeout", "0s")]
    {
        let ran = run_in(folder.path(), &job, &[&ask[..], &[option, value]].concat()).await;
        assert_eq!(ran.code, 2, "{option} {value}: {ran:?}");
    }
    assert!(gateway.seen_at(ASK).is_empty());
    run_in(nowhere.path(), &without_git, &with(&["--git-commit", COMMIT, "--message", "by hand"])).await.ok();
    assert_eq!(gateway.seen_at(ASK).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_learns_the_outcome_from_the_exit_code() {
    let cases: &[(&[Now], &str, i32, &str)] = &[
        (&[Now::Is("approved")], "20m", 0, "approved: a-1 of shop"),
        (&[Now::Is("deployed")], "20m", 0, "deployed: a-1 of shop"),
        (
            &[Now::Is("rejected")],
            "20m",
            1,
            "rejected: a-1 of shop, commit 8d6ecd8c2b0a0f7ce0a2b0d6c8f9a2c0f1e2d3c4: not [2J today",
        ),
        (&[Now::Is("expired")], "20m", 1, "expired: a-1"),
        (&[Now::Is("revoked")], "20m", 1, "revoked: a-1"),
        (&[Now::Is("pending")], "1s", 2, "pending: a-1"),
        (&[Now::Is("pending"), Now::Is("approved")], "20m", 0, "approved: a-1"),
        (&[Now::Down, Now::Cut, Now::Is("approved")], "20m", 0, "approved: a-1"),
    ];
    for (says, timeout, code, said) in cases {
        let gateway = desk(|desk| {
            desk.approvals = vec![waiting("shop")];
            desk.waits = says.iter().copied().collect();
        });
        let machine = job(&gateway);
        for arguments in [
            &["deploy-approval", "wait", "a-1", "--timeout", timeout][..],
            &["deploy-approval", "wait", "a-1", "--app", "shop", "--timeout", timeout],
            &["deploy-approval", "wait", "--app", "shop", "--git-commit", COMMIT, "--timeout", timeout],
            &[
                "deploy-approval",
                "request",
                "-a",
                "shop",
                "--git-commit",
                COMMIT,
                "-m",
                "x",
                "--wait",
                "--timeout",
                timeout,
            ],
        ] {
            let ran = machine.run(arguments).await;
            assert!(ran.code == *code && ran.out.contains(said), "{says:?} {arguments:?}: {ran:?}");
        }
        let ran = machine.run(&["deploy-approval", "wait", "a-1", "--timeout", timeout, "--json"]).await;
        assert_eq!(ran.code, *code);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["id"], "a-1");
    }
    let gateway = desk(|desk| desk.waits = [Now::Down].into());
    let machine = job(&gateway);
    machine.run(&["deploy-approval", "wait", "a-9", "--app", "shop", "--timeout", "1s"]).await.failed(3, &["502"]);
    machine.run(&["deploy-approval", "wait", "a-9"]).await.failed(1, &["no request a-9"]);
    machine.run(&["deploy-approval", "wait"]).await.failed(2, &["--app"]);
    gateway.desk(|desk| desk.waits = [Now::Is("approved")].into());
    machine.run(&["deploy-approval", "wait", "a-9", "--app", "shop"]).await.failed(1, &["no such deploy approval"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_and_shown() {
    let gateway = desk(|desk| {
        let mut one = waiting("shop");
        one["approvals"] = json!([
            { "user": "u-2", "at": "2026-01-02T03:05:00Z", "notes": "fine\u{1b}[2J", "counts": true },
            { "user": "u-1", "at": "2026-01-02T03:06:00Z", "notes": "", "counts": false },
        ]);
        let others = (2..=5).map(|n| approval(&format!("a-{n}"), "blog", COMMIT, "expired"));
        desk.approvals = std::iter::once(one).chain(others).collect();
    });
    let machine = job(&gateway);
    let text = machine.run(&["deploy-approval", "show", "a-1"]).await.ok();
    let expected = "\
id                 a-1
state              pending
app                shop
commit             8d6ecd8c2b0a0f7ce0a2b0d6c8f9a2c0f1e2d3c4
branch             main
message            Ship [2J it
asked by           ApiToken t-1
deploys            ApiToken t-1
asked              2026-01-02 03:04 UTC
until              2026-01-03 03:04 UTC
needs              1 more
runs now           RAAA
environment of     RBBB
variables changed  PORT, HOST
approved by        u-2 2026-01-02 03:05 UTC: fine [2J
approved by        u-1 2026-01-02 03:06 UTC (does not count)
";
    assert_eq!(text, expected);
    let list = machine.run(&["deploy-approval", "list"]).await.ok();
    assert_eq!(list.lines().count(), 6, "{list}");
    assert_eq!(
        list.lines().take(2).collect::<Vec<_>>(),
        [
            "ID   STATE    APP   COMMIT        BRANCH  ASKED                 MESSAGE",
            "a-1  pending  shop  8d6ecd8c2b0a  main    2026-01-02 03:04 UTC  Ship [2J it",
        ]
    );
    let some = machine.run(&["deploy-approval", "list", "-n", "3"]).await;
    assert!(some.err.contains("there are more"), "{some:?}");
    assert_eq!(some.ok().lines().count(), 4);
    let filtered = ["deploy-approval", "list", "--app", "blog", "--state", "expired", "--git-commit", COMMIT, "--json"];
    let filtered = machine.run(&filtered).await.json();
    assert_eq!((filtered["items"].as_array().unwrap().len(), &filtered["more"]), (4, &json!(false)));
    let none = machine.run(&["deploy-approval", "list", "--app", "%"]).await.ok();
    assert_eq!(none.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_confirms_in_the_browser() {
    let gateway = desk(|desk| {
        desk.approvals = vec![waiting("shop")];
        desk.challenges = true;
        desk.polls = ["open", "down", "answered"].into();
    });
    let machine = Machine::signed_in("prod", &gateway).await;
    let ran = machine.run(&["deploy-approval", "approve", "a-1", "--notes", "fine"]).await;
    assert!(ran.err.contains(PAGE), "{ran:?}");
    assert_eq!(ran.ok(), format!("approved: a-1 of shop, commit {COMMIT}\n"));
    let sent = gateway.seen_at(&format!("{ASK}/a-1/approve"));
    assert_eq!(sent.len(), 2, "asked, then repeated");
    assert!(sent[0].body == sent[1].body && sent[0].body == r#"{"notes":"fine"}"#, "{sent:?}");
    assert_eq!(gateway.seen_at("/api/v1/challenges/ch-1").len(), 3);
    // A page that nobody answers is no approval.
    for end in ["expired", "spent"] {
        gateway.desk(|desk| {
            desk.approvals = vec![waiting("shop")];
            desk.polls = [end].into();
        });
        let ran = machine.run(&["deploy-approval", "approve", "a-1"]).await;
        ran.failed(1, &["not confirmed in time"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_shows_a_code() {
    let gateway = desk(|desk| {
        desk.approvals = vec![waiting("shop")];
        desk.challenges = true;
    });
    let machine = Machine::signed_in("prod", &gateway).await;
    let reject = ["deploy-approval", "reject", "a-1", "--reason", "not today", "--mfa-code"];
    machine.run(&[&reject[..], &["000000"]].concat()).await.failed(1, &["deploy-approval:reject refused"]);
    machine.run(&[&reject[..], &["12\n34"]].concat()).await.failed(2, &["no code of a second factor"]);
    let said = machine.run(&[&reject[..], &[CODE]].concat()).await.ok();
    assert_eq!(said, format!("rejected: a-1 of shop, commit {COMMIT}\n"));
    let sent = gateway.seen_at(&format!("{ASK}/a-1/reject"));
    assert_eq!(sent.last().unwrap().factor.as_deref(), Some("totp=123456"));
    assert_eq!(sent.last().unwrap().body, r#"{"reason":"not today"}"#);
    assert!(gateway.seen_at("/api/v1/challenges/ch-1").is_empty());
    machine.run(&["deploy-approval", "approve", "a-1", "--mfa-code", CODE]).await.failed(1, &["decided on before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_names_the_commit() {
    let gateway = desk(|desk| {
        let mut two = waiting("shop");
        two["needed"] = json!(2);
        desk.approvals =
            vec![approval("a-0", "shop", COMMIT, "expired"), two, approval("a-2", "blog", COMMIT, "pending")];
    });
    let machine = Machine::signed_in("prod", &gateway).await;
    let approve = ["deploy-approval", "approve", "--app", "shop", "--git-commit", COMMIT];
    assert_eq!(machine.run(&approve).await.ok(), format!("noted: a-1 of shop, commit {COMMIT}, needs 1 more\n"));
    gateway.desk(|desk| desk.approvals.push(approval("a-3", "shop", COMMIT, "pending")));
    machine.run(&approve).await.failed(1, &["several requests wait for that", "a-1, a-3"]);
    let other = ["deploy-approval", "approve", "--app", "cart", "--git-commit", COMMIT];
    machine.run(&other).await.failed(1, &["nobody asked for that"]);
    for incomplete in [&["deploy-approval", "approve"][..], &["deploy-approval", "approve", "--app", "shop"]] {
        assert_eq!(machine.run(incomplete).await.code, 2);
    }
}
