//! Which requests exist, and how they are matched: on the percent-decoded path, uncleaned, first
//! match wins (gorilla `mux` with `SkipClean`, as convox `pkg/api` sets it up).

use std::fmt;

use futures_util::future::LocalBoxFuture;

use super::call::{Call, Incoming};
use super::reply::{Answer, Failure};
use super::sockets::Socket;
use super::{
    apps, budgets, builds, certificates, configs, diagnose, exec, files, instances, logs, metrics, objects, processes,
    proxy, rack_resources, registries, releases, resources, services, system,
};

/// What answers a route.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// After the whole body was read.
    Plain(fn(&Call) -> Answer),
    /// Reads the body itself.
    Upload(fn(Call, Incoming) -> LocalBoxFuture<'static, Answer>),
    /// Talks over a socket; an error goes in band.
    Socket(fn(Call, &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>>),
}

/// One route.
#[derive(Clone, Copy)]
pub(super) struct Route {
    method: &'static str,
    path: &'static str,
    pub(super) run: Run,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    pub(super) const fn plain(method: &'static str, path: &'static str, run: fn(&Call) -> Answer) -> Self {
        Self { method, path, run: Run::Plain(run) }
    }

    pub(super) const fn upload(
        method: &'static str,
        path: &'static str,
        run: fn(Call, Incoming) -> LocalBoxFuture<'static, Answer>,
    ) -> Self {
        Self { method, path, run: Run::Upload(run) }
    }

    pub(super) const fn socket(
        path: &'static str,
        run: fn(Call, &mut Socket) -> LocalBoxFuture<'_, Result<(), Failure>>,
    ) -> Self {
        Self { method: "GET", path, run: Run::Socket(run) }
    }

    const fn is_socket(&self) -> bool {
        matches!(self.run, Run::Socket(_))
    }
}

/// All routes, noun by noun.
const NOUNS: &[&[Route]] = &[
    apps::ROUTES,
    budgets::ROUTES,
    builds::ROUTES,
    certificates::ROUTES,
    configs::ROUTES,
    diagnose::ROUTES,
    exec::ROUTES,
    files::ROUTES,
    instances::ROUTES,
    logs::ROUTES,
    metrics::ROUTES,
    objects::ROUTES,
    processes::ROUTES,
    proxy::ROUTES,
    rack_resources::ROUTES,
    registries::ROUTES,
    releases::ROUTES,
    resources::ROUTES,
    services::ROUTES,
    system::ROUTES,
];

/// What the router found.
pub(super) enum Found {
    Route(Route, Vec<(&'static str, String)>),
    WrongMethod,
    Nothing,
}

/// Finds the route of a method and decoded path. `upgrade` tells whether an `Upgrade` header is
/// exactly `websocket`; a socket does not exist without it.
pub(super) fn find(method: &str, path: &str, upgrade: bool) -> Found {
    let mut known = false;
    for route in NOUNS.iter().copied().flatten() {
        let Some(params) = matches(route.path, path) else { continue };
        if route.is_socket() && !upgrade {
            continue;
        }
        if route.method == method {
            return Found::Route(*route, params);
        }
        known = true;
    }
    if known { Found::WrongMethod } else { Found::Nothing }
}

/// Matches `{x}` to one non-empty segment, `{x}.tgz` to one with that end, `{x...}` to the rest.
fn matches(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut rest = Some(path);
    for part in template.split('/') {
        let left = rest?;
        if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix("...}")) {
            params.push((name, left.to_owned()));
            return Some(params);
        }
        let (segment, next) = left.split_once('/').map_or((left, None), |(segment, next)| (segment, Some(next)));
        match part.strip_prefix('{').and_then(|p| p.split_once('}')) {
            Some((name, end)) => {
                let value = segment.strip_suffix(end).filter(|value| !value.is_empty())?;
                params.push((name, value.to_owned()));
            }
            None if part == segment => {}
            None => return None,
        }
        rest = next;
    }
    rest.is_none().then_some(params)
}

#[cfg(test)]
mod tests;
