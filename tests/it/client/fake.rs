//! A gateway of these tests that keeps the contract of the sign-in endpoints to the letter, and a runner of
//! GitHub Actions that gives out identity tokens.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ServerConfig;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::desk::Desk;

/// A token that is no session.
pub const API_TOKEN: &str = "rgw_the-token-of-a-machine";
/// What the runner's token service wants to see.
pub const RUNNER_TOKEN: &str = "runner-secret";
pub const USER_ID: &str = "0198a000-0000-7000-8000-000000000001";
pub const REQUEST_ID: &str = "01JTESTREQUEST";

/// What the gateway says when it is asked whether a sign-in is complete.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    Pending,
    /// 429, and when to come back, in seconds.
    Slow(u64),
    Approve,
    Deny,
    Expire,
    /// A bad moment of a load balancer.
    Down,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    /// A second factor.
    pub factor: Option<String>,
    pub body: String,
}

struct Session {
    id: String,
    token: String,
}

#[derive(Default)]
struct Inner {
    says: VecDeque<Say>,
    /// Answers everything, when it is set.
    canned: Option<(u16, &'static str, &'static str)>,
    verification_url: Option<String>,
    expires_in: u64,
    challenges: BTreeMap<String, String>,
    sessions: Vec<Session>,
    seen: Vec<Seen>,
    made: usize,
    desk: Desk,
}

struct State {
    url: String,
    inner: Mutex<Inner>,
}

/// The gateway. It ends with the test.
pub struct Fake {
    pub url: String,
    state: Arc<State>,
    handle: actix_web::dev::ServerHandle,
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl Fake {
    /// Over plain HTTP on this machine; answers these to questions for completion, the last one for ever.
    pub fn start(says: &[Say]) -> Self {
        Self::listen(says, None, "http://127.0.0.1")
    }

    /// Over TLS, under this origin without port.
    pub fn start_tls(says: &[Say], tls: ServerConfig, origin: &str) -> Self {
        Self::listen(says, Some(tls), origin)
    }

    fn listen(says: &[Say], tls: Option<ServerConfig>, origin: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{origin}:{}", listener.local_addr().unwrap().port());
        let inner = Inner { says: says.iter().copied().collect(), expires_in: 600, ..Inner::default() };
        let state = Arc::new(State { url: url.clone(), inner: Mutex::new(inner) });
        let (tell, told) = mpsc::channel();
        let served = Data::from(Arc::clone(&state));
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = move || App::new().app_data(Data::clone(&served)).default_service(web::to(handle));
                let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
                let server = match tls {
                    None => server.listen(listener),
                    Some(tls) => server.listen_rustls_0_23(listener, tls),
                };
                let server = server.unwrap().run();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { url, handle: told.recv().unwrap(), state }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.inner.lock().unwrap()
    }

    /// From now on every request has this answer: status, a header's value (`Location`), body.
    pub fn always(&self, status: u16, location: &'static str, body: &'static str) {
        self.inner().canned = Some((status, location, body));
    }

    pub fn show_page(&self, url: &str) {
        self.inner().verification_url = Some(url.to_owned());
    }

    pub fn expire_after(&self, seconds: u64) {
        self.inner().expires_in = seconds;
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner().seen.clone()
    }

    /// Requests to one path.
    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }

    /// Tokens of the sessions that live.
    pub fn tokens(&self) -> Vec<String> {
        self.inner().sessions.iter().map(|session| session.token.clone()).collect()
    }

    /// Requests to deploy, as this gateway keeps them.
    pub fn desk(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.inner().desk);
    }

    /// Ends all sessions, as an administrator does.
    pub fn end_sessions(&self) {
        self.inner().sessions.clear();
    }
}

pub fn problem(status: u16, slug: &str, error: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(json!({
        "error": error, "type": format!("/problems/{slug}"), "title": "refused", "status": status,
        "instance": REQUEST_ID,
    }))
}

/// What breaks the contract.
pub fn broken(what: &str) -> HttpResponse {
    problem(400, "contract", &format!("contract: {what}"))
}

