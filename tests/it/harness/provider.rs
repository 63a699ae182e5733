//! An identity provider that does what a test tells it: right by default, hostile by knobs. It
//! serves on loopback, from a thread of its own, and asks nobody anything: whoever comes to the
//! authorization endpoint goes back at once with a code for the chosen person.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rack_gateway::config::{ProviderHttp, SignInSettings};
use rustls::pki_types::PrivatePkcs8KeyDer;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha512};
use time::OffsetDateTime;
use url::Url;
use url::form_urlencoded;

use super::signer::{Algorithm, Signer};

pub const CLIENT_ID: &str = "rack-gateway";
/// With characters that must be escaped in a Basic header and in a form.
pub const CLIENT_SECRET: &str = "made-up: secret/&+%";

/// A person at the provider.
#[derive(Clone, Debug)]
pub struct Account {
    pub subject: String,
    pub email: String,
    pub name: String,
    pub groups: Vec<String>,
}

impl Account {
    pub fn new(name: &str) -> Self {
        Self {
            subject: format!("subject-of-{name}"),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            groups: vec!["engineering".to_owned()],
        }
    }
}

/// How an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    #[default]
    Right,
    /// This status, with this JSON.
    Status(u16, Value),
    /// A redirect to the same endpoint at another address, which would answer right.
    Redirect,
    /// 2 MiB of JSON.
    Huge,
    /// Never.
    Silence,
    /// Something that is no JSON.
    Text,
    /// The right document with these members; null takes one away.
    With(Value),
}

/// What a test changes. All is right by default.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Who signs in next.
    pub account: Account,
    /// Claims of identity tokens, over the right ones; null takes one away.
    pub claims: Value,
    /// Members of their header, over the right ones; null takes one away.
    pub header: Value,
    /// How they are signed.
    pub algorithm: Algorithm,
    /// The user info; None: there is no such endpoint.
    pub user_info: Option<Value>,
    /// Whether the `iss` parameter is announced and sent (RFC 9207).
    pub names_itself: bool,
    pub discovery: Answer,
    pub keys: Answer,
    pub token: Answer,
    /// How user info answers, if there is any.
    pub info: Answer,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            account: Account::new("alice"),
            claims: json!({}),
            header: json!({}),
            algorithm: Algorithm::Es256,
            user_info: None,
            names_itself: true,
            discovery: Answer::Right,
            keys: Answer::Right,
            token: Answer::Right,
            info: Answer::Right,
        }
    }
}

struct Grant {
    account: Account,
    challenge: String,
    redirect_uri: String,
    nonce: String,
}

#[derive(Default)]
struct State {
    knobs: Knobs,
    grants: BTreeMap<String, Grant>,
    access_tokens: Vec<String>,
    hits: BTreeMap<String, usize>,
    /// The last token request: its form, and whether the client used a header.
    asked: Option<(BTreeMap<String, String>, bool)>,
    signer: Signer,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>, String);

