//! Commands of the operator, the security team and the auditors, as they type them.

use rack_gateway::routes::{self, REFUSED};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::{Ask, error, id};
use super::{assert_unanchored, nowhere};
use crate::harness::binary::{Serving, Started, command, create_token, run};
use crate::harness::policies::{Policies, repository};
use crate::harness::{Db, RACK_PASSWORD, SECRET_KEY, basic};
use crate::rows::CountingRack;

/// Exit code, standard output, standard error.
async fn say(arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let output = run(arguments, env).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {}", output.status));
    (code, text(&output.stdout), text(&output.stderr))
}

/// What a command prints that must succeed.
async fn ok(arguments: &[&str], env: &[(&str, &str)]) -> String {
    let (code, out, err) = say(arguments, env).await;
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    out
}

/// A command that must fail with this code, and every one of these in what it says.
async fn fails(code: i32, expected: &[&str], arguments: &[&str], env: &[(&str, &str)]) {
    let (got, out, err) = say(arguments, env).await;
    assert_eq!(got, code, "{arguments:?}: {out}{err}");
    for part in expected {
        assert!(format!("{out}{err}").contains(part), "{arguments:?}: `{part}` is not in: {out}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_table_is_printed_whole_in_each_form() {
    let text = ok(&["routes"], &[]).await;
    let parsed: Value = serde_json::from_str(&ok(&["routes", "--json"], &[]).await).unwrap();
    let rows = parsed["rows"].as_array().unwrap();
    assert_eq!(rows.len(), routes::rows().count());
    for (row, printed) in routes::rows().zip(rows) {
        assert_eq!((&printed["method"], &printed["path"]), (&row.kind.as_str().into(), &row.path.into()));
        assert_eq!(printed["action"], row.action, "{}", row.path);
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert!(lines.any(|words| words.starts_with(&[row.kind.as_str(), row.path, row.action])), "{}", row.path);
    }
    let refused = parsed["refused"].as_array().unwrap();
    assert_eq!(refused.len(), REFUSED.len());
    assert!(REFUSED.iter().all(|row| text.contains(row.path) && text.contains(row.reason)));
    let document = std::fs::read_to_string(repository().join("docs/routes.md")).unwrap();
    assert_eq!(ok(&["routes", "--markdown"], &[]).await, document);
    fails(2, &["--markdown"], &["routes", "--json", "--markdown"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_that_ship_pass_their_own_checks() {
    let copy = Policies::whole();
    let dir = copy.dir();
    let dir = dir.to_str().unwrap();
    let matrix = std::fs::read_to_string(copy.file("policies/tests/matrix.txt")).unwrap();
    for (what, arguments, env) in [
        ("embedded", &[][..], &[][..]),
        ("a folder", &["--policies", dir], &[]),
        ("a folder of the environment", &[], &[("RGW_POLICY_DIR", dir)]),
    ] {
        let with = |command| [&["policy", command][..], arguments].concat();
        assert!(!ok(&with("check"), env).await.trim().is_empty(), "{what}");
        assert_eq!(ok(&with("matrix"), env).await, matrix, "{what}");
    }
    // Tests are of a folder; in the repository, of its own.
    let here = command(&["policy", "test"], &[]).current_dir(repository()).output().await.unwrap();
    let here = String::from_utf8(here.stdout).unwrap();
    for tested in [
        here,
        ok(&["policy", "test", "--policies", dir], &[]).await,
        ok(&["policy", "test"], &[("RGW_POLICY_DIR", dir)]).await,
    ] {
        let passed = tested.lines().last().and_then(|line| line.strip_suffix(" passed, 0 failed")?.parse::<u32>().ok());
        assert!(passed.is_some_and(|passed| passed > 20), "{tested}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_are_not_as_agreed_fail_their_tests() {
    let spoil = |change: &dyn Fn(&Policies)| {
        let policies = Policies::copy();
        change(&policies);
        policies
    };
    let replace = |policies: &Policies, file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(policies.file(file)).unwrap();
        assert!(text.contains(from), "{file}");
        policies.write(file, &text.replace(from, to));
    };
    let extra = "@id(\"extra.x\")\n@why(\"w\")\npermit (principal in Role::\"viewer\", action == \
        Action::\"process:exec\", resource);\n";
    let less = spoil(&|p| replace(p, "policies/roles.cedar", "Action::\"log-read\"", "Action::\"env-read\""));
    let more = spoil(&|p| p.write("policies/extra.cedar", extra));
    let syntax = spoil(&|p| p.write("policies/extra.cedar", "permit (principal"));
    let untested = spoil(&|p| {
        std::fs::remove_dir_all(p.file("policies/tests")).unwrap();
        std::fs::create_dir(p.file("policies/tests")).unwrap();
        p.write("policies/tests/canaries.json", "[]");
    });
    let bare = spoil(&|p| std::fs::remove_dir_all(p.file("policies/tests")).unwrap());
    let loud = spoil(&|p| {
        let all = "@id(\"oops.all\")\n@why(\"w\")\npermit (principal, action, resource);\n";
        p.write("policies/oops.cedar", all);
    });
    let cases: &[(&str, &Policies, bool, &[&str])] = &[
        ("a right is taken", &less, true, &["policies/tests/roles.json", "expected allow", "the policy tests fail"]),
        ("a right is given", &more, true, &["a viewer does not run a command", "expected deny by []", "extra.x"]),
        ("it is not Cedar", &syntax, false, &["policies/extra.cedar:1", "remedy"]),
        ("there are no tests", &untested, true, &["there are no tests"]),
        ("there are no canaries either", &bare, false, &["policies/tests/canaries.json", "missing"]),
        ("everything is permitted", &loud, false, &["policies/tests/canaries.json:", "must be denied"]),
    ];
    for (what, policies, loads, expected) in cases {
        let dir = policies.dir();
        let dir = dir.to_str().unwrap();
        let (code, out, err) = say(&["policy", "check", "--policies", dir], &[]).await;
        assert_eq!(code, i32::from(!loads), "{what}: {out}{err}");
        fails(1, expected, &["policy", "test", "--policies", dir], &[]).await;
    }
    fails(1, &["/nonexistent", "RGW_POLICY_DIR"], &["policy", "check", "--policies", "/nonexistent"], &[]).await;
}

/// A log with some requests in it, and what a gateway answered to them: their ids.
async fn log(db: &Db) -> (Vec<String>, String) {
    let rack = CountingRack::start().await;
    let admin = ["--user", "admin@example.com", "--role", "admin", "--name", "test"];
    let token = create_token(&db.url().await, &admin).await;
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    let mut ids = Vec::new();
    for target in ["/apps?", "/nosuch?"] {
        ids.push(id(&Ask::get(target, &basic(&token)).send(serving.addr).await).to_owned());
    }
    assert!(serving.terminate().await.success());
    (ids, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_verified_by_exit_code() {
    for db in Db::each().await {
        let url = db.url().await;
        let env = [("RGW_DATABASE_URL", url.as_str())];
        fails(2, &["empty: ", "VERDICT      incomplete"], &["audit", "verify"], &env).await;
        log(&db).await;
        fails(2, &["unanchored: ", "VERDICT      incomplete"], &["audit", "verify"], &env).await;
        assert_unanchored(&db).await;
        db.unlock().await;
        // Record 1 begins the log, then come the person and the token.
        db.execute(&db.edit_canon(4, "gateway:start", "gateway:smart")).await;
        fails(1, &["VERDICT      tampered", "record 4"], &["audit", "verify"], &env).await;
        let (code, out, _) = say(&["audit", "verify", "--json"], &env).await;
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (code, &report["verdict"], &report["first_bad_record"]),
            (1, &"tampered".into(), &4.into()),
            "{out}"
        );
    }
    let gone = format!("postgres://nobody@{}/gateway", nowhere().await);
    for url in [gone.as_str(), "sqlite:///nonexistent/folder/gateway.sqlite", "mysql://x"] {
        fails(3, &["error: "], &["audit", "verify"], &[("RGW_DATABASE_URL", url)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_by_people_and_programs() {
    for db in Db::each().await {
        let (ids, _) = log(&db).await;
        let url = db.url().await;
        let env = [("RGW_DATABASE_URL", url.as_str())];
        let all = ok(&["audit", "tail", "-n", "100", "--json"], &env).await;
        let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seqs: Vec<u64> = all.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>());
        assert_eq!(all.last().unwrap()["action"], "gateway:stop");

        let last = ok(&["audit", "tail", "-n", "2"], &env).await;
        assert_eq!(last.lines().count(), 2, "{last}");
        assert!(last.lines().last().unwrap().contains("gateway:stop"), "{last}");
        assert_eq!(ok(&["audit", "tail", "-n", "0"], &env).await, "");

        let first = ok(&["audit", "show", "1"], &env).await;
        assert!(first.contains("\"seq\": 1") && first.contains("chain "), "{first}");
        let allowed = ok(&["audit", "show", &ids[0]], &env).await;
        for part in ["\"kind\": \"intent\"", "\"kind\": \"outcome\"", "app:list", "roles.viewer-looks"] {
            assert!(allowed.contains(part), "`{part}` is not in {allowed}");
        }
        let denied = ok(&["audit", "show", &ids[1]], &env).await;
        assert!(denied.contains("\"kind\": \"denial\"") && !denied.contains("outcome"), "{denied}");
        for nothing in ["999999", "no-such-request"] {
            fails(1, &["no record", nothing], &["audit", "show", nothing], &env).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_followed() {
    let db = Db::sqlite().await;
    let url = db.url().await;
    create_token(&url, &["--user", "a@example.com", "--role", "viewer", "--name", "one"]).await;
    let arguments = ["audit", "tail", "-n", "1", "--follow", "--json"];
    let mut tail = Started::new(command(&arguments, &[("RGW_DATABASE_URL", &url)]));
    tail.out.until(|said| (said.lines().count() == 1).then_some(())).await.unwrap();
    create_token(&url, &["--user", "a@example.com", "--name", "two"]).await;
    let lines = tail.out.until(|said| (said.lines().count() == 2).then(|| said.to_owned())).await.unwrap();
    assert!(lines.lines().all(|line| line.contains("token:create")), "{lines}");
    tail.child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_given_and_taken_beside_a_gateway_that_serves() {
    for db in Db::each().await {
        let rack = CountingRack::start().await;
        let url = db.url().await;
        let env = [("RGW_DATABASE_URL", url.as_str())];
        let serving = Serving::start(&url, rack.addr, &[]).await.unwrap();
        let create = ["token", "create", "--user", "Ann@Example.com", "--role", "viewer", "--name", "laptop"];
        let (code, token, said) = say(&create, &env).await;
        assert_eq!((code, said.as_str()), (0, "this token is shown once:\n"));
        let token = token.trim();
        assert!(token.starts_with("rgw_") && token.lines().count() == 1, "only the token is for pipes");
        let machine = ["--api", "--role", "cicd", "--days", "1", "--name", "ci"];
        let machine = create_token(&url, &machine).await;
        for token in [token, machine.as_str()] {
            assert_eq!(Ask::get("/apps?", &basic(token)).send(serving.addr).await.status(), 200);
        }

        let listed = ok(&["token", "list", "--json"], &env).await;
        let rows: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
        assert_eq!(row("laptop")["for"], "ann@example.com");
        let end = OffsetDateTime::parse(row("laptop")["expires_at"].as_str().unwrap(), &Rfc3339).unwrap();
        let days = (end - OffsetDateTime::now_utc() + time::Duration::MINUTE).whole_days();
        assert_eq!(days, 90, "unless it is said");
        assert_eq!((&row("ci")["for"], &row("ci")["kind"]), (&"cicd".into(), &"api".into()));
        let table = ok(&["token", "list"], &env).await;
        assert!(
            rows.iter().all(|row| row["state"] == "live" && table.contains(row["id"].as_str().unwrap())),
            "{table}"
        );
        assert!(!format!("{listed}{table}").contains(&token[8..]), "a secret is listed");

        ok(&["token", "revoke", row("laptop")["id"].as_str().unwrap()], &env).await;
        let answer = Ask::get("/racks?", &basic(token)).send(serving.addr).await;
        assert_eq!(answer.status(), 401);
        assert!(error(&answer).starts_with("cli token is expired"), "{answer:?}");
        assert!(ok(&["token", "list"], &env).await.contains("revoked"));
        assert_eq!(Ask::get("/apps?", &basic(&machine)).send(serving.addr).await.status(), 200);
        assert!(serving.terminate().await.success());
        let records = ok(&["audit", "tail", "-n", "100", "--json"], &env).await;
        for action in ["user:create", "token:create", "token:revoke"] {
            assert!(records.contains(&format!("\"action\":\"{action}\"")), "{records}");
        }
        assert_unanchored(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_made_carelessly() {
    let db = Db::sqlite().await;
    let url = db.url().await;
    let nameless = [("RGW_DATABASE_URL", url.as_str())];
    let first = ["token", "create", "--user", "a@example.com", "--name", "x", "--role", "viewer"];
    fails(1, &["set RACK"], &first, &nameless).await;
    let env = [("RGW_DATABASE_URL", url.as_str()), ("RACK", "acme/dev")];
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--api", "--name", "ci", "--role", "cicd"], 1, "needs --role and --days"),
        (&["--api", "--name", "ci", "--days", "7"], 1, "needs --role and --days"),
        (&["--api", "--name", "ci", "--role", "cicd", "--days", "0"], 2, "--days"),
        (&["--api", "--user", "a@example.com", "--name", "x"], 2, "cannot be used with"),
        (&["--name", "x"], 2, "--user"),
        (&["--api", "--role", "cicd", "--days", "1"], 2, "--name"),
        (&["--user", "a@example.com", "--name", "x"], 3, "there is no user a@example.com"),
        (&["--user", "a@example.com", "--name", "x", "--role", "nonsense"], 1, "there is no role nonsense"),
    ];
    for (arguments, code, expected) in cases {
        fails(*code, &[expected], &[&["token", "create"], *arguments].concat(), &env).await;
    }
    assert_eq!(ok(&["token", "list", "--json"], &env).await, "");
    ok(&first, &env).await;
    fails(1, &["a@example.com is known"], &first, &env).await;
    let (code, _, said) = say(&["token", "revoke", "nosuch"], &env).await;
    assert_ne!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_without_being_told() {
    let database = "postgres://gateway:made-up-database-password@db/gateway";
    let good = [
        ("RACK", "acme/prod"),
        ("RACK_HOST", "https://api.rack.internal:5443"),
        ("RACK_TOKEN", RACK_PASSWORD),
        ("DATABASE_URL", database),
        ("DOMAIN", "gateway.example.com"),
        ("APP_SECRET_KEY", SECRET_KEY),
        ("APP_SECRET_KEY_PREVIOUS", "made-up-key-Hd9vRx3Cm7Jp1Gu5oQ8A"),
    ];
    let (code, out, err) = say(&["config", "check"], &good).await;
    assert_eq!(code, 0, "{err}");
    for shown in [
        "acme/prod",
        "https://api.rack.internal:5443",
        "gateway.example.com",
        "system roots",
        "compiled in",
        "previous",
    ] {
        assert!(out.contains(shown), "`{shown}` is not in {out}");
    }
    for secret in [RACK_PASSWORD, "made-up-database-password", "made-up-key"] {
        assert!(!format!("{out}{err}").contains(secret), "{out}{err}");
    }
    let bad = [
        ("RACK_HOST", "https://user:made-up-password@rack"),
        ("RGW_LISTEN", "nowhere"),
        ("RGW_METRICS_LISTEN", "9447"),
        ("DATABASE_URL", "mysql://user:made-up-password@db/gateway"),
        ("RACK_CA_FILE", "/nonexistent/ca.pem"),
        ("APP_SECRET_KEY", "made-up-password"),
    ];
    let named = [
        "RACK is not set",
        "DOMAIN is not set",
        "RACK_HOST must be",
        "RACK_TOKEN is not set",
        "RGW_LISTEN is not",
        "RACK_CA_FILE",
    ];
    let (code, out, err) = say(&["config", "check"], &bad).await;
    assert_eq!((code, out.as_str()), (1, ""));
    for problem in named.iter().chain(&[
        "RGW_METRICS_LISTEN is not",
        "must begin with sqlite: or postgres://",
        "APP_SECRET_KEY is too weak",
    ]) {
        assert!(err.contains(problem), "`{problem}` is not in {err}");
    }
    assert!(!err.contains("made-up-password"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_an_exit_code() {
    let (db, rack) = (Db::sqlite().await, CountingRack::start().await);
    let serving = Serving::start(&db.url().await, rack.addr, &[]).await.unwrap();
    let address = serving.addr.to_string();
    let at = ["health", "--address", &address];
    let healthy: Value = serde_json::from_str(&ok(&at, &[]).await).unwrap();
    assert_eq!(healthy["status"], "ok");
    let ready: Value = serde_json::from_str(&ok(&[&at[..], &["--ready"]].concat(), &[]).await).unwrap();
    assert_eq!(ready["ready"], true);
    assert!(serving.terminate().await.success());
    let (code, _, said) = say(&at, &[]).await;
    assert!(code != 0 && !said.is_empty(), "{code} {said}");

    let alone = Serving::start(&db.url().await, nowhere().await, &[]).await.unwrap();
    let address = alone.addr.to_string();
    ok(&["health", "--address", &address], &[]).await;
    fails(1, &["\"ready\": false", "the rack does not answer"], &["health", "--ready", "--address", &address], &[])
        .await;
    assert!(alone.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_migrated_once_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("new.sqlite").display());
    let env = [("RGW_DATABASE_URL", url.as_str())];
    let (code, _, said) = say(&["token", "list"], &env).await;
    assert_ne!(code, 0, "an empty file is no database: {said}");
    for _ in 0..2 {
        assert!(ok(&["migrate"], &env).await.contains("the schema of this version"));
    }
    ok(&["token", "list"], &env).await;
    create_token(&url, &["--user", "a@example.com", "--role", "viewer", "--name", "x"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_question_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let question = dir.path().join("question.json");
    let explain = |text: &'static str| {
        std::fs::write(&question, text).unwrap();
        command(&["policy", "explain", question.to_str().unwrap()], &[]).current_dir(repository()).output()
    };
    for (text, code, expected) in [
        (r#"{ "name": "q", "principal": "ada", "action": "app:list" }"#, 0, "roles.viewer-looks"),
        (r#"{ "name": "q", "principal": "dee", "action": "app:delete", "resource": "scratch" }"#, 0, "deny"),
        (r#"{ "name": "q", "principal": "nobody-of-the-cast", "action": "app:list" }"#, 1, "nobody-of-the-cast"),
        ("{", 1, "question"),
    ] {
        let output = explain(text).await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}: {said}");
        assert!(said.contains(expected), "{text}: `{expected}` is not in: {said}");
    }
}
