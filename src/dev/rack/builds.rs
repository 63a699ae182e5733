//! Builds: any upload builds, after a while.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::call::{Call, Incoming};
use super::data::{App, Build, Data, NEVER};
use super::manifest;
use super::objects::Stored;
use super::releases::{self, Change};
use super::reply::{Answer, Failure, Reply};
use super::state::RackState;
use super::table::Route;
use super::unpack;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/apps/{app}/builds/{id}/cancel", cancel),
    Route::plain("POST", "/apps/{app}/builds", create),
    Route::plain("GET", "/apps/{app}/builds/{id}.tgz", export),
    Route::plain("GET", "/apps/{app}/builds/{id}", get),
    Route::upload("POST", "/apps/{app}/builds/import", import),
    Route::plain("POST", "/apps/{app}/builds/{id}/image", import_image),
    Route::plain("GET", "/apps/{app}/builds", list),
    Route::plain("PUT", "/apps/{app}/builds/{id}", update),
];

/// An empty gzip stream: what the export of a build that was never imported holds.
const EMPTY_GZIP: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A build that runs.
pub(super) fn new(data: &mut Data, app: &str, description: String, now: time::OffsetDateTime) -> Build {
    let id = data.ids.noun('B');
    Build {
        app: app.to_owned(),
        description,
        entrypoint: String::new(),
        git_sha: String::new(),
        logs: String::new(),
        manifest: String::new(),
        process: format!("build-{}", id.to_lowercase()),
        release: String::new(),
        reason: String::new(),
        repository: format!("https://docker:made-up-registry-password@registry.{}/{app}", data.system.rack_domain),
        status: "running".to_owned(),
        started: now,
        ended: NEVER,
        id,
    }
}

fn create(call: &Call) -> Answer {
    let (app, url) = (call.app().to_owned(), call.value("url"));
    let mut data = call.rack.data();
    data.app(&app)?;
    let mut build = new(&mut data, &app, call.param("description").unwrap_or_default(), call.now());
    build.git_sha = call.param("git-sha").unwrap_or_default();
    let source = source(&data, &url);
    let manifest = stored(&data, &url).and_then(|s| unpack::manifest(s.content.as_ref()?, &call.value("manifest")));
    let reply = Reply::json(&build)?;
    let id = build.id.clone();
    let owner = data.app(&app)?;
    owner.build_logs.insert(id.clone(), vec!["Building: .".to_owned(), source.clone().unwrap_or_else(|e| e)]);
    owner.builds.insert(0, build);
    drop(data);
    call.rack.changed();
    if call.param("external").as_deref() != Some("true") {
        finish_later(call.rack.clone(), app, id, source.is_ok(), manifest);
    }
    Ok(reply)
}

/// The log line about the source. The rack takes the app from the URL, whatever app is built.
fn source(data: &Data, url: &str) -> Result<String, String> {
    let Some((_, key)) = object(url) else {
        return Ok(format!("received source {url}"));
    };
    let stored = stored(data, url);
    stored.map(|s| format!("received source {} bytes", s.length)).ok_or_else(|| format!("ERROR: no such key: {key}"))
}

/// App and key of an object.
fn object(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("object://").and_then(|rest| rest.split_once('/'))
}

fn stored<'a>(data: &'a Data, url: &str) -> Option<&'a Stored> {
    let (app, key) = object(url)?;
    data.apps.get(app)?.objects.get(key)
}

fn finish_later(rack: RackState, app: String, id: String, good: bool, manifest: Option<String>) {
    let time = rack.options().build_time;
    if time.is_zero() {
        return finish(&rack, &app, &id, good, manifest);
    }
    actix_rt::spawn(async move {
        actix_rt::time::sleep(time).await;
        finish(&rack, &app, &id, good, manifest);
    });
}

