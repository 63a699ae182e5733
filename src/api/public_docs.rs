//! What the description of the API says of endpoints that sign people and CI runs in and out, and of
//! health: they answer elsewhere.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A problem (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// For people: what happened, and what to do.
    error: String,
    /// Stable name: `/problems/SLUG`.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// Id of the request, which is also in its records.
    instance: String,
}

/// What a CLI begins to sign in with.
#[derive(Deserialize, ToSchema)]
struct CliLoginStart {
    /// base64url of the SHA-256 of a secret that the CLI keeps (RFC 7636).
    code_challenge: String,
    /// `S256`.
    code_challenge_method: String,
    device: CliDevice,
}

/// The machine of a CLI, for people to recognise.
#[derive(Deserialize, ToSchema)]
struct CliDevice {
    name: String,
    os: String,
    client_version: String,
}

/// A sign-in that waits for a person at the browser.
#[derive(Serialize, ToSchema)]
struct CliLogin {
    login_id: String,
    /// What the browser must show as well.
    user_code: String,
    verification_url: String,
    /// Seconds.
    expires_in: u32,
    /// Seconds between two questions.
    interval: u32,
}

/// What a CLI asks for its session with.
#[derive(Deserialize, ToSchema)]
struct CliLoginComplete {
    login_id: String,
    /// The secret behind the challenge.
    code_verifier: String,
}

/// Nobody has confirmed yet.
#[derive(Serialize, ToSchema)]
struct CliLoginPending {
    /// `pending`.
    status: String,
}

/// A CLI's session.
#[derive(Serialize, ToSchema)]
struct CliSession {
    token: String,
    /// `Bearer`.
    token_type: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    session_id: String,
    user: CliUser,
}

/// Who has signed in.
#[derive(Serialize, ToSchema)]
struct CliUser {
    id: String,
    email: String,
    name: String,
}

/// A person's word at the browser.
#[derive(Deserialize, ToSchema)]
struct CliLoginConfirm {
    /// What the CLI shows.
    user_code: String,
    /// `approve` or `deny`.
    decision: String,
}

/// An exchange of tokens (RFC 8693 §2.1).
#[derive(Deserialize, ToSchema)]
struct TokenExchange {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The identity token of the CI platform.
    subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt` or `urn:ietf:params:oauth:token-type:id_token`.
    subject_token_type: String,
}

/// A CI run's token (RFC 8693 §2.2.1).
#[derive(Serialize, ToSchema)]
struct ExchangedToken {
    access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    issued_token_type: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds.
    expires_in: u32,
}

/// Why there is none (RFC 6749 §5.2).
#[derive(Serialize, ToSchema)]
struct OauthError {
    error: String,
    error_description: Option<String>,
}

/// End the session, or take the token back, that asks.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "account", responses((status = 204)))]
pub(super) const fn logout() {}

/// Confirm or deny a CLI's sign-in, from a browser's session.
#[utoipa::path(post, path = "/api/v1/auth/cli/confirm", tag = "account", request_body = CliLoginConfirm, responses(
    (status = 204),
))]
pub(super) const fn confirm() {}

/// Whether the process lives.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", responses((status = 200, description = "It does")))]
pub(super) const fn health() {}

/// Whether it can serve: database, audit log, policies, rack.
#[utoipa::path(get, path = "/api/v1/ready", tag = "health", responses(
    (status = 200, description = "It can"),
    (status = 503, description = "It cannot; the body says why"),
))]
pub(super) const fn ready() {}

/// A CLI begins to sign in.
#[utoipa::path(post, path = "/api/v1/auth/cli/start", tag = "sign-in", request_body = CliLoginStart, responses(
    (status = 200, body = CliLogin),
    (status = 400, body = ProblemBody),
    (status = 429, body = ProblemBody, description = "Too many; wait for Retry-After seconds"),
))]
pub(super) const fn cli_start() {}

/// A CLI asks for the session that a person has confirmed.
#[utoipa::path(post, path = "/api/v1/auth/cli/complete", tag = "sign-in", request_body = CliLoginComplete, responses(
    (status = 200, body = CliSession),
    (status = 202, body = CliLoginPending, description = "Nobody has confirmed yet: ask again"),
    (status = 403, body = ProblemBody, description = "The person, or policy, has denied it"),
    (status = 404, body = ProblemBody, description = "There is no such sign-in, or the secret is wrong"),
    (status = 410, body = ProblemBody, description = "Nobody has confirmed in time"),
    (status = 429, body = ProblemBody, description = "Too many; wait for Retry-After seconds"),
))]
pub(super) const fn cli_complete() {}

/// A CI run shows the identity token of its platform and gets a token of the gateway.
#[utoipa::path(post, path = "/api/v1/auth/token", tag = "sign-in",
    request_body(content = TokenExchange, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = ExchangedToken),
        (status = 400, body = OauthError),
        (status = 429, body = OauthError, description = "Too many; wait for Retry-After seconds"),
    )
)]
pub(super) const fn token() {}
