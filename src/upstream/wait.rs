//! A socket that is open to the client before it is permitted: it says what it waits for, and is
//! opened at the rack only by the permit that comes of it.

use std::future::Future;
use std::pin::pin;

use actix_http::ws;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::client::Rack;
use super::frames::{farewell, pong, text};
use super::kill::{Kill, KillSignal};
use super::relay::{Client, Relay, linger};
use super::socket::{accept, chunks, dial, not_a_handshake};
use super::tally::Tally;
use super::trouble::Trouble;
use super::typed::{Heard, Typed};
use crate::audit::OutcomeResult;
use crate::pep::{Permit, Prepared};

/// What the CLI reports of a command that could not be run.
const NOT_RUN: u8 = 126;
/// Said behind the message.
const NEXT: &str = "The session starts by itself once that is done; Ctrl-C gives up.\r\n";
/// Said when the permit is there.
const DONE: &str = "\r\nDone; the session starts.\r\n";
/// Said every so often.
const SIGN: &str = ".";

const GIVEN_UP: &str = "nothing was run: you gave up waiting";
const TOO_MUCH: &str = "nothing was run: too much was typed while waiting";
const BROKEN: &str = "nothing was run: what this client sends cannot be read while waiting";

/// Accepts a socket that is not permitted yet, shows `message` in the terminal and waits for `ready`,
/// which gives the permit and what ends the socket later, or says to a person why there is none. With
/// the permit the socket is opened at the rack and relayed as [`open_socket`](super::open_socket) does
/// it; what was typed until then is dropped. `stop` ends the waiting with its text for people.
///
/// Ctrl-C, Ctrl-D, a close frame and the end of the connection end it too. Nothing reaches the rack
/// before the permit is there, and `ready` is dropped when it is not waited for any more. Whatever
/// the client can still read ends with exit code 126. The permit's intent is completed exactly once.
pub fn wait_socket<R, S>(
    rack: &Rack,
    req: &HttpRequest,
    payload: Payload,
    message: &str,
    ready: R,
    stop: S,
) -> HttpResponse
where
    R: Future<Output = Result<(Permit, KillSignal), String>> + 'static,
    S: Future<Output = String> + 'static,
{
    let opening = async move {
        let (permit, kill) = ready.await?;
        let (prepared, intent, _) = permit.into_parts();
        Ok(Opening { prepared, kill, tally: Tally::new(move |outcome| intent.complete(outcome)) })
    };
    wait(rack, req, payload, message, opening, stop)
}

/// What opens the socket.
pub(super) struct Opening {
    pub(super) prepared: Prepared,
    pub(super) kill: KillSignal,
    pub(super) tally: Tally,
}

pub(super) fn wait<R, S>(
    rack: &Rack,
    req: &HttpRequest,
    payload: Payload,
    message: &str,
    ready: R,
    stop: S,
) -> HttpResponse
where
    R: Future<Output = Result<Opening, String>> + 'static,
    S: Future<Output = String> + 'static,
{
    if ws::verify_handshake(req.head()).is_err() {
        return not_a_handshake();
    }
    let (client, body) = Client::new(payload);
    let waiting = Waiting { rack: rack.clone(), client, typed: Typed::default() };
    let message = format!("{}\r\n{NEXT}", in_raw_terminal(message.trim_end()));
    rt::spawn(waiting.run(message, ready, stop));
    accept(req, chunks(body))
}

/// With the ends of lines that a terminal in raw mode needs.
fn in_raw_terminal(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("\r\n")
}

/// A socket between a client and a permit.
struct Waiting {
    rack: Rack,
    client: Client,
    typed: Typed,
}

/// How the waiting ended.
enum Ending {
    /// With the permit.
    Ready(Box<Opening>),
    /// Without; for people.
    Refused(String),
    /// There is nobody to tell.
    Left,
}

impl Waiting {
    async fn run<R, S>(mut self, message: String, ready: R, stop: S)
    where
        R: Future<Output = Result<Opening, String>>,
        S: Future<Output = String>,
    {
        self.say(text(&message)).await;
        match self.until_end(ready, stop).await {
            Ending::Ready(opening) => self.open(*opening).await,
            Ending::Refused(why) => self.refuse(&why).await,
            Ending::Left => {}
        }
    }