async fn handle(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let mut inner = state.inner.lock().unwrap();
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    inner.seen.push(Seen {
        at: Instant::now(),
        method: request.method().to_string(),
        path: request.path().to_owned(),
        authorization: header("authorization"),
        factor: header("x-rack-gateway-mfa"),
        body: body.clone(),
    });
    if let Some((status, location, body)) = inner.canned {
        let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        return response.insert_header(("location", location)).body(body);
    }
    if !header("user-agent").is_some_and(|agent| agent.starts_with("rack-gateway/")) {
        return broken("the client does not name itself");
    }
    let path: Vec<_> = request.path().trim_start_matches('/').split('/').collect();
    match (request.method().as_str(), path.as_slice()) {
        ("POST", ["api", "v1", "auth", "cli", "start"]) => start(&mut inner, &state.url, &body),
        ("POST", ["api", "v1", "auth", "cli", "complete"]) => complete(&mut inner, &body),
        ("POST", ["api", "v1", "auth", "token"]) => exchange(&mut inner, &state.url, &header("content-type"), &body),
        (method, path) if Desk::is_for(path) => {
            if header("authorization").is_none_or(|value| !value.starts_with("Bearer rgw_")) {
                return problem(401, "unauthenticated", "who are you?");
            }
            let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string()).unwrap();
            inner.desk.answer((method, path), &query, header("x-rack-gateway-mfa").as_deref(), &body)
        }
        ("GET", ["runner", "token"]) => runner(&request, &header("authorization")),
        (method, path) => guarded(&mut inner, method, path, &header("authorization")),
    }
}

/// Whether a JSON object has these fields and no others.
pub fn has_fields(value: &Value, names: &[&str]) -> bool {
    let found: Option<Vec<_>> = value.as_object().map(|map| map.keys().map(String::as_str).collect());
    let mut names = names.to_vec();
    names.sort_unstable();
    found.is_some_and(|mut found| {
        found.sort_unstable();
        found == names
    })
}

fn start(inner: &mut Inner, url: &str, body: &str) -> HttpResponse {
    let Ok(asked) = serde_json::from_str::<Value>(body) else { return broken("no JSON") };
    if !has_fields(&asked, &["code_challenge", "code_challenge_method", "device"])
        || !has_fields(&asked["device"], &["name", "os", "client_version"])
    {
        return broken("other fields");
    }
    let challenge = asked["code_challenge"].as_str().unwrap_or_default();
    if asked["code_challenge_method"] != "S256" || URL_SAFE_NO_PAD.decode(challenge).map(|hash| hash.len()) != Ok(32) {
        return broken("no S256 challenge");
    }
    if ["name", "os", "client_version"].iter().any(|name| asked["device"][name].as_str().is_none_or(str::is_empty)) {
        return broken("a device without name");
    }
    inner.made += 1;
    let login_id = format!("login-{}", inner.made);
    inner.challenges.insert(login_id.clone(), challenge.to_owned());
    let page = inner.verification_url.clone().unwrap_or_else(|| format!("{url}/app/cli?code=BCDF-GHJK"));
    HttpResponse::Ok().json(json!({
        "login_id": login_id, "user_code": "BCDF-GHJK", "verification_url": page,
        "expires_in": inner.expires_in, "interval": 1,
    }))
}

fn complete(inner: &mut Inner, body: &str) -> HttpResponse {
    let Ok(asked) = serde_json::from_str::<Value>(body) else { return broken("no JSON") };
    if !has_fields(&asked, &["login_id", "code_verifier"]) {
        return broken("other fields");
    }
    let verifier = asked["code_verifier"].as_str().unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let login_id = asked["login_id"].as_str().unwrap_or_default().to_owned();
    let unknown = || problem(404, "cli-login-unknown", "there is no such sign-in");
    if inner.challenges.get(&login_id) != Some(&challenge) {
        return unknown();
    }
    let say = if inner.says.len() > 1 { inner.says.pop_front() } else { inner.says.front().copied() };
    match say.expect("what to say") {
        Say::Pending => HttpResponse::Accepted().json(json!({ "status": "pending" })),
        Say::Slow(seconds) => {
            let mut response = problem(429, "too-many-requests", "slow down");
            let value = actix_web::http::header::HeaderValue::from(seconds);
            response.headers_mut().insert(actix_web::http::header::RETRY_AFTER, value);
            response
        }
        Say::Deny => problem(403, "cli-login-denied", "denied by ann@example.com"),
        Say::Expire => problem(410, "cli-login-expired", "too late"),
        Say::Down => HttpResponse::BadGateway().body("<html>bad gateway</html>"),
        Say::Approve => {
            inner.challenges.remove(&login_id);
            let session = new_session(inner);
            HttpResponse::Ok().json(json!({
                "token": session.1, "token_type": "Bearer", "expires_at": "2999-12-31T10:20:30Z",
                "session_id": session.0, "user": { "id": USER_ID, "email": "ann@example.com", "name": "Ann" },
            }))
        }
    }
}