/// The provider; it ends when it is dropped.
pub struct Provider {
    shared: Shared,
    server: ServerHandle,
    ca: Option<Vec<u8>>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Provider {
    /// On http, as development is.
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// On https, with a certificate that [`Provider::settings`] trusts.
    pub fn start_tls() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certified.cert.der().clone()], key.into())
                .unwrap();
        Self::launch(Some((config, certified.cert.pem().into_bytes())))
    }

    fn launch(tls: Option<(rustls::ServerConfig, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer =
            if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let shared = Shared(Arc::default(), issuer);
        let (config, ca) = tls.unzip();
        let (send, receive) = std::sync::mpsc::channel();
        let state = shared.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(web::Data::new(state.clone())).default_service(web::to(serve))
                });
                let server = server.workers(1).disable_signals();
                let server = match config {
                    Some(config) => server.listen_rustls_0_23(listener, config),
                    None => server.listen(listener),
                };
                let server = server.unwrap().run();
                send.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { shared, server: receive.recv().unwrap(), ca }
    }

    pub fn issuer(&self) -> &str {
        &self.shared.1
    }

    /// Turns knobs.
    pub fn set(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.shared.state().knobs);
    }

    /// Who signs in next.
    pub fn choose(&self, account: Account) {
        self.set(|knobs| knobs.account = account);
    }

    /// Takes a new key, under a new name; the old one is no longer published.
    pub fn rotate(&self) {
        let mut state = self.shared.state();
        state.signer = Signer::default();
    }

    /// What it signs with: EC, Ed25519, RSA.
    pub fn public_keys(&self) -> Vec<Value> {
        self.shared.state().signer.public_keys()
    }

    /// How often a path was asked for.
    pub fn hits(&self, path: &str) -> usize {
        self.shared.state().hits.get(path).copied().unwrap_or_default()
    }

    /// The form of the last token request, and whether the client proved itself in a header.
    pub fn asked(&self) -> (BTreeMap<String, String>, bool) {
        self.shared.state().asked.clone().unwrap()
    }

    /// A token with these claims and nothing else, as the knobs sign them: for CI runs.
    pub fn mint(&self, claims: &Value) -> String {
        let state = self.shared.state();
        state.signer.sign(state.knobs.algorithm, &state.knobs.header, claims)
    }

    /// One more signature, each time another, over the two parts of a token.
    pub fn signature(&self, signed: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.shared.state().signer.signature(Algorithm::Es256, signed.as_bytes()))
    }

    /// The settings of a gateway that trusts this provider.
    pub fn settings(&self) -> SignInSettings {
        SignInSettings {
            issuer: self.issuer().to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: SecretString::from(CLIENT_SECRET),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            allowed_domains: vec!["example.com".to_owned()],
            google: false,
            http: ProviderHttp { ca: self.ca.clone(), ..ProviderHttp::default() },
        }
    }

    /// What a browser does that is sent to the provider: where it is sent on.
    pub fn visit(&self, url: &Url) -> Url {
        assert!(url.as_str().starts_with(self.issuer()), "{url}");
        Url::parse(&self.shared.authorize(url.query().unwrap_or_default()).expect("a proper request")).unwrap()
    }
}

