//! What the client is told, and what the record says, when the rack gives no answer to pass on.

use std::error::Error as _;

use actix_http::error::ParseError;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use awc::error::{ConnectError, SendRequestError};

use crate::audit::OutcomeResult;

/// Why the rack gave no answer that can be passed on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// All places were taken for too long.
    Busy,
    /// The request cannot be put on the wire.
    Unwritable(String),
    /// awc's own report.
    Send(SendRequestError),
    /// Nothing moved for too long.
    Silence(Silent),
    /// A status below 200, which would leave the connection one answer behind.
    Informational(StatusCode),
    /// The answer does not say how long it is, so its end cannot be told from a cut.
    Unframed,
    /// The rack does not accept the gateway's own credential.
    Credential,
    /// The rack wants to send the client, and our credential, elsewhere.
    Redirect(StatusCode),
    /// The rack did not open the socket, and said so with this status.
    NoSocket(StatusCode),
    /// The rack's handshake is not that of a websocket.
    Handshake(String),
    /// The answer is longer than what is read before it is passed on.
    TooLong(usize),
}

/// Who was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silent {
    /// The client, for more of its body.
    Client,
    /// The rack, to take more of the body.
    Upload,
    /// The rack, to answer.
    Answer,
}

/// One [`Trouble`], told.
#[derive(Debug)]
pub(super) struct Told {
    /// For the client.
    pub(super) status: StatusCode,
    /// For the client: says what happened and what to do. The CLI prints it through `printf`, so it
    /// has no percent sign, and nothing from the rack is in it.
    pub(super) text: &'static str,
    /// For the record.
    pub(super) result: OutcomeResult,
    /// For the record.
    pub(super) detail: String,
}