fn new_session(inner: &mut Inner) -> (String, String) {
    inner.made += 1;
    let (id, token) = (format!("session-{}", inner.made), format!("rgw_session-token-{}", inner.made));
    inner.sessions.push(Session { id: id.clone(), token: token.clone() });
    (id, token)
}

fn exchange(inner: &mut Inner, url: &str, content_type: &Option<String>, body: &str) -> HttpResponse {
    let refused = |description: &str| {
        HttpResponse::BadRequest().json(json!({ "error": "invalid_grant", "error_description": description }))
    };
    let Ok(web::Query(form)) = web::Query::<BTreeMap<String, String>>::from_query(body) else {
        return refused("no form");
    };
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if content_type.as_deref() != Some("application/x-www-form-urlencoded") || form.len() != 3 {
        return refused("no form of three fields");
    }
    if field("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange"
        || field("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt"
    {
        return refused("another grant");
    }
    if field("subject_token") != identity_for(url) {
        return refused("the audience is another");
    }
    let (_, token) = new_session(inner);
    HttpResponse::Ok().json(json!({
        "access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer", "expires_in": 900,
    }))
}

/// An identity token for an audience, as far as these tests go.
pub fn identity_for(audience: &str) -> String {
    format!("header.{}.signature", URL_SAFE_NO_PAD.encode(audience))
}

fn runner(request: &HttpRequest, authorization: &Option<String>) -> HttpResponse {
    let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string()).unwrap();
    if *authorization != Some(format!("Bearer {RUNNER_TOKEN}")) || query.get("api-version").is_none() {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().json(json!({ "count": 1, "value": identity_for(&query["audience"]) }))
}

fn guarded(inner: &mut Inner, method: &str, path: &[&str], authorization: &Option<String>) -> HttpResponse {
    let token = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let session = inner.sessions.iter().find(|session| session.token == token).map(|session| session.id.clone());
    if session.is_none() && token != API_TOKEN {
        return problem(401, "unauthenticated", "who are you?");
    }
    let sessions = ["api", "v1", "users", USER_ID, "sessions"];
    match (method, path) {
        ("GET", ["api", "v1", "whoami"]) => whoami(session.as_deref()),
        ("POST", ["api", "v1", "auth", "logout"]) => {
            inner.sessions.retain(|session| session.token != token);
            HttpResponse::NoContent().finish()
        }
        ("GET", path) if path == sessions => {
            let items = inner.sessions.iter().map(|listed| {
                json!({
                    "id": listed.id, "kind": "cli", "name": "laptop\u{1b}[2J", "created_at": "2026-01-02T03:04:05Z",
                    "last_used_at": null, "expires_at": "2999-12-31T10:20:30Z", "source_ip": "192.0.2.7",
                    "user_agent": "rack-gateway/0.1.0", "current": Some(&listed.id) == session.as_ref(),
                })
            });
            HttpResponse::Ok().json(json!({ "items": items.collect::<Vec<_>>(), "next": null }))
        }
        ("DELETE", [parent @ .., id]) if *parent == sessions => {
            let before = inner.sessions.len();
            inner.sessions.retain(|session| session.id != *id);
            if inner.sessions.len() < before {
                HttpResponse::NoContent().finish()
            } else {
                problem(404, "unknown-session", "there is no such session")
            }
        }
        _ => problem(403, "denied", "policy says no"),
    }
}

fn whoami(session: Option<&str>) -> HttpResponse {
    let actions = [("rack:read", "allow"), ("app:list", "allow"), ("app:delete", "deny")];
    let actions = actions.map(|(action, decision)| json!({ "action": action, "decision": decision }));
    HttpResponse::Ok().json(match session {
        Some(id) => json!({
            "principal": { "type": "User", "id": USER_ID }, "email": "ann@example.com", "name": "Ann",
            "roles": ["deployer"], "groups": ["eng"], "rack": "acme/prod", "actions": actions,
            "credential": { "kind": "cli", "id": id, "expires_at": "2999-12-31T10:20:30Z" },
        }),
        None => json!({
            "principal": { "type": "ApiToken", "id": "0198a000-0000-7000-8000-0000000000aa" }, "email": null,
            "name": "ci", "roles": ["cicd"], "groups": [], "rack": "acme/prod", "actions": actions,
            "credential": { "kind": "api", "id": "t-1", "expires_at": null },
        }),
    })
}
