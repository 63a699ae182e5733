//! Two at once, and racks that stumble.

use rack_gateway::dev::rack::Trip;
use rack_gateway::store::ApprovalState;

use super::{APP, Left, Scene, bundle, json_of, refused, text};
use crate::harness::Db;

mod both {
    crate::on_both!(of_two_at_once_one_goes_through, what_the_rack_did_not_do_is_free_again, two_grants_at_once);
}

/// How many ask at the same moment.
const CROWD: usize = 6;

async fn of_two_at_once_one_goes_through(db: Db) {
    let scene = Scene::new(&db).await;
    let approved = scene.approved().await;
    let bytes = bundle::good();
    let keys: Vec<String> = (0..CROWD).map(|n| format!("tmp/{n}.tgz")).collect();
    let uploads = keys.iter().map(|key| scene.upload_as(scene.ci(), key, &bytes));
    let answers = futures_util::future::join_all(uploads).await;
    let passed: Vec<usize> = (0..CROWD).filter(|n| answers[*n].status() == 200).collect();
    let [won] = passed.as_slice() else { panic!("{passed:?}") };
    assert_eq!(scene.deeds(), [format!("POST /apps/{APP}/objects/{}", keys[*won])]);

    scene.rack.state.clear();
    let url = format!("object://{APP}/{}", keys[*won]);
    let form = [("git-sha", approved.commit.as_str()), ("url", url.as_str())];
    let answers = futures_util::future::join_all((0..CROWD).map(|_| scene.build(&form))).await;
    let passed: Vec<_> = answers.iter().filter(|answer| answer.status() == 200).collect();
    let [built] = passed.as_slice() else { panic!("{:?}", answers.iter().map(text).collect::<Vec<_>>()) };
    assert_eq!(scene.deeds(), [format!("POST /apps/{APP}/builds")]);
    let build = json_of(built)["id"].as_str().unwrap().to_owned();
    let read = scene.send(scene.ci(), "GET", &format!("/apps/{APP}/builds/{build}"), &[], b"").await;
    let release = json_of(&read)["release"].as_str().unwrap().to_owned();

    scene.rack.state.clear();
    let answers = futures_util::future::join_all((0..CROWD).map(|_| scene.promote(&release))).await;
    let passed = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(passed, 1, "{:?}", answers.iter().map(text).collect::<Vec<_>>());
    assert_eq!(scene.deeds(), [format!("POST /apps/{APP}/releases/{release}/promote")]);
    assert_eq!(scene.row(&approved.id).await.state, ApprovalState::Deployed);
    scene.stop().await;
}

async fn what_the_rack_did_not_do_is_free_again(db: Db) {
    let scene = Scene::new(&db).await;
    let approved = scene.approved().await;
    let url = scene.uploaded(&bundle::good()).await;
    let form = [("git-sha", approved.commit.as_str()), ("url", url.as_str())];
    scene.rack.state.trip("POST", "/builds", Trip::Fail);
    assert_eq!(scene.build(&form).await.status(), 500);
    let built = scene.build(&form).await;
    assert_eq!(built.status(), 200, "{}", text(&built));
    let build = json_of(&built)["id"].as_str().unwrap().to_owned();
    let read = scene.send(scene.ci(), "GET", &format!("/apps/{APP}/builds/{build}"), &[], b"").await;
    let release = json_of(&read)["release"].as_str().unwrap().to_owned();
    scene.rack.state.trip("POST", "/promote", Trip::Fail);
    assert_eq!(scene.promote(&release).await.status(), 500);
    assert_eq!(scene.row(&approved.id).await.state, ApprovalState::Approved);
    assert_eq!(scene.promote(&release).await.status(), 200);
    assert_eq!(scene.row(&approved.id).await.state, ApprovalState::Deployed);

    // Where the answer is lost, nobody knows, and so nobody does it twice. Only an upload may be made again.
    let approved = scene.approved().await;
    let key = "tmp/lost.tgz";
    scene.rack.state.trip("POST", key, Trip::Lose);
    assert_eq!(scene.upload_as(scene.ci(), key, &bundle::good()).await.status(), 502);
    let again = scene.upload_as(scene.ci(), key, &bundle::good()).await;
    assert_eq!(again.status(), 200, "{}", text(&again));
    let url = format!("object://{APP}/{key}");
    let form = [("git-sha", approved.commit.as_str()), ("url", url.as_str())];
    scene.rack.state.trip("POST", "/builds", Trip::Lose);
    assert_eq!(scene.build(&form).await.status(), 502);
    scene.rack.state.clear();
    let left = Left { status: 403, text: "already", drift: "used", state: ApprovalState::Approved };
    refused(&scene, "a build whose answer was lost", &approved.id, &scene.build(&form).await, &left).await;
    scene.stop().await;
}

async fn two_grants_at_once(db: Db) {
    let scene = Scene::new(&db).await;
    let (one, two) = (scene.approved().await, scene.approved().await);
    let first = scene.uploaded(&bundle::good()).await;
    let second = scene.uploaded(&bundle::with("services:\n  web:\n    build: .\n")).await;
    scene.rack.state.clear();
    let third = scene.upload_as(scene.ci(), "tmp/third.tgz", &bundle::good()).await;
    let left = Left {
        status: 403,
        text: "uploaded under this approval already",
        drift: "used",
        state: ApprovalState::Approved,
    };
    refused(&scene, "a third upload", &one.id, &third, &left).await;
    // The commit says which is which, in any order.
    let mut releases = Vec::new();
    for (approved, url) in [(&two, &first), (&one, &second)] {
        let built = scene.build(&[("git-sha", &approved.commit), ("url", url)]).await;
        assert_eq!(built.status(), 200, "{}", text(&built));
        let build = json_of(&built)["id"].as_str().unwrap().to_owned();
        let read = scene.send(scene.ci(), "GET", &format!("/apps/{APP}/builds/{build}"), &[], b"").await;
        releases.push((approved, json_of(&read)["release"].as_str().unwrap().to_owned()));
    }
    for (approved, release) in releases {
        let promoted = scene.promote(&release).await;
        assert_eq!(promoted.status(), 200, "{}", text(&promoted));
        assert_eq!(scene.row(&approved.id).await.state, ApprovalState::Deployed);
    }
    scene.stop().await;
}