/// A parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn serve(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let path = request.path().to_owned();
    *shared.state().hits.entry(path.clone()).or_default() += 1;
    let knobs = shared.state().knobs.clone();
    let (answer, document) = match path.trim_start_matches("/moved") {
        "/.well-known/openid-configuration" => (knobs.discovery.clone(), Ok(shared.discovery(&knobs))),
        "/keys" => (knobs.keys.clone(), Ok(shared.keys())),
        "/token" => {
            let answered = match knobs.token {
                Answer::Right | Answer::With(_) => shared.exchange(&request, &body, &knobs),
                _ => Err("not asked"),
            };
            (knobs.token.clone(), answered)
        }
        "/userinfo" => (knobs.info.clone(), shared.user_info(&request, &knobs)),
        "/authorize" => {
            return match shared.authorize(request.query_string()) {
                Ok(location) => HttpResponse::SeeOther().insert_header(("location", location)).finish(),
                Err(problem) => HttpResponse::BadRequest().body(problem),
            };
        }
        _ => return HttpResponse::NotFound().finish(),
    };
    let answer = if path.starts_with("/moved") { Answer::Right } else { answer };
    match (answer, document) {
        (Answer::Status(status, value), _) => {
            HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).json(value)
        }
        (Answer::Redirect, _) => {
            HttpResponse::TemporaryRedirect().insert_header(("location", format!("/moved{path}"))).finish()
        }
        (Answer::Huge, _) => HttpResponse::Ok().json(json!({ "keys": "x".repeat(2 << 20) })),
        (Answer::Silence, _) => pending().await,
        (Answer::Text, _) => HttpResponse::Ok().content_type("application/json").body("good day"),
        (Answer::Right | Answer::With(_), Err("invalid_client")) => {
            HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }))
        }
        (Answer::Right | Answer::With(_), Err(error)) => {
            HttpResponse::BadRequest().json(json!({ "error": error, "error_description": "<b>no</b>" }))
        }
        (Answer::Right, Ok(document)) => HttpResponse::Ok().json(document),
        (Answer::With(changes), Ok(document)) => HttpResponse::Ok().json(changed(document, &changes)),
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn discovery(&self, knobs: &Knobs) -> Value {
        let issuer = &self.1;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": knobs.names_itself,
        });
        if knobs.user_info.is_some() {
            document["userinfo_endpoint"] = json!(format!("{issuer}/userinfo"));
        }
        document
    }

    fn keys(&self) -> Value {
        json!({ "keys": self.state().signer.public_keys() })
    }

    /// OpenID Connect Core 1.0 §3.1.2, with PKCE required.
    fn authorize(&self, query: &str) -> Result<String, &'static str> {
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &'static str| query.get(name).cloned().ok_or(name);
        let scopes = get("scope")?;
        let proper = get("response_type")? == "code"
            && get("client_id")? == CLIENT_ID
            && get("code_challenge_method")? == "S256"
            && scopes.split(' ').any(|scope| scope == "openid");
        if !proper {
            return Err("not a proper request");
        }
        let redirect_uri = get("redirect_uri")?;
        let mut location = Url::parse(&redirect_uri).map_err(|_| "redirect_uri")?;
        let code = URL_SAFE_NO_PAD.encode(Signer::random());
        let mut state = self.state();
        let grant = Grant {
            account: state.knobs.account.clone(),
            challenge: get("code_challenge")?,
            redirect_uri,
            nonce: get("nonce")?,
        };
        state.grants.insert(code.clone(), grant);
        location.query_pairs_mut().append_pair("code", &code).append_pair("state", &get("state")?);
        if state.knobs.names_itself {
            location.query_pairs_mut().append_pair("iss", &self.1);
        }
        Ok(location.into())
    }

    /// RFC 6749 §4.1.3 and RFC 7636 §4.6: each code once, by its client, with its verifier.
    fn exchange(&self, request: &HttpRequest, body: &[u8], knobs: &Knobs) -> Result<Value, &'static str> {
        let form: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let proved = match header {
            Some(header) => basic(header).is_some_and(|(id, secret)| id == CLIENT_ID && secret == CLIENT_SECRET),
            None => get("client_id") == CLIENT_ID && get("client_secret") == CLIENT_SECRET,
        };
        let mut state = self.state();
        state.asked = Some((form.clone(), header.is_some()));
        if !proved {
            return Err("invalid_client");
        }
        let grant = state.grants.remove(get("code")).ok_or("invalid_grant")?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
        let proper = get("grant_type") == "authorization_code"
            && get("redirect_uri") == grant.redirect_uri
            && challenge == grant.challenge;
        if !proper {
            return Err("invalid_grant");
        }
        let access_token = URL_SAFE_NO_PAD.encode(Signer::random());
        state.access_tokens.push(access_token.clone());
        let claims = changed(self.right_claims(&grant, &access_token, knobs.algorithm), &knobs.claims);
        let id_token = state.signer.sign(knobs.algorithm, &knobs.header, &claims);
        Ok(json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
    }

    fn right_claims(&self, grant: &Grant, access_token: &str, algorithm: Algorithm) -> Value {
        let hash = match algorithm {
            Algorithm::EdDsa | Algorithm::Rs512 => Sha512::digest(access_token).to_vec(),
            _ => Sha256::digest(access_token).to_vec(),
        };
        let now = OffsetDateTime::now_utc().unix_timestamp();
        json!({
            "iss": self.1,
            "aud": CLIENT_ID,
            "sub": grant.account.subject,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            "at_hash": URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]),
            "email": grant.account.email,
            "email_verified": true,
            "name": grant.account.name,
            "groups": grant.account.groups,
        })
    }

    fn user_info(&self, request: &HttpRequest, knobs: &Knobs) -> Result<Value, &'static str> {
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or("invalid_token")?;
        if !self.state().access_tokens.iter().any(|one| one == token) {
            return Err("invalid_token");
        }
        let right = json!({ "sub": knobs.account.subject });
        Ok(changed(right, knobs.user_info.as_ref().unwrap_or(&Value::Null)))
    }
}

/// A document with other members.
pub fn changed(document: Value, changes: &Value) -> Value {
    let Value::Object(mut members) = document else { return document };
    for (name, value) in changes.as_object().unwrap_or(&Map::new()) {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    Value::Object(members)
}

/// RFC 6749 §2.3.1: both parts are encoded as in a form before they are joined.
fn basic(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let decode = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(key, _)| key.into_owned());
    let (id, secret) = text.split_once(':')?;
    Some((decode(id)?, decode(secret)?))
}
