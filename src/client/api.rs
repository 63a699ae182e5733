//! Talking to a gateway: one request, one answer, no redirects, certificates verified.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::World;
use super::address::{Address, authority};
use super::arguments::Global;
use super::error::{ClientError, Problem};
use super::text::plain;
use super::trust::{Roots, client_config};

const CONNECT: Duration = Duration::from_secs(10);
/// For a whole request and its answer.
const WHOLE: Duration = Duration::from_secs(30);
/// For a whole file.
const FILE: Duration = Duration::from_secs(24 * 60 * 60);
/// For the next piece of one.
const PIECE: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 8 << 20;

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    Nothing,
    Json(&'a Value),
    Form(&'a [(&'a str, &'a str)]),
}

/// An HTTP client, as it is set up for one host.
#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    host: String,
    body: Vec<u8>,
}

/// The body may hold a token.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// The JSON of an answer that says yes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Not the parser's message: it repeats what it read, and that may be a token.
            let what = format!("an answer that it cannot read, line {}, column {}", error.line(), error.column());
            ClientError::NotAGateway { host: self.host.clone(), what }
        })
    }

    /// The problem of an answer that says no.
    pub(super) fn problem(&self) -> ClientError {
        match Problem::parse(self.status, &self.body) {
            Some(problem) => ClientError::Refused(problem),
            None => ClientError::NotAGateway { host: self.host.clone(), what: format!("status {}", self.status) },
        }
    }

    /// Itself, if it has this status.
    pub(super) fn expect_status(self, status: u16) -> Result<Self, ClientError> {
        match self.status {
            found if found == status => Ok(self),
            found if found >= 400 => Err(self.problem()),
            found => Err(ClientError::NotAGateway { host: self.host, what: format!("status {found}") }),
        }
    }
}

impl Http {
    /// A client for one URL; its scheme decides whether certificates are needed.
    pub(super) fn new(is_encrypted: bool, roots: Roots<'_>) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(if is_encrypted { roots } else { Roots::Nobody })?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .user_agent(concat!("rack-gateway/", env!("CARGO_PKG_VERSION")));
        // What is plain stays on this machine: a proxy would see it.
        let builder = if is_encrypted { builder } else { builder.no_proxy() };
        builder.build().map(Self).map_err(|error| ClientError::Tls(causes(&error)))
    }

    /// Sends a request and reads the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        bearer: Option<&str>,
        body: Body<'_>,
    ) -> Result<Answer, ClientError> {
        self.send_with(method, url, bearer, body, None).await
    }

    /// The same with a second factor, where there is one.
    async fn send_with(
        &self,
        method: Method,
        url: Url,
        bearer: Option<&str>,
        body: Body<'_>,
        factor: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let host = authority(&url);
        let mut request = self.request(method, url, bearer)?.header(ACCEPT, "application/json");
        if let Some(factor) = factor {
            let mut value = HeaderValue::try_from(factor).map_err(|_error| ClientError::NotACode)?;
            value.set_sensitive(true);
            request = request.header("X-Rack-Gateway-MFA", value);
        }
        let request = match body {
            Body::Nothing => request,
            Body::Json(value) => request.json(value),
            Body::Form(pairs) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
        };
        let response = request.send().await.map_err(|error| unreachable_because(&host, &error))?;
        read(host, response).await
    }

    fn request(&self, method: Method, url: Url, bearer: Option<&str>) -> Result<RequestBuilder, ClientError> {
        let request = self.0.request(method, url);
        let Some(token) = bearer else { return Ok(request) };
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_error| ClientError::NoIdentity("the token has characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }

    /// Asks for a file of whatever length.
    async fn download(&self, url: Url, bearer: &str) -> Result<Download, ClientError> {
        let host = authority(&url);
        let request = self.request(Method::GET, url, Some(bearer))?.timeout(FILE);
        let response = tokio::time::timeout(WHOLE, request.send()).await.map_err(|_| silent(&host))?;
        let response = response.map_err(|error| unreachable_because(&host, &error))?;
        if response.status() == StatusCode::OK {
            return Ok(Download { host, response });
        }
        Err(match read(host, response).await?.expect_status(200) {
            Ok(_) => ClientError::Io(std::io::Error::other("an answer of another status")),
            Err(error) => error,
        })
    }
}

/// A file on its way.
#[derive(Debug)]
pub(super) struct Download {
    host: String,
    response: Response,
}

impl Download {
    /// The next piece; none when it is whole.
    pub(super) async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ClientError> {
        let piece = tokio::time::timeout(PIECE, self.response.chunk()).await.map_err(|_| silent(&self.host))?;
        piece.map_err(|error| unreachable_because(&self.host, &error))
    }
}

fn silent(host: &str) -> ClientError {
    ClientError::Unreachable { host: host.to_owned(), cause: "it does not answer in time".to_owned() }
}

async fn read(host: String, mut response: Response) -> Result<Answer, ClientError> {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if status.is_redirection() {
        return Err(ClientError::Redirect { host, to: plain(header(LOCATION).unwrap_or("nowhere")) });
    }
    let retry_after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| unreachable_because(&host, &error))? {
        body.extend_from_slice(&bytes);
        if body.len() > LARGEST {
            return Err(ClientError::NotAGateway { host, what: "an answer without end".to_owned() });
        }
    }
    Ok(Answer { status: status.as_u16(), retry_after, host, body })
}