/// An upload without a manifest, as no rack would build it, gets that of the newest release.
fn finish(rack: &RackState, app: &str, id: &str, good: bool, manifest: Option<String>) {
    let now = rack.now();
    let mut data = rack.data();
    let Ok(owner) = data.app(app) else { return };
    let manifest = manifest.unwrap_or_else(|| latest_manifest(owner));
    let Ok(build) = owner.build(id) else { return };
    if build.status != "running" {
        return;
    }
    build.ended = now;
    build.status = if good { "complete" } else { "failed" }.to_owned();
    let description = build.description.clone();
    let mut line = "ERROR: build failed";
    if good {
        build.manifest = manifest;
        line = "Build complete";
    }
    owner.build_logs.entry(id.to_owned()).or_default().push(line.to_owned());
    if good {
        release(&mut data, app, id, description, now);
    }
    drop(data);
    rack.changed();
}

/// The release that a finished build makes.
fn release(data: &mut Data, app: &str, id: &str, description: String, now: time::OffsetDateTime) {
    let change = Change { build: Some(id.to_owned()), description: Some(description), ..Change::default() };
    if let Ok(release) = releases::fork(data, app, change, now)
        && let Ok(build) = data.app(app).and_then(|app| app.build(id))
    {
        build.release = release.id;
    }
}

fn get(call: &Call) -> Answer {
    Reply::json(call.rack.data().app(call.app())?.build(call.path("id"))?)
}

fn list(call: &Call) -> Answer {
    let limit = call.query("limit").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut data = call.rack.data();
    Reply::json(&data.app(call.app())?.builds.iter().take(limit).collect::<Vec<_>>())
}

fn update(call: &Call) -> Answer {
    let now = call.now();
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    let id = call.path("id");
    if let Some(logs) = call.param("logs") {
        app.build_logs.insert(id.to_owned(), vec![logs]);
    }
    let build = app.build(id)?;
    let set = |field: &mut String, name: &str| {
        if let Some(value) = call.param(name) {
            *field = value;
        }
    };
    set(&mut build.entrypoint, "entrypoint");
    set(&mut build.logs, "logs");
    set(&mut build.manifest, "manifest");
    set(&mut build.release, "release");
    set(&mut build.status, "status");
    if build.status != "running" {
        build.ended = now;
    }
    let reply = Reply::json(build);
    drop(data);
    call.rack.changed();
    reply
}

fn cancel(call: &Call) -> Answer {
    let now = call.now();
    let mut data = call.rack.data();
    let build = data.app(call.app())?.build(call.path("id"))?;
    if build.status == "running" {
        build.status = "cancelled".to_owned();
        build.ended = now;
    }
    drop(data);
    call.rack.changed();
    Ok(Reply::ok())
}

fn export(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    app.build(call.path("id"))?;
    let archive = app.objects.get(&archive(call.path("id"))).and_then(|stored| stored.content.clone());
    Ok(Reply::typed("application/x-gzip", archive.unwrap_or_else(|| Bytes::from_static(EMPTY_GZIP))))
}

/// Where an imported build is kept.
fn archive(id: &str) -> String {
    format!("builds/{id}.tgz")
}

fn import(call: Call, incoming: Incoming) -> LocalBoxFuture<'static, Answer> {
    Box::pin(async move {
        call.rack.data().app(call.app())?;
        let stored = Stored::read(incoming).await?;
        let (now, name) = (call.now(), call.app().to_owned());
        let mut data = call.rack.data();
        let mut build = new(&mut data, &name, "import".to_owned(), now);
        let id = build.id.clone();
        (build.process, build.repository) = (String::new(), String::new());
        build.ended = now;
        "complete".clone_into(&mut build.status);
        let app = data.app(&name)?;
        build.manifest = latest_manifest(app);
        app.objects.insert(archive(&id), stored);
        app.builds.insert(0, build);
        release(&mut data, &name, &id, "import".to_owned(), now);
        Reply::json(data.app(&name)?.build(&id)?)
    })
}

fn latest_manifest(app: &App) -> String {
    app.releases.first().map_or_else(|| manifest::DEFAULT.to_owned(), |release| release.manifest.clone())
}

fn import_image(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let build = data.app(call.app())?.build(call.path("id"))?;
    if call.param("image").is_none_or(|image| image.is_empty()) {
        return Err(Failure::new(500, "image is required"));
    }
    "complete".clone_into(&mut build.status);
    Ok(Reply::ok().with_status(202))
}