    async fn until_end<R, S>(&mut self, ready: R, stop: S) -> Ending
    where
        R: Future<Output = Result<Opening, String>>,
        S: Future<Output = String>,
    {
        let (mut ready, mut stop) = (pin!(ready), pin!(stop));
        let every = self.rack.limits().socket_sign;
        let first = Instant::now().checked_add(every).unwrap_or_else(Instant::now);
        let mut signs = interval_at(first, every);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Who gives up is heard before the permit is taken, and the permit is taken between two
            // frames: what came before it was typed at the gateway, what comes after it at the rack.
            tokio::select! {
                biased;
                why = &mut stop => return Ending::Refused(why),
                () = self.client.sender.closed() => return Ending::Left,
                heard = self.typed.next(&mut self.client.payload) => match heard {
                    Heard::Nothing => {}
                    Heard::Ping(payload) => self.hint(pong(&payload)),
                    Heard::Left => return Ending::Left,
                    Heard::GivesUp => return Ending::Refused(GIVEN_UP.to_owned()),
                    Heard::TooMuch => return Ending::Refused(TOO_MUCH.to_owned()),
                    Heard::Broken => return Ending::Refused(BROKEN.to_owned()),
                },
                opening = &mut ready => match opening {
                    Ok(opening) => return Ending::Ready(Box::new(opening)),
                    Err(why) => return Ending::Refused(why),
                },
                _ = signs.tick() => self.hint(text(SIGN)),
            }
        }
    }

    /// Opens the socket at the rack and relays it to its end.
    async fn open(self, opening: Opening) {
        let Opening { prepared, mut kill, mut tally } = opening;
        tally.answered(101);
        tally.if_dropped(OutcomeResult::Abandoned);
        tally.received(self.say(text(DONE)).await);
        let dialed = tokio::select! {
            biased;
            kill = kill.killed() => Err(Undialed::Killed(kill)),
            () = self.client.sender.closed() => Err(Undialed::ClientLeft),
            dialed = dial(&self.rack, &prepared) => dialed.map_err(Undialed::Trouble),
        };
        match dialed {
            Ok((socket, early)) => {
                let Self { rack, mut client, mut typed } = self;
                client.ahead = typed.rest();
                Relay::new(socket, early, client, kill, rack.limits(), tally).run().await;
            }
            Err(why) => self.not_dialed(why, tally).await,
        }
    }

    async fn not_dialed(self, why: Undialed, tally: Tally) {
        match why {
            Undialed::ClientLeft => tally.end(OutcomeResult::ClientGone, None),
            Undialed::Killed(kill) => {
                tally.received(self.say(farewell(false, None, kill.exit)).await);
                tally.end(OutcomeResult::Completed, Some(kill.told()));
                self.linger().await;
            }
            Undialed::Trouble(trouble) => {
                let told = trouble.told();
                tracing::warn!(detail = %told.detail, "no socket at the rack");
                tally.received(self.say(refusal(told.text)).await);
                tally.end(told.result, Some(told.detail));
                self.linger().await;
            }
        }
    }

    async fn refuse(self, why: &str) {
        self.say(refusal(why)).await;
        self.linger().await;
    }

    /// Says what the client must hear; returns its bytes, 0 if the client does not read.
    async fn say(&self, frames: Bytes) -> usize {
        let bytes = frames.len();
        match timeout(self.rack.limits().socket_grace, self.client.sender.send(frames)).await {
            Ok(Ok(())) => bytes,
            Ok(Err(_)) | Err(_) => 0,
        }
    }

    /// Says what a client that does not read may miss.
    fn hint(&self, frames: Bytes) {
        self.client.sender.try_send(frames).ok();
    }

    async fn linger(self) {
        let Self { rack, client: Client { mut payload, sender, .. }, .. } = self;
        linger(&mut payload, &sender, rack.limits().socket_grace).await;
    }
}

/// Why there is a permit and no socket.
enum Undialed {
    Killed(Kill),
    ClientLeft,
    Trouble(Trouble),
}

/// On a line of its own, since signs may stand before it.
fn refusal(why: &str) -> Bytes {
    let text = format!("\r\nERROR: {}\r\n", in_raw_terminal(why));
    farewell(false, Some(&text), Some(NOT_RUN))
}