/// The causes below an error, which itself only repeats the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut found: Vec<String> = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !found.iter().any(|before| before.contains(&text)) {
            found.push(text);
        }
        next = cause.source();
    }
    plain(&found.join(": "))
}

fn unreachable_because(host: &str, error: &reqwest::Error) -> ClientError {
    let host = host.to_owned();
    let cause = causes(error);
    if cause.contains("invalid peer certificate") {
        return ClientError::Certificate { host, cause };
    }
    if error.is_timeout() {
        return ClientError::Unreachable { host, cause: "it does not answer in time".to_owned() };
    }
    ClientError::Unreachable { host, cause }
}

/// A gateway that is talked to.
#[derive(Debug)]
pub(super) struct Gateway<'a> {
    http: Http,
    address: &'a Address,
}

impl<'a> Gateway<'a> {
    pub(super) fn new(address: &'a Address, global: &Global, world: &World<'_>) -> Result<Self, ClientError> {
        let variable = world.environment.get("RACK_GATEWAY_CA_FILE").map(Path::new);
        let roots = global.ca_file.as_deref().or(variable).map_or(Roots::System, Roots::File);
        Ok(Self { http: Http::new(address.is_encrypted(), roots)?, address })
    }

    /// What it answered shows that it is something else.
    pub(super) fn is_none(&self, what: impl Into<String>) -> ClientError {
        ClientError::NotAGateway { host: self.address.host(), what: what.into() }
    }

    pub(super) async fn get(&self, path: &[&str], token: &str) -> Result<Answer, ClientError> {
        self.http.send(Method::GET, self.address.join(path), Some(token), Body::Nothing).await
    }

    /// The same with a query.
    pub(super) async fn get_with(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        token: &str,
    ) -> Result<Answer, ClientError> {
        self.http.send(Method::GET, self.with(path, query), Some(token), Body::Nothing).await
    }

    /// Asks for a file of whatever length.
    pub(super) async fn download(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        token: &str,
    ) -> Result<Download, ClientError> {
        self.http.download(self.with(path, query), token).await
    }

    fn with(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.address.join(path);
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// The same for an answer that may take this long.
    pub(super) async fn get_within(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        token: &str,
        time: Duration,
    ) -> Result<Answer, ClientError> {
        let url = self.with(path, query);
        let host = authority(&url);
        let request = self.http.request(Method::GET, url, Some(token))?.header(ACCEPT, "application/json");
        let response = request.timeout(time).send().await.map_err(|error| unreachable_because(&host, &error))?;
        read(host, response).await
    }

    /// Sends a request with a second factor, where there is one: `totp=123456`.
    pub(super) async fn send_with_factor(
        &self,
        method: Method,
        path: &[&str],
        token: &str,
        body: Body<'_>,
        factor: Option<&str>,
    ) -> Result<Answer, ClientError> {
        self.http.send_with(method, self.address.join(path), Some(token), body, factor).await
    }

    pub(super) async fn delete(&self, path: &[&str], token: &str) -> Result<Answer, ClientError> {
        self.http.send(Method::DELETE, self.address.join(path), Some(token), Body::Nothing).await
    }

    pub(super) async fn post(&self, path: &[&str], token: Option<&str>, body: Body<'_>) -> Result<Answer, ClientError> {
        self.http.send(Method::POST, self.address.join(path), token, body).await
    }

    /// Ends the session of a token. One that has ended before is as good.
    pub(super) async fn end_session(&self, token: &str) -> Result<(), ClientError> {
        let answer = self.post(&["api", "v1", "auth", "logout"], Some(token), Body::Nothing).await?;
        if answer.status == 401 { Ok(()) } else { answer.expect_status(204).map(|_answer| ()) }
    }
}
