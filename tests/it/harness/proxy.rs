//! A proxy in front of the emulator that makes trouble when it is told to: it cuts, stalls, throttles,
//! holds a request so that whoever sent it can be killed there, and shifts the clock of the answers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The line breaks before it arrives.
    Cut,
    /// It arrives; the line breaks before its answer does.
    CutAfter,
    /// It is told to slow down.
    Slow,
    /// Nothing ever comes back.
    Stall,
    /// It waits, before it arrives, for [`Proxy::release`].
    HoldBefore,
    /// It arrives; its answer waits.
    HoldAfter,
}

#[derive(Clone, Debug)]
struct Rule {
    /// All of these are in the request's line, or its target.
    words: Vec<String>,
    times: u32,
    act: Act,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
    /// Seconds that the clock of the answers is ahead.
    skew: AtomicI64,
    held: watch::Sender<u32>,
    released: watch::Sender<u32>,
}

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let each = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, Arc::clone(&each)));
            }
        });
        Self { port: own, shared }
    }

    /// Does `act` to the next `times` requests with all these words in their line or target.
    pub fn act(&self, words: &[&str], times: u32, act: Act) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.shared.rules.lock().unwrap().push(Rule { words, times, act });
    }

    /// Forgets all rules.
    pub fn behave(&self) {
        self.shared.rules.lock().unwrap().clear();
        self.skew(0);
    }

    /// Shifts the clock of the answers.
    pub fn skew(&self, seconds: i64) {
        self.shared.skew.store(seconds, Ordering::SeqCst);
    }

    /// Waits until a request is held.
    pub async fn held(&self) {
        let mut held = self.shared.held.subscribe();
        let wait = held.wait_for(|count| *count > 0);
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("no request is held").expect("it lives");
        self.shared.held.send_replace(0);
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// The requests so far, `METHOD path target`.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    fn rule(&self, request: &str) -> Option<Act> {
        self.seen.lock().unwrap().push(request.to_owned());
        let mut rules = self.rules.lock().unwrap();
        let rule =
            rules.iter_mut().find(|rule| rule.times > 0 && rule.words.iter().all(|word| request.contains(word)))?;
        rule.times -= 1;
        Some(rule.act)
    }

    async fn hold(&self) {
        let mut released = self.released.subscribe();
        released.mark_unchanged();
        self.held.send_modify(|count| *count += 1);
        released.changed().await.expect("it lives");
    }
}

const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
    <Message>Please reduce your request rate.</Message></Error>";

/// One request, one answer, then the connection is closed.
async fn serve(mut client: TcpStream, port: u16, shared: Arc<Shared>) {
    let Some((head, body)) = read_request(&mut client).await else { return };
    let act = shared.rule(&named(&head));
    match act {
        Some(Act::Cut) => return,
        Some(Act::Stall) => return std::future::pending().await,
        Some(Act::Slow) => {
            let answer = format!(
                "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{SLOW_DOWN}",
                SLOW_DOWN.len()
            );
            drop(client.write_all(answer.as_bytes()).await);
            return;
        }
        Some(Act::HoldBefore) => shared.hold().await,
        Some(Act::CutAfter | Act::HoldAfter) | None => {}
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    if server.write_all(head.as_bytes()).await.is_err() || server.write_all(&body).await.is_err() {
        return;
    }
    let mut answer = Vec::new();
    if server.read_to_end(&mut answer).await.is_err() || act == Some(Act::CutAfter) {
        return;
    }
    if act == Some(Act::HoldAfter) {
        shared.hold().await;
    }
    drop(client.write_all(&shift(answer, shared.skew.load(Ordering::SeqCst))).await);
}

async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn named(head: &str) -> String {
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    format!("{line} {}", header(head, "x-amz-target").unwrap_or_default())
}

/// The answer with another `Date`.
fn shift(answer: Vec<u8>, seconds: i64) -> Vec<u8> {
    if seconds == 0 {
        return answer;
    }
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let date = (OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(&Rfc2822).expect("a date");
    let date = date.replace("+0000", "GMT");
    let lines = head.split("\r\n").map(|line| match line.to_ascii_lowercase().starts_with("date:") {
        true => format!("Date: {date}"),
        false => line.to_owned(),
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    [head.as_bytes(), &answer[end..]].concat()
}
