//! Releases and promotion.

use time::OffsetDateTime;

use super::call::Call;
use super::data::{App, Data, Release};
use super::logs::Source;
use super::manifest;
use super::reply::{Answer, Failure, Reply};
use super::services;
use super::state::RackState;
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("POST", "/apps/{app}/releases", create),
    Route::plain("GET", "/apps/{app}/releases/{id}", get),
    Route::plain("GET", "/apps/{app}/releases", list),
    Route::plain("POST", "/apps/{app}/releases/{id}/promote", promote),
];

/// What a new release changes against the one it is made from.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) build: Option<String>,
    pub(super) description: Option<String>,
    /// The whole environment.
    pub(super) env: Option<String>,
    /// The release it is made from; the latest if none.
    pub(super) parent: Option<String>,
}

/// Makes a release from another: what the change leaves out stays as it is there.
pub(super) fn fork(data: &mut Data, name: &str, change: Change, now: OffsetDateTime) -> Result<Release, Failure> {
    let id = data.ids.noun('R');
    let app = data.app(name)?;
    let parent = match &change.parent {
        Some(parent) => Some(app.release(parent)?.clone()),
        None => app.releases.first().cloned(),
    };
    let mut release = parent.unwrap_or_else(|| Release {
        id: String::new(),
        app: name.to_owned(),
        build: String::new(),
        env: String::new(),
        manifest: String::new(),
        description: String::new(),
        created: now,
    });
    release.id = id;
    release.created = now;
    let described = if change.env.is_some() { "env update" } else { "" };
    release.description = change.description.filter(|d| !d.is_empty()).unwrap_or_else(|| described.to_owned());
    if let Some(env) = change.env {
        release.env = env;
    }
    if let Some(build) = change.build.filter(|build| !build.is_empty()) {
        release.manifest = app.build(&build)?.manifest.clone();
        release.build = build;
    }
    app.releases.insert(0, release.clone());
    Ok(release)
}

fn create(call: &Call) -> Answer {
    let change = Change {
        build: call.param("build"),
        description: call.param("description"),
        env: call.param("env"),
        parent: call.param("parent-release").filter(|parent| !parent.is_empty()),
    };
    let now = call.now();
    Reply::json(&fork(&mut call.rack.data(), call.app(), change, now)?)
}

fn get(call: &Call) -> Answer {
    Reply::json(call.rack.data().app(call.app())?.release(call.path("id"))?)
}

/// A list shows neither environment nor manifest.
fn list(call: &Call) -> Answer {
    let limit = call.query("limit").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut data = call.rack.data();
    let releases = data.app(call.app())?.releases.iter().take(limit);
    let bare = releases.map(|r| Release { env: String::new(), manifest: String::new(), ..r.clone() });
    Reply::json(&bare.collect::<Vec<_>>())
}

fn promote(call: &Call) -> Answer {
    let id = call.path("id").to_owned();
    let time = call.rack.options().promote_time;
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    check(call, app, &id)?;
    app.release.clone_from(&id);
    if !time.is_zero() {
        app.status = "updating";
    }
    apply(&mut data, call.app(), call.now())?;
    let rack = Source::System(data.system.name.clone());
    data.app(call.app())?.log.push(call.now(), rack, format!("promoted {id}"));
    drop(data);
    call.rack.changed();
    if !time.is_zero() {
        settle_later(call.rack.clone(), call.app().to_owned(), id);
    }
    Ok(Reply::ok())
}

/// convox `ReleasePromoteValidate`.
fn check(call: &Call, app: &App, id: &str) -> Result<(), Failure> {
    if call.param("force").as_deref() != Some("true") && app.status != "running" {
        return Err(Failure::new(403, "app is currently updating"));
    }
    let release = app.release(id)?;
    if release.manifest.trim().is_empty() {
        return Err(Failure::new(400, "can not promote a release with an empty manifest"));
    }
    let older = |current: &Release| release.created < current.created;
    if app.releases.iter().find(|current| current.id == app.release).is_some_and(older) {
        return Err(Failure::new(400, "can not promote an older release, try rollback"));
    }
    Ok(())
}

/// Makes services, resources and processes those of the app's release.
pub(super) fn apply(data: &mut Data, name: &str, now: OffsetDateTime) -> Result<(), Failure> {
    let rack = data.system.name.clone();
    let app = data.app(name)?;
    let manifest = app.release(&app.release)?.manifest.clone();
    services::declare(app, &manifest::section(&manifest, "services"));
    services::declare_resources(app, &rack, &manifest::section(&manifest, "resources"));
    services::restart(data, name, None, now)
}

fn settle_later(rack: RackState, app: String, release: String) {
    actix_rt::spawn(async move {
        actix_rt::time::sleep(rack.options().promote_time).await;
        if let Ok(app) = rack.data().app(&app)
            && app.release == release
        {
            app.status = "running";
        }
        rack.changed();
    });
}
