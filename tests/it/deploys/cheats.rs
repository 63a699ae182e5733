//! Ways to deploy something else than what was approved, or more of it, or again.

use std::fmt::Write as _;

use rack_gateway::store::ApprovalState::{self, Approved, Deployed, Revoked};
use serde_json::json;
use time::Duration;

use super::bundle::{self, Entry};
use super::{APP, Left, MANIFEST, Scene, json_of, refused, text};
use crate::api::{ask, machine};
use crate::harness::Db;
use crate::sign_in::Send;

const fn left<'a>(status: u16, text: &'a str, drift: &'a str, state: ApprovalState) -> Left<'a> {
    Left { status, text, drift, state }
}

const fn void<'a>(text: &'a str, drift: &'a str) -> Left<'a> {
    left(403, text, drift, Revoked)
}

/// Refused, and the grant is as good as before.
const fn kept<'a>(status: u16, text: &'a str) -> Left<'a> {
    left(status, text, "", Approved)
}

const ASK: &str = "ask for it: rack-gateway deploy-approval request --app";

#[tokio::test(flavor = "multi_thread")]
async fn uploads() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let good = bundle::good();
    let objects = format!("/apps/{APP}/objects");
    let public: &[(&str, &str)] = &[("Public", "true")];
    type Case<'a> = (&'a str, String, &'a [(&'a str, &'a str)], Left<'a>);
    let cases: &[Case<'_>] = &[
        ("public", format!("{objects}/tmp/a.tgz"), public, void("would be public", "upload: ")),
        ("elsewhere", format!("{objects}/builds/a.tgz"), &[], void("not where the convox command puts it", "upload: ")),
        ("public by query", format!("{objects}/tmp/a.tgz?public=true"), &[], kept(400, "query key")),
        ("climbing", format!("{objects}/tmp/../a.tgz"), &[], kept(400, "")),
        ("climbing, encoded", format!("{objects}/tmp/%2e%2e/a.tgz"), &[], kept(400, "")),
        ("to another app", "/apps/other/objects/tmp/a.tgz".to_owned(), &[], kept(403, ASK)),
    ];
    for (what, target, headers, left) in cases {
        let approved = scene.approved().await;
        scene.rack.state.clear();
        let answer = scene.send(scene.ci(), "POST", target, headers, &good).await;
        refused(&scene, what, &approved.id, &answer, left).await;
        scene.end(&approved.id).await;
    }
    let approved = scene.approved().await;
    let url = scene.uploaded(&good).await;
    scene.rack.state.clear();
    let used = left(403, "uploaded under this approval already", "used: ", Approved);
    let again = scene.upload_as(scene.ci(), "tmp/again.tgz", &good).await;
    refused(&scene, "twice", &approved.id, &again, &used).await;
    let key = url.strip_prefix("object://myapp/").unwrap();
    let again = scene.upload_as(scene.ci(), key, &bundle::with("services: {}\n")).await;
    refused(&scene, "over the first", &approved.id, &again, &used).await;
    scene.end(&approved.id).await;
    // Over what was uploaded under another grant.
    let other = scene.approved().await;
    scene.rack.state.clear();
    let over = scene.upload_as(scene.ci(), key, &good).await;
    refused(&scene, "over another's", &other.id, &over, &left(403, "taken already", "used: ", Approved)).await;
    scene.stop().await;
}

