//! Objects: what the CLI uploads before a build.

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use sha2::{Digest as _, Sha256};

use super::call::{Call, Incoming};
use super::data::Content;
use super::reply::{Answer, Failure, Reply};
use super::table::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::plain("DELETE", "/apps/{app}/objects/{key...}", delete),
    Route::plain("HEAD", "/apps/{app}/objects/{key...}", exists),
    Route::plain("GET", "/apps/{app}/objects/{key...}", fetch),
    Route::plain("GET", "/apps/{app}/objects", list),
    Route::upload("POST", "/apps/{app}/objects/{key...}", store),
];

/// Longer uploads are kept as a length and a digest; their content is given back as zeros.
const KEEP_MAX: u64 = 8 << 20;

/// An upload.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) length: u64,
    /// SHA-256, lower-case hex.
    pub(super) sha256: String,
    pub(super) content: Content,
}

impl Stored {
    pub(super) fn of(content: Bytes) -> Self {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self { length, sha256: hex::encode(Sha256::digest(&content)), content: Some(content) }
    }

    /// Takes in an upload, never holding more than is kept.
    pub(super) async fn read(mut incoming: Incoming) -> Result<Self, Failure> {
        let mut digest = Sha256::new();
        let mut length = 0u64;
        let mut content = Some(Vec::new());
        while let Some(piece) = incoming.next().await? {
            digest.update(&piece);
            length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            content = content.filter(|_| length <= KEEP_MAX);
            if let Some(content) = &mut content {
                content.extend_from_slice(&piece);
            }
        }
        Ok(Self { length, sha256: hex::encode(digest.finalize()), content: content.map(Bytes::from) })
    }

    pub(super) fn reply(&self) -> Reply {
        self.content.clone().map_or_else(|| Reply::zeros(self.length), Reply::bytes)
    }
}

fn missing(key: &str) -> Failure {
    Failure::not_found(format!("no such key: {key}"))
}

fn store(call: Call, incoming: Incoming) -> LocalBoxFuture<'static, Answer> {
    Box::pin(async move {
        call.rack.data().app(call.app())?;
        let stored = Stored::read(incoming).await?;
        tracing::debug!(length = stored.length, sha256 = %stored.sha256, "object stored");
        let key = call.path("key").to_owned();
        let url = format!("object://{}/{key}", call.app());
        call.rack.data().app(call.app())?.objects.insert(key, stored);
        Reply::json(&serde_json::json!({ "Url": url }))
    })
}

fn synthetic(call: &Call) -> Option<u64> {
    let (key, length) = call.rack.options().large_object.as_ref()?;
    (key == call.path("key")).then_some(*length)
}

fn fetch(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    match (app.objects.get(call.path("key")), synthetic(call)) {
        (Some(stored), _) => Ok(stored.reply()),
        (None, Some(length)) => Ok(Reply::zeros(length)),
        (None, None) => Err(missing(call.path("key"))),
    }
}

fn exists(call: &Call) -> Answer {
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    if app.objects.contains_key(call.path("key")) || synthetic(call).is_some() {
        return Ok(Reply::ok());
    }
    Err(missing(call.path("key")))
}

fn list(call: &Call) -> Answer {
    let prefix = call.value("prefix");
    let mut data = call.rack.data();
    let app = data.app(call.app())?;
    let keys: Vec<&String> = app.objects.keys().filter(|key| key.starts_with(&prefix)).collect();
    Reply::json(&keys)
}

fn delete(call: &Call) -> Answer {
    let removed = call.rack.data().app(call.app())?.objects.remove(call.path("key"));
    removed.map(|_| Reply::ok()).ok_or_else(|| missing(call.path("key")))
}
