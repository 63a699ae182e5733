//! Commands before a release is promoted: those that the app lists, in the image of the release, and nothing else.

use rack_gateway::store::ApprovalState::{Approved, Revoked};
use serde_json::json;

use super::{APP, Left, Scene, json_of, refused, text};
use crate::harness::{Db, basic};
use crate::replay::peer::{Message, Wire};

const MIGRATE: &str = "bin/rails db:migrate";

/// Asks for a socket; the answer's head.
async fn exec(scene: &Scene, process: &str, command: Option<&str>) -> Message {
    let target = format!("/apps/{APP}/processes/{process}/exec");
    let mut head = format!("GET {target} HTTP/1.1\r\nHost: gateway.example.com\r\n");
    head += &format!("Authorization: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", basic(scene.ci()));
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    if let Some(command) = command {
        head += &format!("Command: {command}\r\n");
    }
    let mut wire = Wire::connect(scene.addr()).await;
    wire.send(format!("{head}\r\n").as_bytes()).await;
    wire.head().await.expect("an answer")
}

async fn start(scene: &Scene, headers: &[(&str, &str)]) -> Message {
    scene.send(scene.ci(), "POST", &format!("/apps/{APP}/services/web/processes"), headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_command_runs_before_the_promotion() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    scene.set("deploy_commands", json!([MIGRATE])).await;
    let approved = scene.approved().await;
    let (_, release) = scene.built(&approved).await;
    // As `convox run` does it, and with `--detach`.
    let started = start(&scene, &[("Command", "sleep 3600"), ("Release", &release)]).await;
    assert_eq!(started.status(), 200, "{}", text(&started));
    let process = json_of(&started)["id"].as_str().unwrap().to_owned();
    assert_eq!(exec(&scene, &process, Some(MIGRATE)).await.status(), 101);
    let detached = start(&scene, &[("Command", MIGRATE), ("Release", &release)]).await;
    assert_eq!(detached.status(), 200, "{}", text(&detached));
    let opened = |deeds: Vec<String>| deeds.iter().any(|deed| deed.ends_with("/exec"));
    crate::harness::until("the shell opens", || async { opened(scene.deeds()).then_some(()) }).await;

    scene.rack.state.clear();
    let kept = |text: &'static str| Left { status: 403, text, drift: "", state: Approved };
    let rule = "only the app's deploy commands may be run";
    let sleep = ("Command", "sleep 3600");
    let of = ("Release", release.as_str());
    let cases: &[(&str, Vec<(&str, &str)>)] = &[
        ("another command", vec![("Command", "sh"), of]),
        ("more of it", vec![("Command", "bin/rails db:migrate; sh"), of]),
        ("another case", vec![("Command", "bin/rails DB:migrate"), of]),
        ("one more blank", vec![("Command", "bin/rails  db:migrate"), of]),
        ("no command", vec![of]),
        ("an empty command", vec![("Command", ""), of]),
        ("another time", vec![("Command", "sleep 36000"), of]),
        ("another image", vec![sleep, of, ("Image", "evil")]),
        ("volumes", vec![sleep, of, ("Volumes", "/:/host")]),
        ("a service's volume", vec![sleep, of, ("Use-Service-Volume", "true")]),
        ("variables", vec![sleep, of, ("Environment", "A=1")]),
        ("privileged", vec![sleep, of, ("Privileged", "true")]),
        ("on other nodes", vec![sleep, of, ("Node-Labels", "a=b")]),
    ];
    for (what, headers) in cases {
        refused(&scene, what, &approved.id, &start(&scene, headers).await, &kept(rule)).await;
    }
    let processes = format!("/apps/{APP}/services/web/processes");
    let by_query = scene.send(scene.ci(), "POST", &format!("{processes}?command=sh"), &[sleep, of], b"").await;
    let bad = |text: &'static str| Left { status: 400, ..kept(text) };
    refused(&scene, "a command in the query", &approved.id, &by_query, &bad("query key")).await;
    let by_form = [sleep, of, ("Content-Type", "application/x-www-form-urlencoded")];
    let by_form = scene.send(scene.ci(), "POST", &processes, &by_form, b"command=sh").await;
    refused(&scene, "a command in a form", &approved.id, &by_form, &bad("no body")).await;
    // A refused shell is told so in the socket.
    let denied = Left { status: 101, ..kept("") };
    for command in [Some("sh"), Some("bin/rails  db:migrate"), Some("Bin/rails db:migrate"), Some(""), None] {
        let answer = exec(&scene, &process, command).await;
        refused(&scene, &format!("{command:?}"), &approved.id, &answer, &denied).await;
    }
    let stopped = scene.send(scene.ci(), "DELETE", &format!("/apps/{APP}/processes/{process}"), &[], b"").await;
    assert_eq!(stopped.status(), 200, "{}", text(&stopped));
    assert_eq!(scene.promote(&release).await.status(), 200);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_void_the_grant() {
    let db = Db::sqlite().await;
    let scene = Scene::new(&db).await;
    scene.set("deploy_commands", json!([MIGRATE])).await;
    let running = scene.rack.state.release_of(APP).unwrap();
    let list = scene.send(scene.ci(), "GET", &format!("/apps/{APP}/processes"), &[], b"").await;
    let other = json_of(&list)[0]["id"].as_str().unwrap().to_owned();
    let sleep = ("Command", "sleep 3600");
    for what in ["running", "older", "exec", "service", "stop"] {
        let approved = scene.approved().await;
        scene.built(&approved).await;
        scene.rack.state.clear();
        let (answer, drift, status) = match what {
            "running" => (start(&scene, &[sleep]).await, "process: ", 403),
            "older" => (start(&scene, &[sleep, ("Release", &running)]).await, "release: ", 403),
            "exec" => (exec(&scene, &other, Some(MIGRATE)).await, "process: ", 101),
            "service" => (exec(&scene, "web", Some(MIGRATE)).await, "process: ", 101),
            _ => {
                let target = format!("/apps/{APP}/processes/{other}");
                (scene.send(scene.ci(), "DELETE", &target, &[], b"").await, "process: ", 403)
            }
        };
        refused(&scene, what, &approved.id, &answer, &Left { status, text: "", drift, state: Revoked }).await;
    }
    scene.stop().await;
}
