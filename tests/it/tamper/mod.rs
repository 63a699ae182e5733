//! A real log, damaged in its database or in the place of its anchors by somebody who can do anything there;
//! and what each verifier says to it. What none of them can see is in the table as well, with the reason.

mod cases;
mod folder;
mod rewrite;
mod scene;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value as Json;
use tokio::process::Command;

use crate::harness::binary;
use crate::harness::db::Db;
use cases::{CASES, Case, Step};
use folder::{Folder, copy_all};
use rack_gateway::audit::anchor::{Aws, Signer, make_key_file};
use rack_gateway::config::AnchorKey;
use scene::{Scene, Writing};

const CLIENT: &str = env!("CARGO_BIN_EXE_client-under-test");

mod both {
    crate::on_both!(every_damage_is_seen_or_explained);
}

async fn every_damage_is_seen_or_explained(db: Db) {
    let scene = Scene::new(db).await;
    let mut wrong = Vec::new();
    for case in CASES {
        let [live, bucket, bundle, other_bucket, other_bundle] = damaged(&scene, case).await;
        let same = [&live, &bucket, &bundle] == [case.live, case.bucket, case.bundle];
        if !same || [&other_bucket, &other_bundle].map(|said| place(said)) != [case.bucket, case.bundle].map(place) {
            let seen = [live, bucket, bundle, other_bucket, other_bundle];
            wrong.push(format!("{}: {seen:#?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn names_are_told_apart_and_what_is_not_seen_is_explained() {
    let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len(), "a name twice");
    for case in CASES {
        let unseen = [case.live, case.bucket, case.bundle].iter().any(|seen| seen.starts_with("verified"));
        assert_eq!(unseen && !case.steps.is_empty(), !case.why.is_empty(), "{}", case.name);
    }
}

#[test]
fn the_guide_of_auditors_lists_every_damage() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/auditing.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let brief = |seen: &str| match seen.split(';').next().unwrap_or_default() {
        "verified" => "–".to_owned(),
        said => said.to_owned(),
    };
    let row = |case: &Case| {
        let [live, bucket, bundle] = [case.live, case.bucket, case.bundle].map(brief);
        format!("| {} | {live} | {bucket} | {bundle} | {} |", case.name, case.why)
    };
    let rows: Vec<String> = CASES.iter().filter(|case| !case.steps.is_empty()).map(row).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !guide.lines().any(|line| line == **row)).collect();
    assert!(missing.is_empty(), "{} rows are not there: {missing:#?}", missing.len());
}

/// What is said of the log after the damage: live, then by the Rust verifier with a copy of the bucket and
/// without one, then by `docs/verify.py` likewise.
async fn damaged(scene: &Scene, case: &Case) -> [String; 5] {
    let mut db = scene.db.copy().await;
    std::fs::rename(scene.anchors(), scene.kept()).expect("moved");
    copy_all(&scene.kept(), &scene.anchors());
    db.unlock().await;
    for step in case.steps {
        take(step, scene, &mut db).await;
    }
    let seen = examine(scene, &db).await;
    std::fs::remove_dir_all(scene.anchors()).expect("removed");
    std::fs::rename(scene.kept(), scene.anchors()).expect("moved back");
    seen
}

async fn take(step: &Step, scene: &Scene, db: &mut Db) {
    let anchors = scene.anchors();
    let folder = Folder(&anchors);
    match step {
        Step::Sql(sql) => db.execute(sql).await,
        Step::Canon(seq, from, to) => db.execute(&db.edit_canon(*seq, from, to)).await,
        Step::Blank(table, column, at) => db.execute(&db.set_blob(table, column, &"00".repeat(32), at)).await,
        Step::Leaf(seq) => {
            let store = db.store().await;
            let record = store.records_after(seq - 1, 1).await.expect("a record").remove(0);
            store.close().await;
            let leaf = hex::encode(rack_gateway::proof::chain::leaf(&record.canon));
            db.execute(&db.set_blob("audit_records", "leaf", &leaf, &format!("seq = {seq}"))).await;
        }
        Step::Rewrite(change) => rewrite::rewrite(db, *change).await,
        Step::Restore => {
            *db = scene.old.copy().await;
            db.unlock().await;
        }
        Step::Append(requests) => {
            let store = db.store().await;
            let head = store.head().await.expect("the head").expect("a head").1.seq;
            store.close().await;
            let log = Writing::open(db, scene).await;
            log.requests(901..=900 + requests, head + 2 * requests).await;
            log.close().await;
        }
        Step::Folder(change) => change(&folder),
        Step::SignAgain(from, change) => folder.sign_again(db, *from, &scene.signer().await, change).await,
        Step::SignAgainByAnother(from) => folder.sign_again(db, *from, &other(scene).await, |_| {}).await,
        Step::AddByAnother => folder.add(db, &other(scene).await).await,
    }
}

/// A key that nobody trusts.
async fn other(scene: &Scene) -> Signer {
    let file = scene.dir.path().join(uuid::Uuid::now_v7().to_string());
    make_key_file(&file).expect("a key");
    Signer::open(&AnchorKey::File(file), &Aws::environment()).await.expect("the key")
}

async fn examine(scene: &Scene, db: &Db) -> [String; 5] {
    let (url, place) = (db.url().await, format!("file://{}", scene.anchors().display()));
    let (trust, key) = (text(&scene.trust()), text(&scene.key()));
    let env = [
        ("RGW_DATABASE_URL", url.as_str()),
        ("RACK", "acme/dev"),
        ("AUDIT_ANCHOR_BUCKET", place.as_str()),
        ("AUDIT_ANCHOR_KEY_FILE", key.as_str()),
    ];
    let live = binary::run(&["audit", "verify", "--json", "--trust", &trust], &env).await;
    let bundle = scene.dir.path().join(format!("{}.tar", uuid::Uuid::now_v7()));
    let exported = binary::run(&["audit", "export", "--out", &text(&bundle)], &env).await;
    let live = summary(&live);
    if !exported.status.success() {
        return [live, refused(&exported), refused(&exported), refused(&exported), refused(&exported)];
    }
    let (bundle, anchors) = (text(&bundle), text(&scene.anchors()));
    let rust = async |more: &[&str]| {
        let mut command = Command::new(CLIENT);
        command.args(["audit", "verify", &bundle, "--json", "--trust", &trust]).args(more).env_clear();
        summary(&output(command).await)
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify.py");
    let python = async |more: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(&script).args([&bundle, "--json", "--trust", &trust]).args(more);
        summary(&output(command).await)
    };
    let with_bucket = ["--anchors", anchors.as_str()];
    [live, rust(&with_bucket).await, rust(&[]).await, python(&with_bucket).await, python(&[]).await]
}

async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("it runs")
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    "no export".to_owned()
}

