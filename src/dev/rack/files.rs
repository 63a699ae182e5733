//! Files of processes, for `convox cp` and for the shell.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::call::{Call, Incoming};
use super::reply::{Answer, Failure, Reply};
use super::table::Route;
use super::tar;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("DELETE", "/apps/{app}/processes/{pid}/files", delete),
    Route::plain("GET", "/apps/{app}/processes/{pid}/files", download),
    Route::upload("POST", "/apps/{app}/processes/{pid}/files", upload),
];

/// Files of all processes of an app. What an image brings is in every process.
#[derive(Debug, Default)]
pub(super) struct Files {
    image: BTreeMap<String, Bytes>,
    own: BTreeMap<(String, String), Option<Bytes>>,
}

impl Files {
    pub(super) fn with_image(files: &[(&str, &'static str)]) -> Self {
        let image = files.iter().map(|(path, text)| ((*path).to_owned(), Bytes::from_static(text.as_bytes())));
        Self { image: image.collect(), own: BTreeMap::new() }
    }

    pub(super) fn get(&self, pid: &str, path: &str) -> Option<Bytes> {
        let path = absolute(path);
        match self.own.get(&(pid.to_owned(), path.clone())) {
            Some(own) => own.clone(),
            None => self.image.get(&path).cloned(),
        }
    }

    pub(super) fn put(&mut self, pid: &str, path: &str, content: Bytes) {
        self.own.insert((pid.to_owned(), absolute(path)), Some(content));
    }

    /// Files at a path or below it, with their contents.
    fn under(&self, pid: &str, path: &str) -> Vec<(String, Bytes)> {
        let path = absolute(path);
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut all: BTreeMap<&String, Bytes> = self.image.iter().map(|(path, c)| (path, c.clone())).collect();
        for ((owner, path), content) in &self.own {
            if owner == pid {
                match content {
                    Some(content) => all.insert(path, content.clone()),
                    None => all.remove(path),
                };
            }
        }
        let inside = all.into_iter().filter(|(p, _)| **p == path || p.starts_with(&below));
        inside.map(|(path, content)| (path.clone(), content)).collect()
    }

    /// Names in a directory.
    pub(super) fn list(&self, pid: &str, path: &str) -> Vec<String> {
        let below = format!("{}/", absolute(path).trim_end_matches('/'));
        let names = self.under(pid, path).into_iter();
        let mut names: Vec<String> =
            names.filter_map(|(p, _)| Some(p.strip_prefix(&below)?.split('/').next()?.to_owned())).collect();
        names.dedup();
        names
    }

    fn remove(&mut self, pid: &str, path: &str) {
        for (path, _) in self.under(pid, path) {
            self.own.insert((pid.to_owned(), path), None);
        }
    }
}

fn absolute(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

fn download(call: &Call) -> Answer {
    let file = call.value("file");
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    app.process(call.path("pid"))?;
    let files = app.files.under(call.path("pid"), &file);
    if files.is_empty() {
        return Err(Failure::new(500, format!("tar: {file}: Cannot stat: No such file or directory")));
    }
    Ok(Reply::typed("application/octet-stream", tar::write(&files, call.now())))
}

fn upload(call: Call, mut incoming: Incoming) -> LocalBoxFuture<'static, Answer> {
    Box::pin(async move {
        call.rack.data().app(call.app())?.process(call.path("pid"))?;
        let archive = incoming.whole().await?;
        let files =
            tar::read(&archive).ok_or_else(|| Failure::new(500, "tar: This does not look like a tar archive"))?;
        let mut data = call.rack.data();
        let app = data.app(call.app())?;
        for (path, content) in files {
            app.files.put(call.path("pid"), &path, content);
        }
        Ok(Reply::ok())
    })
}

fn delete(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    app.process(call.path("pid"))?;
    for file in call.value("files").split(',') {
        app.files.remove(call.path("pid"), file);
    }
    Ok(Reply::ok())
}