impl Told {
    /// The answer to the client.
    pub(super) fn response(&self) -> HttpResponse {
        let mut response = error_response(self.status, self.text);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// An answer in the form that the CLI understands.
pub(super) fn error_response(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({ "error": text }))
}

const UNREACHABLE: &str = "the rack cannot be reached; try again, and tell an operator if it lasts";
const NO_ANSWER: &str =
    "the rack closed the connection without an answer; look whether it was done before you repeat it";
const MALFORMED: &str = "the rack's answer is not valid HTTP; tell an operator";

impl Trouble {
    /// What to say about it.
    pub(super) fn told(&self) -> Told {
        use OutcomeResult::{ClientGone, UpstreamError};
        let told = |status, text, detail: &str| Told { status, text, result: UpstreamError, detail: detail.to_owned() };
        match self {
            Self::Busy => told(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests to the rack are under way; try again in a moment",
                "no place was free in time",
            ),
            Self::Unwritable(why) => {
                told(StatusCode::BAD_GATEWAY, "the request cannot be sent to the rack in this form", why)
            }
            Self::Silence(Silent::Answer) => told(
                StatusCode::GATEWAY_TIMEOUT,
                "the rack did not answer in time; look whether it was done before you repeat it",
                "no answer in time",
            ),
            Self::Silence(Silent::Upload) => told(
                StatusCode::GATEWAY_TIMEOUT,
                "the rack stopped reading the upload; try again",
                "the rack stopped reading",
            ),
            Self::Silence(Silent::Client) => Told {
                result: ClientGone,
                ..told(
                    StatusCode::REQUEST_TIMEOUT,
                    "the upload stood still for too long; try again",
                    "the client stopped sending",
                )
            },
            Self::Informational(status) => told(
                StatusCode::BAD_GATEWAY,
                "the rack sent an interim answer that the gateway does not accept; tell an operator",
                &format!("status {status}"),
            ),
            Self::Unframed => told(StatusCode::BAD_GATEWAY, MALFORMED, "the answer has no length"),
            Self::Credential => told(
                StatusCode::BAD_GATEWAY,
                "the rack does not accept the gateway's credential; tell an operator",
                "status 401",
            ),
            Self::Redirect(status) => told(
                StatusCode::BAD_GATEWAY,
                "the rack answered with a redirect, which the gateway never follows; tell an operator",
                &format!("status {status}"),
            ),
            Self::NoSocket(status) => {
                told(*status, "the rack refused to open this connection", &format!("status {status}"))
            }
            Self::TooLong(max) => told(
                StatusCode::BAD_GATEWAY,
                "the rack's answer is too long to be looked through for secrets, so it is not passed on",
                &format!("more than {max} bytes"),
            ),
            Self::Handshake(why) => told(StatusCode::BAD_GATEWAY, MALFORMED, why),
            Self::Send(SendRequestError::Body(error)) => Told {
                status: StatusCode::BAD_REQUEST,
                text: "the request's body ended before its end",
                result: ClientGone,
                detail: error.to_string(),
            },
            Self::Send(error) => {
                let (status, text) = not_sent(error);
                told(status, text, &chain(error))
            }
        }
    }
}

fn not_sent(error: &SendRequestError) -> (StatusCode, &'static str) {
    match error {
        SendRequestError::Connect(ConnectError::Timeout) => {
            (StatusCode::GATEWAY_TIMEOUT, "the rack did not accept a connection in time; try again")
        }
        SendRequestError::Connect(ConnectError::Disconnected) | SendRequestError::Response(ParseError::Io(_)) => {
            (StatusCode::BAD_GATEWAY, NO_ANSWER)
        }
        SendRequestError::Connect(_) => (StatusCode::BAD_GATEWAY, UNREACHABLE),
        SendRequestError::Send(_) => (
            StatusCode::BAD_GATEWAY,
            "the rack closed the connection before it had the whole request; try again, perhaps with less",
        ),
        SendRequestError::Response(_) => (StatusCode::BAD_GATEWAY, MALFORMED),
        _ => (StatusCode::BAD_GATEWAY, "the request could not be sent to the rack; tell an operator"),
    }
}

/// The error and what caused it: awc's own text often hides the reason.
fn chain(error: &SendRequestError) -> String {
    let mut text = match error {
        SendRequestError::Send(io) => format!("write: {io}"),
        SendRequestError::Response(parse) => format!("read: {parse}"),
        SendRequestError::Connect(connect) => format!("connect: {connect}"),
        other => other.to_string(),
    };
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cli_prints_is_plain() {
        let io = || std::io::Error::other("100% \u{fc}");
        let troubles = [
            Trouble::Busy,
            Trouble::Unwritable("100%".to_owned()),
            Trouble::Silence(Silent::Client),
            Trouble::Silence(Silent::Upload),
            Trouble::Silence(Silent::Answer),
            Trouble::Informational(StatusCode::PROCESSING),
            Trouble::Unframed,
            Trouble::Credential,
            Trouble::Redirect(StatusCode::FOUND),
            Trouble::NoSocket(StatusCode::FORBIDDEN),
            Trouble::Handshake("100%".to_owned()),
            Trouble::Send(SendRequestError::Body(Box::new(io()))),
            Trouble::Send(SendRequestError::Send(io())),
            Trouble::Send(SendRequestError::Timeout),
            Trouble::Send(SendRequestError::Connect(ConnectError::Timeout)),
            Trouble::Send(SendRequestError::Connect(ConnectError::Disconnected)),
            Trouble::Send(SendRequestError::Connect(ConnectError::Io(io()))),
            Trouble::Send(SendRequestError::Response(ParseError::Io(io()))),
            Trouble::Send(SendRequestError::Response(ParseError::Header)),
        ];
        for trouble in troubles {
            let told = trouble.told();
            let text = told.text;
            assert!(text.is_ascii() && !text.contains('%') && !text.ends_with('.'), "{text}");
            assert!(text.starts_with(char::is_lowercase), "{text}");
            assert!(told.status.is_client_error() || told.status.is_server_error(), "{trouble:?}");
            assert_ne!(told.status, StatusCode::UNAUTHORIZED, "{trouble:?}: the CLI would step up");
            assert!(!told.detail.is_empty(), "{trouble:?}");
        }
    }
}
