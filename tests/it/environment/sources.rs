//! Where the values of a new release come from: the commands of the CLI, request for request (convox `pkg/cli`).

use rack_gateway::mask::Environment;

use super::{SECRET, SEED, World, parsed, text};
use crate::harness::Db;
use crate::sign_in::Send;

/// `convox env set`, `unset` and `edit`: reads the newest release, changes it, sends the whole.
async fn edit(world: &World, role: &str, release: Option<&str>, change: impl FnOnce(&mut Environment)) -> u16 {
    let read = match release {
        Some(release) => release.to_owned(),
        None => {
            let list = world.send(role, Send::get("/apps/myapp/releases?limit=1")).await;
            parsed(&list)[0]["id"].as_str().unwrap().to_owned()
        }
    };
    let mut env = Environment::parse(&world.shown(role, &read).await).unwrap();
    change(&mut env);
    let env = env.to_text();
    let pairs = [("env", env.as_str()), ("parent-release", release.unwrap_or_default())];
    let answer = world.release(role, if release.is_some() { &pairs } else { &pairs[..1] }).await;
    answer.status()
}

async fn an_edit_that_changes_nothing_changes_nothing(db: Db) {
    let world = World::start(&db).await;
    for role in ["deployer", "admin"] {
        assert_eq!(edit(&world, role, None, |_| {}).await, 200, "{role}");
        assert_eq!(world.env().await, SEED, "{role}");
    }
    assert_eq!(edit(&world, "deployer", None, |env| env.set("PORT", "3000")).await, 200);
    assert_eq!(world.env().await, format!("GREETING=hello\nPORT=3000\nSECRET_KEY={SECRET}"));
    assert_eq!(edit(&world, "deployer", None, |env| assert!(env.unset("PORT"))).await, 200);
    assert_eq!(world.env().await, SEED);
    assert_eq!(edit(&world, "deployer", None, |env| assert!(env.unset("SECRET_KEY"))).await, 403);
    assert_eq!(edit(&world, "deployer", None, |env| env.set("SECRET_KEY", "x")).await, 403);
    // `--replace` reads nothing.
    assert_eq!(world.release("deployer", &[("env", "PORT=1")]).await.status(), 403);
    assert_eq!(world.env().await, SEED);
    world.end(&[]).await;
}

/// Old values are a change, whichever way they come.
async fn what_an_older_release_had_comes_back_only_by_leave(db: Db) {
    let world = World::start(&db).await;
    let old = world.newest().await;
    let build = {
        let answer = world.send("admin", Send::get(&format!("/apps/myapp/releases/{old}?"))).await;
        parsed(&answer)["build"].as_str().unwrap().to_owned()
    };
    let newer = "GREETING=hi\nSECRET_KEY=newer-s3cr3t";
    world.made("admin", &[("env", newer)]).await;
    // `env edit --release`, `releases rollback`, and what no command of the CLI sends: the parent alone.
    assert_eq!(edit(&world, "deployer", Some(&old), |_| {}).await, 403);
    let masked = world.shown("deployer", &old).await;
    let rollback = [("build", build.as_str()), ("env", masked.as_str())];
    let answer = world.release("deployer", &rollback).await;
    assert_eq!(answer.status(), 403, "{}", text(&answer));
    assert!(text(&answer).contains("secret:set on EnvVar myapp/SECRET_KEY refused"), "{}", text(&answer));
    let answer = world.release("deployer", &[("parent-release", &old)]).await;
    assert_eq!(answer.status(), 403, "{}", text(&answer));
    assert_eq!(world.env().await, newer);
    // A mask of the old release under the newest as parent is a change too.
    let mixed = format!("GREETING=hi\nSECRET_KEY=********@{old}");
    assert_eq!(world.release("deployer", &[("env", &mixed)]).await.status(), 403);
    // The newest secret with the old release as parent changes nothing of the newest, but of the parent.
    let newest = world.newest().await;
    let mixed = format!("GREETING=hi\nSECRET_KEY=********@{newest}");
    assert_eq!(world.release("deployer", &[("env", &mixed), ("parent-release", &old)]).await.status(), 403);
    // Whoever may, may; each of the ways gives the old environment.
    for pairs in [&rollback[..], &[("parent-release", old.as_str())]] {
        world.made("admin", pairs).await;
        assert_eq!(world.env().await, SEED, "{pairs:?}");
        world.made("admin", &[("env", newer)]).await;
    }
    world.end(&["newer-s3cr3t"]).await;
}

/// As long as no secret differs, deployers roll back, and make releases of builds.
async fn a_rollback_keeps_the_secrets(db: Db) {
    let world = World::start(&db).await;
    let old = world.newest().await;
    world.made("deployer", &[("env", &format!("GREETING=hi\nSECRET_KEY=********@{old}"))]).await;
    let masked = world.shown("deployer", &old).await;
    assert_eq!(masked, format!("GREETING=hello\nSECRET_KEY=********@{old}"));
    world.made("deployer", &[("env", &masked)]).await;
    assert_eq!(world.env().await, SEED);
    let answer = world.release("deployer", &[("description", "the same again")]).await;
    assert_eq!(answer.status(), 200, "{}", text(&answer));
    assert!(world.record(&answer).await["detail"].get("also").is_none());
    assert_eq!(world.env().await, SEED);
    for parent in ["RNOTHERE", "../../other", "a b", "x/y"] {
        let answer = world.release("admin", &[("env", SEED), ("parent-release", parent)]).await;
        assert!([400, 404].contains(&answer.status()), "{parent}: {}", text(&answer));
    }
    world.end(&[]).await;
}

/// `apps import`: the masks of another app stand for nothing here.
async fn an_import_into_another_app_takes_no_masks(db: Db) {
    let world = World::start(&db).await;
    let exported = world.shown("deployer", &world.newest().await).await;
    let created = world.form("admin", "POST", "/apps?", &[("name", "copy")]).await;
    assert_eq!(created.status(), 200, "{}", text(&created));
    let target = "/apps/copy/releases?";
    let answer = world.form("admin", "POST", target, &[("env", &exported)]).await;
    assert_eq!(answer.status(), 400, "{}", text(&answer));
    assert!(text(&answer).contains("which this app does not have: set the value itself"), "{}", text(&answer));
    let plain = world.form("admin", "POST", target, &[("env", "SECRET_KEY=********")]).await;
    assert!(text(&plain).contains("the app has no release yet"), "{}", text(&plain));
    let refused = world.form("deployer", "POST", target, &[("env", SEED)]).await;
    assert_eq!(refused.status(), 403, "{}", text(&refused));
    let clear = world.form("admin", "POST", target, &[("env", SEED)]).await;
    assert_eq!(clear.status(), 200, "{}", text(&clear));
    world.end(&[]).await;
}

mod both {
    crate::on_both!(
        an_edit_that_changes_nothing_changes_nothing,
        what_an_older_release_had_comes_back_only_by_leave,
        a_rollback_keeps_the_secrets,
        an_import_into_another_app_takes_no_masks,
    );
}
