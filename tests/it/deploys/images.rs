//! Image rules: for machines and for people.

use rack_gateway::store::ApprovalState::Approved;
use serde_json::json;

use super::{APP, Left, Scene, bundle, refused, text};
use crate::harness::Db;

const RULE: &str = "the app has rules for its images";

/// The manifest for a commit.
type Manifest = fn(&str) -> String;

#[tokio::test(flavor = "multi_thread")]
async fn every_image_is_one_that_its_rule_allows() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let rules = json!({ "web": "acme/shop:{{GIT_COMMIT}}", "*": "acme/(job|db):[0-9]+" });
    scene.set("service_image_patterns", rules).await;
    let good =
        |commit: &str| format!("services:\n  web:\n    image: acme/shop:{commit}\n  job:\n    image: acme/job:1\n");
    let cases: &[(&str, Manifest)] = &[
        ("another commit", |_| "services:\n  web:\n    image: acme/shop:latest\n".to_owned()),
        ("another image", |sha| format!("services:\n  web:\n    image: evil/acme/shop:{sha}\n")),
        ("a tail", |sha| format!("services:\n  web:\n    image: acme/shop:{sha}@sha256:00\n")),
        ("built", |_| "services:\n  web:\n    build: .\n".to_owned()),
        ("another service", |sha| format!("services:\n  web:\n    image: acme/shop:{sha}\n  x:\n    image: evil\n")),
        ("a sidecar", |sha| {
            format!("services:\n  web:\n    image: acme/shop:{sha}\n    sidecars:\n      - image: evil\n")
        }),
        ("an init container", |sha| {
            format!("services:\n  web:\n    image: acme/shop:{sha}\n    initContainer:\n      image: evil\n")
        }),
        ("a timer", |sha| format!("services:\n  web:\n    image: acme/shop:{sha}\ntimers:\n  a:\n    image: evil\n")),
        ("a resource", |sha| {
            format!("services:\n  web:\n    image: acme/shop:{sha}\nresources:\n  db:\n    image: evil\n")
        }),
        ("a variable", |_| "services:\n  web:\n    image: acme/shop:${GREETING}\n".to_owned()),
        ("an alias", |sha| format!("a: &a acme/shop:{sha}\nservices:\n  web:\n    image: *a\n")),
        ("twice", |sha| format!("services:\n  web:\n    image: evil\n    image: acme/shop:{sha}\n")),
        ("a tag", |_| "services:\n  web:\n    image: !!binary ZXZpbA==\n".to_owned()),
    ];
    for (what, manifest) in cases {
        let approved = scene.approved().await;
        let url = scene.uploaded(&bundle::with(&manifest(&approved.commit))).await;
        scene.rack.state.clear();
        let form = [("git-sha", approved.commit.as_str()), ("url", url.as_str())];
        let left = Left { status: 403, text: RULE, drift: "", state: Approved };
        refused(&scene, what, &approved.id, &scene.build(&form).await, &left).await;
        // No role is above the rules.
        let builds = format!("/apps/{APP}/builds");
        let answer = scene.form(scene.gateway.token("admin"), &builds, &form).await;
        refused(&scene, &format!("{what}, by a person"), &approved.id, &answer, &left).await;
        scene.end(&approved.id).await;
    }

    let approved = scene.approved().await;
    let url = scene.uploaded(&bundle::with(&good(&approved.commit))).await;
    let form = [("git-sha", approved.commit.as_str()), ("url", url.as_str())];
    let (admin, builds) = (scene.gateway.token("admin"), format!("/apps/{APP}/builds"));
    scene.rack.state.clear();
    let left = Left { status: 403, text: RULE, drift: "", state: Approved };
    for (what, form) in [
        ("no commit", vec![form[1]]),
        ("arguments", vec![form[0], form[1], ("build-args", "A=1")]),
        ("elsewhere", vec![form[0], form[1], ("external", "true")]),
        ("no object", vec![form[0], ("url", "https://example.com/a.tgz")]),
        ("another manifest", vec![form[0], form[1], ("manifest", "b.yml")]),
    ] {
        refused(&scene, what, &approved.id, &scene.form(admin, &builds, &form).await, &left).await;
    }
    let imported = scene.send(admin, "POST", &format!("{builds}/import"), &[], b"x").await;
    refused(&scene, "an import", &approved.id, &imported, &left).await;
    // What the rules allow passes, for a person and for the machine.
    for token in [admin, scene.ci()] {
        let built = scene.form(token, &builds, &form).await;
        assert_eq!(built.status(), 200, "{}", text(&built));
    }
    scene.stop().await;
}

/// A variable may change what the manifest says: it is read as the rack will read it.
#[tokio::test(flavor = "multi_thread")]
async fn variables_bring_no_image_in() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    scene.set("service_image_patterns", json!({ "*": "acme/shop" })).await;
    let admin = scene.gateway.token("admin");
    let manifest = "services:\n  web:\n    image: acme/shop\n    domain: ${GREETING}\n";
    let builds = format!("/apps/{APP}/builds");
    for (value, status) in [("hello", 200), ("{image: evil}", 403)] {
        let env = format!("GREETING={value}\nSECRET_KEY=made-up-s3cr3t");
        let made = scene.form(admin, &format!("/apps/{APP}/releases"), &[("env", &env)]).await;
        assert_eq!(made.status(), 200, "{}", text(&made));
        let key = format!("tmp/{status}.tgz");
        let uploaded = scene.upload_as(admin, &key, &bundle::with(manifest)).await;
        assert_eq!(uploaded.status(), 200, "{}", text(&uploaded));
        let url = format!("object://{APP}/{key}");
        let built = scene.form(admin, &builds, &[("url", &url)]).await;
        assert_eq!(built.status(), status, "{value}: {}", text(&built));
    }
    scene.stop().await;
}