/// Fields of a build, out of commit and URL.
type Fields = fn(&str, &str) -> Vec<(&'static str, String)>;

fn with(commit: &str, url: &str, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![("git-sha", commit.to_owned()), ("url", url.to_owned())];
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => value.clone_into(known),
        None => fields.push((name, value.to_owned())),
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn builds() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let options = "which changes what is built";
    let commit = "does not name the approved commit";
    let object = "not of what was uploaded under this approval";
    let missing = "does not hold the manifest that the build names";
    let cases: &[(&str, Fields, Left<'_>)] = &[
        ("no commit", |_, url| vec![("url", url.to_owned())], void(commit, "commit: ")),
        ("capitals", |sha, url| with(sha, url, "git-sha", &sha.to_uppercase()), void(commit, "commit: ")),
        ("a part of it", |sha, url| with(sha, url, "git-sha", &sha[..39]), void(commit, "commit: ")),
        ("one more digit", |sha, url| with(sha, url, "git-sha", &format!("{sha}0")), void(commit, "commit: ")),
        ("a blank behind it", |sha, url| with(sha, url, "git-sha", &format!("{sha} ")), void(commit, "commit: ")),
        ("any", |sha, url| with(sha, url, "git-sha", "%"), void(commit, "commit: ")),
        ("any forty", |sha, url| with(sha, url, "git-sha", &"_".repeat(40)), void(commit, "commit: ")),
        ("another", |sha, url| with(sha, url, "git-sha", &"b".repeat(40)), void(commit, "commit: ")),
        ("another object", |sha, url| with(sha, url, "url", "object://myapp/tmp/other.tgz"), void(object, "object: ")),
        ("from elsewhere", |sha, url| with(sha, url, "url", "https://example.com/a.tgz"), void(object, "object: ")),
        (
            "a scheme in capitals",
            |sha, url| with(sha, url, "url", &url.replace("object", "OBJECT")),
            void(object, "object: "),
        ),
        ("a blank before it", |sha, url| with(sha, url, "url", &format!(" {url}")), void(object, "object: ")),
        ("a query behind it", |sha, url| with(sha, url, "url", &format!("{url}?a=b")), kept(400, "object of this app")),
        (
            "of another app",
            |sha, url| with(sha, url, "url", "object://other/tmp/a.tgz"),
            kept(400, "object of this app"),
        ),
        ("climbing", |sha, url| with(sha, url, "url", "object://myapp/tmp/../a.tgz"), kept(400, "object of this app")),
        ("built elsewhere", |sha, url| with(sha, url, "external", "true"), void(options, "options: ")),
        ("for development", |sha, url| with(sha, url, "development", "true"), void(options, "options: ")),
        ("with arguments", |sha, url| with(sha, url, "build-args", "A=1"), void(options, "options: ")),
        ("with another domain", |sha, url| with(sha, url, "wildcard-domain", "true"), void(options, "options: ")),
        ("another manifest", |sha, url| with(sha, url, "manifest", "other.yml"), void(missing, "manifest: ")),
        ("a manifest outside", |sha, url| with(sha, url, "manifest", "../convox.yml"), void("outside", "manifest: ")),
        ("an absolute manifest", |sha, url| with(sha, url, "manifest", "/convox.yml"), void("outside", "manifest: ")),
        ("a manifest in capitals", |sha, url| with(sha, url, "manifest", "Convox.yml"), void(missing, "manifest: ")),
        ("an unknown option", |sha, url| with(sha, url, "image", "evil"), kept(400, "form key")),
    ];
    for (what, fields, left) in cases {
        let approved = scene.approved().await;
        let url = scene.uploaded(&bundle::good()).await;
        scene.rack.state.clear();
        let fields = fields(&approved.commit, &url);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        refused(&scene, what, &approved.id, &scene.build(&fields).await, left).await;
        scene.end(&approved.id).await;
    }

    let approved = scene.approved().await;
    let url = scene.uploaded(&bundle::good()).await;
    scene.rack.state.clear();
    let (builds, sha) = (format!("/apps/{APP}/builds"), approved.commit.as_str());
    let twice = scene.build(&[("git-sha", &"b".repeat(40)), ("git-sha", sha), ("url", &url)]).await;
    refused(&scene, "two commits", &approved.id, &twice, &kept(400, "occurs twice")).await;
    let by_query = scene.form(scene.ci(), &format!("{builds}?git-sha={sha}"), &[("url", &url)]).await;
    refused(&scene, "the commit in the query", &approved.id, &by_query, &kept(400, "query key")).await;
    let multipart = [("Content-Type", "multipart/form-data; boundary=x")];
    let answer = scene.send(scene.ci(), "POST", &builds, &multipart, b"--x--").await;
    refused(&scene, "multipart", &approved.id, &answer, &kept(415, "multipart")).await;
    // Another token of the same person has no part in it.
    let other = machine(&scene.gateway, "cicd").await;
    let answer = scene.form(&other, &builds, &[("git-sha", sha), ("url", &url)]).await;
    refused(&scene, "another token", &approved.id, &answer, &kept(403, ASK)).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inside() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let manifest = MANIFEST.as_bytes();
    let evil: &[u8] = b"services:\n  web:\n    image: evil\n";
    let file = |name: &'static str, content: &'static [u8]| Entry::File(name, content);
    let two = [bundle::good(), bundle::with("services:\n  web:\n    image: evil\n")].concat();
    let mut trailing = bundle::tarball(&[Entry::File("convox.yml", manifest)]);
    trailing.extend(bundle::tarball(&[file("convox.yml", evil)]));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("in a folder", bundle::packed(&[file("web/convox.yml", evil)]), "does not hold the manifest"),
        ("a link", bundle::packed(&[file("a.yml", evil), Entry::Link("convox.yml", "a.yml")]), "no plain file"),
        (
            "a link out",
            bundle::packed(&[Entry::File("convox.yml", manifest), Entry::Link("a", "/etc")]),
            "leads out of it",
        ),
        ("twice", bundle::packed(&[Entry::File("convox.yml", manifest), file("convox.yml", evil)]), "same name twice"),
        (
            "twice by a dot",
            bundle::packed(&[Entry::File("convox.yml", manifest), file("./convox.yml", evil)]),
            "same name twice",
        ),
        ("a second stream", two, "something follows the gzip stream"),
        ("a second tarball", bundle::gzip(&trailing), "something follows the end"),
        ("no gzip", bundle::tarball(&[Entry::File("convox.yml", manifest)]), "no gzipped tarball"),
        ("cut", bundle::good()[..40].to_vec(), "could not be read to its end"),
        (
            "a bomb",
            bundle::packed(&[Entry::File("a", &vec![0; 101 << 20]), file("convox.yml", evil)]),
            "holds more than",
        ),
        (
            "a long manifest",
            bundle::packed(&[Entry::File("convox.yml", &vec![b'#'; (1 << 20) + 1])]),
            "a manifest of more than",
        ),
    ];
    for (what, bytes, text) in cases {
        let approved = scene.approved().await;
        let url = scene.uploaded(&bytes).await;
        scene.rack.state.clear();
        let answer = scene.build(&[("git-sha", &approved.commit), ("url", &url)]).await;
        refused(&scene, what, &approved.id, &answer, &void(text, "manifest: ")).await;
    }
    // Somebody puts another object in its place.
    let approved = scene.approved().await;
    let url = scene.uploaded(&bundle::good()).await;
    let key = url.strip_prefix("object://myapp/").unwrap();
    let swapped = scene.upload_as(scene.gateway.token("deployer"), key, &bundle::with("services: {}\n")).await;
    assert_eq!(swapped.status(), 200, "{}", text(&swapped));
    scene.rack.state.clear();
    let answer = scene.build(&[("git-sha", &approved.commit), ("url", &url)]).await;
    refused(&scene, "swapped", &approved.id, &answer, &void("not what was uploaded", "object: ")).await;
    scene.stop().await;
}

/// A person makes a release.
async fn released(scene: &Scene, form: &[(&str, &str)]) -> String {
    let made = scene.form(scene.gateway.token("admin"), &format!("/apps/{APP}/releases"), form).await;
    assert_eq!(made.status(), 200, "{}", text(&made));
    json_of(&made)["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let running = scene.rack.state.release_of(APP).unwrap();
    let approved = scene.approved().await;
    scene.rack.state.clear();
    let early = scene.promote(&running).await;
    refused(&scene, "nothing built", &approved.id, &early, &void("nothing was built", "release: ")).await;

    let options: &[(&str, &str)] =
        &[("force", "true"), ("development", "true"), ("idle", "true"), ("min", "50"), ("max", "1")];
    for option in options {
        let approved = scene.approved().await;
        let (_, release) = scene.built(&approved).await;
        scene.rack.state.clear();
        let answer = scene.promote_as(scene.ci(), &release, &[*option]).await;
        refused(&scene, option.0, &approved.id, &answer, &void("was not approved", "options: ")).await;
    }

    let approved = scene.approved().await;
    let (build, release) = scene.built(&approved).await;
    let promote = format!("/apps/{APP}/releases/{release}/promote");
    scene.rack.state.clear();
    let by_query = scene.form(scene.ci(), &format!("{promote}?force=true"), &[("force", "false")]).await;
    refused(&scene, "forced by query", &approved.id, &by_query, &kept(400, "query key")).await;
    let other = machine(&scene.gateway, "cicd").await;
    let answer = scene.promote_as(&other, &release, &[]).await;
    refused(&scene, "another token", &approved.id, &answer, &kept(403, ASK)).await;
    let answer = scene.form(scene.ci(), &format!("/apps/other/releases/{release}/promote"), &[]).await;
    refused(&scene, "another app", &approved.id, &answer, &kept(403, ASK)).await;
    let mine = released(&scene, &[("build", &build)]).await;
    scene.rack.state.clear();
    let answer = scene.promote(&mine).await;
    refused(&scene, "by somebody else", &approved.id, &answer, &void("made by somebody else", "release: ")).await;

    let approved = scene.approved().await;
    scene.built(&approved).await;
    scene.rack.state.clear();
    let answer = scene.promote(&running).await;
    refused(&scene, "an older one", &approved.id, &answer, &void("not of the approved build", "release: ")).await;

    // The environment that the approver saw is the one that runs.
    let approved = scene.approved().await;
    released(&scene, &[("env", "GREETING=changed\nSECRET_KEY=made-up-s3cr3t")]).await;
    let (_, release) = scene.built(&approved).await;
    scene.rack.state.clear();
    let answer = scene.promote(&release).await;
    refused(&scene, "a changed environment", &approved.id, &answer, &void("environment", "environment: ")).await;

    let approved = scene.approved().await;
    let (_, release) = scene.built(&approved).await;
    assert_eq!(scene.promote(&release).await.status(), 200);
    scene.rack.state.clear();
    let answer = scene.promote(&release).await;
    refused(&scene, "twice", &approved.id, &answer, &left(403, ASK, "", Deployed)).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let releases = format!("/apps/{APP}/releases");
    type Form<'a> = fn(&'a str) -> Vec<(&'a str, &'a str)>;
    let cases: &[(&str, Form<'_>, Left<'_>)] = &[
        ("no build", |_| vec![("description", "x")], void("not of the approved build", "build: ")),
        ("another build", |_| vec![("build", "BOTHERBUILD")], void("not of the approved build", "build: ")),
        (
            "an environment",
            |build| vec![("build", build), ("env", "A=1")],
            void("environment of its own", "environment: "),
        ),
        (
            "no environment",
            |build| vec![("build", build), ("env", "")],
            void("environment of its own", "environment: "),
        ),
        (
            "another parent",
            |build| vec![("build", build), ("parent-release", "ROTHER")],
            void("another release", "environment: "),
        ),
    ];
    for (what, form, left) in cases {
        let approved = scene.approved().await;
        let (build, _) = scene.built(&approved).await;
        scene.rack.state.clear();
        let build: &'static str = build.leak();
        let answer = scene.form(scene.ci(), &releases, &form(build)).await;
        refused(&scene, what, &approved.id, &answer, left).await;
    }
    let approved = scene.approved().await;
    let (build, _) = scene.built(&approved).await;
    let made = scene.form(scene.ci(), &releases, &[("build", &build)]).await;
    assert_eq!(made.status(), 200, "{}", text(&made));
    scene.rack.state.clear();
    let again = scene.form(scene.ci(), &releases, &[("build", &build)]).await;
    refused(&scene, "twice", &approved.id, &again, &left(403, "already", "used: ", Approved)).await;
    let release = json_of(&made)["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.promote(&release).await.status(), 200);
    assert_eq!(scene.row(&approved.id).await.state, Deployed);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_meanwhile() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let admin = scene.gateway.token("admin").to_owned();
    // Its time ends between build and promotion.
    let approved = scene.approved().await;
    let (_, release) = scene.built(&approved).await;
    scene.pass(Duration::minutes(16));
    scene.rack.state.clear();
    let answer = scene.promote(&release).await;
    assert_eq!((answer.status(), scene.deeds()), (403, vec![]));
    assert!(text(&answer).contains(ASK), "{}", text(&answer));
    let row = scene.row(&approved.id).await;
    assert_eq!(row.state_at(scene.gateway.running.gate.clock.now()), ApprovalState::Expired);

    // An approver takes it back.
    let approved = scene.approved().await;
    let (_, release) = scene.built(&approved).await;
    let target = format!("/api/v1/apps/{APP}/deploy-approvals/{}/revoke", approved.id);
    ask(&scene.gateway, &admin, Send::json("POST", &target, &json!({ "reason": "Not today" })), 200).await;
    scene.rack.state.clear();
    refused(&scene, "revoked", &approved.id, &scene.promote(&release).await, &left(403, ASK, "", Revoked)).await;

    // An administrator switches them off: that grants nothing.
    let approved = scene.approved().await;
    let (build, release) = scene.built(&approved).await;
    let target = "/api/v1/settings/deploy_approvals_enabled";
    let off = Send::json("PUT", target, &json!({ "value": false })).header("If-Match", "\"v0\"");
    ask(&scene.gateway, &admin, off, 200).await;
    scene.rack.state.clear();
    refused(&scene, "switched off", &approved.id, &scene.promote(&release).await, &kept(403, "switched off")).await;
    let answer = scene.upload_as(scene.ci(), "tmp/a.tgz", &bundle::good()).await;
    refused(&scene, "an upload when switched off", &approved.id, &answer, &kept(403, "switched off")).await;
    let read = scene.send(scene.ci(), "GET", &format!("/apps/{APP}/builds/{build}"), &[], b"").await;
    assert_eq!(read.status(), 403);
    scene.stop().await;
}

/// A token reads what it made, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn reads() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    let running = scene.rack.state.release_of(APP).unwrap();
    let approved = scene.approved().await;
    let (build, release) = scene.built(&approved).await;
    let other = machine(&scene.gateway, "cicd").await;
    let mut seen = String::new();
    for (token, whose) in [(scene.ci(), "mine"), (other.as_str(), "other")] {
        for target in [format!("builds/{build}"), format!("releases/{release}"), format!("releases/{running}")] {
            let answer = scene.send(token, "GET", &format!("/apps/{APP}/{target}"), &[], b"").await;
            let target = target.replace(&build, "B").replace(&release, "R").replace(&running, "RUNNING");
            writeln!(seen, "{whose} {target} {}", answer.status()).unwrap();
        }
    }
    let expected = "mine builds/B 200\nmine releases/R 200\nmine releases/RUNNING 403\n\
                    other builds/B 403\nother releases/R 403\nother releases/RUNNING 403\n";
    assert_eq!(seen, expected);
    scene.stop().await;
}
