//! A client that behaves as the stock CLI of a console does, hazards included (pkg/console/auth.go and
//! vendor/github.com/convox/stdsdk of convox).

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::{Person, html, query};
use crate::harness::basic;
use crate::replay::peer::{Message, Wire};
use crate::sign_in::json;

/// After so many rounds the real one would still go on.
const ENOUGH: u32 = 10;

/// What the CLI sends as a body, and whether it could send it once more.
#[derive(Clone)]
pub enum Body {
    None,
    Form(&'static str),
    /// Bytes in memory.
    Object(&'static [u8]),
    /// A file or a pipe: read once.
    File(&'static [u8]),
}

/// A request of the CLI.
#[derive(Clone)]
pub struct Ask {
    pub method: &'static str,
    pub target: &'static str,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Body,
}

impl Ask {
    pub fn new(method: &'static str, target: &'static str) -> Self {
        Self { method, target, headers: Vec::new(), body: Body::None }
    }

    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }
}

/// How the CLI ends.
#[derive(Debug)]
pub enum End {
    /// With this answer.
    Answer(Message),
    /// Without one: what it prints.
    Failed(String),
}

impl End {
    pub fn answer(self) -> Message {
        match self {
            Self::Answer(answer) => answer,
            Self::Failed(why) => panic!("{why}"),
        }
    }
}

/// The CLI, logged in at the gateway as at a console.
pub struct Cli {
    addr: SocketAddr,
    wire: Option<Wire>,
    token: String,
    /// What it stores for the host, for good.
    pub session: String,
    /// How often it opened a browser.
    pub opened: u32,
    /// What happens between the proof and the next request.
    pub after_proof: Option<Box<dyn FnOnce()>>,
}

impl Cli {
    pub fn new(addr: SocketAddr, token: &str) -> Self {
        Self { addr, wire: None, token: token.to_owned(), session: String::new(), opened: 0, after_proof: None }
    }

    /// A new process, with what the last one stored.
    pub fn next_command(&mut self) {
        self.wire = None;
    }

    /// One request of a command, with the handshake wherever the gateway asks for it.
    pub async fn ask(&mut self, ask: &Ask, person: &mut Person) -> End {
        let mut is_read = false;
        for _ in 0..ENOUGH {
            let bytes = match (&ask.body, is_read) {
                (Body::File(_), true) => return End::Failed("file already closed".to_owned()),
                (Body::None, _) => &b""[..],
                (Body::Form(text), _) => text.as_bytes(),
                (Body::Object(bytes) | Body::File(bytes), _) => bytes,
            };
            // Go can send a body once more only on a connection that it used before.
            if is_read && self.wire.is_none() && !bytes.is_empty() {
                return End::Failed(format!("http: ContentLength={} with Body length 0", bytes.len()));
            }
            is_read = true;
            let answer = self.send(ask.method, ask.target, Some("acme/dev"), &ask.headers, (&ask.body, bytes)).await;
            let Some(path) = session_path(&answer) else { return End::Answer(answer) };
            match self.authenticate(&path, person).await {
                Ok(session) => {
                    self.session = session;
                    if let Some(then) = self.after_proof.take() {
                        then();
                    }
                }
                Err(why) => return End::Failed(why),
            }
        }
        End::Failed("it asks again and again".to_owned())
    }

    /// The handshake: what to show, the browser, the proof.
    async fn authenticate(&mut self, path: &str, person: &mut Person) -> Result<String, String> {
        let wanted = self.send("GET", &format!("{path}?"), None, &[], (&Body::None, b"")).await;
        assert!(session_path(&wanted).is_none(), "the CLI would recurse");
        if wanted.status() >= 400 {
            return Err(String::from_utf8(wanted.body).unwrap());
        }
        let challenge = wanted.header("challenge").unwrap_or_default().to_owned();
        // The way over USB reads this.
        let read: Value = serde_json::from_slice(&wanted.body).unwrap();
        STANDARD.decode(read["publicKey"]["challenge"].as_str().unwrap()).unwrap();
        let link = format!(
            "https://gateway.example.com/login/u2f?callback_url=http%3A%2F%2Flocalhost%3A43517&token={}",
            byte_serialize(STANDARD.encode(&wanted.body).as_bytes()).collect::<String>()
        );
        self.opened += 1;
        let data = browse(self.addr, &link, person).await.ok_or("callback server timeout")?;
        let headers = [("Challenge", challenge.as_str())];
        let body = Body::Object(b"");
        let proved = self.send("POST", &format!("{path}?"), None, &headers, (&body, &data)).await;
        assert!(session_path(&proved).is_none(), "the CLI would recurse");
        if proved.status() >= 400 {
            return Err(json(&proved)["error"].as_str().unwrap().to_owned());
        }
        let id = json(&proved)["id"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() { Err("invalid session".to_owned()) } else { Ok(id) }
    }

    async fn send(
        &mut self,
        method: &str,
        target: &str,
        rack: Option<&str>,
        headers: &[(&str, &str)],
        (kind, body): (&Body, &[u8]),
    ) -> Message {
        let content = if matches!(kind, Body::Form(_)) { "x-www-form-urlencoded" } else { "octet-stream" };
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: gateway.example.com\r\nUser-Agent: convox.go/dev\r\nAccept: */*\r\n\
             Authorization: {}\r\nContent-Type: application/{content}\r\n",
            basic(&self.token)
        );
        let session = self.session.clone();
        let rack = rack.map(|rack| ("Rack", rack));
        for (name, value) in headers.iter().copied().chain(rack).chain([("Session", session.as_str())]) {
            head += &format!("{name}: {value}\r\n");
        }
        if matches!(kind, Body::File(_)) {
            head += "Transfer-Encoding: chunked\r\n";
        } else if method != "GET" || !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "Version: dev\r\nAccept-Encoding: gzip\r\n\r\n";
        let mut bytes = head.into_bytes();
        if matches!(kind, Body::File(_)) {
            bytes.extend(format!("{:x}\r\n", body.len()).into_bytes());
            bytes.extend([body, b"\r\n0\r\n\r\n"].concat());
        } else {
            bytes.extend(body);
        }
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.addr).await,
        };
        wire.send(&bytes).await;
        let answer = wire.message(false).await.expect("an answer");
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.wire = Some(wire);
        }
        answer
    }
}

/// What `^Session path="([^"]+)" token="([^"]+)"$` finds in the first value of the header.
pub fn session_path(answer: &Message) -> Option<String> {
    if answer.status() != 401 {
        return None;
    }
    let rest = answer.header("www-authenticate")?.strip_prefix("Session path=\"")?;
    let (path, rest) = rest.split_once('"')?;
    let token = rest.strip_prefix(" token=\"")?.strip_suffix('"')?;
    assert_eq!(token, "true");
    Some(path.to_owned())
}

/// The page at `/login/u2f`, and what it hands to the CLI's own listener.
pub async fn browse(addr: SocketAddr, link: &str, person: &mut Person) -> Option<Vec<u8>> {
    let url = url::Url::parse(link).unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let page = person.browser.clone().send(addr, html(&target)).await;
    if page.status() != 200 {
        return None;
    }
    let token = STANDARD.decode(query(&url)["token"].as_bytes()).unwrap();
    let token: Value = serde_json::from_slice(&token).unwrap();
    let answered = person.answer(addr, token["id"].as_str().unwrap()).await;
    let proof = (answered.status() == 200).then(|| json(&answered)["proof"].as_str().unwrap().to_owned());
    proof.map(String::into_bytes)
}