/// Verdict and places, without the codes: of several that fit, verifiers may name others.
fn place(said: &str) -> (&str, &str) {
    let (codes, places) = said.split_once(';').unwrap_or((said, ""));
    (codes.split(':').next().unwrap_or_default(), places)
}

/// `tampered: leaf, root; record 50; anchor 2; good until 49`.
fn summary(output: &Output) -> String {
    let Ok(report) = serde_json::from_slice::<Json>(&output.stdout) else {
        return format!("no report ({:?}): {}", output.status.code(), String::from_utf8_lossy(&output.stderr));
    };
    let mut said = report["verdict"].as_str().expect("a verdict").to_owned();
    let exit = match said.as_str() {
        "verified" => 0,
        "tampered" => 1,
        _ => 2,
    };
    assert_eq!(output.status.code(), Some(exit), "{report}");
    let findings = report["findings"].as_array().expect("findings");
    let codes: BTreeSet<&str> = findings.iter().filter_map(|finding| finding["code"].as_str()).collect();
    if !codes.is_empty() {
        said = format!("{said}: {}", codes.into_iter().collect::<Vec<_>>().join(", "));
    }
    for (name, field) in [("record", "first_bad_record"), ("anchor", "first_bad_anchor"), ("good until", "good_until")]
    {
        if let Some(number) = report[field].as_u64() {
            said = format!("{said}; {name} {number}");
        }
    }
    said
}
