//! One request, ready for its handler, with the rack's rules for reading a parameter.

use actix_http::header::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::sync::Arc;
use time::OffsetDateTime;

use super::auth::Role;
use super::form::{self, Pairs};
use super::received::Entry;
use super::reply::Failure;
use super::state::RackState;

/// Most bytes of a form or of any body that is read whole (Go's `maxFormSize`).
const WHOLE_MAX: usize = 10 << 20;

/// A request.
pub(super) struct Call {
    pub(super) rack: RackState,
    pub(super) role: Role,
    /// Body of a plain request that is no form.
    pub(super) body: Bytes,
    params: Vec<(&'static str, String)>,
    query: Pairs,
    form: Pairs,
    body_form: Pairs,
    headers: HeaderMap,
}

impl Call {
    pub(super) fn new(rack: RackState, params: Vec<(&'static str, String)>, query: &[u8], headers: HeaderMap) -> Self {
        let query = form::query(query);
        let form = query.clone();
        Self { rack, role: Role::default(), body: Bytes::new(), params, query, form, body_form: Vec::new(), headers }
    }

    /// Takes in a form body by Go's rules: a urlencoded body of POST, PUT and PATCH comes before
    /// the query; a multipart body of any method comes after it.
    pub(super) fn take_form(&mut self, method: &str, body: &[u8]) {
        let content_type = self.header("content-type");
        if is_multipart(&content_type) {
            self.form.extend(form::multipart(&content_type, body));
            return;
        }
        self.body_form = form::query(body);
        if matches!(method, "POST" | "PUT" | "PATCH") {
            self.form = self.body_form.iter().chain(&self.query).cloned().collect();
        }
    }

    /// Whether the body is one that [`Call::take_form`] takes in.
    pub(super) fn has_form(&self) -> bool {
        let content_type = self.header("content-type");
        is_multipart(&content_type) || media(&content_type) == "application/x-www-form-urlencoded"
    }

    /// A part of the path.
    pub(super) fn path(&self, name: &str) -> &str {
        self.params.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    /// The app named in the path.
    pub(super) fn app(&self) -> &str {
        self.path("app")
    }

    /// `stdapi` `Context.Value`: form, then header, empty counting as absent.
    pub(super) fn value(&self, name: &str) -> String {
        self.param(name).filter(|v| !v.is_empty()).unwrap_or_else(|| self.header(name))
    }

    /// An option that is tagged `param`: form body, then query, then nothing.
    pub(super) fn param(&self, name: &str) -> Option<String> {
        first(&self.form, name)
    }

    /// An option that is tagged `query`.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        first(&self.query, name)
    }

    /// A parameter of a form body, whatever the method.
    pub(super) fn in_body(&self, name: &str) -> Option<String> {
        first(&self.body_form, name)
    }

    /// An option that is tagged `header`, lossily; empty if absent.
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).unwrap_or_default()
    }

    /// A header option, if it is there.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        self.headers.contains_key(name).then(|| self.header(name))
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.rack.now()
    }
}

fn first(pairs: &Pairs, name: &str) -> Option<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

fn media(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_multipart(content_type: &str) -> bool {
    media(content_type) == "multipart/form-data"
}

/// A request body that is measured while it is read.
pub(super) struct Incoming {
    payload: actix_http::Payload,
    entry: Arc<Entry>,
}

impl Incoming {
    pub(super) fn new(payload: actix_http::Payload, entry: Arc<Entry>) -> Self {
        Self { payload, entry }
    }

    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.payload.next().await {
            Some(Ok(bytes)) => {
                self.entry.read(&bytes);
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(Failure::new(500, error.to_string())),
            None => {
                self.entry.body_ended();
                Ok(None)
            }
        }
    }

    /// Everything, up to the limit of a form.
    pub(super) async fn whole(&mut self) -> Result<Bytes, Failure> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > WHOLE_MAX {
                return Err(Failure::new(500, "http: POST too large"));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }
}
