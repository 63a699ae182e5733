//! `POST /apps/{app}/releases`: each variable that changes is a question, and masks stand for values.

use serde_json::{Value, json};

use super::{SECRET, SEED, World, parsed, text};
use crate::harness::Db;
use crate::sign_in::Send;

/// What becomes of an environment that is sent to an app with the seed's; `{R}` is its release.
enum Then {
    /// It is stored as this; the record names these variables.
    Stored(&'static str, &'static [(&'static str, &'static str)]),
    /// It is refused, with this in the text.
    Refused(u16, &'static str),
}
use Then::{Refused, Stored};

const KEPT: Then = Stored(SEED, &[]);

/// Who sends what.
const CASES: &[(&str, &str, Then)] = &[
    // Nothing changes, and nothing is asked.
    ("deployer", "GREETING=hello\nSECRET_KEY=********@{R}", KEPT),
    ("deployer", "GREETING=hello\nSECRET_KEY=********", KEPT),
    ("deployer", "GREETING=hello\nSECRET_KEY=********************", KEPT),
    ("deployer", "GREETING=********@{R}\nSECRET_KEY=********@{R}", KEPT),
    ("deployer", "\n GREETING =hello\r\nno variable\nSECRET_KEY=********@{R}\n", KEPT),
    ("deployer", "SECRET_KEY=other\nGREETING=hello\nSECRET_KEY=********@{R}", KEPT),
    ("deployer", "GREETING=hello\nSECRET_KEY=made-up-s3cr3t", KEPT),
    // What is no secret.
    (
        "deployer",
        "GREETING=hi\nSECRET_KEY=********@{R}",
        Stored("GREETING=hi\nSECRET_KEY=made-up-s3cr3t", &[("env_set", "GREETING")]),
    ),
    (
        "deployer",
        "A=1\nB=x=y\nGREETING=\nSECRET_KEY=********@{R}",
        Stored("A=1\nB=x=y\nGREETING=\nSECRET_KEY=made-up-s3cr3t", &[("env_set", "A, B, GREETING")]),
    ),
    ("deployer", "SECRET_KEY=********@{R}", Stored("SECRET_KEY=made-up-s3cr3t", &[("env_unset", "GREETING")])),
    // Secrets: by name, by value, by what they were.
    (
        "deployer",
        "GREETING=hello\nSECRET_KEY=fresh-s3cr3t",
        Refused(403, "secret:set on EnvVar myapp/SECRET_KEY refused"),
    ),
    ("deployer", "GREETING=hello", Refused(403, "secret:set on EnvVar myapp/SECRET_KEY refused")),
    ("deployer", "", Refused(403, "secret:set on EnvVar myapp/SECRET_KEY refused")),
    ("deployer", "GREETING=hello\nSECRET_KEY=", Refused(403, "secret:set on EnvVar myapp/SECRET_KEY refused")),
    ("deployer", "GREETING=hello\nSECRET_KEY=******", Refused(403, "myapp/SECRET_KEY")),
    ("deployer", "GREETING=hello\nSECRET_KEY=********@{R}\nSECRET_KEY=fresh-s3cr3t", Refused(403, "SECRET_KEY")),
    ("deployer", "GREETING=hello\nSECRET_KEY=********@{R}\nSMTP_PASSWORD=fresh-s3cr3t", Refused(403, "SMTP_PASSWORD")),
    (
        "deployer",
        "GREETING=postgres://u:fresh-s3cr3t@h/db\nSECRET_KEY=********@{R}",
        Refused(403, "secret:set on EnvVar myapp/GREETING refused"),
    ),
    ("ops", "GREETING=hi\nSECRET_KEY=********@{R}", Refused(403, "release:create on App myapp refused")),
    ("cicd", "GREETING=hi\nSECRET_KEY=********@{R}", Refused(403, "release:create on App myapp refused")),
    (
        "admin",
        "GREETING=hello\nSECRET_KEY=fresh-s3cr3t",
        Stored("GREETING=hello\nSECRET_KEY=fresh-s3cr3t", &[("secret_set", "SECRET_KEY")]),
    ),
    (
        "admin",
        "DB_PASSWORD=fresh-s3cr3t\nPORT=1",
        Stored(
            "DB_PASSWORD=fresh-s3cr3t\nPORT=1",
            &[
                ("env_set", "PORT"),
                ("env_unset", "GREETING"),
                ("secret_set", "DB_PASSWORD"),
                ("secret_unset", "SECRET_KEY"),
            ],
        ),
    ),
    ("admin", "", Stored("", &[("env_unset", "GREETING"), ("secret_unset", "SECRET_KEY")])),
    // Masks that stand for nothing.
    ("admin", "GREETING=hello\nSECRET_KEY=********@RNOTHERE", Refused(400, "which this app does not have")),
    ("admin", "OTHER=********@{R}", Refused(400, "the mask of OTHER stands for no value")),
    ("admin", "OTHER=********", Refused(400, "the mask of OTHER stands for no value")),
    ("admin", "GREETING=hello\nSECRET_KEY=********@{R}x!", Refused(400, "holds a mask and more")),
    ("admin", "GREETING=hello\nSECRET_KEY=x********", Refused(400, "holds a mask and more")),
    ("admin", "GREETING=hello\nSECRET_KEY= ********@{R}", Refused(400, "holds a mask and more")),
    // What the rack would not read as it was meant.
    ("admin", "KEY=-----BEGIN X-----\nMIIB/x+y=\nend", Refused(400, "several lines")),
    ("admin", "KEY=-----BEGIN X-----\nMIIBxy=\nend", Refused(400, "the value of KEY has a line break")),
    ("admin", "A B=1", Refused(400, "the name")),
    ("admin", "A=1\r\r\nB=1", Refused(400, "the value of A has a line break")),
];

async fn a_release_changes_what_policy_allows_of_each_variable(db: Db) {
    let world = World::start(&db).await;
    for (role, sent, then) in CASES {
        let newest = world.made("admin", &[("env", SEED)]).await;
        let sent = sent.replace("{R}", &newest);
        let answer = world.release(role, &[("env", &sent)]).await;
        let record = world.record(&answer).await;
        let what = format!("{role}: {sent:?}: {} {}", answer.status(), text(&answer));
        match then {
            Stored(env, names) => {
                assert_eq!(answer.status(), 200, "{what}");
                assert_eq!(world.env().await, *env, "{what}");
                assert_ne!(world.newest().await, newest, "{what}");
                assert_eq!(record["kind"], "intent", "{what}");
                let named = |name: &&str| name.starts_with("env_") || name.starts_with("secret_");
                let detail = record["detail"].as_object().cloned().unwrap_or_default();
                let found: Vec<(&str, &str)> = detail
                    .iter()
                    .filter(|(key, _)| named(&key.as_str()))
                    .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
                    .collect();
                assert_eq!(found, *names, "{what}");
                assert_eq!(detail.contains_key("also"), !names.is_empty(), "{what}: {record}");
            }
            Refused(status, part) => {
                assert_eq!(answer.status(), *status, "{what}");
                let told = parsed(&answer)["error"].as_str().unwrap().to_owned();
                assert!(told.contains(part) && !told.contains('%'), "{what}");
                assert_eq!(world.newest().await, newest, "{what}");
                assert_eq!(record["kind"], "denial", "{what}");
            }
        }
    }
    world.end(&["fresh-s3cr3t"]).await;
}

/// The same key has one place, and the rack reads others too.
async fn an_environment_has_one_place(db: Db) {
    let world = World::start(&db).await;
    let env = "SECRET_KEY=fresh-s3cr3t";
    let query = world.form("admin", "POST", "/apps/myapp/releases?env=A%3D1", &[]).await;
    let twice = world.release("admin", &[("env", env), ("env", "GREETING=hello")]).await;
    let unknown = world.release("admin", &[("env", env), ("Env", "A=1")]).await;
    let multipart = Send {
        method: "POST",
        target: "/apps/myapp/releases?",
        headers: vec![("Content-Type", "multipart/form-data; boundary=x".to_owned())],
        body: format!("--x\r\nContent-Disposition: form-data; name=\"env\"\r\n\r\n{env}\r\n--x--\r\n"),
    };
    let multipart = world.send("admin", multipart).await;
    for (answer, status, slug) in [
        (query, 400, "query-unknown-key"),
        (twice, 400, "form-duplicate-key"),
        (unknown, 400, "form-unknown-key"),
        (multipart, 415, "content-type-multipart"),
    ] {
        assert_eq!(answer.status(), status, "{slug}: {}", text(&answer));
        assert_eq!(parsed(&answer)["type"], format!("/problems/{slug}"));
    }
    assert_eq!(world.env().await, SEED);
    world.end(&["fresh-s3cr3t"]).await;
}

async fn nobody_touches_what_is_protected(db: Db) {
    let world = World::start(&db).await;
    world.made("admin", &[("env", &format!("{SEED}\nREGION=eu"))]).await;
    world.set_list("protected_env_vars", &["REGION"]).await;
    world.set_list("secret_env_vars", &["INTERNAL_*"]).await;
    let newest = world.newest().await;
    let shown = world.shown("admin", &newest).await;
    assert_eq!(
        shown,
        format!("GREETING=hello\nREGION=********@{newest}\nSECRET_KEY={SECRET}"),
        "not even admins see it"
    );
    for env in [
        format!("{SEED}\nREGION=us"),
        SEED.to_owned(),
        String::new(),
        format!("{SEED}\nREGION=EU"),
        format!("{SEED}\nREGION="),
    ] {
        let answer = world.release("admin", &[("env", &env)]).await;
        assert_eq!(answer.status(), 403, "{env}: {}", text(&answer));
        let told = parsed(&answer)["error"].as_str().unwrap().to_owned();
        assert!(told.contains("this variable is protected") && told.contains("myapp/REGION"), "{told}");
        assert!(world.record(&answer).await["reasons"].to_string().contains("secrets.protected"));
    }
    // Kept, it is in nobody's way.
    let kept = format!("GREETING=hi\nREGION=********@{newest}\nSECRET_KEY=********@{newest}");
    world.made("deployer", &[("env", &kept)]).await;
    let process = Send { method: "POST", ..Send::get("/apps/myapp/services/web/processes?") };
    let process = process.header("Command", "env").header("Environment", "REGION=us&PORT=1");
    let answer = world.send("ops", process).await;
    assert_eq!(answer.status(), 403, "{}", text(&answer));
    assert_eq!(world.record(&answer).await["detail"]["process_env"], "REGION, PORT");
    // The app's own list makes secrets as well.
    let newest = world.newest().await;
    let env = format!("GREETING=hi\nINTERNAL_HOST=h\nREGION=********@{newest}\nSECRET_KEY=********@{newest}");
    let answer = world.release("deployer", &[("env", &env)]).await;
    assert_eq!(answer.status(), 403, "{}", text(&answer));
    assert!(text(&answer).contains("secret:set on EnvVar myapp/INTERNAL_HOST refused"), "{}", text(&answer));
    world.end(&[]).await;
}

/// Long lists are on the record as far as they go, and then their number is.
async fn many_variables_are_named(db: Db) {
    let world = World::start(&db).await;
    let many: Vec<String> = (0..300).map(|n| format!("VARIABLE_NUMBER_{n:03}={n}")).collect();
    let answer = world.release("deployer", &[("env", &format!("{SEED}\n{}", many.join("\n")))]).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    let record = world.record(&answer).await;
    let lists: Vec<&str> =
        ["env_set", "env_set_2", "env_set_3", "env_set_4"].map(|key| record["detail"][key].as_str().unwrap()).into();
    let named: usize = lists.iter().map(|list| list.matches("VARIABLE_NUMBER_").count()).sum();
    assert!(named > 80, "{record}");
    assert!(lists[3].ends_with(&format!(" and {} more", 300 - named)), "{record}");
    world.end(&[]).await;
}

/// Facts about names alone, of other rows.
async fn names_are_on_the_record_of_other_rows(db: Db) {
    let world = World::start(&db).await;
    let list = |names: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, names);
    let target = "/apps/myapp/configs/cli-env-mask?";
    let first = world.form("admin", "PUT", target, &[("value", &list("A,GREETING"))]).await;
    assert_eq!(first.status(), 200, "{}", text(&first));
    assert_eq!(world.record(&first).await["detail"], json!({ "masks_set": "A, GREETING" }));
    // From now on it is a secret.
    let newest = world.newest().await;
    let shown = world.shown("deployer", &newest).await;
    assert_eq!(shown, format!("GREETING=********@{newest}\nSECRET_KEY=********@{newest}"));
    let answer = world.release("deployer", &[("env", &format!("GREETING=hi\nSECRET_KEY={SECRET}"))]).await;
    assert_eq!(answer.status(), 403, "{}", text(&answer));
    let second = world.form("admin", "PUT", target, &[("value", &list("B"))]).await;
    let detail = &world.record(&second).await["detail"];
    assert_eq!(detail, &json!({ "masks_set": "B", "masks_unset": "A, GREETING" }));
    let build = [("url", "object://myapp/tmp/x.tgz"), ("build-args", "NPM_TOKEN=fresh-s3cr3t,PLAIN=1")];
    let build = world.form("deployer", "POST", "/apps/myapp/builds?", &build).await;
    let detail: &Value = &world.record(&build).await["detail"];
    assert_eq!(detail["build_args"], "NPM_TOKEN, PLAIN");
    world.end(&["fresh-s3cr3t"]).await;
}

mod both {
    crate::on_both!(
        a_release_changes_what_policy_allows_of_each_variable,
        an_environment_has_one_place,
        nobody_touches_what_is_protected,
        many_variables_are_named,
        names_are_on_the_record_of_other_rows,
    );
}
