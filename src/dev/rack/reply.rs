//! Answers, shaped as Go's `net/http` and `stdapi` shape them.

use std::convert::Infallible;

use actix_http::body::{BodyStream, BoxBody};
use actix_http::{Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

/// `application/json`.
const JSON: &str = "application/json";
/// What Go's sniffer says of plain text.
const TEXT: &str = "text/plain; charset=utf-8";
/// Go sends longer answers chunked (`bufferBeforeChunkingSize`).
const CHUNKED_FROM: usize = 2048;
/// Piece of a synthetic object.
const PIECE: usize = 64 * 1024;

/// An error as the rack words it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }
}

/// What a handler gives.
pub(super) type Answer = Result<Reply, Failure>;

#[derive(Debug)]
enum Content {
    Bytes(Bytes),
    /// It breaks off.
    Lost,
    Zeros(u64),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
    content: Content,
}

impl Reply {
    fn of(status: u16, content_type: Option<&'static str>, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), content: Content::Bytes(body.into()) }
    }

    /// `ok`, as every call without a result answers.
    pub(super) fn ok() -> Self {
        Self::of(200, Some(TEXT), "ok\n")
    }

    /// `json.MarshalIndent` with two spaces and a newline.
    pub(super) fn json(value: &impl Serialize) -> Answer {
        let text = serde_json::to_vec_pretty(value).map_err(|error| Failure::new(500, error.to_string()))?;
        Ok(Self::of(200, Some(JSON), go_escapes(&text)))
    }

    /// Bytes whose type Go would guess.
    pub(super) fn bytes(body: Bytes) -> Self {
        Self::of(200, Some(sniff(&body)), body)
    }

    /// Bytes of a known type.
    pub(super) fn typed(content_type: &'static str, body: Bytes) -> Self {
        Self::of(200, Some(content_type), body)
    }

    /// That many zero bytes, made while they are sent.
    pub(super) fn zeros(length: u64) -> Self {
        Self { content: Content::Zeros(length), ..Self::of(200, Some("application/octet-stream"), "") }
    }

    /// Only a status: what the router itself answers.
    pub(super) fn bare(status: u16) -> Self {
        Self::of(status, None, "")
    }

    /// Go's `http.Error`, or JSON for a client that asks for it (`stdapi` `writeErrorResponse`).
    pub(super) fn failure(failure: &Failure, accept: &str) -> Self {
        let json = accept.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == JSON);
        if json {
            let body = serde_json::json!({ "error": failure.message });
            return Self::of(failure.status, Some(JSON), format!("{body}\n"));
        }
        Self::of(failure.status, Some(TEXT), format!("{}\n", failure.message))
    }

    /// The same, as one gets it whose connection breaks.
    pub(super) fn lost(self) -> Self {
        Self { content: Content::Lost, ..self }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn into_response(self) -> Response<BoxBody> {
        let mut builder = Response::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(content_type) = self.content_type {
            builder.insert_header(("Content-Type", content_type));
        }
        for (name, value) in self.headers {
            builder.append_header((name, value));
        }
        let mut response = match self.content {
            Content::Bytes(bytes) if bytes.len() <= CHUNKED_FROM => builder.body(bytes).map_into_boxed_body(),
            Content::Bytes(bytes) => {
                let pieces = stream::unfold(bytes, |mut left| async move {
                    let piece = left.split_to(left.len().min(PIECE));
                    (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), left))
                });
                builder.body(BodyStream::new(Box::pin(pieces))).map_into_boxed_body()
            }
            Content::Lost => {
                let gone =
                    stream::once(async { Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::BrokenPipe)) });
                builder.body(BodyStream::new(Box::pin(gone))).map_into_boxed_body()
            }
            Content::Zeros(length) => {
                let piece = Bytes::from(vec![0; PIECE]);
                let pieces = stream::unfold((piece, length), |(piece, left)| async move {
                    let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    let rest = left.saturating_sub(u64::try_from(size).unwrap_or(u64::MAX));
                    (size > 0).then(|| (Ok::<_, Infallible>(piece.slice(..size)), (piece, rest)))
                });
                builder.body(BodyStream::new(Box::pin(pieces))).map_into_boxed_body()
            }
        };
        response.head_mut().set_camel_case_headers(true);
        response
    }
}

/// Go's encoder escapes what HTML would interpret; such bytes occur in strings only.
fn go_escapes(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 1);
    for &byte in json {
        match byte {
            b'&' => out.extend_from_slice(b"\\u0026"),
            b'<' => out.extend_from_slice(b"\\u003c"),
            b'>' => out.extend_from_slice(b"\\u003e"),
            other => out.push(other),
        }
    }
    out.push(b'\n');
    out
}

/// The part of `http.DetectContentType` that a rack's answers need.
fn sniff(body: &[u8]) -> &'static str {
    if body.starts_with(&[0x1f, 0x8b, 0x08]) {
        return "application/x-gzip";
    }
    let text = |b: &u8| !matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if body.iter().take(512).all(text) { TEXT } else { "application/octet-stream" }
}
